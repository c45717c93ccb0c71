"""The table of users of the original application, in PostgreSQL or SQLite."""

import re
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# The original's table and columns.
TABLE, ID, EMAIL, PASSWORD, CREATED_AT = "users", "id", "email", "hashed_password", "created_at"

# What to do about an error of the database whose message contains the word.
REMEDIES = {
    "null": "give the column a value with --set COLUMN=VALUE, or a default in the database",
    "lock": "stop the original and other programs that use its database, and try again",
    "foreign key": "remove the foreign keys to the table first",
    "permission": "use a database user who may read and write the table",
    "readonly": "run this program as a user who may write to the file and its folder",
    "open database file": "the URL is sqlite:PATH, and this user must be able to read and write the file",
    "authentication": "correct ORIGINAL_DATABASE_URL, in which special characters must be percent-encoded",
}


class Stop(Exception):
    """An error that ends the program. Its text is for the operator."""


class Users:
    """The original's table."""

    def __init__(self, url: str) -> None:
        self.is_sqlite = url.startswith("sqlite:")
        self.driver: Any = sqlite3 if self.is_sqlite else psycopg_of(url)
        with self.readable_errors():
            self.connection = self.connect(url)
            rows = self.execute(f"SELECT {ID}, {EMAIL}, {PASSWORD} FROM {TABLE}").fetchall()
        self.ids = {account_id(row[0]): row[0] for row in rows}
        self.emails = {account_id(row[0]): row[1] or "" for row in rows}
        self.hashes = {account_id(row[0]): row[2] for row in rows}
        self.sample_id = rows[0][0] if rows else ("" if self.is_sqlite else "-")

    def connect(self, url: str) -> Any:
        if not self.is_sqlite:
            return self.driver.connect(url, options="-c timezone=UTC -c lock_timeout=10s")
        path = url.removeprefix("sqlite:").removeprefix("//")
        # With mode=rw, SQLite does not create a missing file.
        uri = f"{Path(path).absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        return connection

    @contextmanager
    def readable_errors(self) -> Iterator[None]:
        try:
            yield
        except self.driver.Error as error:
            # Only the first line: the others may contain the row, with its hash.
            message = str(error).partition("\n")[0]
            remedies = [text for word, text in REMEDIES.items() if word in message.lower()]
            raise Stop("; ".join([f"the original's database: {message}", *remedies[:1]])) from error

    def execute(self, statement: str, *values: object) -> Any:
        if not self.is_sqlite:
            statement = statement.replace("?", "%s")
        return self.connection.execute(statement, values)

    def new_id(self, account: uuid.UUID) -> object:
        """The id in the notation of the other rows: bytes, with dashes, or without."""
        if isinstance(self.sample_id, bytes):
            return account.bytes
        if isinstance(self.sample_id, int):
            raise Stop("the original's ids are numbers: it must create the rows of new users itself")
        return str(account) if "-" in str(self.sample_id) else account.hex

    def insert(self, user: uuid.UUID, email: str, account: dict[str, Any], further: dict[str, str]) -> None:
        created_at = account["created_at"].replace("T", " ").removesuffix("Z")
        values = [self.new_id(user), email, account["password_hash"], created_at]
        for value in further.values():
            # SQLite has no type for booleans; applications store 0 and 1.
            is_boolean = self.is_sqlite and value.lower() in ("true", "false")
            values.append(int(value.lower() == "true") if is_boolean else value)
        columns = ", ".join([ID, EMAIL, PASSWORD, CREATED_AT, *(f'"{name}"' for name in further)])
        places = ", ".join("?" * len(values))
        self.execute(f"INSERT INTO {TABLE} ({columns}) VALUES ({places})", *values)

    def update(self, user: uuid.UUID, column: str, value: str) -> None:
        self.execute(f"UPDATE {TABLE} SET {column} = ? WHERE {ID} = ?", value, self.ids[user])

    def delete(self, user: uuid.UUID) -> None:
        self.execute(f"DELETE FROM {TABLE} WHERE {ID} = ?", self.ids[user])


def psycopg_of(url: str) -> Any:
    """The module, after a check of the URL: the driver's messages about a wrong URL contain the password."""
    if not re.fullmatch(r"postgres(ql)?://([^@/?#]*@)?[^@]*", url):
        raise Stop(
            "ORIGINAL_DATABASE_URL must be sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE, without the"
            " name of a Python driver, and with percent-encoded special characters"
        )
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:
        raise Stop("the module psycopg is missing: pip install 'psycopg[binary]'") from error
    try:
        conninfo_to_dict(url)
    except psycopg.Error as error:
        raise Stop("ORIGINAL_DATABASE_URL is not a valid URL; percent-encode special characters") from error
    return psycopg


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
