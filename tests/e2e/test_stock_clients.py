"""Clients as they are on the shelf run whole flows against a live Signet.

`tests/clients/stock` holds the same flows on each library. What a library checks by itself is the test:
metadata, ID tokens, answers and errors have to pass it as they are. All print the same list of steps.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients import PASSWORD, SignetClient, some_email
from node import NodeProject
from person import Person
from processes import REPOSITORY, Signet
from stock import METHODS, accompany, arrange

pytestmark = pytest.mark.once

STOCK = REPOSITORY / "tests/clients/stock"


def steps(email: str, left_out: frozenset[str] = frozenset()) -> str:
    """What a program prints for all methods of authentication: method, step, outcome."""
    return "".join(
        f"{method} {step}\n"
        for method in METHODS
        for step in steps_of(method, email)
        if step.split()[0] not in left_out
    )


def steps_of(method: str, email: str) -> Iterator[str]:
    yield "denied access_denied"
    yield "logged_in"
    yield f"userinfo {email}"
    yield "refreshed"
    if method != "none":
        yield "introspected active"
    yield "revoked"
    yield "refreshed invalid_grant"
    if method != "none":
        yield "introspected inactive"
        yield "client_credentials"
    yield "logged_out"


@pytest.fixture
def person(signet: Signet) -> Person:
    """Somebody with an account and a name, at a browser."""
    email = some_email()
    with SignetClient(signet.start().url) as front_end:
        token = front_end.sign_up(email).json()["access_token"]
        named = front_end.patch("/api/auth/me", {"name": "Ada Lovelace"}, bearer=token)
        assert named.status_code == 200, named.text
    return Person(email, PASSWORD, [signet.url])


@pytest.mark.parametrize("library", ["openid-client", "oauth4webapi"])
def test_npm(library: str, signet: Signet, person: Person, tmp_path: Path) -> None:
    project = NodeProject(STOCK / "typescript")
    project.bin("tsc")
    arrangement = json.dumps(arrange(signet, tmp_path))
    program = project.directory / f"built/{library}.js"

    printed = accompany(person, ["node", program, arrangement], tmp_path)

    assert printed == steps(person.email)


def test_authlib(signet: Signet, person: Person, tmp_path: Path) -> None:
    arrangement = json.dumps(arrange(signet, tmp_path))

    printed = accompany(person, ["python", STOCK / "python/flow.py", arrangement], tmp_path)

    assert printed == steps(person.email)
