"""Unmodified client libraries run complete flows with a running Signet.

`tests/clients/stock` contains the same flows for each library. The libraries themselves check
metadata, ID tokens, responses and errors. All programs print the same list of steps.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from apache import Apache
from clients import PASSWORD, SignetClient, random_email
from node import NodeProject, run
from person import Person
from processes import REPOSITORY, ProcessKiller, Signet
from stock import METHODS, register_stock_clients, run_with_browser

pytestmark = pytest.mark.once

STOCK = REPOSITORY / "tests/clients/stock"


def steps(email: str, methods: Iterable[str] = METHODS) -> str:
    """The expected output of a program for these authentication methods: method, step, outcome."""
    return "".join(f"{method} {step}\n" for method in methods for step in steps_of(method, email))


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
    """A user with an account, a name and a browser."""
    email = random_email()
    with SignetClient(signet.start().url) as front_end:
        token = front_end.sign_up(email).json()["access_token"]
        updated = front_end.patch("/api/auth/me", {"name": "Ada Lovelace"}, bearer=token)
        assert updated.status_code == 200, updated.text
    return Person(email, PASSWORD, signet.url)


@pytest.mark.parametrize("library", ["openid-client", "oauth4webapi"])
def test_npm_libraries(library: str, signet: Signet, person: Person, tmp_path: Path) -> None:
    project = NodeProject(STOCK / "typescript")
    project.bin("tsc")
    parameters = json.dumps(register_stock_clients(signet, tmp_path))
    program = project.directory / f"built/{library}.js"

    printed = run_with_browser(person, ["node", program, parameters], tmp_path)

    assert printed == steps(person.email)
    assert person.logins == len(METHODS)  # each logout took effect


def test_authlib(signet: Signet, person: Person, tmp_path: Path) -> None:
    parameters = json.dumps(register_stock_clients(signet, tmp_path))

    printed = run_with_browser(person, ["python", STOCK / "python/flow.py", parameters], tmp_path)

    assert printed == steps(person.email)
    assert person.logins == len(METHODS)


def test_openidconnect(signet: Signet, person: Person, tmp_path: Path) -> None:
    manifest = ("--manifest-path", STOCK / "rust/Cargo.toml")
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "clients"
    build = ("cargo", "build", "--quiet", "--locked", *manifest)
    run(*build, cwd=REPOSITORY, CARGO_TARGET_DIR=str(target))
    parameters = json.dumps(register_stock_clients(signet, tmp_path))

    printed = run_with_browser(person, [target / "debug/stock-client", parameters], tmp_path)

    # This library does not support private_key_jwt.
    methods = [method for method in METHODS if method != "private_key_jwt"]
    assert printed == steps(person.email, methods)
    assert person.logins == len(methods)


@pytest.mark.parametrize(
    ("method", "response_mode"),
    [
        ("client_secret_basic", "query"),
        ("client_secret_post", "form_post"),
        ("private_key_jwt", "query"),
        ("none", "form_post"),
    ],
)
def test_mod_auth_openidc(
    method: str,
    response_mode: str,
    signet: Signet,
    person: Person,
    kill_after_test: ProcessKiller,
    tmp_path: Path,
) -> None:
    signet.restart(SIGNET_LOGOUT_PRIVATE_NETWORKS="true")
    apache = kill_after_test(Apache(tmp_path, signet, method, response_mode)).start()
    page, data = f"{apache.url}/private/page.html", f"{apache.url}/private/data"
    person.origins.append(apache.url)
    assert person.visit(data).status == 401
    denied = person.visit(page, "deny")
    # The module of Debian 12 misinterprets an error with `iss` (RFC 9207) in a query.
    assert response_mode == "query" or "access_denied" in denied.text
    assert person.visit(data).status == 401

    page_view = person.visit(page)

    assert (page_view.url, page_view.status, person.logins) == (page, 200, 1)
    assert f"user: {person.email}<" in page_view.text
    assert "name: Ada Lovelace<" in page_view.text
    assert f"issuer: {signet.issuer}<" in page_view.text

    # The module refreshes the token on request.
    before = session_at(apache, person)
    query = urlencode({"refresh": page, "access_token": before["access_token"]})
    assert person.visit(f"{apache.callback}?{query}").url == page
    after = session_at(apache, person)
    assert after["access_token"] != before["access_token"]
    assert after["userinfo"]["email"] == person.email

    # A logout at Apache is also a logout at Signet, so the next visit requires a login.
    bye = f"{apache.url}/bye.html"
    assert person.visit(f"{apache.callback}?{urlencode({'logout': bye})}").url == bye
    assert person.visit(data).status == 401
    assert person.visit(page).status == 200
    assert person.logins == 2

    # A logout at Signet is also a logout at Apache, by a logout token.
    assert person.visit(data).status == 200
    assert "You are logged out" in person.visit(f"{signet.url}/logout").text
    deadline = time.monotonic() + 15
    while person.visit(data).status != 401:
        assert time.monotonic() < deadline, f"still logged in:\n{apache.output}"
        time.sleep(0.1)


def session_at(apache: Apache, person: Person) -> dict[str, Any]:
    session: dict[str, Any] = json.loads(person.visit(f"{apache.callback}?info=json").text)
    return session
