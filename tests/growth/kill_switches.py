"""W3: measures the kill switches of an account, alternately with one and with very many sessions.

    kill_switches.py [--sessions 100000] [--rounds 5]

The database is SQLite, or PostgreSQL if `TEST_DATABASE_URL` is set. `SIGNET_BIN` names a release
build. The sessions are inserted as rows. For a request, the script measures its duration without
hashing. For a command, it measures how long a token of the account still works. Many sessions may
take at most three times as long as one session. The script also prints how long it takes until all
rows, and until the status lists, show that the sessions have ended.
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
FIRST_INDEX = 10_000  # in the status list, for the inserted sessions
# Password hashes per request. Their duration is subtracted.
HASHES = {"end the other sessions": 0, "change the password": 2, "reset": 1, "delete": 1}
COMMANDS = {"account disable": "disable", "account end-sessions": "end-sessions"}


class Installation:
    """A server with an empty database, and a connection to that database."""

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

    def insert_copies(self, tokens: dict[str, str], number: int) -> None:
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
            self.rows.execute("ANALYZE session")  # autovacuum would do this later
        else:
            # Deleting an account checkpoints the write-ahead log. To keep the insertion out of the
            # measurement, the log is emptied here.
            self.rows.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def bearer(self, tokens: dict[str, str]) -> dict[str, str]:
        return {"Authorization": f"Bearer {tokens['access_token']}"}

    def run(self, *arguments: str) -> "subprocess.Popen[str]":
        environment = clean_environment() | self.signet.settings
        return subprocess.Popen(
            [str(SIGNET_BIN), *arguments], env=environment, text=True, stdout=subprocess.PIPE
        )

    def hash_time(self) -> float:
        """Seconds of a login with an unknown email address; nearly all are spent on a hash."""
        durations = []
        for _ in range(7):
            began = time.perf_counter()
            body = {"email": "nobody@example.test", "password": PASSWORD}
            assert self.http.post("/api/auth/login", json=body).status_code == 401
            durations.append(time.perf_counter() - began)
        return statistics.median(durations)

    def trigger(self, switch: str, email: str, tokens: dict[str, str]) -> float:
        """Triggers a kill switch, and returns its duration in seconds."""
        http, bearer = self.http, self.bearer(tokens)
        if switch in COMMANDS:
            began = time.perf_counter()
            command = self.run("account", COMMANDS[switch], email)
            while http.get("/api/auth/me", headers=bearer).status_code == 200:
                time.sleep(0.002)
            duration = time.perf_counter() - began
            assert command.wait(300) == 0
            return duration
        if switch == "reset":
            printed, _ = self.run("account", "reset-password", email).communicate()
            token = printed.strip().splitlines()[-1]
        began = time.perf_counter()
        if switch == "end the other sessions":
            answer = http.delete("/api/auth/sessions?others=true", headers=bearer)
        elif switch == "change the password":
            body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
            answer = http.post("/api/auth/password", headers=bearer, json=body)
        elif switch == "reset":
            body = {"token": token, "new_password": NEW_PASSWORD}
            answer = http.post("/api/auth/password/reset", json=body)
        else:
            answer = http.request(
                "DELETE", "/api/auth/me", headers=bearer, json={"password": PASSWORD})
        duration = time.perf_counter() - began
        assert answer.status_code == 204, (switch, answer.text)
        return duration

    def wait_for_outbox(self) -> float:
        """Waits until the rows of all ended sessions are updated. Returns the seconds it waited."""
        began = time.perf_counter()
        while self.rows.execute("SELECT count(*) FROM outbox WHERE kind = 'end_sessions'")[0][0]:
            assert time.perf_counter() - began < 300, "some rows of ended sessions were not updated"
            time.sleep(0.1)
        return time.perf_counter() - began

    def wait_for_list(self, tokens: dict[str, str], number: int) -> float:
        """Waits until the served status list marks all inserted sessions as ended."""
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
    options = parser.parse_args()
    with ExitStack() as stack:
        installation = Installation(stack)
        durations: dict[tuple[str, bool], list[float]] = {}
        rows, lists = [], []
        for number in range(options.rounds):
            for switch in (*HASHES, *COMMANDS):
                for many in (number % 2 == 0, number % 2 == 1):
                    email, tokens = installation.sign_up()
                    if many:
                        installation.insert_copies(tokens, options.sessions)
                    hashing = installation.hash_time() * HASHES.get(switch, 0)
                    seconds = max(installation.trigger(switch, email, tokens) - hashing, 0.001)
                    durations.setdefault((switch, many), []).append(seconds * 1e3)
                    waited = installation.wait_for_outbox()
                    if many and switch == "end the other sessions":
                        rows.append(waited)
                        listed = installation.wait_for_list(tokens, options.sessions)
                        lists.append(waited + listed)
                    if many and switch != "delete":
                        installation.rows.execute("DELETE FROM session WHERE ended_at IS NOT NULL")
                        installation.rows.execute("DELETE FROM invalid_status")
        print(f"| ms, median (spread) | 1 session | {options.sessions:,} | ratio |")
        print("|---|--:|--:|--:|")
        slow = []
        for switch in (*HASHES, *COMMANDS):
            one, very_many = durations[switch, False], durations[switch, True]
            ratio = statistics.median(very_many) / statistics.median(one)
            print(f"| {switch} | {cell(one)} | {cell(very_many)} | {ratio:.2f} |")
            if ratio > 3:
                slow.append(switch)
        print(f"all rows updated within {max(rows):.1f} s, status list within {max(lists):.1f} s")
        sys.exit(f"more than three times as long with many sessions: {slow}" if slow else 0)


def cell(durations: list[float]) -> str:
    return f"{statistics.median(durations):.1f} ({min(durations):.1f}–{max(durations):.1f})"


if __name__ == "__main__":
    main()
