"""Clients generated from the contract run through the life of an account.

`tests/clients` contains that program in each language. The generated code must pass the language's
own checks first, and all must get the same responses.
"""

import json
import os
from pathlib import Path

import pytest

from clients import PASSWORD, some_email
from node import CONTRACT, NodeProject, run
from openapi_generator import live_in_go, live_in_java, without_go, without_java
from processes import REPOSITORY, Signet

pytestmark = pytest.mark.once

CLIENTS = REPOSITORY / "tests/clients"

# The calls, in this order: operation, status, error code.
LIFE = """\
signUp 201
signUp 409 EMAIL_EXISTS
signUp 400 VALIDATION_ERROR
logIn 401 AUTH_FAILED
logIn 200
getMe 200
getMe 401 UNAUTHORIZED
refresh 200
resetPassword 400 INVALID_RESET_TOKEN
updateMe 200
updateMe 400 VALIDATION_ERROR
listSessions 200
endSession 204
endSession 404 NOT_FOUND
endOtherSessions 204
listConsents 200
withdrawConsent 404 NOT_FOUND
changePassword 401 AUTH_FAILED
changePassword 204
logOut 200
getMe 401 UNAUTHORIZED
refresh 401 INVALID_REFRESH_TOKEN
logIn 200
deleteMe 204
"""

# Operations that no program calls yet. This set may only shrink.
NOT_LIVED: set[str] = set()


def test_generated_clients_call_every_operation() -> None:
    operations = {
        operation["operationId"]
        for methods in json.loads(CONTRACT.read_text())["paths"].values()
        for operation in methods.values()
    }

    assert operations - {line.split()[0] for line in LIFE.splitlines()} == NOT_LIVED


def test_generated_typescript_client(signet: Signet) -> None:
    project = NodeProject(CLIENTS / "typescript")
    project.bin("openapi-typescript", CONTRACT, "--output", "signet.d.ts")
    project.bin("tsc")

    assert project.run("node", "built/life.js", *arguments(signet)) == LIFE


def test_generated_python_client(signet: Signet, tmp_path: Path) -> None:
    life = CLIENTS / "python/life.py"
    made = str(tmp_path / "made")
    generate = ("generate", "--path", CONTRACT, "--output-path", made)
    run("openapi-python-client", *generate, cwd=tmp_path)
    run("mypy", "--strict", "--cache-dir", "mypy", life, cwd=tmp_path, MYPYPATH=made)

    lived = run("python", life, *arguments(signet), cwd=tmp_path, PYTHONPATH=made)

    assert lived == LIFE


def test_generated_rust_client(signet: Signet) -> None:
    # Progenitor's macro generates the client at compile time.
    manifest = ("--manifest-path", CLIENTS / "rust/Cargo.toml")
    cargo = ("cargo", "run", "--quiet", "--locked", *manifest, "--", *arguments(signet))
    target = os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")

    lived = run(*cargo, cwd=REPOSITORY, CARGO_TARGET_DIR=str(Path(target) / "clients"))

    assert lived == LIFE


@without_java
def test_a_java_client(signet: Signet) -> None:
    assert live_in_java(*arguments(signet)) == LIFE


@without_go
def test_a_go_client(signet: Signet) -> None:
    assert live_in_go(*arguments(signet)) == LIFE


def arguments(signet: Signet) -> tuple[str, str, str]:
    # Three sign-ups with one address are within the limit of five a minute.
    return signet.start().url, some_email(), PASSWORD
