"""Tasks in SQLite. Every statement contains the owner, so none can access another user's rows."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

SCHEMA = """
CREATE TABLE IF NOT EXISTS task (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id     TEXT NOT NULL,
    title       TEXT NOT NULL,
    description TEXT NOT NULL,
    completed   INTEGER NOT NULL,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS task_user_id_idx ON task (user_id);
"""


class TaskDraft(BaseModel):
    """The body of a request that creates or replaces a task."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    description: Annotated[str, StringConstraints(max_length=1000)] = ""
    completed: bool = False


class Task(BaseModel):
    """A task in responses."""

    id: int
    user_id: str
    title: str
    description: str
    completed: bool
    created_at: datetime
    updated_at: datetime


class TaskStore:
    """The table `task`. Each call opens a connection, since calls come from several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._connection() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(SCHEMA)

    def list(self, user_id: str) -> list[Task]:
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT * FROM task WHERE user_id = ? ORDER BY id", (user_id,)
            )
            return [Task(**row) for row in rows]

    def find(self, user_id: str, task_id: int) -> Task | None:
        return self._one("SELECT * FROM task WHERE user_id = ? AND id = ?", user_id, task_id)

    def create(self, user_id: str, draft: TaskDraft) -> Task:
        now = _now()
        created = self._one(
            "INSERT INTO task (user_id, title, description, completed, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?, ?) RETURNING *",
            user_id,
            draft.title,
            draft.description,
            draft.completed,
            now,
            now,
        )
        assert created is not None, "an INSERT must return its row"
        return created

    def replace(self, user_id: str, task_id: int, draft: TaskDraft) -> Task | None:
        return self._one(
            "UPDATE task SET title = ?, description = ?, completed = ?, updated_at = ?"
            " WHERE user_id = ? AND id = ? RETURNING *",
            draft.title,
            draft.description,
            draft.completed,
            _now(),
            user_id,
            task_id,
        )

    def toggle(self, user_id: str, task_id: int) -> Task | None:
        return self._one(
            "UPDATE task SET completed = 1 - completed, updated_at = ?"
            " WHERE user_id = ? AND id = ? RETURNING *",
            _now(),
            user_id,
            task_id,
        )

    def delete(self, user_id: str, task_id: int) -> Task | None:
        return self._one(
            "DELETE FROM task WHERE user_id = ? AND id = ? RETURNING *", user_id, task_id
        )

    def _one(self, statement: str, *values: object) -> Task | None:
        with self._connection() as connection:
            row = connection.execute(statement, values).fetchone()
            return None if row is None else Task(**row)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path)
        connection.row_factory = sqlite3.Row
        try:
            with connection:  # commits, or rolls back if the block raises
                yield connection
        finally:
            connection.close()


@lru_cache(maxsize=1)
def store() -> TaskStore:
    """The store of this process."""
    return TaskStore(Path(os.environ.get("TASKS_DATABASE", "tasks.db")))


def _now() -> str:
    return datetime.now(UTC).isoformat()
