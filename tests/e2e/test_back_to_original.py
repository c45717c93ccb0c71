"""The way back from Signet to the original application, with the script of docs/moving-in.md."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from passlib.context import CryptContext
from passlib.hash import bcrypt

from clients import PASSWORD, SignetClient, Tokens
from databases import Database
from original_database import ROUNDS, add_user, create_original, password_of
from processes import REPOSITORY, SIGNET_BIN, Signet, clean_environment

SCRIPT = REPOSITORY / "examples" / "back-to-original" / "back_to_original.py"
CONTEXT = CryptContext(schemes=["argon2", "bcrypt"])

USERS = {
    1: "Maria@Example.test",
    2: "jürgen@müller.example",
    3: "Twin@example.test",
    4: "twin@example.test",
    5: "refused@example",
    6: "logs-in@example.test",
    7: "deleted-here@example.test",
    8: "disabled@example.test",
    9: "reset@example.test",
    10: "new-address@example.test",
    11: "address-of-original@example.test",
    12: "deleted-there@example.test",
    13: "password-of-original@example.test",
}

LATER_USERS = {20: "signed-up-there@example.test", 21: "taken@example.test"}
"""They sign up in the original after the import."""


def run(signet: Signet, *arguments: str, status: int = 0) -> str:
    command = [str(SIGNET_BIN), *arguments]
    environment = {**clean_environment(), **signet.settings}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout


def id_of(number: int) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_DNS, str(number))


def fill(original: Database, has_dashes: bool, users: dict[int, str]) -> None:
    for number, email in users.items():
        text = str(id_of(number)) if has_dashes else id_of(number).hex
        add_user(original, text, email, bcrypt.using(rounds=ROUNDS).hash(password_of(number)))


def rows_of(original: Database) -> dict[uuid.UUID, tuple[str, str]]:
    rows = original.execute("SELECT id, email, hashed_password FROM users")
    return {uuid.UUID(str(row[0])): (row[1], row[2]) for row in rows}


def write_back(signet: Signet, original: Database, directory: Path, *arguments: str) -> str:
    accounts, imported = directory / f"accounts{len(arguments)}.ndjson", directory / "imported.ndjson"
    run(signet, "export", "accounts", "--output", str(accounts))
    imported.write_text(run(signet, "account", "list-imported", "--json"), encoding="utf-8")
    command = [sys.executable, str(SCRIPT), str(accounts), str(imported), *arguments]
    environment = {**os.environ, "ORIGINAL_DATABASE_URL": original.url}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def use_both(signet: Signet, original: Database) -> None:
    """Imports, and changes accounts at Signet and rows in the original."""
    run(signet, "migrate", "up")
    imported = run(signet, "import", "accounts", "--from", "fastapi", original.url, status=1)
    assert f"{len(USERS) - 2:>9}  created\n{0:>9}  changed" in imported
    signet.start()
    with SignetClient(signet.url) as client:
        Tokens.of(client.log_in(USERS[6], password_of(6)), 200)
        Tokens.of(client.sign_up("signed-up@example.test"), 201)
        Tokens.of(client.sign_up("TWIN-of-later@example.test"), 201)
        Tokens.of(client.sign_up("taken@example.test"), 201)
    signet.stop()
    run(signet, "account", "delete", "--yes", str(id_of(7)))
    run(signet, "account", "disable", str(id_of(8)))
    run(signet, "account", "require-reset", str(id_of(9)))
    run(signet, "account", "set-email", str(id_of(10)), "At-Signet@example.test")
    change = "UPDATE users SET {} = ? WHERE email = ?"
    original.execute(change.format("email"), "later@example.test", USERS[11])
    later = bcrypt.using(rounds=ROUNDS).hash("Changed-in-the-original-1")
    original.execute(change.format("hashed_password"), later, USERS[13])
    original.execute("DELETE FROM users WHERE email = ?", USERS[12])


@pytest.mark.parametrize("has_dashes", [False, True])
def test_way_back(signet: Signet, tmp_path_factory: pytest.TempPathFactory, has_dashes: bool) -> None:
    """IM-15: changes at Signet are written back. All other users of the original stay unchanged."""
    directory = tmp_path_factory.mktemp("original")
    original = create_original(directory)
    try:
        fill(original, has_dashes, USERS)
        use_both(signet, original)
        fill(original, has_dashes, LATER_USERS)
        before = rows_of(original)
        planned = write_back(signet, original, directory)
        assert rows_of(original) == before, "without --write, nothing is written"
        printed = write_back(signet, original, directory, "--write")
        after = rows_of(original)
        notations = {row[0] for row in original.execute("SELECT length(CAST(id AS VARCHAR(36))) FROM users")}
    finally:
        original.drop()

    assert planned.splitlines()[2:] == printed.splitlines()[1:]
    untouched = (1, 2, 3, 4, 5, 11, 13, 20, 21)
    for number in untouched:
        assert after[id_of(number)] == before[id_of(number)], USERS.get(number)
    email, hashed = after[id_of(6)]
    assert email == USERS[6] and hashed.startswith("$argon2id$") and CONTEXT.verify(password_of(6), hashed)
    assert id_of(7) not in after and id_of(12) not in after
    for number in (8, 9):
        email, hashed = after[id_of(number)]
        assert email == USERS[number] and not CONTEXT.verify(password_of(number), hashed)
    email, hashed = after[id_of(10)]
    assert email == "At-Signet@example.test" and CONTEXT.verify(password_of(10), hashed)
    new = {email: hashed for user, (email, hashed) in after.items() if user not in before}
    assert set(new) == {"signed-up@example.test", "TWIN-of-later@example.test"}
    assert all(CONTEXT.verify(PASSWORD, hashed) for hashed in new.values())
    assert "not written: the address taken@example.test" in printed
    assert len(notations) == 1, "new ids have the notation of the others"


def test_lists_of_accounts(signet: Signet, tmp_path_factory: pytest.TempPathFactory) -> None:
    """IM-15: accounts that were deleted at Signet are listed, and refused records are not."""
    original = create_original(tmp_path_factory.mktemp("original"))
    try:
        fill(original, False, USERS)
        use_both(signet, original)
    finally:
        original.drop()
    listed = [json.loads(line) for line in run(signet, "account", "list-imported", "--json").splitlines()]
    imported = {uuid.UUID(record["id"]): record for record in listed}
    # Of the twins, the import creates the first that it reads: by row on SQLite, by id on PostgreSQL.
    twins = {id_of(3), id_of(4)}
    assert set(imported) - twins == {id_of(number) for number in USERS if number not in (3, 4, 5)}
    assert len(set(imported) & twins) == 1
    assert {user for user, record in imported.items() if record["deleted"]} == {id_of(7)}
    assert {user for user, record in imported.items() if record["email_changed"]} == {id_of(10)}
    changed = {id_of(6), id_of(8), id_of(9)}
    assert {user for user, record in imported.items() if record["changed"]} == changed
    deleted = run(signet, "account", "list-imported", "--deleted").splitlines()
    assert len(deleted) == 1 and deleted[0].startswith(f"{id_of(7)}  imported from fastapi ")
    without = run(signet, "account", "list", "--without-password").splitlines()
    assert [line.split()[:2] for line in without] == [[str(id_of(9)), USERS[9]]]
