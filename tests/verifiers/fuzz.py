#!/usr/bin/env python3
"""Passes mutated tokens to the verifiers of all languages, and reports different verdicts.

`scripts/test rust verifiers` must have built the verifiers. The seed determines the mutations, but
the keys are new in each run. Therefore a difference is printed as a file of cases for the runners.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

from comparison import Verdicts, differ, verdict
from draft import shared_members
from languages import REPOSITORY, Command, Runners, verdicts
from recipe import Recipe, recipe

BATCH = 5_000
"""Cases per file: a compromise between the number of JVM starts and the use of memory."""

PROCESSES = 2
"""Files that are processed concurrently."""

SHOWN = 40
"""The maximum number of kinds of differences that are reduced and printed."""

Judged = tuple[Recipe, dict[str, Any], Verdicts]
"""A recipe, the case that it creates, and the verdict of each language."""


class Fuzzer:
    """Runs cases on the verifiers of the selected languages."""

    def __init__(self, commands: dict[str, Command]) -> None:
        self._commands = commands

    def run(self, recipes: list[Recipe]) -> list[Judged]:
        """Returns the verdicts of all languages on each case."""
        cases = [recipe.case() for recipe in recipes]
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            file = directory / "cases"
            file.write_text("".join(json.dumps(line) + "\n" for line in [shared_members(), *cases]))
            answers = [
                verdicts(command, file, directory / language)
                for language, command in self._commands.items()
            ]
        for language, lines in zip(self._commands, answers, strict=True):
            if len(lines) != len(cases):
                raise SystemExit(f"{language}: {len(lines)} verdicts on {len(cases)} cases")
        return [
            (recipe, case, dict(zip(self._commands, map(verdict, by_language), strict=True)))
            for recipe, case, *by_language in zip(recipes, cases, *answers, strict=True)
        ]

    def batch(self, seed: str, count: int) -> tuple[Counter[str], list[Judged]]:
        """Runs random cases. Returns the counts of verdicts, and the cases with a difference."""
        rng = Random(seed)
        found = self.run([recipe(rng) for _ in range(count)])
        verdict_counts = Counter(
            next(iter(by_language.values())).split(" ")[0] for _, _, by_language in found
        )
        return verdict_counts, [item for item in found if differ(item[1], item[2])]

    def reduced(self, found: list[Judged]) -> list[Judged]:
        """Removes mutations from each case, as long as the difference remains."""
        done: list[Judged] = []
        while found:
            smaller = [
                (index, reduced_recipe)
                for index, item in enumerate(found)
                for reduced_recipe in item[0].smaller()
            ]
            if not smaller:
                # The runners expect at least one case.
                return done + found
            tried = self.run([reduced_recipe for _, reduced_recipe in smaller])
            better = {
                index: item
                for (index, _), item in zip(smaller, tried, strict=True)
                if differ(item[1], item[2])
            }
            done += [item for index, item in enumerate(found) if index not in better]
            found = list(better.values())
        return done


def main() -> None:
    """Runs the command line."""
    arguments = parse_arguments()
    runners = Runners(arguments.target)
    commands = {
        name: command() for name, command in runners.all().items() if name not in arguments.without
    }
    if "go" in commands:
        runners.build_go()
    started, fuzzer = time.monotonic(), Fuzzer(commands)
    verdict_counts, differences = run_all_batches(fuzzer, arguments.seed, arguments.count)
    figures = ", ".join(f"{count} {code}" for code, count in verdict_counts.most_common())
    print(f"seed {arguments.seed}: {arguments.count} tokens, {', '.join(commands)},"
          f" {time.monotonic() - started:.0f} s: {figures}")
    kinds = list({difference_kind(item): item for item in differences}.values())
    for found in {difference_kind(item): item for item in fuzzer.reduced(kinds[:SHOWN])}.values():
        print_difference(found)
    if differences:
        raise SystemExit(f"{len(differences)} differences of {len(kinds)} kinds")


def run_all_batches(fuzzer: Fuzzer, seed: int, count: int) -> tuple[Counter[str], list[Judged]]:
    """Runs all batches in forked processes, so that all use the same keys."""
    verdict_counts: Counter[str] = Counter()
    differences: list[Judged] = []
    sizes = [min(BATCH, count - begun) for begun in range(0, count, BATCH)]
    seeds = [f"{seed}:{number}" for number in range(len(sizes))]
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("fork")) as pool:
        for number, (more, found) in enumerate(pool.map(fuzzer.batch, seeds, sizes)):
            verdict_counts += more
            differences += found
            if number % 10 == 9:
                tokens = verdict_counts.total()
                print(f"{tokens} tokens, {len(differences)} differences", flush=True)
    return verdict_counts, differences


def difference_kind(found: Judged) -> tuple[str, str]:
    """The kind of a difference. Differences of one kind usually have the same cause."""
    recipe, _, by_language = found
    last = recipe.steps[-1].mutation.__name__ if recipe.steps else ""
    return last, str({name: code.split(" ")[0] for name, code in by_language.items()})


def print_difference(found: Judged) -> None:
    """Prints a difference, and the file of cases with which every runner repeats it."""
    _, case, by_language = found
    print(f"\n{case['name']}\n{by_language}\n{json.dumps(shared_members())}\n{json.dumps(case)}")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="tokens (10000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without", action="append", default=[], help="a language to exclude")
    parser.add_argument("--target", type=Path, default=REPOSITORY / "target")
    return parser.parse_args()


if __name__ == "__main__":
    main()
