"""A logout reaches a service that verifies tokens locally."""

import time
from itertools import pairwise

import httpx
import pytest

from clients import Tokens
from docs_example import stock_pyjwt
from forgery import claims_of, encode, header_of, signing_input
from node import NodeProject
from processes import REPOSITORY
from stage import JWKS_PATH, STATUS_TTL, Stage

FAR_TOO_LONG = 60


def poll(stage: Stage, token: Tokens, seconds: float) -> list[tuple[float, int]]:
    """Uses the token every 100 ms; returns the times, on the monotonic clock, and the statuses."""
    answers: list[tuple[float, int]] = []
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        answers.append((now, stage.tasks(token.user_id, token.access_token).status_code))
        time.sleep(max(0.0, now + 0.1 - time.monotonic()))
    return answers


def test_logout_takes_effect_within_the_ttl_and_two_seconds(stage: Stage) -> None:
    ada = stage.sign_up()
    verify = stock_pyjwt(stage.signet.issuer, stage.signet.audience)["verify"]
    # A whole `ttl` before the logout, without a rejection.
    before = poll(stage, ada, STATUS_TTL + 1)
    assert {status for _, status in before} == {200}

    logged_out_at = time.monotonic()
    assert stage.front_end.log_out(ada.access_token).status_code == 200
    after = poll(stage, ada, STATUS_TTL + 4)

    refused = [at - logged_out_at for at, status in after if status == 401]
    assert refused, "the logout had no effect"
    assert refused[0] < STATUS_TTL + 2
    # Once rejected, always rejected.
    assert [status for _, status in after[-len(refused) :]] == [401] * len(refused)
    fetches = [call.at for call in stage.proxy.calls if call.path.startswith("/status/")]
    between = [later - earlier for earlier, later in pairwise(fetches)]
    # Calls are timed on arrival, so one of them may seem late.
    assert all(gap > STATUS_TTL - 0.5 for gap in between), between
    assert stage.fetches(JWKS_PATH) == 1
    print(f"logout to first refusal: {refused[0]:.2f} s of {STATUS_TTL} s ttl; fetches: {between}")

    # A stock library accepts the same token: it is signed, and has not expired.
    assert verify(ada.access_token)["sub"] == ada.user_id


def test_without_signet_tokens_are_accepted_until_the_list_expires(stage: Stage) -> None:
    life = 3 * STATUS_TTL + 1
    stage.signet.restart(SIGNET_STATUS_LIST_SECONDS=str(life))
    ada = stage.sign_up()
    assert stage.tasks(ada.user_id, ada.access_token).status_code == 200
    stopped_at = time.monotonic()
    stage.signet.stop()

    until_now = poll(stage, ada, STATUS_TTL + 2)
    assert {status for _, status in until_now} == {200}
    # Then the session's state is unknown: neither accepted nor asked to log in again.
    while (answer := stage.tasks(ada.user_id, ada.access_token)).status_code == 200:
        assert time.monotonic() < stopped_at + FAR_TOO_LONG, "the list never expired"
        time.sleep(0.1)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert time.monotonic() - stopped_at > life - STATUS_TTL - 2

    stage.signet.start()
    deadline = time.monotonic() + 10
    while stage.tasks(ada.user_id, ada.access_token).status_code != 200:
        assert time.monotonic() < deadline, "it did not recover when Signet was back"
        time.sleep(0.1)


@pytest.mark.once
def test_status_list_is_readable_by_an_independent_library(stage: Stage) -> None:
    ada, bob = stage.sign_up(), stage.sign_up()
    assert stage.front_end.log_out(ada.access_token).status_code == 200
    indices = [
        claims_of(tokens.access_token)["status"]["status_list"]["idx"] for tokens in (ada, bob)
    ]
    reader = NodeProject(REPOSITORY / "tests/clients/status-list")
    path = stage.list_path(ada.access_token)

    deadline = time.monotonic() + 10
    while True:
        token = stage.front_end.get(path).text
        read = reader.run("node", "read.mjs", token, *indices).split()
        if read == ["1", "0"] or time.monotonic() > deadline:
            break

    assert read == ["1", "0"]


@pytest.mark.once
def test_thousand_unknown_kids_cause_one_fetch(stage: Stage) -> None:
    ada = stage.sign_up()
    assert stage.tasks(ada.user_id, ada.access_token).status_code == 200
    fetches_before = stage.fetches(JWKS_PATH)
    header, claims = header_of(ada.access_token), claims_of(ada.access_token)
    signature = encode(b"x" * 256)

    with httpx.Client(timeout=10) as http:
        for number in range(1000):
            forged = signing_input({**header, "kid": f"key-{number}"}, claims)
            answer = http.get(
                f"{stage.task_api.url}/api/{ada.user_id}/tasks",
                headers={"Authorization": f"Bearer {forged}.{signature}"},
            )
            assert answer.status_code == 401

    assert stage.fetches(JWKS_PATH) - fetches_before <= 1
