"""Measures an import against the database's own bulk insert of the same rows.

    import_speed.py [--accounts 100000] [--rounds 5] [--logins]

The database is SQLite, or PostgreSQL if `TEST_DATABASE_URL` is set. `SIGNET_BIN` names a release build.
In each round, accounts with distinct bcrypt hashes are imported from NDJSON into an empty database. Then
the database inserts the rows that the import created (accounts, import records, audit events) into
empty tables with the same indexes, in one transaction, in the order of the import, and with the same
durability. Both times include the end of the connection, which writes SQLite's write-ahead log back to
its file. The result is the median of the ratios of both times.

With `--logins`, a server runs on the database, and two clients log in without a pause: at first alone, and
then during each import. The times of these logins are printed as well.
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
import threading
import time
import uuid
from contextlib import ExitStack, closing
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests/e2e"))

import httpx  # noqa: E402
import psycopg  # noqa: E402
from databases import Database, PostgresDatabase, SqliteDatabase, fresh_database  # noqa: E402
from processes import SIGNET_BIN, Signet, clean_environment  # noqa: E402

TABLES = ("account", "imported_account", "auth_event")
BCRYPT_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
PASSWORD = "Correct-horse-7"
CLIENTS = 2
SECONDS_ALONE = 20


def run(signet: Signet, *arguments: str) -> str:
    environment = clean_environment() | signet.settings
    command = [str(SIGNET_BIN), *arguments]
    return subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def write_accounts(path: Path, number: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for count in range(number):
            text = "".join(random.choices(BCRYPT_ALPHABET, k=51))
            # The last characters of salt and tag have unused bits, which must be zero.
            record = {
                "id": str(uuid.uuid4()),
                "email": f"user{count}@example.test",
                "password_hash": f"$2b$12${text[:21]}.{text[21:]}.",
                "created_at": "2026-01-14T10:00:00.123456Z",
            }
            file.write(json.dumps(record) + "\n")


def seconds_of_import(signet: Signet, accounts: Path, number: int) -> float:
    started = time.monotonic()
    printed = run(signet, "import", "accounts", "--from", "ndjson", str(accounts))
    took = time.monotonic() - started
    assert f"{number:>9}  created\n" in printed, printed
    assert f"{number:>9}  bcrypt cost=12\n" in printed, printed
    return took


def seconds_of_bulk_insert(signet: Signet, directory: Path) -> float:
    if isinstance(signet.database, PostgresDatabase):
        return seconds_on_postgres(signet.database)
    directory.mkdir()
    copy = SqliteDatabase(directory)
    run(Signet(directory, copy), "migrate", "up")
    return seconds_on_sqlite(signet.database, copy)


def seconds_on_sqlite(source: SqliteDatabase, copy: SqliteDatabase) -> float:
    with closing(sqlite3.connect(copy.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("ATTACH ? AS source", (str(source.path),))
        started = time.monotonic()
        connection.execute("BEGIN IMMEDIATE")
        for table in TABLES:
            # Without an order, SQLite would not insert the rows, but copy the pages of the table and of
            # its indexes ("transfer optimization").
            connection.execute(
                f"INSERT INTO main.{table} SELECT * FROM source.{table} ORDER BY rowid"
            )
        connection.execute("COMMIT")
    return time.monotonic() - started


def seconds_on_postgres(database: PostgresDatabase) -> float:
    for table in TABLES:
        database.execute(f"CREATE TABLE copy_of_{table} (LIKE {table} INCLUDING ALL)")
    started = time.monotonic()
    with psycopg.connect(database.url) as connection:
        for table in TABLES:
            connection.execute(f"INSERT INTO copy_of_{table} SELECT * FROM {table}")
    return time.monotonic() - started


class Logins:
    """Clients that log in, each to an account of its own, until they are stopped."""

    def __init__(self, url: str) -> None:
        self._stopped = threading.Event()
        self.milliseconds: list[float] = []
        self._threads = [
            threading.Thread(target=self._log_in, args=(url, number)) for number in range(CLIENTS)
        ]
        for thread in self._threads:
            thread.start()

    def _log_in(self, url: str, number: int) -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            body = {"email": f"client{number}@example.test", "password": PASSWORD}
            client.post("/api/auth/signup", json=body)
            while not self._stopped.is_set():
                began = time.perf_counter()
                answer = client.post("/api/auth/login", json=body)
                self.milliseconds.append((time.perf_counter() - began) * 1000)
                assert answer.status_code == 200, answer.text

    def stop(self) -> list[float]:
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        return self.milliseconds


def percentiles(took: list[float]) -> str:
    ordered = sorted(took)
    p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * it))] for it in (0.5, 0.99))
    return f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, at most {ordered[-1]:.0f} ms ({len(ordered)})"


class Round:
    """One import, and one bulk insert of its rows."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.directory = directory
        self.database: Database = fresh_database(directory)
        stack.callback(self.database.drop)
        self.signet = Signet(
            directory,
            self.database,
            SIGNET_ATTEMPTS_PER_MINUTE="100000",
            SIGNET_ACCOUNT_ATTEMPTS_PER_MINUTE="100000",
            SIGNET_REQUESTS_PER_MINUTE="1000000",
        )
        stack.callback(self.signet.kill)
        run(self.signet, "migrate", "up")

    def measure(self, accounts: Path, number: int, with_logins: bool) -> float:
        if with_logins:
            self.signet.start()
            alone = Logins(self.signet.url)
            time.sleep(SECONDS_ALONE)
            print("logins alone:", percentiles(alone.stop()))
            logins = Logins(self.signet.url)
        imported = seconds_of_import(self.signet, accounts, number)
        if with_logins:
            print("logins during the import:", percentiles(logins.stop()))
            self.signet.stop()
        inserted = seconds_of_bulk_insert(self.signet, self.directory / "copy")
        ratio = imported / inserted
        print(f"import {imported:.1f} s, bulk insert {inserted:.1f} s, ratio {ratio:.1f}", flush=True)
        return ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--logins", action="store_true")
    arguments = parser.parse_args()
    ratios = []
    print(f"load before the run: {os.getloadavg()[0]:.1f}, {arguments.accounts} accounts")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as parent:
        accounts = Path(parent) / "accounts.ndjson"
        write_accounts(accounts, arguments.accounts)
        for number in range(arguments.rounds):
            directory = Path(parent) / f"round{number}"
            directory.mkdir()
            with ExitStack() as stack:
                measured = Round(directory, stack)
                ratios.append(measured.measure(accounts, arguments.accounts, arguments.logins))
    median = statistics.median(ratios)
    print(f"median ratio {median:.1f} ({min(ratios):.1f}–{max(ratios):.1f})")
    sys.exit(not arguments.logins and median > 5)


if __name__ == "__main__":
    main()
