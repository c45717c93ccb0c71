"""The life of an account. Prints a line for each answer: operation, status, error code."""

import sys
from typing import Any, TypeVar

from signet_client import AuthenticatedClient, Client
from signet_client.api.accounts import (
    change_password,
    delete_me,
    get_me,
    reset_password,
    sign_up,
    update_me,
)
from signet_client.api.consents import list_consents, withdraw_consent
from signet_client.api.sessions import (
    end_other_sessions,
    end_session,
    list_sessions,
    log_in,
    log_out,
    refresh,
)
from signet_client.models import (
    ChangeBody,
    DeleteMeBody,
    ErrorBody,
    ErrorEnvelope,
    LogInBody,
    Others,
    ProfileBody,
    RefreshBody,
    ResetBody,
    SignUpBody,
)
from signet_client.types import UNSET, Response, Unset

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
    profile = ProfileBody(name="Ada", locale="en-GB", gender=None)
    named = done("updateMe", update_me.sync_detailed(client=after, body=profile))
    assert (named.name, named.locale, named.gender) == ("Ada", "en-GB", UNSET)
    script = ProfileBody(website="javascript:alert(1)")
    refused("updateMe", update_me.sync_detailed(client=after, body=script))

    sessions = done("listSessions", list_sessions.sync_detailed(client=after)).sessions
    assert [session.current for session in sessions] == [True, False]
    other = sessions[1].id
    emptied("endSession", end_session.sync_detailed(other, client=after))
    refused("endSession", end_session.sync_detailed(other, client=after))
    others = end_other_sessions.sync_detailed(client=after, others=Others.TRUE)
    emptied("endOtherSessions", others)

    # Consents are given on the pages, so there is none to take back.
    assert done("listConsents", list_consents.sync_detailed(client=after)).consents == []
    refused("withdrawConsent", withdraw_consent.sync_detailed("shop", client=after))

    new_password = f"{password}-new"
    wrong = ChangeBody("Wrong-1", new_password)
    refused("changePassword", change_password.sync_detailed(client=after, body=wrong))
    right = ChangeBody(password, new_password)
    emptied("changePassword", change_password.sync_detailed(client=after, body=right))

    done("logOut", log_out.sync_detailed(client=after))
    refused("getMe", get_me.sync_detailed(client=after))
    refused("refresh", refresh.sync_detailed(client=signet, body=RefreshBody(renewed.refresh_token)))

    again = log_in.sync_detailed(client=signet, body=LogInBody(email, new_password))
    last = bearer(done("logIn", again).access_token)
    leaving = DeleteMeBody(new_password)
    emptied("deleteMe", delete_me.sync_detailed(client=last, body=leaving))


def done(operation: str, answer: Response[T | ErrorEnvelope]) -> T:
    assert not isinstance(answer.parsed, ErrorEnvelope), (operation, answer.parsed)
    assert answer.parsed is not None, (operation, answer.status_code)
    print(operation, answer.status_code.value)
    return answer.parsed


def emptied(operation: str, answer: Response[Any]) -> None:
    assert answer.content == b"", (operation, answer.parsed)
    print(operation, answer.status_code.value)


def refused(operation: str, answer: Response[T | ErrorEnvelope]) -> ErrorBody:
    assert isinstance(answer.parsed, ErrorEnvelope), (operation, answer.status_code)
    assert str(answer.parsed.meta.request_id) == answer.headers["X-Request-Id"]
    print(operation, answer.status_code.value, answer.parsed.error.code)
    return answer.parsed.error


if __name__ == "__main__":
    live(*sys.argv[1:])
