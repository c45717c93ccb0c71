"""A process that stands still, and commits that hang, are not treated as token reuse (W2, W8)."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import psycopg
import pytest

from clients import SignetClient, Tokens, some_email
from databases import PostgresDatabase
from processes import Owner, Signet

WINDOW = 4
SETTINGS = {
    "SIGNET_TRUSTED_PROXIES": "127.0.0.1/32",
    "SIGNET_REFRESH_RETRY_SECONDS": str(WINDOW),
}


class Holder:
    """Refreshes one session repeatedly, at all instances in turn. It waits a second for a response,
    and retries unless the status was 200."""

    def __init__(self, urls: list[str], tokens: Tokens) -> None:
        self.urls = urls
        self.tokens = tokens
        self.refreshed = 0
        self.unanswered = 0
        self.refused: str | None = None

    def run(self, over: threading.Event) -> None:
        with ExitStack() as stack:
            clients = [
                stack.enter_context(httpx.Client(base_url=url, timeout=1)) for url in self.urls
            ]
            turn = 0
            while not over.is_set() and self.refused is None:
                turn += 1
                self._refresh(clients[turn % len(clients)], turn)

    def _refresh(self, client: httpx.Client, turn: int) -> None:
        body = {"refresh_token": self.tokens.refresh_token}
        address = {"X-Forwarded-For": f"10.1.{id(self) % 251}.{turn % 251}"}
        try:
            answer = client.post("/api/auth/refresh", json=body, headers=address)
        except httpx.TransportError:
            self.unanswered += 1
            return
        if answer.status_code == 200:
            self.tokens = Tokens.of(answer, 200)
            self.refreshed += 1
        elif answer.status_code == 503:
            self.unanswered += 1
            time.sleep(0.2)
        else:
            self.refused = answer.text
        time.sleep(0.02)


@contextmanager
def at_work(instances: list[Signet], size: int) -> Iterator[list[Holder]]:
    urls = [instance.url for instance in instances]
    with SignetClient(urls[0], behind_proxy=True) as client:
        holders = [
            Holder(urls, Tokens.of(client.sign_up(some_email()), 201)) for _ in range(size)
        ]
    over = threading.Event()
    threads = [threading.Thread(target=holder.run, args=(over,)) for holder in holders]
    for thread in threads:
        thread.start()
    try:
        yield holders
    finally:
        over.set()
        for thread in threads:
            thread.join()


def check(instances: list[Signet], holders: list[Holder]) -> None:
    for instance in instances:
        instance.stop()
    database = instances[0].database
    reused = database.execute("SELECT at, reason FROM auth_event WHERE type = 'token_reuse'")
    outages = database.execute("SELECT * FROM outage ORDER BY began_at")
    assert reused == [], (reused, outages)
    assert [holder.refused for holder in holders if holder.refused] == []


def test_w8_resumed_process_detects_no_reuse(signet: Signet) -> None:
    signet.settings |= SETTINGS
    signet.start()
    with at_work([signet], 12) as holders:
        time.sleep(1)
        os.kill(signet.pid, signal.SIGSTOP)
        time.sleep(3 * WINDOW)
        os.kill(signet.pid, signal.SIGCONT)
        time.sleep(3)
    assert any(holder.unanswered for holder in holders)
    check([signet], holders)


@pytest.fixture
def two(signet: Signet, owned: Owner, tmp_path_factory: pytest.TempPathFactory) -> list[Signet]:
    if not isinstance(signet.database, PostgresDatabase):
        pytest.skip("one instance on SQLite")
    # The test server waits neither for the disk nor for a standby.
    [(name,)] = signet.database.execute("SELECT current_database()")
    signet.database.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = on')
    directory = tmp_path_factory.mktemp("second")
    second = owned(Signet(directory, signet.database))
    second.settings |= {
        "SIGNET_MASTER_KEY_FILE": str(signet.master_key_path),
        "SIGNET_ISSUER": signet.url,
        **SETTINGS,
    }
    signet.settings |= SETTINGS
    signet.start()
    second.start()
    return [signet, second]


def test_w8_with_a_second_running_instance(two: list[Signet]) -> None:
    with at_work(two, 12) as holders:
        time.sleep(1)
        os.kill(two[0].pid, signal.SIGSTOP)
        time.sleep(3 * WINDOW)
        os.kill(two[0].pid, signal.SIGCONT)
        time.sleep(3)
    assert any(holder.unanswered for holder in holders)
    check(two, holders)


def test_w2_hanging_commits_cause_no_reuse_detection(two: list[Signet]) -> None:
    """A missing synchronous standby: commits are written, but not acknowledged."""
    with at_work(two, 12) as holders:
        time.sleep(1)
        with standby_missing():
            time.sleep(2 * WINDOW)
            for instance in two:
                assert httpx.get(f"{instance.url}/.well-known/jwks.json").status_code == 200
                assert httpx.get(f"{instance.url}/readyz").status_code == 503
            time.sleep(WINDOW)
        time.sleep(3)
    assert any(holder.unanswered for holder in holders)
    check(two, holders)


@contextmanager
def standby_missing() -> Iterator[None]:
    server = os.environ["TEST_DATABASE_URL"]
    with psycopg.connect(server, autocommit=True) as connection:

        connection.execute("SET synchronous_commit = off")
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        connection.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
            connection.execute("SELECT pg_reload_conf()")
