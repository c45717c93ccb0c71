"""An older backup is restored (W9).

Signet refuses to start on it. After `signet restored`, no earlier credential works, neither at
Signet nor at services that verify tokens locally.
"""

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
from processes import SIGNET_BIN, ProcessKiller, Signet, clean_environment
from deployment import STATUS_TTL, Deployment
from verifiers import rust_verifier, typescript_verifier

COOLDOWN_SECONDS = 30
"""Seconds after a fetch of the key set. In this time an unknown `kid` causes no further fetch."""

Accepts = Callable[[Tokens], bool]


class Backup:
    """A backup of the database of a stopped server, made with the database's own tools."""

    def __init__(self, database: Database, directory: Path) -> None:
        self._database = database
        self._file = directory / "backup.db"
        self._copy("", "_backup")

    def restore(self) -> None:
        self._copy("_backup", "")

    def drop(self) -> None:
        if isinstance(self._database, PostgresDatabase):
            self._database.run("DROP DATABASE {}", "_backup")

    def _copy(self, source_suffix: str, target_suffix: str) -> None:
        database = self._database
        if isinstance(database, PostgresDatabase):
            database.run("DROP DATABASE IF EXISTS {}", target_suffix)
            database.run("CREATE DATABASE {} TEMPLATE {}", target_suffix, source_suffix)
            return
        if target_suffix:
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


def wait_until_refused(accepted: Accepts, all_tokens: tuple[Tokens, ...], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(accepted(tokens) for tokens in all_tokens):
        assert time.monotonic() < deadline, "a token is still accepted"
        time.sleep(0.2)


@pytest.fixture
def accepts(
    deployment: Deployment, tmp_path: Path, kill_after_test: ProcessKiller
) -> dict[str, Accepts]:
    """For each verifier, a function that returns whether it accepts a token."""
    issuer, audience = deployment.signet.issuer, deployment.signet.audience
    rust = kill_after_test(rust_verifier(tmp_path, issuer, audience)).start()
    typescript = kill_after_test(typescript_verifier(tmp_path, issuer, audience)).start()
    return {
        "python": lambda it: deployment.tasks(it.user_id, it.access_token).status_code == 200,
        "rust": lambda it: rust.accepts(it.access_token),
        "typescript": lambda it: typescript.accepts(it.access_token),
    }


def test_earlier_credentials_are_invalid_after_a_restore(
    deployment: Deployment, accepts: dict[str, Accepts], tmp_path: Path
) -> None:
    signet, front_end = deployment.signet, deployment.front_end
    ada, bob, cleo = deployment.sign_up(), deployment.sign_up(), deployment.sign_up()
    for accepted in accepts.values():
        assert all(accepted(tokens) for tokens in (ada, bob, cleo))
    signet.stop()
    backup = Backup(signet.database, tmp_path)
    signet.start()
    # These changes are missing in the backup.
    assert front_end.log_out(ada.access_token).status_code == 200
    command(signet, "account", "disable", bob.email)
    newer = Tokens.of(front_end.refresh(cleo.refresh_token), 200)
    dora = deployment.sign_up()
    for accepted in accepts.values():
        wait_until_refused(accepted, (ada, bob), STATUS_TTL + 4)
        assert accepted(newer) and accepted(dora)

    signet.stop()
    backup.restore()
    backup.drop()
    code, output = signet.start_expecting_exit()
    assert code == 1 and "signet restored" in output, output
    assert "disabled" in command(signet, "restored")
    signet.start()
    restored_at = time.monotonic()

    before = (ada, bob, cleo, newer, dora)
    for tokens in before:
        assert front_end.refresh(tokens.refresh_token).status_code == 401
        bearer = {"Authorization": f"Bearer {tokens.access_token}"}
        assert front_end.get("/api/auth/me", headers=bearer).status_code == 401
    for name, accepted in accepts.items():
        wait_until_refused(accepted, before, COOLDOWN_SECONDS + 2 * STATUS_TTL + 4)
        print(
            f"{name} refuses earlier tokens {time.monotonic() - restored_at:.1f} s after the start"
        )
    # New logins work.
    again = Tokens.of(front_end.log_in(ada.email), 200)
    list_before, list_now = (
        claims_of(tokens.access_token)["status"]["status_list"]["uri"] for tokens in (ada, again)
    )
    assert list_before != list_now
    for accepted in accepts.values():
        deadline = time.monotonic() + COOLDOWN_SECONDS + 4
        while not accepted(again):
            assert time.monotonic() < deadline, "a new token is not accepted"
            time.sleep(0.2)
        assert not any(accepted(tokens) for tokens in before)
    assert Tokens.of(front_end.refresh(again.refresh_token), 200).user_id == ada.user_id
