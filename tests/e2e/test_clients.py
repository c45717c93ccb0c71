"""Clients generated from the OpenAPI document call every operation of an account's lifecycle.

`tests/clients` contains the calling program in each language. The generated code must pass the type
checks of its language first, and all programs must get the same responses.
"""

import json
import os
from pathlib import Path

import pytest

from clients import PASSWORD, random_email
from node import CONTRACT, NodeProject, run
from openapi_generator import run_go_client, run_java_client, without_go, without_java
from processes import REPOSITORY, Signet

pytestmark = pytest.mark.once

CLIENTS = REPOSITORY / "tests/clients"

# The expected calls in order: operation, status, error code.
EXPECTED_CALLS = """\
signUp 201
signUp 409 EMAIL_EXISTS
signUp 400 VALIDATION_ERROR
logIn 401 AUTH_FAILED
logIn 200
getMe 200
getMe 401 UNAUTHORIZED
refresh 200
resetPassword 400 INVALID_RESET_TOKEN
requestPasswordReset 404 MAIL_OFF
resetPasswordByCode 404 MAIL_OFF
changeEmail 404 MAIL_OFF
requestEmailVerification 404 MAIL_OFF
verifyEmail 404 MAIL_OFF
verifyEmailByCode 404 MAIL_OFF
updateMe 200
updateMe 400 VALIDATION_ERROR
listSessions 200
endSession 204
endSession 404 NOT_FOUND
endOtherSessions 204
listConsents 200
withdrawConsent 404 NOT_FOUND
downloadMyData 401 AUTH_FAILED
downloadMyData 200
changePassword 401 AUTH_FAILED
changePassword 204
logOut 200
getMe 401 UNAUTHORIZED
refresh 401 INVALID_REFRESH_TOKEN
logIn 200
deleteMe 204
"""

# Operations that the programs do not call yet. This set may only shrink.
UNCALLED_OPERATIONS: set[str] = set()


def test_generated_clients_call_every_operation() -> None:
    operations = {
        operation["operationId"]
        for methods in json.loads(CONTRACT.read_text())["paths"].values()
        for operation in methods.values()
    }

    assert (
        operations - {line.split()[0] for line in EXPECTED_CALLS.splitlines()}
        == UNCALLED_OPERATIONS
    )


def test_generated_typescript_client(signet: Signet) -> None:
    project = NodeProject(CLIENTS / "typescript")
    project.bin("openapi-typescript", CONTRACT, "--output", "signet.d.ts")
    project.bin("tsc")

    assert project.run("node", "built/lifecycle.js", *arguments(signet)) == EXPECTED_CALLS


def test_generated_python_client(signet: Signet, tmp_path: Path) -> None:
    program = CLIENTS / "python/lifecycle.py"
    generated = str(tmp_path / "generated")
    generate = ("generate", "--path", CONTRACT, "--output-path", generated)
    run("openapi-python-client", *generate, cwd=tmp_path)
    run("mypy", "--strict", "--cache-dir", "mypy", program, cwd=tmp_path, MYPYPATH=generated)

    printed = run("python", program, *arguments(signet), cwd=tmp_path, PYTHONPATH=generated)

    assert printed == EXPECTED_CALLS


def test_generated_rust_client(signet: Signet) -> None:
    # The build script generates the client.
    manifest = ("--manifest-path", CLIENTS / "rust/Cargo.toml")
    cargo = ("cargo", "run", "--quiet", "--locked", *manifest, "--", *arguments(signet))
    target = os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")

    printed = run(*cargo, cwd=REPOSITORY, CARGO_TARGET_DIR=str(Path(target) / "clients"))

    assert printed == EXPECTED_CALLS


@without_java
def test_generated_java_client(signet: Signet) -> None:
    assert run_java_client(*arguments(signet)) == EXPECTED_CALLS


@without_go
def test_generated_go_client(signet: Signet) -> None:
    assert run_go_client(*arguments(signet)) == EXPECTED_CALLS


def arguments(signet: Signet) -> tuple[str, str, str]:
    # The three sign-ups with one address do not exceed the limit of five a minute.
    return signet.start().url, random_email(), PASSWORD
