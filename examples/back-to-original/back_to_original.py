"""Writes what changed at Signet into the table `users` of the original application: see "And back" in
docs/moving-in.md.

    signet export accounts --output accounts.ndjson
    signet account list-imported --json > imported.ndjson
    python3 back_to_original.py accounts.ndjson imported.ndjson           # only prints what it would do
    python3 back_to_original.py accounts.ndjson imported.ndjson --write

The environment variable ORIGINAL_DATABASE_URL has the URL of the original's database: postgres://… (needs
psycopg) or sqlite:PATH. Everything is written in one transaction. Run this program before users log in at the
original again, because it overwrites passwords that users have changed there since.
"""

import argparse
import json
import os
import secrets
import sqlite3
import sys
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

# The original's table and columns.
TABLE, ID, EMAIL, PASSWORD, CREATED_AT = "users", "id", "email", "hashed_password", "created_at"


class Users:
    """The original's table."""

    def __init__(self, url: str) -> None:
        self.is_sqlite = url.startswith("sqlite:")
        if self.is_sqlite:
            path = url.removeprefix("sqlite:").removeprefix("//")
            # With mode=rw, SQLite does not create a missing file.
            self.connection: Any = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=rw", uri=True)
        else:
            import psycopg

            self.connection = psycopg.connect(url, options="-c timezone=UTC")
        rows = self.execute(f"SELECT {ID}, {EMAIL}, {PASSWORD} FROM {TABLE}").fetchall()
        self.ids = {account_id(row[0]): row[0] for row in rows}
        self.emails = {account_id(row[0]): row[1] for row in rows}
        self.hashes = {account_id(row[0]): row[2] for row in rows}
        self.rows_by_email = Counter(row[1].lower() for row in rows)
        self.sample_id = rows[0][0] if rows else ("" if self.is_sqlite else "-")

    def execute(self, statement: str, *values: object) -> Any:
        if not self.is_sqlite:
            statement = statement.replace("?", "%s")
        return self.connection.execute(statement, values)

    def new_id(self, account: uuid.UUID) -> object:
        """The id in the notation of the other rows: bytes, with dashes, or without."""
        if isinstance(self.sample_id, bytes):
            return account.bytes
        if isinstance(self.sample_id, int):
            sys.exit("the original's ids are numbers: it must create the rows of new users itself")
        return str(account) if "-" in str(self.sample_id) else account.hex

    def is_used(self, email: str) -> bool:
        """Whether a row has this address, in any capitalisation."""
        return self.rows_by_email[email.lower()] > 0

    def insert(self, user: uuid.UUID, email: str, password_hash: str, created_at: str) -> None:
        created_at = created_at.replace("T", " ").removesuffix("Z")
        insert = f"INSERT INTO {TABLE} ({ID}, {EMAIL}, {PASSWORD}, {CREATED_AT}) VALUES (?, ?, ?, ?)"
        self.execute(insert, self.new_id(user), email, password_hash, created_at)
        self.rows_by_email[email.lower()] += 1

    def update(self, user: uuid.UUID, column: str, value: str) -> None:
        self.execute(f"UPDATE {TABLE} SET {column} = ? WHERE {ID} = ?", value, self.ids[user])
        if column == EMAIL:
            self.rows_by_email[self.emails[user].lower()] -= 1
            self.rows_by_email[value.lower()] += 1

    def delete(self, user: uuid.UUID) -> None:
        self.execute(f"DELETE FROM {TABLE} WHERE {ID} = ?", self.ids.pop(user))
        self.rows_by_email[self.emails[user].lower()] -= 1


def account_id(value: Any) -> uuid.UUID:
    """The id that the import gave to the account of this row."""
    if isinstance(value, uuid.UUID):
        return value
    if isinstance(value, bytes):
        value = value.hex()
    try:
        return uuid.UUID(str(value))
    except ValueError:
        return uuid.uuid5(uuid.NAMESPACE_URL, f"fastapi:{value}")


def read_records(path: str) -> dict[uuid.UUID, dict[str, Any]]:
    with open(path, encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    return {uuid.UUID(record["id"]): record for record in records}


def go_back(
    users: Users, accounts: dict[uuid.UUID, dict[str, Any]], imported: dict[uuid.UUID, dict[str, Any]]
) -> Counter[str]:
    """Changes the rows. Rows of users who were not imported, such as refused ones, are not touched."""
    counts: Counter[str] = Counter()
    # A hash of a password that nobody knows: the original has no column for a user without one.
    unusable = PasswordHasher().hash(secrets.token_urlsafe(32))

    def report_conflict(user: uuid.UUID, email: str) -> None:
        print(f"not written: the address {email} of {user} at Signet belongs to another row")
        counts["not written, see above"] += 1

    # Deletions come first, because a new account may have the address of a deleted one.
    for user, record in imported.items():
        if record["deleted"] and user in users.ids:
            users.delete(user)
            counts["deleted, because they were deleted at Signet"] += 1
    for user, account in accounts.items():
        email = account.get("email_as_typed", account["email"])
        password_hash = account.get("password_hash")
        can_log_in = password_hash is not None and "disabled_at" not in account
        record = imported.get(user)
        is_changed = record is None or record["changed"]
        if user in users.ids:
            if record and record["email_changed"] and users.emails[user].lower() != email.lower():
                if users.is_used(email):
                    report_conflict(user, email)
                else:
                    users.update(user, EMAIL, email)
                    counts["got the address that they have at Signet"] += 1
            if can_log_in and is_changed and password_hash != users.hashes[user]:
                users.update(user, PASSWORD, password_hash)
                counts["got the password hash that they have at Signet"] += 1
            elif not can_log_in and is_changed:
                users.update(user, PASSWORD, unusable)
                counts["locked, because they are disabled or have no password at Signet"] += 1
        elif record:
            counts["left out, because they were deleted in the original"] += 1
        elif not can_log_in:
            counts["left out, because they are disabled or have no password at Signet"] += 1
        elif users.is_used(email):
            report_conflict(user, email)
        else:
            users.insert(user, email, password_hash, account["created_at"])
            counts["inserted, because they signed up at Signet"] += 1
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("accounts", help="the output of signet export accounts")
    parser.add_argument("imported", help="the output of signet account list-imported --json")
    parser.add_argument("--write", action="store_true", help="write, instead of only printing")
    arguments = parser.parse_args()
    accounts, imported = read_records(arguments.accounts), read_records(arguments.imported)
    if not imported:
        sys.exit(f"{arguments.imported} is empty: nothing was written")
    users = Users(os.environ["ORIGINAL_DATABASE_URL"])
    counts = go_back(users, accounts, imported)
    if arguments.write:
        users.connection.commit()
    else:
        users.connection.rollback()
        print("nothing was written, because --write was not given; it would be:")
    for label, count in counts.items():
        print(f"{count:>9}  {label}")
    users.connection.close()


if __name__ == "__main__":
    main()
