"""An older backup is restored (W9): the start refuses it, and after `signet restored` no earlier
credential works, neither at Signet nor at services that verify tokens locally."""

import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from clients import Tokens
from databases import Database, PostgresDatabase
from forgery import claims_of
from processes import SIGNET_BIN, Owner, Signet, clean_environment
from stage import STATUS_TTL, Stage
from verifiers import rust_verifier, typescript_verifier

COOL_DOWN = 30
"""Seconds after a fetch of the key set in which verifiers do not fetch it for an unknown `kid`."""

Accepts = Callable[[Tokens], bool]


class Backup:
    """A backup of a database whose server is stopped, by the database's own tools."""

    def __init__(self, database: Database, directory: Path) -> None:
        self._database = database
        self._file = directory / "backup.db"
        self._copy("", "_backup")

    def restore(self) -> None:
        self._copy("_backup", "")

    def drop(self) -> None:
        if isinstance(self._database, PostgresDatabase):
            self._database.run("DROP DATABASE {}", "_backup")

    def _copy(self, of: str, to: str) -> None:
        database = self._database
        if isinstance(database, PostgresDatabase):
            database.run("DROP DATABASE IF EXISTS {}", to)
            database.run("CREATE DATABASE {} TEMPLATE {}", to, of)
            return
        if to:
            source, copy = sqlite3.connect(database.path), sqlite3.connect(self._file)
            with closing(source), closing(copy):
                source.backup(copy)
            return
        for file in database.files:
            file.unlink()
        shutil.copy(self._file, database.path)
        database.path.chmod(0o600)


def command(signet: Signet, *arguments: str) -> str:
    environment = {**clean_environment(), **signet.settings}
    finished = subprocess.run(
        [SIGNET_BIN, *arguments],
        env=environment,
        cwd=signet.output_path.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def wait_until_refused(accepted: Accepts, all_of: tuple[Tokens, ...], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(accepted(tokens) for tokens in all_of):
        assert time.monotonic() < deadline, "a token is still accepted"
        time.sleep(0.2)


@pytest.fixture
def accepts(stage: Stage, tmp_path: Path, owned: Owner) -> dict[str, Accepts]:
    """Whether each verifier accepts the token."""
    issuer, audience = stage.signet.issuer, stage.signet.audience
    rust = owned(rust_verifier(tmp_path, issuer, audience)).start()
    typescript = owned(typescript_verifier(tmp_path, issuer, audience)).start()
    return {
        "python": lambda it: stage.tasks(it.user_id, it.access_token).status_code == 200,
        "rust": lambda it: rust.accepts(it.access_token),
        "typescript": lambda it: typescript.accepts(it.access_token),
    }


def test_earlier_credentials_are_invalid_after_a_restore(
    stage: Stage, accepts: dict[str, Accepts], tmp_path: Path
) -> None:
    signet, front_end = stage.signet, stage.front_end
    ada, bob, cleo = stage.sign_up(), stage.sign_up(), stage.sign_up()
    for accepted in accepts.values():
        assert all(accepted(tokens) for tokens in (ada, bob, cleo))
    signet.stop()
    backup = Backup(signet.database, tmp_path)
    signet.start()
    # Changes that are missing in the backup.
    assert front_end.log_out(ada.access_token).status_code == 200
    command(signet, "account", "disable", bob.email)
    newer = Tokens.of(front_end.refresh(cleo.refresh_token), 200)
    dora = stage.sign_up()
    for accepted in accepts.values():
        wait_until_refused(accepted, (ada, bob), STATUS_TTL + 4)
        assert accepted(newer) and accepted(dora)

    signet.stop()
    backup.restore()
    backup.drop()
    code, said = signet.start_in_vain()
    assert code == 1 and "signet restored" in said, said
    assert "disabled" in command(signet, "restored")
    signet.start()
    restored_at = time.monotonic()

    before = (ada, bob, cleo, newer, dora)
    for tokens in before:
        assert front_end.refresh(tokens.refresh_token).status_code == 401
        bearer = {"Authorization": f"Bearer {tokens.access_token}"}
        assert front_end.get("/api/auth/me", headers=bearer).status_code == 401
    for name, accepted in accepts.items():
        wait_until_refused(accepted, before, COOL_DOWN + 2 * STATUS_TTL + 4)
        print(
            f"{name} refuses all of before {time.monotonic() - restored_at:.1f} s after the start"
        )
    # New logins work.
    again = Tokens.of(front_end.log_in(ada.email), 200)
    list_before, list_now = (
        claims_of(tokens.access_token)["status"]["status_list"]["uri"] for tokens in (ada, again)
    )
    assert list_before != list_now
    for accepted in accepts.values():
        deadline = time.monotonic() + COOL_DOWN + 4
        while not accepted(again):
            assert time.monotonic() < deadline, "a new token is not accepted"
            time.sleep(0.2)
        assert not any(accepted(tokens) for tokens in before)
    assert Tokens.of(front_end.refresh(again.refresh_token), 200).user_id == ada.user_id
