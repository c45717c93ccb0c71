"""Clients of the released OpenAPI document (the contract) work with the current one."""

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


def findings(oasdiff: Path, current: Path) -> list[str]:
    """The breaking changes that oasdiff finds: identifier, operation and description of each."""
    finished = subprocess.run(
        [
            *(oasdiff, "breaking", RELEASED, current, "--format", "json"),
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
    name, _, member_name = path.partition(".")
    return schema(document, name)["properties"][member_name]


BREAKING: dict[str, tuple[Change, str]] = {
    "path removed": (
        lambda it: it["paths"].pop("/api/auth/me"),
        "api-path-removed-without-deprecation",
    ),
    "path renamed": (
        lambda it: it["paths"].update({"/api/me": it["paths"].pop("/api/auth/me")}),
        "api-path-removed-without-deprecation",
    ),
    "method changed": (
        lambda it: it["paths"]["/api/auth/logout"].update(
            put=it["paths"]["/api/auth/logout"].pop("post")
        ),
        "api-removed-without-deprecation",
    ),
    "operation id changed": (
        lambda it: operation(it, "logIn").update(operationId="login"),
        "api-operation-id-removed",
    ),
    "operation in another group": (
        lambda it: operation(it, "refresh").update(tags=["Tokens"]),
        "api-tag-removed",
    ),
    "success status changed": (
        lambda it: operation(it, "signUp")["responses"].update(
            {"200": operation(it, "signUp")["responses"].pop("201")}
        ),
        "response-success-status-removed",
    ),
    "error status changed": (
        lambda it: operation(it, "signUp")["responses"].update(
            {"422": operation(it, "signUp")["responses"].pop("409")}
        ),
        "response-non-success-status-removed",
    ),
    "login required": (
        lambda it: operation(it, "refresh").update(security=[{"LoggedIn": []}]),
        "api-security-added",
    ),
    "response member removed": (
        lambda it: (
            schema(it, "AuthTokens")["properties"].pop("token")
            and schema(it, "AuthTokens")["required"].remove("token")
        ),
        "response-required-property-removed",
    ),
    "response member optional": (
        lambda it: schema(it, "AuthTokens")["required"].remove("refresh_token"),
        "response-property-became-optional",
    ),
    "response member nullable": (
        lambda it: member(it, "AuthTokens.email").update(nullable=True),
        "response-property-became-nullable",
    ),
    "type of a response member changed": (
        lambda it: member(it, "AuthTokens.expires_in").update(type="string"),
        "response-property-type-changed",
    ),
    "format of a response member removed": (
        lambda it: member(it, "Account.user_id").pop("format"),
        "response-property-type-changed",
    ),
    "optional response member removed": (
        lambda it: schema(it, "ErrorBody")["properties"].pop("fields"),
        "response-optional-property-removed",
    ),
    "new required request member": (
        lambda it: (
            schema(it, "SignUpBody")["properties"].update(name={"type": "string"})
            or schema(it, "SignUpBody")["required"].append("name")
        ),
        "new-required-request-property",
    ),
    "request member removed": (
        lambda it: (
            schema(it, "ResetBody")["properties"].pop("token")
            and schema(it, "ResetBody")["required"].remove("token")
        ),
        "request-property-removed",
    ),
    "maximum length of a request member decreased": (
        lambda it: member(it, "SignUpBody.email").update(maxLength=100),
        "request-property-max-length-decreased",
    ),
    "minimum length of a request member increased": (
        lambda it: member(it, "SignUpBody.password").update(minLength=15),
        "request-property-min-length-increased",
    ),
    "pattern of a request member changed": (
        lambda it: member(it, "ResetBody.new_password").update(pattern="^[a-z]+$"),
        "request-property-pattern-changed",
    ),
    "values of a request member restricted": (
        lambda it: member(it, "RefreshBody.refresh_token").update(enum=["one"]),
        "request-property-became-enum",
    ),
    "type of a request member changed": (
        lambda it: member(it, "LogInBody.password").update(type="integer"),
        "request-property-type-changed",
    ),
}

COMPATIBLE: dict[str, Change] = {
    "new path": lambda it: it["paths"].update(
        {"/api/auth/other": {"get": {**it["paths"]["/api/auth/me"]["get"], "operationId": "other"}}}
    ),
    "new error status": lambda it: operation(it, "logOut")["responses"].update(
        {"409": operation(it, "logOut")["responses"]["401"]}
    ),
    "new response member": lambda it: schema(it, "Account")["properties"].update(
        shoe_size={"type": "string"}
    ),
    "new optional request member": lambda it: schema(it, "SignUpBody")["properties"].update(
        name={"type": "string"}
    ),
    "maximum length of a request member increased": lambda it: member(
        it, "LogInBody.password"
    ).update(maxLength=1024),
    "response member deprecated": lambda it: member(it, "AuthTokens.email").update(deprecated=True),
    "summary changed": lambda it: operation(it, "logIn").update(summary="Come in."),
}


@pytest.mark.parametrize("name", BREAKING)
def test_breaking_change_is_detected(
    oasdiff: Path, released: Document, tmp_path: Path, name: str
) -> None:
    change, expected = BREAKING[name]

    found = findings(oasdiff, write_changed(released, change, tmp_path))

    assert expected in {finding.partition(":")[0] for finding in found}


@pytest.mark.parametrize("name", COMPATIBLE)
def test_compatible_change_passes(
    oasdiff: Path, released: Document, tmp_path: Path, name: str
) -> None:
    assert findings(oasdiff, write_changed(released, COMPATIBLE[name], tmp_path)) == []


def write_changed(document: Document, change: Change, directory: Path) -> Path:
    current = copy.deepcopy(document)
    change(current)
    assert current != document
    path = directory / "current.json"
    path.write_text(json.dumps(current))
    return path
