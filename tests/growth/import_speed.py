"""Measures an import into SQLite against the database's own bulk insert of the same rows.

    import_speed.py [--accounts 100000] [--rounds 3]

`SIGNET_BIN` names a release build. In each round, accounts with distinct bcrypt hashes are imported from
NDJSON into an empty database. Then SQLite copies the rows that this created (accounts, import records,
audit events) into another empty database of the same schema, table by table in one transaction with the
same durability settings. The result is the ratio of both times.
"""

import argparse
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import closing
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SIGNET_BIN = Path(os.environ.get("SIGNET_BIN", REPOSITORY / "target/release/signet"))
TABLES = ("account", "imported_account", "auth_event")
BCRYPT_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def run(directory: Path, *arguments: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "SIGNET_DATABASE_URL": f"sqlite:{directory / 'signet.db'}",
    }
    command = [str(SIGNET_BIN), *arguments]
    return subprocess.run(
        command, env=environment, cwd=directory, check=True, capture_output=True, text=True
    ).stdout


def write_accounts(path: Path, number: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for count in range(number):
            tag = "".join(random.choices(BCRYPT_ALPHABET, k=52))
            record = {
                "id": str(uuid.uuid4()),
                "email": f"user{count}@example.test",
                "password_hash": f"$2b$12$.{tag[:21]}{tag[:31]}",
                "created_at": "2026-01-14T10:00:00.123456Z",
            }
            file.write(json.dumps(record) + "\n")


def seconds_of_import(directory: Path, accounts: Path, number: int) -> float:
    run(directory, "migrate", "up")
    started = time.monotonic()
    printed = run(directory, "import", "accounts", "--from", "ndjson", str(accounts))
    took = time.monotonic() - started
    assert f"{number:>9}  created\n" in printed, printed
    return took


def seconds_of_bulk_insert(source: Path, directory: Path) -> float:
    run(directory, "migrate", "up")
    with closing(sqlite3.connect(directory / "signet.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("ATTACH ? AS source", (str(source / "signet.db"),))
        started = time.monotonic()
        connection.execute("BEGIN IMMEDIATE")
        for table in TABLES:
            connection.execute(f"INSERT INTO main.{table} SELECT * FROM source.{table}")
        connection.execute("COMMIT")
        return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    ratios = []
    print(f"load before the run: {os.getloadavg()[0]:.1f}, {arguments.accounts} accounts")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as parent:
        accounts = Path(parent) / "accounts.ndjson"
        write_accounts(accounts, arguments.accounts)
        for number in range(arguments.rounds):
            directories = [Path(parent) / f"{name}{number}" for name in ("import", "copy")]
            for directory in directories:
                directory.mkdir()
            imported = seconds_of_import(directories[0], accounts, arguments.accounts)
            inserted = seconds_of_bulk_insert(*directories)
            ratios.append(imported / inserted)
            print(f"import {imported:.1f} s, bulk insert {inserted:.1f} s, ratio {ratios[-1]:.1f}")
    print(f"median ratio {statistics.median(ratios):.1f}")
    sys.exit(statistics.median(ratios) > 5)


if __name__ == "__main__":
    main()
