"""Builds and measures recipes, several concurrently, and prints a table of the results.

run.py [NAME...] [--long] [--at-once N] [--only PHASE,...] [--table]
"""

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from recipe import HERE, TARGET, recipe_names

COLUMNS = [
    "library",
    "accepts wrongly",
    "after a logout",
    "rotation",
    "beside unknown kids",
    "outage",
    "started in an outage",
    "`keys revoke --now`",
]


def measure(name: str, arguments: list[str]) -> bool:
    """Measures a recipe in a separate process, and prints its log when it has ended."""
    command = [sys.executable, "-B", str(HERE / "measure.py"), name, *arguments]
    TARGET.mkdir(parents=True, exist_ok=True)
    log = TARGET / f"{name}{'-long' if '--long' in arguments else ''}.log"
    with log.open("wb") as output:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False
        )
    print(log.read_text(), end="", flush=True)
    return done.returncode == 0


def in_rotation(figures: dict[str, Any] | None) -> str:
    if figures is None:
        return "–"
    rejected = f"{figures['refused']:,} of {figures['good tokens']:,}"
    if not figures["refused"]:
        return rejected
    first, last = figures["refused from, to (s after the activation)"]
    return f"{rejected} (second {first} to {last})"


def in_outage(figures: dict[str, Any] | None) -> str:
    if figures is None:
        return "–"
    rejected = f"{figures['refused']:,} of {figures['good tokens']:,}"
    return (
        f"{rejected} (from second {figures['refused from second']})"
        if figures["refused"]
        else rejected
    )


def started_in_outage(figures: dict[str, Any] | None) -> str:
    if figures is None:
        return "–"
    if not figures["starts"]:
        return "does not start"
    after = figures["works again after s"]
    works = f"works within {after} s" if after is not None else "does not work within 60 s"
    answers = (
        f"answers {figures['answers']}" if figures["answers"] else "does not respond within 5 s"
    )
    return f"{answers}, {works} of Signet's return"


def after_revocation(figures: dict[str, Any]) -> str:
    accepted = str(figures.get("revoked key accepted for", "–"))
    successor = figures.get("successor of a revoked key", {})
    if not successor.get("refused"):
        return accepted
    return f"{accepted}; refuses its successor for {successor['refused until s']} s"


def cells(figures: dict[str, Any]) -> list[str]:
    """A row of the table."""
    return [
        f"{figures['library']} {figures['version']}",
        ", ".join(figures.get("accepts wrongly", ["–"])) or "nothing",
        str(figures.get("logout", "–")),
        in_rotation(figures.get("rotation")),
        in_rotation(figures.get("rotation beside unknown kids")),
        in_outage(figures.get("outage")),
        started_in_outage(figures.get("started in the outage")),
        after_revocation(figures),
    ]


def table(selected: list[str], long: bool) -> None:
    rows = [COLUMNS, ["---"] * len(COLUMNS)]
    for name in selected:
        file = TARGET / f"{name}{'-long' if long else ''}.json"
        if file.is_file():
            figures = json.loads(file.read_text())
            if figures["kind"] == "resource-server":
                rows.append(cells(figures))
    for row in rows:
        print(f"| {' | '.join(row)} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[])
    parser.add_argument(
        "--long", action="store_true", help="Signet's default times, an outage of ten minutes"
    )
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--only", default="", help="phases of measure.py, separated by commas")
    parser.add_argument(
        "--table", action="store_true", help="print the table of earlier measurements only"
    )
    options = parser.parse_args()
    selected = options.names or recipe_names()
    missing = set(selected) - set(recipe_names())
    if missing:
        parser.error(f"no such recipe: {', '.join(sorted(missing))}")
    failed: list[str] = []
    if not options.table:
        arguments = [f"--only={options.only}"] + ["--long"] * options.long
        with ThreadPoolExecutor(options.at_once) as pool:
            done = pool.map(lambda name: measure(name, arguments), selected)
            failed = [name for name, good in zip(selected, done, strict=True) if not good]
    table(selected, options.long)
    if failed:
        print(f"failed: {' '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
