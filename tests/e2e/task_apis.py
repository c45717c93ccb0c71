"""A fixture for tests that apply to the task APIs in Python and in Go.

A module with `task_api_kind = every_task_api` runs its tests with both.
"""

import os

import pytest

from processes import GoTaskApi, TaskApi

needs_go = pytest.mark.skipif("E2E_WITHOUT_GO" in os.environ, reason="E2E_WITHOUT_GO is set")


@pytest.fixture(params=[TaskApi, pytest.param(GoTaskApi, marks=needs_go)])
def every_task_api(request: pytest.FixtureRequest) -> type[TaskApi]:
    kind: type[TaskApi] = request.param
    return kind
