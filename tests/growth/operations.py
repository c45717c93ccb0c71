"""Measures operations on databases of several sizes in turns, up to 10⁶ accounts, 10⁷ audit events.

    operations.py [--accounts 1000,10000,100000,1000000] [--events 10] [--rounds 200] [--lists 3]
                  [--minutes 3] [--json FILE]

`scripts/bench --growth` runs it. Each account has an active session and `--events` audit events.
The database is SQLite, or PostgreSQL if `TEST_DATABASE_URL` is set. `SIGNET_BIN` names a release
build with default settings, except for limits. One request runs at a time, after a warm-up.
Failures are counted and do not end the run.
"""

import argparse
import base64
import collections
import json
import math
import os
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from timings import Installation, cpu_milliseconds, wait_until_idle

GOAL = 1.10
"""The p50 on the largest database may be greater than on the smallest one by this factor."""

WARM_UP = 5


def list_path(token: str) -> str:
    """The path of the status list that an access token refers to."""
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return "/status/" + str(claims["status"]["status_list"]["uri"]).rsplit("/", 1)[1]


def fetch_list(one: Installation) -> None:
    path = list_path(one.tokens["access_token"])
    assert one.http.get(path).status_code == 200


def list_accounts(one: Installation) -> None:
    one.command("account", "list")


def show_account(one: Installation) -> None:
    one.command("account", "show", "a7@example.test")


Operation = Callable[[Installation], None]
OPERATIONS: list[tuple[str, Operation]] = [
    ("log in", Installation.log_in),
    ("refresh", Installation.refresh),
    ("me", Installation.me),
    ("status list", fetch_list),
    ("signet account show", show_account),
]
LIST = ("signet account list", list_accounts)
BACKGROUND = "background tasks, CPU per minute"

Took = dict[tuple[str, str], list[float]]


class Measurements:
    """Durations in milliseconds and failures, by operation and size."""

    def __init__(self, installations: list[Installation]) -> None:
        self.installations = installations
        self.took: Took = collections.defaultdict(list)
        self.failures: collections.Counter[str] = collections.Counter()

    def measure(self, operations: list[tuple[str, Operation]], rounds: int, warm_up: int) -> None:
        """Runs each operation on all installations in turns, in alternating order."""
        for number in range(rounds + warm_up):
            for name, operation in operations:
                ordered = self.installations if number % 2 else reversed(self.installations)
                for one in ordered:
                    began = time.perf_counter()
                    try:
                        operation(one)
                    except Exception as error:  # noqa: BLE001  # a failure must not end the run
                        self.failures[f"{name}, {one.name} accounts: {type(error).__name__}"] += 1
                        continue
                    if number >= warm_up:
                        took = time.perf_counter() - began
                        self.took[name, one.name].append(took * 1000)

    def measure_background(self, minutes: int) -> None:
        """Measures the CPU time of the idle servers, all at the same time."""
        for _ in range(minutes):
            before = [cpu_milliseconds(one.signet.pid) for one in self.installations]
            time.sleep(60)
            for one, used in zip(self.installations, before, strict=True):
                used = cpu_milliseconds(one.signet.pid) - used
                self.took[BACKGROUND, one.name].append(used)

    def results(self) -> list[dict[str, Any]]:
        names = [one.name for one in self.installations]
        results = []
        for name in dict.fromkeys(name for name, _ in self.took):
            took = [self.took[name, size] for size in names]
            if all(took):
                p50 = [statistics.median(it) for it in took]
                goal = None if name == LIST[0] else GOAL
                results.append(
                    {
                        "name": name,
                        "p50": p50,
                        "p99": [percentile_99(it) for it in took],
                        "ratio": p50[-1] / p50[0],
                        "goal": goal,
                    }
                )
        return results


def percentile_99(took: list[float]) -> float:
    return sorted(took)[math.ceil(len(took) * 0.99) - 1]


def print_table(installations: list[Installation], results: list[dict[str, Any]]) -> None:
    heads = " | ".join(f"{one.name} accounts: p50, p99, ms" for one in installations)
    print(f"\n| operation | {heads} | p50, ratio | goal | |")
    print("|---|" + "--:|" * (len(installations) + 3))
    for it in results:
        pairs = zip(it["p50"], it["p99"], strict=True)
        cells = " | ".join(f"{p50:.2f}, {p99:.2f}" for p50, p99 in pairs)
        goal = f"≤ {it['goal']:.2f}" if it["goal"] else ""
        missed = "missed" if it["goal"] and it["ratio"] > it["goal"] else ""
        print(f"| {it['name']} | {cells} | {it['ratio']:.2f} | {goal} | {missed} |")


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((it.split(": ")[1] for it in lines if it.startswith("model name")), "unknown")
    return f"{model}, {os.cpu_count()} cores"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", default="1000,10000,100000,1000000")
    parser.add_argument("--events", type=int, default=10, help="audit events of each account")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--lists", type=int, default=3, help="runs of `signet account list`")
    parser.add_argument("--minutes", type=int, default=3, help="minutes without requests")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    numbers = [int(it) for it in options.accounts.split(",")]
    print("load before:", os.getloadavg())
    with ExitStack() as stack:
        installations = []
        for number in numbers:
            began = time.monotonic()
            events = number * options.events
            installations.append(Installation(f"{number:,}", stack, None, number, 0, events))
            took = time.monotonic() - began
            print(f"{number:,} accounts, {events:,} events: filled in {took:.0f} s", flush=True)
        for one in installations:
            wait_until_idle(one)
        measurements = Measurements(installations)
        measurements.measure_background(options.minutes)
        measurements.measure(OPERATIONS, options.rounds, WARM_UP)
        measurements.measure([LIST], options.lists, 0)
        results = measurements.results()
    print_table(installations, results)
    for failure, count in measurements.failures.items():
        print(f"failed {count} times: {failure}")
    print("load after:", os.getloadavg())
    if options.json:
        document = {
            "database": "PostgreSQL" if "TEST_DATABASE_URL" in os.environ else "SQLite",
            "date": datetime.now(UTC).date().isoformat(),
            "machine": machine(),
            "sizes": [[number, number * options.events] for number in numbers],
            "operations": results,
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
