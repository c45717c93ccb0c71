"""Calls all operations of an account's lifecycle.

Prints operation, status and error code of each response.
"""

import sys
from typing import Any, TypeVar, cast

from signet_client import AuthenticatedClient, Client
from signet_client.api.accounts import (
    change_email,
    change_password,
    delete_me,
    download_my_data,
    get_me,
    request_email_verification,
    request_password_reset,
    reset_password,
    reset_password_by_code,
    sign_up,
    update_me,
    verify_email,
    verify_email_by_code,
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
    AuthTokens,
    ChangeBody,
    ChangeEmailBody,
    CodeBody,
    DeleteMeBody,
    DownloadBody,
    ErrorBody,
    ErrorEnvelope,
    ForgottenBody,
    LogInBody,
    Others,
    ProfileBody,
    RefreshBody,
    RequestVerificationBody,
    ResetBody,
    SignUpBody,
    VerifyBody,
    VerifyCodeBody,
)
from signet_client.types import UNSET, Response, Unset

T = TypeVar("T")


def call_all_operations(url: str, email: str, password: str) -> None:
    signet = Client(url, raise_on_unexpected_status=True)

    def bearer(token: str) -> AuthenticatedClient:
        return AuthenticatedClient(url, token, raise_on_unexpected_status=True)

    body = SignUpBody(email, password)
    # 202 with a handle if the server requires a verified email address.
    response = sign_up.sync_detailed(client=signet, body=body)
    signed_up = expect_success("signUp", cast(Response[AuthTokens | ErrorEnvelope], response))
    assert isinstance(signed_up, AuthTokens) and signed_up.email == email
    expect_error("signUp", sign_up.sync_detailed(client=signet, body=body))
    weak = expect_error(
        "signUp",
        sign_up.sync_detailed(client=signet, body=SignUpBody(f"other-{email}", "Password1")),
    )
    assert not isinstance(weak.fields, Unset)
    assert [field.name for field in weak.fields] == ["password"]

    expect_error("logIn", log_in.sync_detailed(client=signet, body=LogInBody(email, "Wrong-1")))
    login = expect_success(
        "logIn", log_in.sync_detailed(client=signet, body=LogInBody(email, password))
    )
    assert login.user_id == signed_up.user_id

    account = expect_success("getMe", get_me.sync_detailed(client=bearer(login.access_token)))
    assert account.user_id == signed_up.user_id
    assert account.created_at.tzinfo is not None
    expect_error("getMe", get_me.sync_detailed(client=bearer("no-token")))

    renewed = expect_success(
        "refresh", refresh.sync_detailed(client=signet, body=RefreshBody(login.refresh_token))
    )
    assert renewed.refresh_token != login.refresh_token
    assert renewed.expires_in > 0 and renewed.token_type == "Bearer"

    reset = ResetBody(token="made-up", new_password=password)
    expect_error("resetPassword", reset_password.sync_detailed(client=signet, body=reset))
    forgotten = ForgottenBody(email)
    requested = request_password_reset.sync_detailed(client=signet, body=forgotten)
    expect_error("requestPasswordReset", requested)
    code = CodeBody(handle="made-up", code="made-up", new_password=password)
    by_code = reset_password_by_code.sync_detailed(client=signet, body=code)
    expect_error("resetPasswordByCode", by_code)
    change = ChangeEmailBody(f"new-{email}", password)
    changed = change_email.sync_detailed(client=bearer(renewed.access_token), body=change)
    expect_error("changeEmail", changed)
    request = RequestVerificationBody(email, password)
    mail = request_email_verification.sync_detailed(client=signet, body=request)
    expect_error("requestEmailVerification", mail)
    verification = VerifyBody(token="made-up", password=password)
    expect_error("verifyEmail", verify_email.sync_detailed(client=signet, body=verification))
    email_code = VerifyCodeBody(handle="made-up", code="made-up")
    verified = verify_email_by_code.sync_detailed(client=signet, body=email_code)
    expect_error("verifyEmailByCode", verified)

    renewed_client = bearer(renewed.access_token)
    profile = ProfileBody(name="Ada", locale="en-GB", gender=None)
    updated = expect_success(
        "updateMe", update_me.sync_detailed(client=renewed_client, body=profile)
    )
    assert (updated.name, updated.locale, updated.gender) == ("Ada", "en-GB", UNSET)
    invalid = ProfileBody(website="javascript:alert(1)")
    expect_error("updateMe", update_me.sync_detailed(client=renewed_client, body=invalid))

    sessions = expect_success(
        "listSessions", list_sessions.sync_detailed(client=renewed_client)
    ).sessions
    assert [session.current for session in sessions] == [True, False]
    other = sessions[1].id
    expect_empty("endSession", end_session.sync_detailed(other, client=renewed_client))
    expect_error("endSession", end_session.sync_detailed(other, client=renewed_client))
    others = end_other_sessions.sync_detailed(client=renewed_client, others=Others.TRUE)
    expect_empty("endOtherSessions", others)

    # Consents are only given on the hosted pages, so there is none to withdraw.
    assert (
        expect_success("listConsents", list_consents.sync_detailed(client=renewed_client)).consents
        == []
    )
    expect_error("withdrawConsent", withdraw_consent.sync_detailed("shop", client=renewed_client))

    refused = download_my_data.sync_detailed(client=renewed_client, body=DownloadBody("Wrong-1"))
    expect_error("downloadMyData", refused)
    data = expect_success(
        "downloadMyData",
        download_my_data.sync_detailed(client=renewed_client, body=DownloadBody(password)),
    )
    assert data.account.user_id == signed_up.user_id and data.consents == []
    assert [session.live for session in data.sessions].count(True) == 1
    assert (data.events[0].type_, data.events[-1].type_) == ("signup", "data_downloaded")

    new_password = f"{password}-new"
    wrong = ChangeBody("Wrong-1", new_password)
    expect_error("changePassword", change_password.sync_detailed(client=renewed_client, body=wrong))
    correct = ChangeBody(password, new_password)
    expect_empty(
        "changePassword", change_password.sync_detailed(client=renewed_client, body=correct)
    )

    expect_success("logOut", log_out.sync_detailed(client=renewed_client))
    expect_error("getMe", get_me.sync_detailed(client=renewed_client))
    expect_error(
        "refresh", refresh.sync_detailed(client=signet, body=RefreshBody(renewed.refresh_token))
    )

    again = log_in.sync_detailed(client=signet, body=LogInBody(email, new_password))
    last = bearer(expect_success("logIn", again).access_token)
    deletion = DeleteMeBody(new_password)
    expect_empty("deleteMe", delete_me.sync_detailed(client=last, body=deletion))


def expect_success(operation: str, response: Response[T | ErrorEnvelope]) -> T:
    assert not isinstance(response.parsed, ErrorEnvelope), (operation, response.parsed)
    assert response.parsed is not None, (operation, response.status_code)
    print(operation, response.status_code.value)
    return response.parsed


def expect_empty(operation: str, response: Response[Any]) -> None:
    assert response.content == b"", (operation, response.parsed)
    print(operation, response.status_code.value)


def expect_error(operation: str, response: Response[Any]) -> ErrorBody:
    assert isinstance(response.parsed, ErrorEnvelope), (operation, response.status_code)
    assert str(response.parsed.meta.request_id) == response.headers["X-Request-Id"]
    print(operation, response.status_code.value, response.parsed.error.code)
    return response.parsed.error


if __name__ == "__main__":
    call_all_operations(*sys.argv[1:])
