"""A disk that fails, fills up or stalls (W1, W2).

Acknowledged writes are stored, and a retry after a lost response is not treated as token reuse.
"""

import errno
import os
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from clients import SignetClient, Tokens, random_email
from databases import SqliteDatabase
from processes import Signet

pytestmark = pytest.mark.once

SOURCE = Path(__file__).with_name("disk_faults.c")
CLIENTS = 6
SKIPPED_CALLS = [0, 1, 3]
"""How many calls succeed before the fault; each test runs once for each number."""


@pytest.fixture(scope="module")
def fault_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("shim") / "disk_faults.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return library


@dataclass
class FaultyDisk:
    """Injects faults into the writes of a server's database."""

    control: Path

    @contextmanager
    def inject_faults(
        self, operation: str, effect: str, *, skip: int = 0, count: int = 1
    ) -> Iterator[None]:
        self.control.write_text(f"{operation} {effect} {skip} {count}\n")
        try:
            yield
        finally:
            self.control.write_text("")


@pytest.fixture
def disk(signet: Signet, fault_library: Path, tmp_path: Path) -> FaultyDisk:
    if not isinstance(signet.database, SqliteDatabase):
        pytest.skip("faults can only be injected into SQLite's writes")
    control = tmp_path / "faults"
    control.write_text("")
    signet.settings |= {
        "LD_PRELOAD": str(fault_library),
        "DISK_FAULTS": str(control),
        "SIGNET_TRUSTED_PROXIES": "127.0.0.1/32",
        "SIGNET_REFRESH_RETRY_SECONDS": "4",
    }
    return FaultyDisk(control)


@dataclass
class ClientLoad:
    """Clients that refresh continuously, and another client that signs up continuously.

    A client retries a refresh after 503 and after a transport error, as documented.
    """

    signet: Signet
    sessions: list[Tokens]
    statuses: Counter[int] = field(default_factory=Counter)
    rejected: list[str] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, signet: Signet, size: int) -> "ClientLoad":
        with SignetClient(signet.url, behind_proxy=True) as client:
            return cls(
                signet, [Tokens.of(client.sign_up(random_email()), 201) for _ in range(size)]
            )

    @contextmanager
    def running(self) -> Iterator[None]:
        stopping = threading.Event()
        threads = [
            threading.Thread(target=self._refresh, args=(number, stopping))
            for number in range(len(self.sessions))
        ] + [threading.Thread(target=self._sign_up, args=(stopping,))]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stopping.set()
            for thread in threads:
                thread.join()

    def _refresh(self, number: int, stopping: threading.Event) -> None:
        with SignetClient(self.signet.url, behind_proxy=True) as client:
            while not stopping.is_set():
                try:
                    answer = client.refresh(self.sessions[number].refresh_token)
                except httpx.TransportError:
                    time.sleep(0.1)
                    continue
                self.statuses[answer.status_code] += 1
                if answer.status_code == 200:
                    self.sessions[number] = Tokens.of(answer, 200)
                elif answer.status_code == 503:
                    time.sleep(0.3)
                else:
                    self.rejected.append(answer.text)
                    return

    def _sign_up(self, stopping: threading.Event) -> None:
        with SignetClient(self.signet.url, behind_proxy=True) as client:
            while not stopping.is_set():
                email = random_email()
                try:
                    if client.sign_up(email).status_code == 201:
                        self.accounts.append(email)
                except httpx.TransportError:
                    time.sleep(0.1)

    def check(self) -> None:
        """Checks that all acknowledged data is stored, also after `kill -9`."""
        assert not self.rejected, self.rejected
        self._check_rows()
        with SignetClient(self.signet.url, behind_proxy=True) as client:
            email = random_email()
            assert client.sign_up(email).status_code == 201
            assert client.sign_up(email).status_code == 409
            assert client.get("/readyz").status_code == 200
        self.signet.kill()
        self._check_rows()
        self.signet.start()
        with SignetClient(self.signet.url, behind_proxy=True) as client:
            for tokens in self.sessions:
                Tokens.of(client.refresh(tokens.refresh_token), 200)
            assert client.sign_up(email).status_code == 409

    def _check_rows(self) -> None:
        database = self.signet.database
        assert isinstance(database, SqliteDatabase)
        # Read-only, since closing a writing connection may checkpoint the write-ahead log.
        uri = f"file:{database.path}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            stored = {row[0] for row in connection.execute("SELECT email FROM account")}
            lost = [email for email in self.accounts if email not in stored]
            assert not lost, f"{len(lost)} of {len(self.accounts)} sign-ups are lost"
            reused = "SELECT count(*) FROM auth_event WHERE type = 'token_reuse'"
            assert connection.execute(reused).fetchone() == (0,)


@pytest.mark.parametrize("skip", SKIPPED_CALLS)
@pytest.mark.parametrize(
    ("operation", "number"),
    [("write", errno.ENOSPC), ("write", errno.EIO), ("sync", errno.EIO), ("sync", errno.ENOSPC)],
)
def test_w1_acknowledged_writes_are_stored(
    signet: Signet, disk: FaultyDisk, operation: str, number: int, skip: int
) -> None:
    signet.start()
    load = ClientLoad.of(signet, CLIENTS)
    with load.running():
        with disk.inject_faults(operation, str(number), skip=skip, count=2):
            time.sleep(0.7)
        time.sleep(0.7)
    load.check()


def identity(file: Path) -> tuple[int, int] | None:
    """Identifies a file, even if another one has its inode by now; `None` if there is no file."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_ctime_ns


def test_w1_logout_succeeds_on_a_full_disk(signet: Signet, disk: FaultyDisk) -> None:
    reserve = signet.database.path.with_name("signet.db-reserve")
    signet.start()
    load = ClientLoad.of(signet, 2)
    wait_for(reserve.exists)
    before = identity(reserve)
    with SignetClient(signet.url, behind_proxy=True) as client:
        with disk.inject_faults("write", str(errno.ENOSPC), count=1):
            assert client.sign_up(random_email()).status_code == 503
        # On a slow machine the server may have created the reserve again by now.
        assert identity(reserve) != before, "the reserved space was not released"
        logged_out = load.sessions.pop()
        assert client.log_out(logged_out.access_token).status_code == 200
        # The refresh is answered with 503 until the reserve has been created again.
        wait_for(lambda: client.refresh(logged_out.refresh_token).status_code == 401)
    assert reserve.exists()
    load.check()


def test_requests_succeed_despite_a_stall_of_three_seconds(
    signet: Signet, disk: FaultyDisk
) -> None:
    signet.start()
    load = ClientLoad.of(signet, CLIENTS)
    with load.running():
        with disk.inject_faults("sync", "hang:3000"):
            time.sleep(4)
        time.sleep(0.5)
    assert set(load.statuses) == {200}, load.statuses
    load.check()


def test_w2_hanging_commit_causes_no_reuse_detection(signet: Signet, disk: FaultyDisk) -> None:
    """The commit hangs for three times the retry window of 4 s."""
    signet.start()
    load = ClientLoad.of(signet, CLIENTS)
    with load.running():
        with disk.inject_faults("sync", "hang:12000"):
            began = time.monotonic()
            # A request waits for five seconds. On a busy disk the hang may begin later.
            wait_for(lambda: httpx.get(f"{signet.url}/readyz").status_code == 503, 11)
            assert httpx.get(f"{signet.url}/.well-known/jwks.json").status_code == 200
            assert httpx.get(f"{signet.url}/livez").status_code == 200
            time.sleep(max(0.0, began + 13 - time.monotonic()))
        time.sleep(1)
    assert load.statuses[503] > 0, "the stall had no effect"
    load.check()


@pytest.fixture
def small_disk(signet: Signet, tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB for the server's database. Only root can mount one."""
    assert isinstance(signet.database, SqliteDatabase)
    folder = signet.database.path.parent
    command = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(command, check=False).returncode != 0:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield folder
    finally:
        signet.kill()
        subprocess.run(["umount", str(folder)], check=True)


def test_w1_full_file_system_loses_no_acknowledged_write(
    signet: Signet, small_disk: Path, disk: FaultyDisk
) -> None:
    """Writes are rejected and not lost, sessions can be ended, and all requests succeed again once
    there is space."""
    filler = small_disk / "filler"
    signet.start()
    load = ClientLoad.of(signet, CLIENTS)
    wait_for((small_disk / "signet.db-reserve").exists)
    logged_out = load.sessions.pop()
    with load.running():
        time.sleep(0.5)
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass
        time.sleep(1.5)
        with SignetClient(signet.url, behind_proxy=True) as client:
            assert client.log_out(logged_out.access_token).status_code == 200
        time.sleep(1)
        filler.unlink()
        time.sleep(1)
    assert load.statuses[503] > 0, "the disk was not full"
    load.check()
    with SignetClient(signet.url, behind_proxy=True) as client:
        assert client.refresh(logged_out.refresh_token).status_code == 401


def wait_for(condition: object, seconds: float = 5) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "timeout"
        time.sleep(0.05)
