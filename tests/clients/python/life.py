"""The life of an account. Prints a line for each answer: operation, status, error code."""

import sys
from typing import TypeVar

from signet_client import AuthenticatedClient, Client
from signet_client.api.accounts import get_me, reset_password, sign_up
from signet_client.api.sessions import log_in, log_out, refresh
from signet_client.models import (
    ErrorBody,
    ErrorEnvelope,
    LogInBody,
    RefreshBody,
    ResetBody,
    SignUpBody,
)
from signet_client.types import Response, Unset

T = TypeVar("T")


def live(url: str, email: str, password: str) -> None:
    signet = Client(url, raise_on_unexpected_status=True)

    def bearer(token: str) -> AuthenticatedClient:
        return AuthenticatedClient(url, token, raise_on_unexpected_status=True)

    body = SignUpBody(email, password)
    born = done("signUp", sign_up.sync_detailed(client=signet, body=body))
    assert born.email == email
    refused("signUp", sign_up.sync_detailed(client=signet, body=body))
    weak = refused(
        "signUp",
        sign_up.sync_detailed(client=signet, body=SignUpBody(f"other-{email}", "Password1")),
    )
    assert not isinstance(weak.fields, Unset)
    assert [field.name for field in weak.fields] == ["password"]

    refused("logIn", log_in.sync_detailed(client=signet, body=LogInBody(email, "Wrong-1")))
    login = done("logIn", log_in.sync_detailed(client=signet, body=LogInBody(email, password)))
    assert login.user_id == born.user_id

    account = done("getMe", get_me.sync_detailed(client=bearer(login.access_token)))
    assert account.user_id == born.user_id
    assert account.created_at.tzinfo is not None
    refused("getMe", get_me.sync_detailed(client=bearer("no-token")))

    renewed = done(
        "refresh", refresh.sync_detailed(client=signet, body=RefreshBody(login.refresh_token))
    )
    assert renewed.refresh_token != login.refresh_token
    assert renewed.expires_in > 0 and renewed.token_type == "Bearer"

    reset = ResetBody(token="made-up", new_password=password)
    refused("resetPassword", reset_password.sync_detailed(client=signet, body=reset))

    after = bearer(renewed.access_token)
    done("logOut", log_out.sync_detailed(client=after))
    refused("getMe", get_me.sync_detailed(client=after))
    refused("refresh", refresh.sync_detailed(client=signet, body=RefreshBody(renewed.refresh_token)))


def done(operation: str, answer: Response[T | ErrorEnvelope]) -> T:
    assert not isinstance(answer.parsed, ErrorEnvelope), (operation, answer.parsed)
    assert answer.parsed is not None, (operation, answer.status_code)
    print(operation, answer.status_code.value)
    return answer.parsed


def refused(operation: str, answer: Response[T | ErrorEnvelope]) -> ErrorBody:
    assert isinstance(answer.parsed, ErrorEnvelope), (operation, answer.status_code)
    assert str(answer.parsed.meta.request_id) == answer.headers["X-Request-Id"]
    print(operation, answer.status_code.value, answer.parsed.error.code)
    return answer.parsed.error


if __name__ == "__main__":
    live(*sys.argv[1:])
