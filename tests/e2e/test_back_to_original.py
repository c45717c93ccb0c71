"""The way back from Signet to the original application, with the script of docs/moving-in.md."""

import json
import os
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from passlib.context import CryptContext
from passlib.hash import bcrypt

from clients import PASSWORD, SignetClient, Tokens
from databases import Database, PostgresDatabase
from original_database import ROUNDS, add_user, create_original, password_of
from processes import REPOSITORY, SIGNET_BIN, Signet, clean_environment

SCRIPT = REPOSITORY / "examples" / "back-to-original" / "back_to_original.py"
PAGE = REPOSITORY / "docs" / "moving-in.md"
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
    30: "chain-a@example.test",
    31: "chain-b@example.test",
    32: "swap-a@example.test",
    33: "swap-b@example.test",
    34: "blocked@example.test",
    35: "waits-for-blocked@example.test",
}

LATER_USERS = {20: "signed-up-there@example.test", 21: "taken@example.test", 22: "taken-too@example.test"}
"""They sign up in the original after the import."""

NEW_ADDRESSES = [
    (10, "At-Signet@m\u00fcller.example"),
    (31, "chain-c@example.test"),
    (30, USERS[31]),
    (32, "swap-c@example.test"),
    (33, USERS[32]),
    (32, USERS[33]),
    (34, "Taken-too@example.test"),
    (35, USERS[34]),
]
"""Changes at Signet, in this order. User 22 has the address of 34, so 34 keeps the address that 35 wants."""

SIGNED_UP = {
    "signed-up@example.test",
    "TWIN-of-later@example.test",
    USERS[7],
    USERS[30],
    "Typed@stra\u00dfe.example",
}


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


def export(signet: Signet, directory: Path) -> tuple[Path, Path]:
    accounts, imported = directory / "accounts.ndjson", directory / "imported.ndjson"
    run(signet, "export", "accounts", "--output", str(accounts))
    run(signet, "account", "list-imported", "--json", "--output", str(imported))
    return accounts, imported


def go_back(url: str | None, *arguments: str | Path, status: int = 0) -> str:
    """What the script prints: its output, or its error of one line."""
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "ORIGINAL_DATABASE_URL"}
    if url is not None:
        environment["ORIGINAL_DATABASE_URL"] = url
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    if status != 2:
        return done.stdout
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def use_both(signet: Signet, original: Database) -> None:
    """Imports, and changes accounts at Signet and rows in the original."""
    run(signet, "migrate", "up")
    imported = run(signet, "import", "accounts", "--from", "fastapi", original.url, status=1)
    assert f"{len(USERS) - 2:>9}  created\n{0:>9}  changed" in imported
    signet.start(SIGNET_TRUSTED_PROXIES="127.0.0.1")
    with SignetClient(signet.url, behind_proxy=True) as client:
        Tokens.of(client.log_in(USERS[6], password_of(6)), 200)
        run(signet, "account", "delete", "--yes", str(id_of(7)))
        for number, email in NEW_ADDRESSES:
            run(signet, "account", "set-email", str(id_of(number)), email)
        for email in [*SIGNED_UP, "taken@example.test", "disabled-later@example.test"]:
            Tokens.of(client.sign_up(email), 201)
    signet.stop()
    run(signet, "account", "disable", str(id_of(8)))
    run(signet, "account", "disable", "disabled-later@example.test")
    run(signet, "account", "require-reset", str(id_of(9)))
    change = "UPDATE users SET {} = ? WHERE email = ?"
    original.execute(change.format("email"), "later@example.test", USERS[11])
    later = bcrypt.using(rounds=ROUNDS).hash("Changed-in-the-original-1")
    original.execute(change.format("hashed_password"), later, USERS[13])
    original.execute("DELETE FROM users WHERE email = ?", USERS[12])


@pytest.fixture
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = create_original(tmp_path_factory.mktemp("original"))
    try:
        yield database
    finally:
        database.drop()


@pytest.mark.parametrize("has_dashes", [False, True])
@pytest.mark.parametrize("is_reversed", [False, True])
def test_way_back(
    signet: Signet, original: Database, tmp_path: Path, has_dashes: bool, is_reversed: bool
) -> None:
    """IM-15: every user has the state of Signet, and users who never moved keep theirs."""
    fill(original, has_dashes, USERS)
    use_both(signet, original)
    fill(original, has_dashes, LATER_USERS)
    before = rows_of(original)
    accounts, imported = export(signet, tmp_path)
    if is_reversed:
        for file in (accounts, imported):
            file.write_text("".join(reversed(file.read_text("utf-8").splitlines(keepends=True))), "utf-8")
    planned = go_back(original.url, accounts, imported, status=1)
    assert rows_of(original) == before, "without --write, nothing is written"
    printed = go_back(original.url, accounts, imported, "--write", status=1)
    after = rows_of(original)

    assert planned.splitlines()[1:] == printed.splitlines()
    untouched = (1, 2, 3, 4, 5, 11, 13, 20, 21, 22, 34, 35)
    for number in untouched:
        assert after[id_of(number)] == before[id_of(number)], USERS.get(number)
    email, hashed = after[id_of(6)]
    assert email == USERS[6] and hashed.startswith("$argon2id$") and CONTEXT.verify(password_of(6), hashed)
    assert id_of(7) not in after and id_of(12) not in after
    for number in (8, 9):
        email, hashed = after[id_of(number)]
        assert email == USERS[number] and not CONTEXT.verify(password_of(number), hashed)
    for number, email in (dict(NEW_ADDRESSES) | {34: USERS[34], 35: USERS[35]}).items():
        assert after[id_of(number)][0] == email and CONTEXT.verify(
            password_of(number), after[id_of(number)][1]
        )
    new = {email: hashed for user, (email, hashed) in after.items() if user not in before}
    assert set(new) == SIGNED_UP
    assert all(CONTEXT.verify(PASSWORD, hashed) for hashed in new.values())
    notations = original.execute("SELECT DISTINCT length(CAST(id AS VARCHAR(36))) FROM users")
    assert len(notations) == 1, "new ids have the notation of the others"

    left_out = [line for line in printed.splitlines() if line.startswith("left out: ")]
    assert len(left_out) == 1 and "disabled-later@example.test" in left_out[0]
    conflicts = [line for line in printed.splitlines() if line.startswith("not written: ")]
    pairs = [("taken@example.test", 21), ("Taken-too@example.test", 22), (USERS[34], 34)]
    assert len(conflicts) == len(pairs)
    rows = {user: (id_text, email) for id_text, user, email in texts_of(original)}
    for email, number in pairs:
        id_text, held = rows[id_of(number)]
        assert any(f" {email}, " in line and line.endswith(f" {id_text} {held}") for line in conflicts)


def texts_of(original: Database) -> list[tuple[str, uuid.UUID, str]]:
    rows = original.execute("SELECT id, email FROM users")
    return [(str(row[0]), uuid.UUID(str(row[0])), row[1]) for row in rows]


def test_second_run(signet: Signet, original: Database, tmp_path: Path) -> None:
    """IM-15: what changed in the original after the way back is not reverted by a second run."""
    fill(original, False, USERS)
    use_both(signet, original)
    accounts, imported = export(signet, tmp_path)
    arguments = (accounts, imported, "--write", "--lower-case")
    go_back(original.url, *arguments)
    emails = {email for email, _ in rows_of(original).values()}
    assert "typed@stra\u00dfe.example" in emails and "at-signet@m\u00fcller.example" in emails
    original.execute("UPDATE users SET hashed_password = 'later' WHERE email = ?", USERS[6])
    original.execute("DELETE FROM users WHERE email = ?", "signed-up@example.test")
    before = rows_of(original)

    assert "has been written already" in go_back(original.url, *arguments, status=2)
    assert rows_of(original) == before


def test_rows_of_other_tables(signet: Signet, original: Database, tmp_path: Path) -> None:
    """IM-15: the query of the page finds all rows that violate the foreign key."""
    fill(original, False, USERS)
    use_both(signet, original)
    fill(original, False, LATER_USERS)
    accounts, imported = export(signet, tmp_path)
    kind = "UUID" if isinstance(original, PostgresDatabase) else "CHAR(32)"
    original.execute(f"CREATE TABLE tasks (user_id {kind})")
    signed_up = {uuid.UUID(json.loads(line)["id"]) for line in accounts.read_text("utf-8").splitlines()}
    owners = signed_up | set(rows_of(original)) | {id_of(7), id_of(12)}
    for owner in owners:
        original.execute("INSERT INTO tasks VALUES (?)", owner.hex)
    go_back(original.url, accounts, imported, "--write", status=1)

    query = next(line.strip() for line in PAGE.read_text("utf-8").splitlines() if "NOT IN (SELECT id" in line)
    found = {uuid.UUID(str(row[0])) for row in original.execute(query)}
    assert found == owners - set(rows_of(original)) and len(found) == 4


def test_mistakes(signet: Signet, original: Database, tmp_path: Path) -> None:
    """IM-15: a mistake gives one line that says what to do, and nothing is written."""
    fill(original, False, USERS)
    use_both(signet, original)
    accounts, imported = export(signet, tmp_path)
    empty = tmp_path / "empty"
    empty.touch()
    before = rows_of(original)

    def refusal(url: str | None, *arguments: str | Path) -> str:
        message = go_back(url, *(arguments or (accounts, imported)), "--write", status=2)
        assert "s3cr" not in message, message
        assert rows_of(original) == before and not accounts.with_name("accounts.ndjson.written").exists()
        return message

    assert "set ORIGINAL_DATABASE_URL" in refusal(None)
    for url in ("postgresql+psycopg://u:s3cret@h/d", "postgres://u:s3cr@t@h/d", "postgres://u:s3cr/t@h/d"):
        assert "percent-encoded" in refusal(url)
    assert "percent-encode" in refusal("postgres://u:s3cr%zzt@h/d")
    assert "original's database: " in refusal("postgres://u:s3cret@127.0.0.1:1/d")
    assert "the URL is sqlite:PATH" in refusal(f"sqlite:{tmp_path}/missing.db")
    assert "no such table" in refusal(f"sqlite:{empty}")
    assert "not a file of `signet export accounts`" in refusal(original.url, imported, accounts)
    assert "cannot read" in refusal(original.url, tmp_path / "missing", imported)
    assert "is empty" in refusal(original.url, accounts, empty)
    broken = tmp_path / "broken"
    broken.write_text("{", "utf-8")
    assert "not a file of" in refusal(original.url, broken, imported)

    original.execute("ALTER TABLE users ADD COLUMN is_active BOOLEAN")
    original.execute("UPDATE users SET is_active = (1 = 1)")
    if isinstance(original, PostgresDatabase):
        original.execute("ALTER TABLE users ALTER COLUMN is_active SET NOT NULL")
    else:
        original.execute(
            "CREATE TABLE copy (id PRIMARY KEY, email UNIQUE, hashed_password, created_at,"
            " last_login, is_active BOOLEAN NOT NULL)"
        )
        original.execute("INSERT INTO copy SELECT * FROM users")
        original.execute("DROP TABLE users")
        original.execute("ALTER TABLE copy RENAME TO users")
    assert "--set COLUMN=VALUE" in refusal(original.url)
    with locked(original):
        assert "stop the original" in refusal_of_locked(original, accounts, imported)
    go_back(original.url, accounts, imported, "--write", "--set", "is_active=true")
    assert original.execute("SELECT count(*) FROM users WHERE NOT is_active") == [(0,)]


def refusal_of_locked(original: Database, accounts: Path, imported: Path) -> str:
    return go_back(original.url, accounts, imported, "--write", "--set", "is_active=true", status=2)


@contextmanager
def locked(original: Database) -> Iterator[None]:
    """A program that has changed rows and not committed."""
    if isinstance(original, PostgresDatabase):
        connection: Any = psycopg.connect(original.url)
    else:
        connection = sqlite3.connect(original.path)
    with closing(connection):
        connection.execute("UPDATE users SET last_login = NULL")
        yield
        connection.rollback()


def test_lists_of_accounts(signet: Signet, original: Database) -> None:
    """IM-15: accounts that were deleted at Signet are listed, and refused records are not."""
    fill(original, False, USERS)
    use_both(signet, original)
    listed = [json.loads(line) for line in run(signet, "account", "list-imported", "--json").splitlines()]
    imported = {uuid.UUID(record["id"]): record for record in listed}
    # Of the twins, the import creates the first that it reads: by row on SQLite, by id on PostgreSQL.
    twins = {id_of(3), id_of(4)}
    assert set(imported) - twins == {id_of(number) for number in USERS if number not in (3, 4, 5)}
    assert len(set(imported) & twins) == 1
    assert {user for user, record in imported.items() if record["deleted"]} == {id_of(7)}
    assert {user for user, record in imported.items() if record["email_changed"]} == {
        id_of(number) for number, _ in NEW_ADDRESSES
    }
    changed = {id_of(6), id_of(8), id_of(9)}
    assert {user for user, record in imported.items() if record["changed"]} == changed
    deleted = run(signet, "account", "list-imported", "--deleted").splitlines()
    assert len(deleted) == 1 and deleted[0].startswith(f"{id_of(7)}  imported from fastapi ")
    without = run(signet, "account", "list", "--without-password").splitlines()
    assert [line.split()[:2] for line in without] == [[str(id_of(9)), USERS[9]]]
