"""The task APIs in Python and Go, without Signet, with tokens that Signet would never sign."""

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from forgery import forgeries, sign_rs256
from own_issuer import ABSENT, AUDIENCE, USER, Issuer
from processes import ProcessKiller, TaskApi
from task_apis import every_task_api

task_api_kind = every_task_api


class Service:
    """A running task API, called by an HTTP client."""

    def __init__(self, process: TaskApi) -> None:
        self._http = httpx.Client(base_url=process.url, timeout=10)

    def call(
        self,
        token: str | None,
        user_id: str = USER,
        method: str = "GET",
        path: str = "",
        **more: Any,
    ) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self._http.request(method, f"/api/{user_id}/tasks{path}", headers=headers, **more)

    def status(self, token: str | None, user_id: str = USER) -> int:
        return self.call(token, user_id).status_code


@pytest.fixture
def kill_task_apis_after_test() -> Iterator[ProcessKiller]:
    with ExitStack() as stack:
        yield ProcessKiller(stack)


class TaskApiStarter:
    """Starts task APIs in one language."""

    def __init__(
        self, kind: type[TaskApi], directory: Path, issuer: Issuer, kill_later: ProcessKiller
    ) -> None:
        self._kind, self._directory, self._issuer, self._kill_later = (
            kind,
            directory,
            issuer,
            kill_later,
        )

    def __call__(self, **settings: str) -> Service:
        return Service(self.process(TOKEN_LEEWAY_SECONDS="0", **settings))

    def process(self, **settings: str) -> TaskApi:
        process = self._kind(self._directory, self._issuer.url, AUDIENCE, **settings)
        return self._kill_later(process).start()


@pytest.fixture
def start(
    task_api_kind: type[TaskApi],
    tmp_path: Path,
    issuer: Issuer,
    kill_task_apis_after_test: ProcessKiller,
) -> TaskApiStarter:
    return TaskApiStarter(task_api_kind, tmp_path, issuer, kill_task_apis_after_test)


@pytest.fixture
def service(start: TaskApiStarter) -> Service:
    return start()


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

    assert {name: service.status(token, victim) for name, token in forged.items()} == dict.fromkeys(
        forged, 401
    )


def test_rules_beyond_those_of_jwt_libraries_are_enforced(service: Service, issuer: Issuer) -> None:
    now = int(time.time())

    assert service.status(issuer.token(header={"typ": "application/at+jwt"})) == 200
    assert service.status(issuer.token(header={"typ": "AT+JWT"})) == 200
    # Without leeway, a token is rejected from `exp` on.
    assert service.status(issuer.token(exp=now)) == 401
    assert service.status(issuer.token(iat=now + 60)) == 401
    assert service.status(issuer.token(user_id=str(uuid.uuid4()))) == 401
    assert service.status(issuer.token(user_id=[USER])) == 401
    elsewhere = {"status_list": {"idx": 1, "uri": "https://other.example.test/status/1"}}
    assert service.status(issuer.token(status=elsewhere)) == 401
    assert service.status(issuer.token(padding="x" * 8192)) == 401


def test_only_the_owner_has_access(service: Service, issuer: Issuer) -> None:
    service_token = issuer.token(sub="reporting", client_id="reporting", user_id=ABSENT)

    assert service.status(issuer.token()) == 200
    assert service.status(issuer.token(), str(uuid.uuid4())) == 403
    assert service.status(issuer.token(), USER.upper()) == 403
    assert service.status(service_token, "reporting") == 403
    assert service.status(service_token, "None") == 403
    assert service.status(None) == 401


def test_errors_use_the_envelope_and_a_bearer_challenge(service: Service, issuer: Issuer) -> None:
    for answer in (service.call(None), service.call("abc"), service.call(issuer.token(exp=1))):
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        body = answer.json()
        assert set(body["error"]) == {"code", "message", "details"}
        assert body["meta"]["request_id"] == answer.headers["X-Request-Id"]
    assert "error" in service.call(issuer.token(), str(uuid.uuid4())).json()


def test_unknown_kids_do_not_reach_the_issuer(service: Service, issuer: Issuer) -> None:
    assert service.status(issuer.token()) == 200
    unknown_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    for number in range(50):
        header = {"alg": "RS256", "typ": "at+jwt", "kid": f"made-up-{number}"}
        assert service.status(sign_rs256(header, {"sub": USER}, unknown_key)) == 401

    assert issuer.fetches == 1
    assert service.status(issuer.token()) == 200


def test_new_key_is_fetched_after_the_cooldown(start: TaskApiStarter, issuer: Issuer) -> None:
    service = start(JWKS_COOLDOWN_SECONDS="1")
    assert service.status(issuer.token()) == 200

    issuer.add_key("second")
    assert service.status(issuer.token(kid="second")) == 401, "the cooldown has not passed"
    time.sleep(1.1)

    assert service.status(issuer.token(kid="second")) == 200
    assert service.status(issuer.token(kid="first")) == 200
    assert issuer.fetches == 2


def test_removed_key_is_rejected_after_the_next_refresh(
    start: TaskApiStarter, issuer: Issuer
) -> None:
    issuer.max_age = 1
    service = start()
    old = issuer.token(kid="first")
    assert service.status(old) == 200

    issuer.add_key("second")
    new = issuer.token(kid="second")
    del issuer.keys["first"]
    time.sleep(1.1)

    assert service.status(old) == 401
    assert service.status(new) == 200


def test_cached_keys_are_used_while_the_issuer_is_down(
    start: TaskApiStarter, issuer: Issuer
) -> None:
    issuer.max_age = 1
    service = start()
    assert service.status(issuer.token()) == 200

    issuer.up = False
    fetches = issuer.fetches
    time.sleep(1.1)

    assert [service.status(issuer.token()) for _ in range(5)] == [200] * 5
    assert issuer.fetches > fetches, "the service did not try to fetch the keys"


def test_service_starts_without_the_issuer_and_recovers(
    start: TaskApiStarter, issuer: Issuer
) -> None:
    issuer.up = False
    service = start()

    answer = service.call(issuer.token())
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    issuer.up = True
    time.sleep(1.1)

    assert service.status(issuer.token()) == 200


def test_ended_session_is_rejected_with_the_next_list(service: Service, issuer: Issuer) -> None:
    ended, active = (issuer.token(status=issuer.status_at(index)) for index in (7, 8))
    assert [service.status(token) for token in (ended, active, ended)] == [200] * 3

    issuer.ended.add(7)
    time.sleep(1.1)

    assert [service.status(token) for token in (ended, active, ended)] == [401, 200, 401]
    assert issuer.list_fetches == 2


def test_unavailable_list_leaves_the_token_status_unknown(service: Service, issuer: Issuer) -> None:
    assert service.status(issuer.token()) == 200
    issuer.up = False

    answer = service.call(issuer.token(status=issuer.status_at(7)))

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["error"]["code"] == "TEMPORARILY_UNAVAILABLE"


def test_log_contains_the_reason_and_no_token(start: TaskApiStarter, issuer: Issuer) -> None:
    process = start.process()
    service = Service(process)
    token = issuer.token(exp=1)

    assert service.status(token) == 401

    assert "token not accepted: expired" in process.output
    assert not any(part in process.output for part in token.split("."))


def test_task_lifecycle(service: Service, issuer: Issuer) -> None:
    token = issuer.token()
    created = service.call(token, method="POST", json={"title": " Water the plants "})
    assert created.status_code == 201
    task = created.json()
    assert task["title"] == "Water the plants"
    assert (task["description"], task["completed"], task["user_id"]) == ("", False, USER)
    path = f"/{task['id']}"

    assert service.call(token, path=path).json() == task
    toggled = service.call(token, method="PATCH", path=f"{path}/complete").json()
    assert toggled["completed"] is True
    assert toggled["updated_at"] > task["updated_at"]
    assert toggled["created_at"] == task["created_at"]
    draft = {"title": "Rest", "description": "Properly", "completed": False}
    replaced = service.call(token, method="PUT", path=path, json=draft).json()
    assert {name: replaced[name] for name in draft} == draft
    assert service.call(token).json() == [replaced]

    # Another user with the same task id finds nothing.
    other = str(uuid.uuid4())
    other_token = issuer.token(sub=other, user_id=other)
    for method in ("GET", "PUT", "DELETE"):
        answer = service.call(
            other_token, other, method, path, json=draft if method == "PUT" else None
        )
        assert answer.status_code == 404
    assert service.call(other_token, other, "PATCH", f"{path}/complete").status_code == 404

    assert service.call(token, method="DELETE", path=path).status_code == 204
    assert service.call(token, path=path).status_code == 404
    assert service.call(token).json() == []


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
    draft = {"title": "é" * 200, "description": "z" * 1000, "completed": True}

    assert service.call(issuer.token(), method="POST", json=draft).status_code == 201
    for task_id in ("0", "-1", str(2**63), "one", "1.5"):
        assert service.call(issuer.token(), path=f"/{task_id}").status_code == 400
