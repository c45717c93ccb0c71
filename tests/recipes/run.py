"""Builds and measures recipes, several at once, and prints the table of what was measured.

    run.py [NAME...] [--long] [--at-once N] [--only PHASE,...] [--table]
"""

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from recipe import HERE, TARGET, names

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
    """Each recipe is measured by a process of its own; its log is printed at its end."""
    command = [sys.executable, "-B", str(HERE / "measure.py"), name, *arguments]
    TARGET.mkdir(parents=True, exist_ok=True)
    log = TARGET / f"{name}{'-long' if '--long' in arguments else ''}.log"
    with log.open("wb") as output:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False
        )
    print(log.read_text(), end="", flush=True)
    return done.returncode == 0


def in_rotation(its: dict[str, Any] | None) -> str:
    if its is None:
        return "–"
    counted = f"{its['refused']:,} of {its['good tokens']:,}"
    if not its["refused"]:
        return counted
    first, last = its["refused from, to (s after the activation)"]
    return f"{counted} (second {first} to {last})"


def in_outage(its: dict[str, Any] | None) -> str:
    if its is None:
        return "–"
    counted = f"{its['refused']:,} of {its['good tokens']:,}"
    return f"{counted} (from second {its['refused from second']})" if its["refused"] else counted


def started_in_outage(its: dict[str, Any] | None) -> str:
    if its is None:
        return "–"
    if not its["starts"]:
        return "does not start"
    after = its["works again after s"]
    works = f"works within {after} s" if after is not None else "does not work within 60 s"
    answers = f"answers {its['answers']}" if its["answers"] else "gives no answer within 5 s"
    return f"{answers}, {works} of Signet's return"


def after_revocation(found: dict[str, Any]) -> str:
    accepted = str(found.get("revoked key accepted for", "–"))
    successor = found.get("successor of a revoked key", {})
    if not successor.get("refused"):
        return accepted
    return f"{accepted}; refuses its successor for {successor['refused until s']} s"


def cells(found: dict[str, Any]) -> list[str]:
    """A row of the table."""
    return [
        f"{found['library']} {found['version']}",
        ", ".join(found.get("accepts wrongly", ["–"])) or "nothing",
        str(found.get("logout", "–")),
        in_rotation(found.get("rotation")),
        in_rotation(found.get("rotation beside unknown kids")),
        in_outage(found.get("outage")),
        started_in_outage(found.get("started in the outage")),
        after_revocation(found),
    ]


def table(chosen: list[str], long: bool) -> None:
    rows = [COLUMNS, ["---"] * len(COLUMNS)]
    for name in chosen:
        file = TARGET / f"{name}{'-long' if long else ''}.json"
        if file.is_file():
            found = json.loads(file.read_text())
            if found["kind"] == "resource-server":
                rows.append(cells(found))
    for row in rows:
        print(f"| {' | '.join(row)} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[])
    parser.add_argument("--long", action="store_true", help="Signet's own times, ten minutes away")
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--only", default="", help="phases of measure.py, separated by commas")
    parser.add_argument("--table", action="store_true", help="print what was measured, and no more")
    given = parser.parse_args()
    chosen = given.names or names()
    missing = set(chosen) - set(names())
    if missing:
        parser.error(f"no such recipe: {', '.join(sorted(missing))}")
    failed: list[str] = []
    if not given.table:
        arguments = [f"--only={given.only}"] + ["--long"] * given.long
        with ThreadPoolExecutor(given.at_once) as pool:
            done = pool.map(lambda name: measure(name, arguments), chosen)
            failed = [name for name, good in zip(chosen, done, strict=True) if not good]
    table(chosen, given.long)
    if failed:
        print(f"failed: {' '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
