"""Fixtures that start what a test needs, and stop it at the end."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from databases import Database, fresh_database
from own_issuer import Issuer
from processes import Owner, Signet, TaskApi
from stage import Stage, on_stage


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = fresh_database(tmp_path)
    yield database
    database.drop()


@pytest.fixture
def owned(database: Database) -> Iterator[Owner]:
    with ExitStack() as stack:
        yield Owner(stack)


@pytest.fixture(scope="module")
def owned_by_module() -> Iterator[Owner]:
    with ExitStack() as stack:
        yield Owner(stack)


@pytest.fixture
def signet(tmp_path: Path, database: Database, owned: Owner) -> Signet:
    """Signet with default settings, not started."""
    return owned(Signet(tmp_path, database))


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def task_api_kind() -> type[TaskApi]:
    """The task API under test: set `every_task_api` in a module whose tests apply to all."""
    return TaskApi


@pytest.fixture
def stage(
    tmp_path: Path, database: Database, owned: Owner, task_api_kind: type[TaskApi]
) -> Iterator[Stage]:
    """Signet, and a task API that accesses it through a recording proxy."""
    with on_stage(tmp_path, database, owned, task_api_kind) as stage:
        yield stage
