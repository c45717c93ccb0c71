"""Retries after a suspended process or hanging commits are not treated as token reuse (W2, W8)."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import psycopg
import pytest

from clients import SignetClient, Tokens, random_email
from databases import PostgresDatabase
from processes import ProcessKiller, Signet

RETRY_WINDOW = 4
SETTINGS = {
    "SIGNET_TRUSTED_PROXIES": "127.0.0.1/32",
    "SIGNET_REFRESH_RETRY_SECONDS": str(RETRY_WINDOW),
}


class RefreshingClient:
    """A client that refreshes one session repeatedly, at all instances in turn.

    It waits a second for each response, and retries unless the status was 200.
    """

    def __init__(self, urls: list[str], tokens: Tokens) -> None:
        self.urls = urls
        self.tokens = tokens
        self.refreshed = 0
        self.unanswered = 0
        self.rejection: str | None = None

    def run(self, stopping: threading.Event) -> None:
        with ExitStack() as stack:
            clients = [
                stack.enter_context(httpx.Client(base_url=url, timeout=1)) for url in self.urls
            ]
            turn = 0
            while not stopping.is_set() and self.rejection is None:
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
            self.rejection = answer.text
        time.sleep(0.02)


@contextmanager
def running_clients(instances: list[Signet], size: int) -> Iterator[list[RefreshingClient]]:
    urls = [instance.url for instance in instances]
    with SignetClient(urls[0], behind_proxy=True) as client:
        clients = [
            RefreshingClient(urls, Tokens.of(client.sign_up(random_email()), 201))
            for _ in range(size)
        ]
    stopping = threading.Event()
    threads = [threading.Thread(target=client.run, args=(stopping,)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield clients
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def check_no_reuse_detected(instances: list[Signet], clients: list[RefreshingClient]) -> None:
    for instance in instances:
        instance.stop()
    database = instances[0].database
    reused = database.execute("SELECT at, reason FROM auth_event WHERE type = 'token_reuse'")
    outages = database.execute("SELECT * FROM outage ORDER BY began_at")
    assert reused == [], (reused, outages)
    assert [client.rejection for client in clients if client.rejection] == []


def test_w8_resumed_process_detects_no_reuse(signet: Signet) -> None:
    signet.settings |= SETTINGS
    signet.start()
    with running_clients([signet], 12) as clients:
        time.sleep(1)
        os.kill(signet.pid, signal.SIGSTOP)
        time.sleep(3 * RETRY_WINDOW)
        os.kill(signet.pid, signal.SIGCONT)
        time.sleep(3)
    assert any(client.unanswered for client in clients)
    check_no_reuse_detected([signet], clients)


@pytest.fixture
def two_instances(
    signet: Signet, kill_after_test: ProcessKiller, tmp_path_factory: pytest.TempPathFactory
) -> list[Signet]:
    if not isinstance(signet.database, PostgresDatabase):
        pytest.skip("SQLite supports one instance only")
    # By default, the test server waits neither for the disk nor for a standby.
    [(name,)] = signet.database.execute("SELECT current_database()")
    signet.database.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = on')
    directory = tmp_path_factory.mktemp("second")
    second = kill_after_test(Signet(directory, signet.database))
    second.settings |= {
        "SIGNET_MASTER_KEY_FILE": str(signet.master_key_path),
        "SIGNET_ISSUER": signet.url,
        **SETTINGS,
    }
    signet.settings |= SETTINGS
    signet.start()
    second.start()
    return [signet, second]


def test_w8_resumed_process_beside_a_running_one_detects_no_reuse(
    two_instances: list[Signet],
) -> None:
    with running_clients(two_instances, 12) as clients:
        time.sleep(1)
        os.kill(two_instances[0].pid, signal.SIGSTOP)
        time.sleep(3 * RETRY_WINDOW)
        os.kill(two_instances[0].pid, signal.SIGCONT)
        time.sleep(3)
    assert any(client.unanswered for client in clients)
    check_no_reuse_detected(two_instances, clients)


def test_w2_hanging_commits_cause_no_reuse_detection(two_instances: list[Signet]) -> None:
    """Without its synchronous standby, PostgreSQL writes commits but does not acknowledge them."""
    with running_clients(two_instances, 12) as clients:
        time.sleep(1)
        with missing_synchronous_standby():
            time.sleep(2 * RETRY_WINDOW)
            for instance in two_instances:
                assert httpx.get(f"{instance.url}/.well-known/jwks.json").status_code == 200
                assert httpx.get(f"{instance.url}/readyz").status_code == 503
            time.sleep(RETRY_WINDOW)
        time.sleep(3)
    assert any(client.unanswered for client in clients)
    check_no_reuse_detected(two_instances, clients)


@contextmanager
def missing_synchronous_standby() -> Iterator[None]:
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
