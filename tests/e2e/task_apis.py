"""The task API in each language that it is written in, for tests that hold for all of them.

`task_api_kind = every_task_api` in a module has its tests run with each.
"""

import os

import pytest

from processes import GoTaskApi, TaskApi

needs_go = pytest.mark.skipif("E2E_WITHOUT_GO" in os.environ, reason="E2E_WITHOUT_GO is set")


@pytest.fixture(params=[TaskApi, pytest.param(GoTaskApi, marks=needs_go)])
def every_task_api(request: pytest.FixtureRequest) -> type[TaskApi]:
    kind: type[TaskApi] = request.param
    return kind
