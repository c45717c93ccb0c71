"""From sign-up to logout. The task API verifies every token locally."""

import time

from clients import Tokens
from forgery import claims_of, forgeries, header_of
from deployment import JWKS_PATH, STATUS_TTL, Deployment
from task_apis import every_task_api

task_api_kind = every_task_api


def test_task_api_accepts_a_session_from_sign_up_to_logout(deployment: Deployment) -> None:
    ada = deployment.sign_up()
    bob = deployment.sign_up()

    claims = claims_of(ada.access_token)
    assert claims["exp"] - claims["iat"] == 86_400
    assert claims["user_id"] == claims["sub"] == ada.user_id
    assert claims["email"] == ada.email
    assert header_of(ada.access_token)["typ"] == "at+jwt"

    created = deployment.http.post(
        f"{deployment.task_api.url}/api/{ada.user_id}/tasks",
        json={"title": "Water the plants"},
        headers={"Authorization": f"Bearer {ada.access_token}"},
    )
    assert created.status_code == 201, created.text
    listed = deployment.tasks(ada.user_id, ada.access_token)
    assert [task["title"] for task in listed.json()] == ["Water the plants"]
    assert deployment.tasks(bob.user_id, bob.access_token).json() == []

    foreign = deployment.tasks(bob.user_id, ada.access_token)
    assert foreign.status_code == 403
    deployment.assert_refused(ada.user_id, None)
    # A refresh token is not an access token.
    deployment.assert_refused(ada.user_id, ada.refresh_token)

    refreshed = Tokens.of(deployment.front_end.refresh(ada.refresh_token), 200)
    assert refreshed.access_token != ada.access_token
    assert refreshed.refresh_token != ada.refresh_token
    assert claims_of(refreshed.access_token)["jti"] != claims["jti"]
    assert deployment.tasks(ada.user_id, refreshed.access_token).status_code == 200

    assert deployment.front_end.log_out(refreshed.access_token).status_code == 200
    refused = deployment.front_end.refresh(refreshed.refresh_token)
    assert refused.status_code == 401
    assert refused.json()["error"]["code"] == "INVALID_REFRESH_TOKEN"

    # The task API fetches the next status list, which contains the logout within two seconds.
    deadline = time.monotonic() + STATUS_TTL + 2
    while deployment.tasks(ada.user_id, refreshed.access_token).status_code == 200:
        assert time.monotonic() < deadline, "the logout had no effect"
        time.sleep(0.1)
    for token in (ada.access_token, refreshed.access_token):
        deployment.assert_refused(ada.user_id, token)
    assert deployment.tasks(bob.user_id, bob.access_token).status_code == 200
    deployment.assert_only_keys_and_lists_were_fetched(refreshed.access_token)


def test_forged_tokens_are_rejected(deployment: Deployment) -> None:
    ada = deployment.sign_up()
    bob = deployment.sign_up()
    jwks = deployment.front_end.get(JWKS_PATH).content

    for name, forged in forgeries(ada.access_token, bob.user_id, jwks).items():
        for user_id in (ada.user_id, bob.user_id):
            answer = deployment.tasks(user_id, forged)
            assert answer.status_code == 401, f"{name}: {answer.status_code} {answer.text}"

    # The genuine token is accepted, so the others were rejected because they are forged.
    assert deployment.tasks(ada.user_id, ada.access_token).status_code == 200
    deployment.assert_only_keys_and_lists_were_fetched(ada.access_token)
    assert deployment.fetches(JWKS_PATH) == 1, "unknown kids caused further requests"


def test_expired_token_is_rejected(deployment: Deployment) -> None:
    # The task API fetches keys and list before the token with the short lifetime is issued.
    early = deployment.sign_up()
    assert deployment.tasks(early.user_id, early.access_token).status_code == 200
    deployment.signet.restart(SIGNET_ACCESS_TOKEN_SECONDS="4")
    ada = deployment.sign_up()
    expires_at = claims_of(ada.access_token)["exp"]

    assert deployment.tasks(ada.user_id, ada.access_token).status_code == 200
    time.sleep(max(0.0, expires_at - time.time()) + 0.1)
    deployment.assert_refused(ada.user_id, ada.access_token)


def test_token_for_another_audience_is_rejected(deployment: Deployment) -> None:
    assert_rejected_for_claim(deployment, "aud", SIGNET_AUDIENCE="https://another.example.test")


def test_token_of_another_issuer_is_rejected(deployment: Deployment) -> None:
    assert_rejected_for_claim(
        deployment,
        "iss",
        SIGNET_ISSUER="http://127.0.0.1:9",
        SIGNET_AUDIENCE=deployment.signet.audience,
    )


def assert_rejected_for_claim(deployment: Deployment, claim: str, **settings: str) -> None:
    """Asserts that a token that differs from a valid one only in `claim` is rejected.

    Both tokens are for the same account and signed with the same key.
    """
    ada = deployment.sign_up()
    # Fetches ada's status list now, since the restarted Signet may have another issuer.
    assert deployment.tasks(ada.user_id, ada.access_token).status_code == 200

    deployment.signet.restart(**settings)
    elsewhere = Tokens.of(deployment.front_end.log_in(ada.email), 200)

    before, after = claims_of(ada.access_token), claims_of(elsewhere.access_token)
    compared = ("iss", "aud", "sub", "user_id", "client_id")
    assert [name for name in compared if before[name] != after[name]] == [claim]
    assert header_of(ada.access_token) == header_of(elsewhere.access_token)
    assert deployment.tasks(ada.user_id, ada.access_token).status_code == 200
    deployment.assert_refused(ada.user_id, elsewhere.access_token)


def test_verification_continues_while_signet_is_stopped(deployment: Deployment) -> None:
    deployment.signet.restart(SIGNET_JWKS_MAX_AGE_SECONDS="1")
    ada = deployment.sign_up()
    assert deployment.tasks(ada.user_id, ada.access_token).status_code == 200

    deployment.signet.stop()
    fetches_before = deployment.fetches(JWKS_PATH)
    # The cached keys have reached their max-age, and the service cannot fetch them again.
    time.sleep(1.1)

    for _ in range(5):
        assert deployment.tasks(ada.user_id, ada.access_token).status_code == 200
    deployment.assert_refused(ada.user_id, ada.access_token[:-8] + "AAAAAAAA")
    time.sleep(STATUS_TTL)
    # The `ttl` of the list has passed, too. The service uses the list until it expires.
    assert deployment.tasks(ada.user_id, ada.access_token).status_code == 200
    assert deployment.fetches(JWKS_PATH) > fetches_before, (
        "the service did not try to fetch the keys"
    )
    deployment.assert_only_keys_and_lists_were_fetched(ada.access_token)
