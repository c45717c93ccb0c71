//! Calls all operations of an account's lifecycle. Prints each response's status and error code.

use std::env;
use std::error::Error;
use std::future::Future;

use progenitor_client::{Error as CallError, ResponseValue};
use reqwest::header::{AUTHORIZATION, HeaderMap};

/// The client that progenitor generates from the OpenAPI document (`build.rs`).
mod signet {
    include!(concat!(env!("OUT_DIR"), "/signet.rs"));
}

use signet::Client;
use signet::types::{
    ChangeBody, ChangeEmailBody, CodeBody, DeleteMeBody, DownloadBody, ErrorBody, ErrorEnvelope, ForgottenBody,
    LogInBody, Others, ProfileBody, RefreshBody, RequestVerificationBody, ResetBody, SignUpBody, VerifyBody,
    VerifyCodeBody,
};

type Fallible<T> = Result<T, Box<dyn Error>>;
type CallResult<T> = Result<ResponseValue<T>, CallError<ErrorEnvelope>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Fallible<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, email, password] = &arguments[..] else {
        return Err("usage: generated-client URL EMAIL PASSWORD".into());
    };
    call_all_operations(url, email, password).await
}

async fn call_all_operations(url: &str, email: &str, password: &str) -> Fallible<()> {
    let signet = Client::new(url);
    let with_token = |token: &str| bearer(url, token);

    let (address, invite) = (email.parse()?, None);
    let body = SignUpBody { email: address, password: password.parse()?, invite };
    let signed_up = expect_success("signUp", signet.sign_up(&body)).await?;
    assert_eq!(signed_up.email, email);
    expect_error("signUp", signet.sign_up(&body)).await?;
    let other = format!("other-{email}");
    let (address, invite) = (other.parse()?, None);
    let weak = SignUpBody { email: address, password: "Password1".parse()?, invite };
    let weak = expect_error("signUp", signet.sign_up(&weak)).await?;
    assert_eq!(weak.fields.iter().map(|field| &field.name).collect::<Vec<_>>(), ["password"]);

    let body = LogInBody { email: email.parse()?, password: "Wrong-1".parse()? };
    expect_error("logIn", signet.log_in(&body)).await?;
    let body = LogInBody { email: email.parse()?, password: password.parse()? };
    let login = expect_success("logIn", signet.log_in(&body)).await?;
    assert_eq!(login.user_id, signed_up.user_id);

    let account = expect_success("getMe", with_token(&login.access_token)?.get_me()).await?;
    assert_eq!(account.user_id, signed_up.user_id);
    assert!(account.created_at.timestamp() > 0);
    expect_error("getMe", with_token("no-token")?.get_me()).await?;

    let body = RefreshBody { refresh_token: login.refresh_token.parse()? };
    let renewed = expect_success("refresh", signet.refresh(&body)).await?;
    assert_ne!(renewed.refresh_token, login.refresh_token);
    assert!(renewed.expires_in > 0 && renewed.token_type == "Bearer");

    let body = ResetBody { token: "made-up".parse()?, new_password: password.parse()? };
    expect_error("resetPassword", signet.reset_password(&body)).await?;
    let body = ForgottenBody { email: email.parse()? };
    expect_error("requestPasswordReset", signet.request_password_reset(&body)).await?;
    let (handle, code) = ("made-up".parse()?, "made-up".parse()?);
    let body = CodeBody { handle, code, new_password: password.parse()? };
    expect_error("resetPasswordByCode", signet.reset_password_by_code(&body)).await?;
    let new_email = format!("new-{email}").parse()?;
    let body = ChangeEmailBody { email: new_email, password: password.parse()? };
    let renewed_client = with_token(&renewed.access_token)?;
    expect_error("changeEmail", renewed_client.change_email(&body)).await?;
    verify_email(&signet, email, password).await?;

    let renewed_client = with_token(&renewed.access_token)?;
    let name = ProfileBody { name: Some("Ada".parse()?), ..ProfileBody::default() };
    let updated = expect_success("updateMe", renewed_client.update_me(&name)).await?;
    assert_eq!(updated.name.map(|name| name.to_string()).as_deref(), Some("Ada"));
    let website = Some("javascript:alert(1)".parse()?);
    let invalid = ProfileBody { website, ..ProfileBody::default() };
    expect_error("updateMe", renewed_client.update_me(&invalid)).await?;

    let sessions = expect_success("listSessions", renewed_client.list_sessions()).await?.sessions;
    assert_eq!(sessions.iter().map(|it| it.current).collect::<Vec<_>>(), [true, false]);
    expect_success("endSession", renewed_client.end_session(&sessions[1].id)).await?;
    expect_error("endSession", renewed_client.end_session(&sessions[1].id)).await?;
    expect_success("endOtherSessions", renewed_client.end_other_sessions(Others::True)).await?;

    // Consents are only given on the hosted pages, so there is none to withdraw.
    assert!(
        expect_success("listConsents", renewed_client.list_consents()).await?.consents.is_empty()
    );
    expect_error("withdrawConsent", renewed_client.withdraw_consent("shop")).await?;

    let wrong = DownloadBody { password: "Wrong-1".parse()? };
    expect_error("downloadMyData", renewed_client.download_my_data(&wrong)).await?;
    let correct = DownloadBody { password: password.parse()? };
    let data = expect_success("downloadMyData", renewed_client.download_my_data(&correct)).await?;
    assert_eq!(data.account.email, email);
    assert_eq!(data.sessions.iter().filter(|session| session.live).count(), 1);
    assert!(data.events.iter().any(|event| event.type_ == "data_downloaded"));

    let new_password = format!("{password}-new");
    let wrong =
        ChangeBody { current_password: "Wrong-1".parse()?, new_password: new_password.parse()? };
    expect_error("changePassword", renewed_client.change_password(&wrong)).await?;
    let correct =
        ChangeBody { current_password: password.parse()?, new_password: new_password.parse()? };
    expect_success("changePassword", renewed_client.change_password(&correct)).await?;

    expect_success("logOut", renewed_client.log_out()).await?;
    expect_error("getMe", renewed_client.get_me()).await?;
    let body = RefreshBody { refresh_token: renewed.refresh_token.parse()? };
    expect_error("refresh", signet.refresh(&body)).await?;

    let body = LogInBody { email: email.parse()?, password: new_password.parse()? };
    let last = expect_success("logIn", signet.log_in(&body)).await?;
    let deletion = DeleteMeBody { password: new_password.parse()? };
    expect_success("deleteMe", with_token(&last.access_token)?.delete_me(&deletion)).await?;
    Ok(())
}

async fn verify_email(signet: &Client, email: &str, password: &str) -> Fallible<()> {
    let body = RequestVerificationBody { email: email.parse()?, password: password.parse()? };
    let requested = signet.request_email_verification(&body);
    expect_error("requestEmailVerification", requested).await?;
    let (token, new_password) = ("made-up".parse()?, None);
    let body = VerifyBody { token, password: Some(password.parse()?), new_password };
    expect_error("verifyEmail", signet.verify_email(&body)).await?;
    let body = VerifyCodeBody { handle: "made-up".parse()?, code: "made-up".parse()? };
    expect_error("verifyEmailByCode", signet.verify_email_by_code(&body)).await.map(drop)
}

/// A client that sends `token` with each request.
fn bearer(url: &str, token: &str) -> Fallible<Client> {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse()?)]);
    let http = reqwest::Client::builder().default_headers(headers).build()?;
    Ok(Client::new_with_client(url, http))
}

async fn expect_success<T>(
    operation: &str,
    call: impl Future<Output = CallResult<T>>,
) -> Fallible<T> {
    let response = call.await?;
    println!("{operation} {}", response.status().as_u16());
    Ok(response.into_inner())
}

async fn expect_error<T>(
    operation: &str,
    call: impl Future<Output = CallResult<T>>,
) -> Fallible<ErrorBody> {
    match call.await {
        Err(CallError::ErrorResponse(response)) => {
            let id = response.headers().get("x-request-id").and_then(|id| id.to_str().ok());
            assert_eq!(id, Some(response.meta.request_id.to_string().as_str()));
            println!("{operation} {} {}", response.status().as_u16(), response.error.code);
            Ok(response.into_inner().error)
        }
        Err(other) => Err(other.into()),
        Ok(response) => Err(format!("{operation}: {}", response.status()).into()),
    }
}
