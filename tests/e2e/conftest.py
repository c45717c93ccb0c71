"""Fixtures that start the processes of a test and stop them after it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from databases import Database, fresh_database
from own_issuer import Issuer
from processes import ProcessKiller, Signet, TaskApi
from deployment import Deployment, start_deployment


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = fresh_database(tmp_path)
    yield database
    database.drop()


@pytest.fixture
def kill_after_test(database: Database) -> Iterator[ProcessKiller]:
    with ExitStack() as stack:
        yield ProcessKiller(stack)


@pytest.fixture(scope="module")
def kill_after_module() -> Iterator[ProcessKiller]:
    with ExitStack() as stack:
        yield ProcessKiller(stack)


@pytest.fixture
def signet(tmp_path: Path, database: Database, kill_after_test: ProcessKiller) -> Signet:
    """Signet with default settings, not started."""
    return kill_after_test(Signet(tmp_path, database))


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def task_api_kind() -> type[TaskApi]:
    """The task API under test. A module whose tests apply to every task API sets
    `task_api_kind = every_task_api`."""
    return TaskApi


@pytest.fixture
def deployment(
    tmp_path: Path, database: Database, kill_after_test: ProcessKiller, task_api_kind: type[TaskApi]
) -> Iterator[Deployment]:
    """Signet and a task API that accesses it through a recording proxy."""
    with start_deployment(tmp_path, database, kill_after_test, task_api_kind) as deployment:
        yield deployment
