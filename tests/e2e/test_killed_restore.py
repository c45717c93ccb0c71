"""F28: `signet restore`, killed at any step, leaves the old or the new database, complete.

strace kills the process at the first, second, … call of each system call that changes files.
"""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from clients import SignetClient, random_email
from databases import SqliteDatabase
from processes import SIGNET_BIN, Signet, clean_environment

pytestmark = pytest.mark.once

# The calls of SQLite's writes are sampled, since there are thousands.
EVERY_CALL = ("renameat2", "rename", "fsync", "fdatasync", "unlink")
SAMPLED = {"pwrite64": (1, 5, 30), "openat": (30, 60), "ftruncate": (1, 2)}

# As on a file system that cannot exchange two files, nor rename one without replacing another.
NO_EXCHANGE = "inject=renameat2:error=EINVAL"
CALLS_WITHOUT_EXCHANGE = ("rename", "linkat", "fsync", "unlink")


def kill_points() -> Iterator[tuple[str, Iterator[int]]]:
    yield from ((call, count(1)) for call in EVERY_CALL)
    yield from ((call, iter(numbers)) for call, numbers in SAMPLED.items())


class Files:
    """The backup, and the database and the state file, of which each run gets a fresh copy."""

    def __init__(self, signet: Signet, backup: Path, directory: Path) -> None:
        assert isinstance(signet.database, SqliteDatabase)
        self._database, self._keys = signet.database.path.parent, signet.master_key_path.parent
        self._saved = directory / "saved"
        self._settings, self._backup = signet.settings, backup
        shutil.copytree(self._database, self._saved / "data")
        shutil.copytree(self._keys, self._saved / "keys")

    def reset(self) -> None:
        for folder, name in ((self._database, "data"), (self._keys, "keys")):
            shutil.rmtree(folder)
            shutil.copytree(self._saved / name, folder)

    def restore(self, *prefix: str) -> int:
        command = [*prefix, str(SIGNET_BIN), "restore", "--replace", str(self._backup)]
        environment = {**clean_environment(), **self._settings}
        return subprocess.run(
            command, env=environment, capture_output=True, timeout=60, check=False
        ).returncode

    def set_aside(self) -> list[Path]:
        """The files beside the database, except its lock, its reserve and its logs."""
        known = {"signet.db" + suffix for suffix in ("", "-lock", "-reserve", "-wal", "-shm")}
        return [path for path in self._database.iterdir() if path.name not in known]

    @staticmethod
    def accounts_of(path: Path) -> int:
        with closing(sqlite3.connect(path)) as database:
            return int(database.execute("SELECT count(*) FROM account").fetchone()[0])

    def state(self) -> tuple[int, bool]:
        """The number of accounts, and whether everything issued before the restore is invalid."""
        with closing(sqlite3.connect(self._database / "signet.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            accounts = database.execute("SELECT count(*) FROM account").fetchone()[0]
            restored = database.execute("SELECT restore_id FROM database_state").fetchone()[0]
        return accounts, restored is not None


@pytest.fixture
def files(signet: Signet, tmp_path: Path) -> Files:
    if not isinstance(signet.database, SqliteDatabase):
        pytest.skip("pg_restore replaces PostgreSQL databases")
    client = SignetClient(signet.start().url)
    assert client.sign_up(random_email()).status_code == 201
    backup = tmp_path / "signet.backup"
    environment = {**clean_environment(), **signet.settings}
    subprocess.run([SIGNET_BIN, "backup", str(backup)], env=environment, check=True)
    assert client.sign_up(random_email()).status_code == 201
    # Killed, so that the write-ahead log of the old database has to be written back.
    signet.kill()
    return Files(signet, backup, tmp_path)


def kill(files: Files, calls: Iterator[tuple[str, Iterator[int]]], *options: str) -> set[tuple[int, bool]]:
    """Kills a restore at each of the calls. Returns the states of the database afterwards."""
    old, new = (2, False), (1, True)
    outcomes: dict[tuple[str, tuple[int, bool]], int] = {}
    for call, numbers in calls:
        for number in numbers:
            files.reset()
            inject = f"inject={call}:signal=SIGKILL:when={number}"
            code = files.restore("strace", "-f", "-qq", "-o", "/dev/null", *options, "-e", inject)
            state = files.state()
            assert state in (old, new), f"{state} after a kill at {call} {number}"
            if code == 0:
                break
            outcomes[call, state] = outcomes.get((call, state), 0) + 1
            assert files.restore() == 0, f"no second restore after a kill at {call} {number}"
            assert files.state() == new
    print(outcomes)
    return {state for _, state in outcomes}


def test_killed_restore_leaves_the_old_or_the_new_database(files: Files, signet: Signet) -> None:
    assert kill(files, kill_points()) == {(2, False), (1, True)}
    signet.start()


def test_restore_on_a_file_system_without_exchange(files: Files, signet: Signet) -> None:
    """F28: the old database gets a second name. Then the new one takes the old one's first name."""
    calls = ((call, count(1)) for call in CALLS_WITHOUT_EXCHANGE)
    assert kill(files, calls, "-e", NO_EXCHANGE) == {(2, False), (1, True)}

    files.reset()
    assert files.restore("strace", "-f", "-qq", "-o", "/dev/null", "-e", NO_EXCHANGE) == 0
    assert files.state() == (1, True)
    [aside] = files.set_aside()
    assert aside.stat().st_nlink == 1
    assert files.accounts_of(aside) == 2
    signet.start()


def test_failed_exchange_leaves_the_old_database(files: Files, signet: Signet) -> None:
    """F28: if the new database cannot take its place, the old database keeps only its old name."""
    fail = "inject=rename:error=EIO:when=2"
    prefix = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", NO_EXCHANGE, "-e", fail)
    assert files.restore(*prefix) == 1
    assert files.state() == (2, False)
    assert files.set_aside() == []
    signet.start()
