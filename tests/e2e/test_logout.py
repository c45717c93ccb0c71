"""A logout takes effect at a service that verifies tokens locally."""

import time
from itertools import pairwise

import httpx
import pytest

from clients import Tokens
from docs_example import stock_pyjwt
from forgery import claims_of, encode, header_of, signing_input
from node import NodeProject
from processes import REPOSITORY
from deployment import JWKS_PATH, STATUS_TTL, Deployment

GIVE_UP_SECONDS = 60


def poll(deployment: Deployment, token: Tokens, seconds: float) -> list[tuple[float, int]]:
    """Uses the token every 100 ms. Returns the status of each call and its time on the monotonic
    clock."""
    answers: list[tuple[float, int]] = []
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        answers.append((now, deployment.tasks(token.user_id, token.access_token).status_code))
        time.sleep(max(0.0, now + 0.1 - time.monotonic()))
    return answers


def test_logout_takes_effect_within_the_ttl_and_two_seconds(deployment: Deployment) -> None:
    ada = deployment.sign_up()
    verify = stock_pyjwt(deployment.signet.issuer, deployment.signet.audience)["verify"]
    # For more than one `ttl` before the logout, no call is rejected.
    before = poll(deployment, ada, STATUS_TTL + 1)
    assert {status for _, status in before} == {200}

    logged_out_at = time.monotonic()
    assert deployment.front_end.log_out(ada.access_token).status_code == 200
    after = poll(deployment, ada, STATUS_TTL + 4)

    refused = [at - logged_out_at for at, status in after if status == 401]
    assert refused, "the logout had no effect"
    assert refused[0] < STATUS_TTL + 2
    # After the first rejection, all calls are rejected.
    assert [status for _, status in after[-len(refused) :]] == [401] * len(refused)
    fetches = [call.at for call in deployment.proxy.calls if call.path.startswith("/status/")]
    between = [later - earlier for earlier, later in pairwise(fetches)]
    # The proxy records arrival times, so one call may be recorded late.
    assert all(gap > STATUS_TTL - 0.5 for gap in between), between
    assert deployment.fetches(JWKS_PATH) == 1
    print(f"logout to first refusal: {refused[0]:.2f} s of {STATUS_TTL} s ttl; fetches: {between}")

    # A stock library still accepts the token, since it is correctly signed and has not expired.
    assert verify(ada.access_token)["sub"] == ada.user_id


def test_tokens_are_accepted_until_the_list_expires_while_signet_is_down(
    deployment: Deployment,
) -> None:
    list_lifetime = 3 * STATUS_TTL + 1
    deployment.signet.restart(SIGNET_STATUS_LIST_SECONDS=str(list_lifetime))
    ada = deployment.sign_up()
    assert deployment.tasks(ada.user_id, ada.access_token).status_code == 200
    stopped_at = time.monotonic()
    deployment.signet.stop()

    until_now = poll(deployment, ada, STATUS_TTL + 2)
    assert {status for _, status in until_now} == {200}
    # Once the list has expired, the session's state is unknown: the response is neither 200 nor
    # 401.
    while (answer := deployment.tasks(ada.user_id, ada.access_token)).status_code == 200:
        assert time.monotonic() < stopped_at + GIVE_UP_SECONDS, "the list never expired"
        time.sleep(0.1)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert time.monotonic() - stopped_at > list_lifetime - STATUS_TTL - 2

    deployment.signet.start()
    deadline = time.monotonic() + 10
    while deployment.tasks(ada.user_id, ada.access_token).status_code != 200:
        assert time.monotonic() < deadline, "the task API did not recover after Signet's start"
        time.sleep(0.1)


@pytest.mark.once
def test_status_list_is_readable_by_an_independent_library(deployment: Deployment) -> None:
    ada, bob = deployment.sign_up(), deployment.sign_up()
    assert deployment.front_end.log_out(ada.access_token).status_code == 200
    indices = [
        claims_of(tokens.access_token)["status"]["status_list"]["idx"] for tokens in (ada, bob)
    ]
    reader = NodeProject(REPOSITORY / "tests/clients/status-list")
    path = deployment.list_path(ada.access_token)

    deadline = time.monotonic() + 10
    while True:
        token = deployment.front_end.get(path).text
        read = reader.run("node", "read.mjs", token, *indices).split()
        if read == ["1", "0"] or time.monotonic() > deadline:
            break

    assert read == ["1", "0"]


@pytest.mark.once
def test_thousand_unknown_kids_cause_one_fetch(deployment: Deployment) -> None:
    ada = deployment.sign_up()
    assert deployment.tasks(ada.user_id, ada.access_token).status_code == 200
    fetches_before = deployment.fetches(JWKS_PATH)
    header, claims = header_of(ada.access_token), claims_of(ada.access_token)
    signature = encode(b"x" * 256)

    with httpx.Client(timeout=10) as http:
        for number in range(1000):
            forged = signing_input({**header, "kid": f"key-{number}"}, claims)
            answer = http.get(
                f"{deployment.task_api.url}/api/{ada.user_id}/tasks",
                headers={"Authorization": f"Bearer {forged}.{signature}"},
            )
            assert answer.status_code == 401

    assert deployment.fetches(JWKS_PATH) - fetches_before <= 1
