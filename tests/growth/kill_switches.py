"""W3: the kill switches of an account, with one session and with very many, alternately.

    kill_switches.py [--sessions 100000] [--rounds 5]

On SQLite, or on the PostgreSQL of `TEST_DATABASE_URL`. `SIGNET_BIN` names a release build. The
sessions are inserted rows. A request is measured by its time without hashing; a command by how long
a token of the account still works. Many sessions may take at most three times as long as one.
Further: how long until each row, and until the status lists that verifiers read, say so.
"""

import argparse
import base64
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
import zlib
from contextlib import ExitStack
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests/e2e"))

import httpx
from databases import fresh_database
from large_database import Postgres, Sqlite
from processes import SIGNET_BIN, Signet, clean_environment

PASSWORD, NEW_PASSWORD = "Correct-horse-7", "Difference-Engine-1822"
SETTINGS = {
    "SIGNET_ATTEMPTS_PER_MINUTE": "100000",
    "SIGNET_ACCOUNT_ATTEMPTS_PER_MINUTE": "100000",
    "SIGNET_REQUESTS_PER_MINUTE": "1000000",
    "SIGNET_LOG": "warn",
}
FIRST_INDEX = 10_000
# Hashes per request, which are not to be measured.
HASHES = {"end the others": 0, "change the password": 2, "reset": 1, "delete": 1}
COMMANDS = {"account disable": "disable", "account end-sessions": "end-sessions"}


class Installation:
    def __init__(self, stack: ExitStack) -> None:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        self.database = fresh_database(directory)
        stack.callback(self.database.drop)
        self.signet = Signet(directory, self.database, **SETTINGS)
        stack.callback(self.signet.kill)
        self.signet.start()
        self.http = httpx.Client(base_url=self.signet.url, timeout=120)
        url = self.database.url
        is_postgres = "TEST_DATABASE_URL" in os.environ
        self.rows = Postgres(url) if is_postgres else Sqlite(str(self.database.path))  # type: ignore[union-attr]
        self.is_postgres = is_postgres

    def sign_up(self) -> tuple[str, dict[str, str]]:
        email = f"{secrets.token_hex(8)}@example.test"
        answer = self.http.post("/api/auth/signup", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        return email, answer.json()

    def multiply(self, tokens: dict[str, str], number: int) -> None:
        """Inserts copies of a session, with entries of an existing status list."""
        session = uuid.UUID(claims(tokens["access_token"])["sid"])
        ids = ("gen_random_uuid()", f"'{session}'") if self.is_postgres else (
            "randomblob(16)", f"x'{session.hex}'")
        columns = (
            "account_id, client_id, scope, auth_time, generation, idle_expires_at, "
            "absolute_expires_at, audience, epoch, status_list"
        )
        self.rows.execute(
            f"INSERT INTO session (id, status_index, {columns}) "
            f"SELECT {ids[0]}, {FIRST_INDEX} + n.i, {columns} "
            f"FROM session, {self.rows.rows(number)} n WHERE id = {ids[1]}"
        )
        if self.is_postgres:
            self.rows.execute("ANALYZE session")  # as autovacuum would
        else:
            # A deletion checkpoints the write-ahead log, which must not contain the inserted rows.
            self.rows.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def bearer(self, tokens: dict[str, str]) -> dict[str, str]:
        return {"Authorization": f"Bearer {tokens['access_token']}"}

    def run(self, *arguments: str) -> "subprocess.Popen[str]":
        environment = clean_environment() | self.signet.settings
        return subprocess.Popen(
            [str(SIGNET_BIN), *arguments], env=environment, text=True, stdout=subprocess.PIPE
        )

    def hash_time(self) -> float:
        """Seconds of a login with a wrong password: a hash and little else."""
        took = []
        for _ in range(7):
            began = time.perf_counter()
            body = {"email": "nobody@example.test", "password": PASSWORD}
            assert self.http.post("/api/auth/login", json=body).status_code == 401
            took.append(time.perf_counter() - began)
        return statistics.median(took)

    def end_all(self, how: str, email: str, tokens: dict[str, str]) -> float:
        """Triggers a kill switch; returns the seconds it took."""
        http, bearer = self.http, self.bearer(tokens)
        if how in COMMANDS:
            began = time.perf_counter()
            command = self.run("account", COMMANDS[how], email)
            while http.get("/api/auth/me", headers=bearer).status_code == 200:
                time.sleep(0.002)
            took = time.perf_counter() - began
            assert command.wait(300) == 0
            return took
        if how == "reset":
            said, _ = self.run("account", "reset-password", email).communicate()
            token = said.strip().splitlines()[-1]
        began = time.perf_counter()
        if how == "end the others":
            answer = http.delete("/api/auth/sessions?others=true", headers=bearer)
        elif how == "change the password":
            body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
            answer = http.post("/api/auth/password", headers=bearer, json=body)
        elif how == "reset":
            body = {"token": token, "new_password": NEW_PASSWORD}
            answer = http.post("/api/auth/password/reset", json=body)
        else:
            answer = http.request(
                "DELETE", "/api/auth/me", headers=bearer, json={"password": PASSWORD})
        took = time.perf_counter() - began
        assert answer.status_code == 204, (how, answer.text)
        return took

    def wait_for_rest(self) -> float:
        began = time.perf_counter()
        while self.rows.execute("SELECT count(*) FROM outbox WHERE kind = 'end_sessions'")[0][0]:
            assert time.perf_counter() - began < 300, "the remaining rows were not updated"
            time.sleep(0.1)
        return time.perf_counter() - began

    def wait_for_list(self, tokens: dict[str, str], number: int) -> float:
        """Waits until the served list marks all inserted sessions as ended."""
        began = time.perf_counter()
        uri = claims(tokens["access_token"])["status"]["status_list"]["uri"]
        path = "/" + uri.split("/", 3)[3]
        while True:
            answer = self.http.get(path, headers={"Accept": "application/statuslist+jwt"})
            body = claims(answer.text)["status_list"]
            bits = zlib.decompress(decoded(body["lst"]))
            indexes = range(FIRST_INDEX + 1, FIRST_INDEX + number + 1)
            if all(bits[it >> 3] >> (it & 7) & 1 for it in indexes):
                return time.perf_counter() - began
            assert time.perf_counter() - began < 120, "the status list was not updated"
            time.sleep(0.2)


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims(token: str) -> dict:  # type: ignore[type-arg]
    return json.loads(decoded(token.split(".")[1]))  # type: ignore[no-any-return]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with ExitStack() as stack:
        one = Installation(stack)
        took: dict[tuple[str, bool], list[float]] = {}
        rest, lists = [], []
        for number in range(given.rounds):
            for how in (*HASHES, *COMMANDS):
                for many in (number % 2 == 0, number % 2 == 1):
                    email, tokens = one.sign_up()
                    if many:
                        one.multiply(tokens, given.sessions)
                    less = one.hash_time() * HASHES.get(how, 0)
                    seconds = max(one.end_all(how, email, tokens) - less, 0.001)
                    took.setdefault((how, many), []).append(seconds * 1e3)
                    waited = one.wait_for_rest()
                    if many and how == "end the others":
                        rest.append(waited)
                        lists.append(waited + one.wait_for_list(tokens, given.sessions))
                    if many and how != "delete":
                        one.rows.execute("DELETE FROM session WHERE ended_at IS NOT NULL")
                        one.rows.execute("DELETE FROM invalid_status")
        print(f"| ms, median (spread) | 1 session | {given.sessions:,} | ratio |\n|---|--:|--:|--:|")
        slow = []
        for how in (*HASHES, *COMMANDS):
            few, lots = (statistics.median(took[how, many]) for many in (False, True))
            print(f"| {how} | {cell(took[how, False])} | {cell(took[how, True])} | {lots / few:.2f} |")
            if lots > 3 * few:
                slow.append(how)
        print(f"rows follow within {max(rest):.1f} s, the status list within {max(lists):.1f} s")
        sys.exit(f"more than three times as long: {slow}" if slow else 0)


def cell(took: list[float]) -> str:
    return f"{statistics.median(took):.1f} ({min(took):.1f}–{max(took):.1f})"


if __name__ == "__main__":
    main()
