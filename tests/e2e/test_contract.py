"""A client of the released contract works with the current one."""

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node import CONTRACT, NodeProject
from processes import REPOSITORY

pytestmark = pytest.mark.once

RELEASED = CONTRACT.with_name("released.json")
SEVERITY_LEVELS = CONTRACT.with_name("severity-levels.txt")

Document = dict[str, Any]
Change = Callable[[Document], object]


@pytest.fixture(scope="module")
def oasdiff() -> Path:
    project = NodeProject(REPOSITORY / "tests/contract")
    return project.directory / "node_modules/.bin/oasdiff"


@pytest.fixture
def released() -> Document:
    return json.loads(RELEASED.read_text())


def findings(oasdiff: Path, present: Path) -> list[str]:
    """The breaking changes: oasdiff's name and the place of each."""
    finished = subprocess.run(
        [
            *(oasdiff, "breaking", RELEASED, present, "--format", "json"),
            *("--severity-levels", SEVERITY_LEVELS, "--fail-on", "WARN"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode in (0, 1), finished.stderr
    found = json.loads(finished.stdout or "[]")
    assert (finished.returncode == 1) == bool(found), finished.stdout
    return [f"{it['id']}: {it.get('operationId', '')}: {it['text']}" for it in found]


def test_contract_has_no_breaking_changes(oasdiff: Path) -> None:
    assert findings(oasdiff, CONTRACT) == [], "see openapi/README.md"


def operation(document: Document, name: str) -> Document:
    (found,) = (
        operation
        for methods in document["paths"].values()
        for operation in methods.values()
        if operation["operationId"] == name
    )
    return found


def schema(document: Document, name: str) -> Document:
    return document["components"]["schemas"][name]


def member(document: Document, path: str) -> Document:
    name, _, of = path.partition(".")
    return schema(document, name)["properties"][of]


BREAKING: dict[str, tuple[Change, str]] = {
    "a path is gone": (
        lambda it: it["paths"].pop("/api/auth/me"),
        "api-path-removed-without-deprecation",
    ),
    "a path is another": (
        lambda it: it["paths"].update({"/api/me": it["paths"].pop("/api/auth/me")}),
        "api-path-removed-without-deprecation",
    ),
    "a method is another": (
        lambda it: it["paths"]["/api/auth/logout"].update(
            put=it["paths"]["/api/auth/logout"].pop("post")
        ),
        "api-removed-without-deprecation",
    ),
    "an operation has another name": (
        lambda it: operation(it, "logIn").update(operationId="login"),
        "api-operation-id-removed",
    ),
    "an operation is in another group": (
        lambda it: operation(it, "refresh").update(tags=["Tokens"]),
        "api-tag-removed",
    ),
    "success has another status": (
        lambda it: operation(it, "signUp")["responses"].update(
            {"200": operation(it, "signUp")["responses"].pop("201")}
        ),
        "response-success-status-removed",
    ),
    "an error has another status": (
        lambda it: operation(it, "signUp")["responses"].update(
            {"422": operation(it, "signUp")["responses"].pop("409")}
        ),
        "response-non-success-status-removed",
    ),
    "a login is needed": (
        lambda it: operation(it, "refresh").update(security=[{"LoggedIn": []}]),
        "api-security-added",
    ),
    "a member of an answer is gone": (
        lambda it: schema(it, "AuthTokens")["properties"].pop("token")
        and schema(it, "AuthTokens")["required"].remove("token"),
        "response-required-property-removed",
    ),
    "a member of an answer may be missing": (
        lambda it: schema(it, "AuthTokens")["required"].remove("refresh_token"),
        "response-property-became-optional",
    ),
    "a member of an answer may be null": (
        lambda it: member(it, "AuthTokens.email").update(nullable=True),
        "response-property-became-nullable",
    ),
    "a member of an answer has another type": (
        lambda it: member(it, "AuthTokens.expires_in").update(type="string"),
        "response-property-type-changed",
    ),
    "a member of an answer has another format": (
        lambda it: member(it, "Account.user_id").pop("format"),
        "response-property-type-changed",
    ),
    "an optional member of an answer is gone": (
        lambda it: schema(it, "ErrorBody")["properties"].pop("fields"),
        "response-optional-property-removed",
    ),
    "a request must bring more": (
        lambda it: schema(it, "SignUpBody")["properties"].update(name={"type": "string"})
        or schema(it, "SignUpBody")["required"].append("name"),
        "new-required-request-property",
    ),
    "a member of a request is gone": (
        lambda it: schema(it, "ResetBody")["properties"].pop("token")
        and schema(it, "ResetBody")["required"].remove("token"),
        "request-property-removed",
    ),
    "a request may be less long": (
        lambda it: member(it, "SignUpBody.email").update(maxLength=100),
        "request-property-max-length-decreased",
    ),
    "a request must be longer": (
        lambda it: member(it, "SignUpBody.password").update(minLength=15),
        "request-property-min-length-increased",
    ),
    "a request has to look different": (
        lambda it: member(it, "ResetBody.new_password").update(pattern="^[a-z]+$"),
        "request-property-pattern-changed",
    ),
    "a request has fewer values": (
        lambda it: member(it, "RefreshBody.refresh_token").update(enum=["one"]),
        "request-property-became-enum",
    ),
    "a request has another type": (
        lambda it: member(it, "LogInBody.password").update(type="integer"),
        "request-property-type-changed",
    ),
}

HARMLESS: dict[str, Change] = {
    "another path": lambda it: it["paths"].update(
        {"/api/auth/other": {"get": {**it["paths"]["/api/auth/me"]["get"], "operationId": "other"}}}
    ),
    "another status": lambda it: operation(it, "logOut")["responses"].update(
        {"409": operation(it, "logOut")["responses"]["401"]}
    ),
    "another member of an answer": lambda it: schema(it, "Account")["properties"].update(
        shoe_size={"type": "string"}
    ),
    "another optional member of a request": lambda it: schema(it, "SignUpBody")[
        "properties"
    ].update(name={"type": "string"}),
    "a longer request": lambda it: member(it, "LogInBody.password").update(maxLength=1024),
    "a member that is advised against": lambda it: member(it, "AuthTokens.email").update(
        deprecated=True
    ),
    "other words": lambda it: operation(it, "logIn").update(summary="Come in."),
}


@pytest.mark.parametrize("name", BREAKING)
def test_breaking_change_is_detected(
    oasdiff: Path, released: Document, tmp_path: Path, name: str
) -> None:
    change, expected = BREAKING[name]

    found = findings(oasdiff, changed(released, change, tmp_path))

    assert expected in {finding.partition(":")[0] for finding in found}


@pytest.mark.parametrize("name", HARMLESS)
def test_compatible_change_passes(
    oasdiff: Path, released: Document, tmp_path: Path, name: str
) -> None:
    assert findings(oasdiff, changed(released, HARMLESS[name], tmp_path)) == []


def changed(document: Document, change: Change, directory: Path) -> Path:
    present = copy.deepcopy(document)
    change(present)
    assert present != document
    path = directory / "present.json"
    path.write_text(json.dumps(present))
    return path
