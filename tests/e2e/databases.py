"""A new database for each test: an SQLite file, or a database on the PostgreSQL server of
`TEST_DATABASE_URL`."""

import os
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

Rows = list[tuple[Any, ...]]


class SqliteDatabase:
    """An SQLite file that the server creates at its first start."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "data" / "signet.db"
        self.path.parent.mkdir(mode=0o700)
        self.url = f"sqlite:{self.path}"
        self.password: str | None = None

    @property
    def files(self) -> list[Path]:
        """The files that contain the data, if they exist."""
        names = [self.path.name + suffix for suffix in ("", "-wal", "-shm")]
        return [path for name in names if (path := self.path.with_name(name)).exists()]

    def execute(self, statement: str, *values: object) -> Rows:
        # Call this only while the server is stopped: closing the last connection removes the
        # write-ahead log.
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def dump(self) -> dict[str, list[str]]:
        """The sorted rows of each table, as text."""
        tables = self.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        return {
            name: sorted(map(as_text, self.execute(f'SELECT * FROM "{name}"')))
            for (name,) in tables
        }

    def drop(self) -> None:
        """Does nothing, since the temporary directory is deleted."""


class PostgresDatabase:
    """A separate database on the server at `server_url`."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._name = f"e2e_{uuid.uuid4().hex}"
        parts = urlsplit(server_url)
        self.url = urlunsplit(parts._replace(path=f"/{self._name}"))
        self.password = parts.password
        self.files: list[Path] = []
        self._on_server("CREATE DATABASE {}")

    def execute(self, statement: str, *values: object) -> Rows:
        with psycopg.connect(self.url) as connection:
            cursor = connection.execute(statement.replace("?", "%s"), values)
            return cursor.fetchall() if cursor.description else []

    def dump(self) -> dict[str, list[str]]:
        """The sorted rows of each table, as text."""
        tables = self.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {
            name: sorted(map(as_text, self.execute(f'SELECT * FROM "{name}"')))
            for (name,) in tables
        }

    def drop(self) -> None:
        self._on_server("DROP DATABASE {} WITH (FORCE)")

    def run(self, statement: str, *suffixes: str) -> None:
        """Runs a statement on the server.

        Its placeholders become the names of databases: this database's name and a suffix each.
        """
        names = [sql.Identifier(f"{self._name}{suffix}") for suffix in suffixes]
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*names))

    def _on_server(self, statement: str) -> None:
        self.run(statement, "")


Database = SqliteDatabase | PostgresDatabase


def fresh_database(directory: Path) -> Database:
    """SQLite in `directory`, unless `TEST_DATABASE_URL` names a PostgreSQL server."""
    server_url = os.environ.get("TEST_DATABASE_URL")
    return PostgresDatabase(server_url) if server_url else SqliteDatabase(directory)


def as_text(row: tuple[Any, ...]) -> str:
    """A row as searchable text, byte strings included."""
    values = (bytes(value).decode("latin-1") if is_binary(value) else str(value) for value in row)
    return " | ".join(values)


def is_binary(value: object) -> bool:
    return isinstance(value, bytes | bytearray | memoryview)
