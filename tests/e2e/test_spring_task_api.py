"""The task API in Spring Boot responds to tokens and bodies as the Python one does."""

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from clients import SignetClient, Tokens, random_email
from databases import fresh_database
from forgery import forgeries
from own_issuer import ABSENT, AUDIENCE, USER, Issuer
from processes import ProcessKiller, Signet
from spring_task_api import SpringTaskApi
from test_task_api import Service

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(
        bool(os.environ.get("E2E_WITHOUT_JAVA")), reason="scripts/test --without-java"
    ),
]

STATUS_TTL = 3


@pytest.fixture(scope="module")
def module_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spring-task-api")


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """One issuer for all tests, so that the JVM starts only once."""
    with Issuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def process(
    module_directory: Path, issuer: Issuer, kill_after_module: ProcessKiller
) -> SpringTaskApi:
    settings = {"TOKEN_LEEWAY_SECONDS": "0"}
    return kill_after_module(
        SpringTaskApi(module_directory, issuer.url, AUDIENCE, **settings)
    ).start()


@pytest.fixture(scope="module")
def service(process: SpringTaskApi) -> Service:
    return Service(process)


def test_each_token_rule_is_enforced_separately(service: Service, issuer: Issuer) -> None:
    accepted, refused = issuer.valid_tokens(), issuer.invalid_tokens()

    assert {name: service.status(token) for name, token in accepted.items()} == dict.fromkeys(
        accepted, 200
    )
    assert {name: service.status(token) for name, token in refused.items()} == dict.fromkeys(
        refused, 401
    )
    assert issuer.fetches == 1


def test_forged_tokens_are_rejected(service: Service, issuer: Issuer) -> None:
    victim = str(uuid.uuid4())
    forged = forgeries(issuer.token(), victim, issuer.jwks)

    for name, token in forged.items():
        # Tomcat rejects headers over 8 KiB.
        expected = 400 if name == "very long" else 401
        assert service.status(token, victim) == expected, name


def test_only_the_owner_has_access(service: Service, issuer: Issuer) -> None:
    service_token = issuer.token(sub="reporting", client_id="reporting", user_id=ABSENT)

    assert service.status(issuer.token()) == 200
    assert service.status(issuer.token(), str(uuid.uuid4())) == 403
    assert service.status(issuer.token(), USER.upper()) == 403
    assert service.status(service_token, "reporting") == 403
    assert service.status(service_token, "null") == 403
    assert service.status(None) == 401
    assert service.call(None, method="POST", json={"title": "x"}).status_code == 401


def test_errors_use_the_envelope_and_a_bearer_challenge(service: Service, issuer: Issuer) -> None:
    for answer in (service.call(None), service.call("abc"), service.call(issuer.token(exp=1))):
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        body = answer.json()
        assert set(body["error"]) == {"code", "message", "details"}
        assert body["meta"]["request_id"] == answer.headers["X-Request-Id"]
    foreign = service.call(issuer.token(), str(uuid.uuid4()))
    assert foreign.json()["error"]["code"] == "FORBIDDEN"
    assert "WWW-Authenticate" not in foreign.headers


def test_cors_allows_the_origin_of_the_front_end(service: Service, process: SpringTaskApi) -> None:
    headers = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "PATCH"}
    answer = httpx.options(f"{process.url}/api/{USER}/tasks", headers=headers)

    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    refused = httpx.get(f"{process.url}/api/{USER}/tasks", headers=headers)
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


def test_ended_session_is_rejected_with_the_next_list(service: Service, issuer: Issuer) -> None:
    ended, active = (issuer.token(status=issuer.status_at(index)) for index in (7, 8))
    assert [service.status(token) for token in (ended, active, ended)] == [200] * 3

    issuer.ended.add(7)
    time.sleep(1.1)

    assert [service.status(token) for token in (ended, active, ended)] == [401, 200, 401]


def test_unavailable_list_leaves_the_token_status_unknown(service: Service, issuer: Issuer) -> None:
    unavailable = {"status_list": {"idx": 1, "uri": f"{issuer.url}/status/\\"}}

    answer = service.call(issuer.token(status=unavailable))

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["error"]["code"] == "TEMPORARILY_UNAVAILABLE"


def test_log_contains_the_reason_and_no_token(
    service: Service, process: SpringTaskApi, issuer: Issuer
) -> None:
    token = issuer.token(exp=1)

    assert service.status(token) == 401

    assert "token not accepted: expired" in process.output
    assert not any(part in process.output for part in token.split("."))


def test_service_starts_without_the_issuer_and_recovers(
    module_directory: Path, issuer: Issuer, kill_after_module: ProcessKiller
) -> None:
    issuer.up = False
    try:
        late = module_directory / "late"
        late.mkdir()
        process = kill_after_module(SpringTaskApi(late, issuer.url, AUDIENCE)).start()
        answer = Service(process).call(issuer.token())
    finally:
        issuer.up = True
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    time.sleep(1.1)

    assert Service(process).status(issuer.token()) == 200
    process.kill()


def test_task_lifecycle(service: Service, issuer: Issuer) -> None:
    user = str(uuid.uuid4())
    token = issuer.token(sub=user, user_id=user)
    created = service.call(token, user, "POST", json={"title": " Water the plants "})
    assert created.status_code == 201, created.text
    task = created.json()
    assert task["title"] == "Water the plants"
    assert (task["description"], task["completed"], task["user_id"]) == ("", False, user)
    path = f"/{task['id']}"

    assert service.call(token, user, path=path).json() == task
    toggled = service.call(token, user, "PATCH", f"{path}/complete").json()
    assert toggled["completed"] is True
    assert toggled["updated_at"] > task["updated_at"]
    assert toggled["created_at"] == task["created_at"]
    draft = {"title": "Rest", "description": "Properly", "completed": False}
    replaced = service.call(token, user, "PUT", path, json=draft).json()
    assert {name: replaced[name] for name in draft} == draft
    assert service.call(token, user).json() == [replaced]

    # Another user with the same task id finds nothing.
    for method in ("GET", "PUT", "DELETE"):
        body = draft if method == "PUT" else None
        answer = service.call(issuer.token(), USER, method, path, json=body)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "NOT_FOUND"
    assert service.call(issuer.token(), USER, "PATCH", f"{path}/complete").status_code == 404

    assert service.call(token, user, "DELETE", path).status_code == 204
    assert service.call(token, user, path=path).status_code == 404
    assert service.call(token, user).json() == []


def test_invalid_draft_is_rejected(service: Service, issuer: Issuer) -> None:
    drafts: list[object] = [
        {},
        {"title": ""},
        {"title": "   "},
        {"title": "x" * 201},
        {"title": "x", "description": "y" * 1001},
        {"title": "x", "completed": "perhaps"},
        {"title": "x", "user_id": "somebody else"},
        {"title": ["x"]},
        [],
    ]
    for draft in drafts:
        answer = service.call(issuer.token(), method="POST", json=draft)
        assert answer.status_code == 400, draft
        assert answer.json()["error"]["code"] == "VALIDATION_ERROR"

    assert service.call(issuer.token()).json() == []


def test_values_at_the_limits_are_accepted(service: Service, issuer: Issuer) -> None:
    user = str(uuid.uuid4())
    token = issuer.token(sub=user, user_id=user)
    draft = {"title": "é" * 200, "description": "z" * 1000, "completed": True}

    assert service.call(token, user, "POST", json=draft).status_code == 201
    for task_id in ("0", "-1", str(2**63), "one", "1.5"):
        assert service.call(token, user, path=f"/{task_id}").status_code == 400


def test_session_from_sign_up_to_logout(
    module_directory: Path, kill_after_module: ProcessKiller
) -> None:
    """The tokens are Signet's, and not those of the test issuer."""
    directory = module_directory / "signet"
    directory.mkdir()
    settings = {"SIGNET_STATUS_TTL_SECONDS": str(STATUS_TTL)}
    signet = kill_after_module(Signet(directory, fresh_database(directory), **settings)).start()
    process = kill_after_module(SpringTaskApi(directory, signet.issuer, signet.audience)).start()
    service = Service(process)
    with SignetClient(signet.url) as front_end:
        ada, bob = (Tokens.of(front_end.sign_up(random_email()), 201) for _ in range(2))
        created = service.call(ada.access_token, ada.user_id, "POST", json={"title": "Rest"})
        assert created.status_code == 201, created.text
        assert service.status(ada.access_token, bob.user_id) == 403
        assert service.status(ada.refresh_token, ada.user_id) == 401

        assert front_end.log_out(ada.access_token).status_code == 200

    # The list contains the logout within two seconds, and is fetched once per `ttl`.
    deadline = time.monotonic() + STATUS_TTL + 2
    while service.status(ada.access_token, ada.user_id) == 200:
        assert time.monotonic() < deadline, "the logout had no effect"
        time.sleep(0.1)
    assert service.status(ada.access_token, ada.user_id) == 401
    assert service.status(bob.access_token, bob.user_id) == 200
