"""F28: `signet restore` is killed at each step: the old or the new database is there, complete.

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


def kill_points() -> Iterator[tuple[str, Iterator[int]]]:
    yield from ((call, count(1)) for call in EVERY_CALL)
    yield from ((call, iter(numbers)) for call, numbers in SAMPLED.items())


class Files:
    """The database, the state file and the backup, which each run gets a fresh copy of."""

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

    def state(self) -> tuple[int, bool]:
        """The number of accounts, and whether everything from before is invalid."""
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


def test_killed_restore_leaves_the_old_or_the_new_database(files: Files, signet: Signet) -> None:
    old, new = (2, False), (1, True)
    outcomes: dict[tuple[str, tuple[int, bool]], int] = {}
    for call, numbers in kill_points():
        for number in numbers:
            files.reset()
            inject = f"inject={call}:signal=SIGKILL:when={number}"
            code = files.restore("strace", "-f", "-qq", "-o", "/dev/null", "-e", inject)
            state = files.state()
            assert state in (old, new), f"{state} after a kill at {call} {number}"
            if code == 0:
                break
            outcomes[call, state] = outcomes.get((call, state), 0) + 1
            assert files.restore() == 0, f"no second restore after a kill at {call} {number}"
            assert files.state() == new
    print(outcomes)
    assert {state for _, state in outcomes} == {old, new}
    signet.start()
