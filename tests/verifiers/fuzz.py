#!/usr/bin/env python3
"""Gives mutated tokens to the verifiers of all languages, and reports where they differ.

It takes what `scripts/test rust verifiers` builds. The mutations come from the seed, the keys are
made on the spot: a difference is shown with its whole file of cases, for any runner.
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
from draft import shared
from languages import REPOSITORY, Command, Places, verdicts
from recipe import Recipe, recipe

BATCH = 5_000
"""Cases of one file: few starts of a JVM, and little memory."""

PROCESSES = 2
"""Files that are worked on at once."""

SHOWN = 40
"""Kinds of differences that are reduced and shown."""

Found = tuple[Recipe, dict[str, Any], Verdicts]


class Fuzz:
    """The languages that take part."""

    def __init__(self, commands: dict[str, Command]) -> None:
        self._commands = commands

    def run(self, recipes: list[Recipe]) -> list[Found]:
        """What each language says of each case."""
        cases = [recipe.case() for recipe in recipes]
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            file = directory / "cases"
            file.write_text("".join(json.dumps(line) + "\n" for line in [shared(), *cases]))
            answers = [
                verdicts(command, file, directory / language)
                for language, command in self._commands.items()
            ]
        for language, lines in zip(self._commands, answers, strict=True):
            if len(lines) != len(cases):
                raise SystemExit(f"{language}: {len(lines)} verdicts on {len(cases)} cases")
        return [
            (recipe, case, dict(zip(self._commands, map(verdict, said), strict=True)))
            for recipe, case, *said in zip(recipes, cases, *answers, strict=True)
        ]

    def batch(self, seed: str, count: int) -> tuple[Counter[str], list[Found]]:
        """How often each verdict was given, and the cases on which the languages differ."""
        rng = Random(seed)
        found = self.run([recipe(rng) for _ in range(count)])
        given = Counter(next(iter(said.values())).split(" ")[0] for _, _, said in found)
        return given, [one for one in found if differ(one[1], one[2])]

    def reduced(self, found: list[Found]) -> list[Found]:
        """Each of them with as few mutations as it takes."""
        done: list[Found] = []
        while found:
            smaller = [(at, less) for at, one in enumerate(found) for less in one[0].smaller()]
            tried = self.run([less for _, less in smaller])
            better = {
                at: one
                for (at, _), one in zip(smaller, tried, strict=True)
                if differ(one[1], one[2])
            }
            done += [one for at, one in enumerate(found) if at not in better]
            found = list(better.values())
        return done


def main() -> None:
    """Runs the command line."""
    arguments = parsed()
    places = Places(arguments.target)
    commands = {
        name: command() for name, command in places.all().items() if name not in arguments.without
    }
    if "go" in commands:
        places.build_go()
    started, fuzz = time.monotonic(), Fuzz(commands)
    given, differences = all_batches(fuzz, arguments.seed, arguments.count)
    figures = ", ".join(f"{count} {code}" for code, count in given.most_common())
    print(f"seed {arguments.seed}: {arguments.count} tokens, {', '.join(commands)},"
          f" {time.monotonic() - started:.0f} s: {figures}")
    kinds = list({kind(one): one for one in differences}.values())
    for found in {kind(one): one for one in fuzz.reduced(kinds[:SHOWN])}.values():
        show(found)
    if differences:
        raise SystemExit(f"{len(differences)} differences of {len(kinds)} kinds")


def all_batches(fuzz: Fuzz, seed: int, count: int) -> tuple[Counter[str], list[Found]]:
    """What all batches say. Forked, so that all have the same keys."""
    given: Counter[str] = Counter()
    differences: list[Found] = []
    sizes = [min(BATCH, count - begun) for begun in range(0, count, BATCH)]
    seeds = [f"{seed}:{number}" for number in range(len(sizes))]
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("fork")) as pool:
        for number, (more, found) in enumerate(pool.map(fuzz.batch, seeds, sizes)):
            given += more
            differences += found
            if number % 10 == 9:
                print(f"{given.total()} tokens, {len(differences)} differences", flush=True)
    return given, differences


def kind(found: Found) -> tuple[str, str]:
    """Differences of one kind have one cause, as a rule."""
    recipe, _, said = found
    last = recipe.steps[-1].mutation.__name__ if recipe.steps else ""
    return last, str({name: code.split(" ")[0] for name, code in said.items()})


def show(found: Found) -> None:
    """A difference, and the file by which any runner repeats it."""
    _, case, said = found
    print(f"\n{case['name']}\n{said}\n{json.dumps(shared())}\n{json.dumps(case)}")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="tokens (10000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without", action="append", default=[], help="a language to leave out")
    parser.add_argument("--target", type=Path, default=REPOSITORY / "target")
    return parser.parse_args()


if __name__ == "__main__":
    main()
