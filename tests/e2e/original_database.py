"""The database of the original application: its table of users, with hashes made by passlib."""

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

from passlib.hash import bcrypt

from databases import Database, PostgresDatabase, fresh_database

ROUNDS = 4
"""The lowest cost of bcrypt, so that the tests are fast."""


def create_original(directory: Path) -> Database:
    """An empty table of users, in a database of the same kind as Signet's."""
    database = fresh_database(directory)
    postgres = isinstance(database, PostgresDatabase)
    create = f"""
        CREATE TABLE users (
            id {"UUID" if postgres else "CHAR(32)"} NOT NULL PRIMARY KEY,
            email VARCHAR(255) NOT NULL UNIQUE,
            hashed_password VARCHAR(255) NOT NULL,
            created_at {"TIMESTAMP WITH TIME ZONE" if postgres else "DATETIME"},
            last_login {"TIMESTAMP WITH TIME ZONE" if postgres else "DATETIME"}
        )"""
    if not postgres:
        with closing(sqlite3.connect(database.path)) as connection:
            connection.execute(create)
    else:
        database.execute(create)
    return database


def password_of(number: int) -> str:
    return f"Pässword-{number}"


def email_of(number: int) -> str:
    return f"User{number}@Example.test"


def add_users(database: Database, numbers: range) -> dict[int, str]:
    """Adds users with the passwords of `password_of`. Returns their ids."""
    ids = {}
    for number in numbers:
        ids[number] = str(uuid.uuid4())
        id_text = ids[number] if isinstance(database, PostgresDatabase) else ids[number].replace("-", "")
        add_user(database, id_text, email_of(number), bcrypt.using(rounds=ROUNDS).hash(password_of(number)))
    return ids


def add_user(database: Database, user_id: str, email: str, password_hash: str) -> None:
    database.execute(
        "INSERT INTO users VALUES (?, ?, ?, '2026-01-14 10:00:00.123456', NULL)",
        user_id,
        email,
        password_hash,
    )
