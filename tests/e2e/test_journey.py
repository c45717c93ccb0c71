"""From sign-up to logout, with the task API verifying every token locally."""

import time

from clients import Tokens
from forgery import claims_of, forgeries, header_of
from stage import JWKS_PATH, STATUS_TTL, Stage
from task_apis import every_task_api

task_api_kind = every_task_api


def test_sign_up_to_logout(stage: Stage) -> None:
    ada = stage.sign_up()
    bob = stage.sign_up()

    claims = claims_of(ada.access_token)
    assert claims["exp"] - claims["iat"] == 86_400
    assert claims["user_id"] == claims["sub"] == ada.user_id
    assert claims["email"] == ada.email
    assert header_of(ada.access_token)["typ"] == "at+jwt"

    created = stage.http.post(
        f"{stage.task_api.url}/api/{ada.user_id}/tasks",
        json={"title": "Water the plants"},
        headers={"Authorization": f"Bearer {ada.access_token}"},
    )
    assert created.status_code == 201, created.text
    listed = stage.tasks(ada.user_id, ada.access_token)
    assert [task["title"] for task in listed.json()] == ["Water the plants"]
    assert stage.tasks(bob.user_id, bob.access_token).json() == []

    foreign = stage.tasks(bob.user_id, ada.access_token)
    assert foreign.status_code == 403
    stage.assert_refused(ada.user_id, None)
    # A refresh token is not an access token.
    stage.assert_refused(ada.user_id, ada.refresh_token)

    refreshed = Tokens.of(stage.front_end.refresh(ada.refresh_token), 200)
    assert refreshed.access_token != ada.access_token
    assert refreshed.refresh_token != ada.refresh_token
    assert claims_of(refreshed.access_token)["jti"] != claims["jti"]
    assert stage.tasks(ada.user_id, refreshed.access_token).status_code == 200

    assert stage.front_end.log_out(refreshed.access_token).status_code == 200
    refused = stage.front_end.refresh(refreshed.refresh_token)
    assert refused.status_code == 401
    assert refused.json()["error"]["code"] == "INVALID_REFRESH_TOKEN"

    # The task API learns it from the next list, which is there within two seconds.
    deadline = time.monotonic() + STATUS_TTL + 2
    while stage.tasks(ada.user_id, refreshed.access_token).status_code == 200:
        assert time.monotonic() < deadline, "the logout had no effect"
        time.sleep(0.1)
    for token in (ada.access_token, refreshed.access_token):
        stage.assert_refused(ada.user_id, token)
    assert stage.tasks(bob.user_id, bob.access_token).status_code == 200
    stage.assert_only_keys_and_lists_were_fetched(refreshed.access_token)


def test_forged_tokens_are_rejected(stage: Stage) -> None:
    ada = stage.sign_up()
    bob = stage.sign_up()
    jwks = stage.front_end.get(JWKS_PATH).content

    for name, forged in forgeries(ada.access_token, bob.user_id, jwks).items():
        for user_id in (ada.user_id, bob.user_id):
            answer = stage.tasks(user_id, forged)
            assert answer.status_code == 401, f"{name}: {answer.status_code} {answer.text}"

    # The genuine token still works, so the rejections above were for the forgeries.
    assert stage.tasks(ada.user_id, ada.access_token).status_code == 200
    stage.assert_only_keys_and_lists_were_fetched(ada.access_token)
    assert stage.fetches(JWKS_PATH) == 1, "unknown kids caused further requests"


def test_expired_token_is_rejected(stage: Stage) -> None:
    # Everything is fetched before the short lifetime starts.
    early = stage.sign_up()
    assert stage.tasks(early.user_id, early.access_token).status_code == 200
    stage.signet.restart(SIGNET_ACCESS_TOKEN_SECONDS="4")
    ada = stage.sign_up()
    expires_at = claims_of(ada.access_token)["exp"]

    assert stage.tasks(ada.user_id, ada.access_token).status_code == 200
    time.sleep(max(0.0, expires_at - time.time()) + 0.1)
    stage.assert_refused(ada.user_id, ada.access_token)


def test_token_for_another_audience_is_rejected(stage: Stage) -> None:
    assert_rejected_for_claim(stage, "aud", SIGNET_AUDIENCE="https://another.example.test")


def test_token_of_another_issuer_is_rejected(stage: Stage) -> None:
    assert_rejected_for_claim(
        stage, "iss", SIGNET_ISSUER="http://127.0.0.1:9", SIGNET_AUDIENCE=stage.signet.audience
    )


def assert_rejected_for_claim(stage: Stage, claim: str, **settings: str) -> None:
    """A token that differs in `claim` alone (same account, same key) is rejected."""
    ada = stage.sign_up()
    # Fetches ada's status list, which the next instance, under another name, does not serve.
    assert stage.tasks(ada.user_id, ada.access_token).status_code == 200

    stage.signet.restart(**settings)
    elsewhere = Tokens.of(stage.front_end.log_in(ada.email), 200)

    before, after = claims_of(ada.access_token), claims_of(elsewhere.access_token)
    compared = ("iss", "aud", "sub", "user_id", "client_id")
    assert [name for name in compared if before[name] != after[name]] == [claim]
    assert header_of(ada.access_token) == header_of(elsewhere.access_token)
    assert stage.tasks(ada.user_id, ada.access_token).status_code == 200
    stage.assert_refused(ada.user_id, elsewhere.access_token)


def test_verification_continues_while_signet_is_stopped(stage: Stage) -> None:
    stage.signet.restart(SIGNET_JWKS_MAX_AGE_SECONDS="1")
    ada = stage.sign_up()
    assert stage.tasks(ada.user_id, ada.access_token).status_code == 200

    stage.signet.stop()
    fetches_before = stage.fetches(JWKS_PATH)
    # From now on the service wants new keys, and cannot fetch any.
    time.sleep(1.1)

    for _ in range(5):
        assert stage.tasks(ada.user_id, ada.access_token).status_code == 200
    stage.assert_refused(ada.user_id, ada.access_token[:-8] + "AAAAAAAA")
    time.sleep(STATUS_TTL)
    # The list is stale by now, too, and is used until it expires.
    assert stage.tasks(ada.user_id, ada.access_token).status_code == 200
    assert stage.fetches(JWKS_PATH) > fetches_before, "it did not try to fetch the keys"
    stage.assert_only_keys_and_lists_were_fetched(ada.access_token)
