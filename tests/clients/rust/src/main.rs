//! The life of an account. Prints a line for each answer: operation, status, error code.

use std::env;
use std::error::Error;
use std::future::Future;

use progenitor::progenitor_client::{Error as CallError, ResponseValue};
use reqwest::header::{AUTHORIZATION, HeaderMap};

/// What progenitor makes of the contract.
mod signet {
    progenitor::generate_api!(spec = "../../../openapi/openapi.json");
}

use signet::Client;
use signet::types::{
    ChangeBody, DeleteMeBody, ErrorBody, ErrorEnvelope, LogInBody, Others, ProfileBody, RefreshBody,
    ResetBody, SignUpBody,
};

type Fallible<T> = Result<T, Box<dyn Error>>;
type Answer<T> = Result<ResponseValue<T>, CallError<ErrorEnvelope>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Fallible<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, email, password] = &arguments[..] else {
        return Err("usage: generated-client URL EMAIL PASSWORD".into());
    };
    live(url, email, password).await
}

async fn live(url: &str, email: &str, password: &str) -> Fallible<()> {
    let signet = Client::new(url);
    let with_token = |token: &str| bearer(url, token);

    let body = SignUpBody { email: email.parse()?, password: password.parse()? };
    let born = done("signUp", signet.sign_up(&body)).await?;
    assert_eq!(born.email, email);
    refused("signUp", signet.sign_up(&body)).await?;
    let other = format!("other-{email}");
    let weak = SignUpBody { email: other.parse()?, password: "Password1".parse()? };
    let weak = refused("signUp", signet.sign_up(&weak)).await?;
    assert_eq!(weak.fields.iter().map(|field| &field.name).collect::<Vec<_>>(), ["password"]);

    let body = LogInBody { email: email.parse()?, password: "Wrong-1".parse()? };
    refused("logIn", signet.log_in(&body)).await?;
    let body = LogInBody { email: email.parse()?, password: password.parse()? };
    let login = done("logIn", signet.log_in(&body)).await?;
    assert_eq!(login.user_id, born.user_id);

    let account = done("getMe", with_token(&login.access_token)?.get_me()).await?;
    assert_eq!(account.user_id, born.user_id);
    assert!(account.created_at.timestamp() > 0);
    refused("getMe", with_token("no-token")?.get_me()).await?;

    let body = RefreshBody { refresh_token: login.refresh_token.parse()? };
    let renewed = done("refresh", signet.refresh(&body)).await?;
    assert_ne!(renewed.refresh_token, login.refresh_token);
    assert!(renewed.expires_in > 0 && renewed.token_type == "Bearer");

    let body = ResetBody { token: "made-up".parse()?, new_password: password.parse()? };
    refused("resetPassword", signet.reset_password(&body)).await?;

    let after = with_token(&renewed.access_token)?;
    let name = ProfileBody { name: Some("Ada".parse()?), ..ProfileBody::default() };
    let named = done("updateMe", after.update_me(&name)).await?;
    assert_eq!(named.name.map(|name| name.to_string()).as_deref(), Some("Ada"));
    let website = Some("javascript:alert(1)".parse()?);
    let script = ProfileBody { website, ..ProfileBody::default() };
    refused("updateMe", after.update_me(&script)).await?;

    let sessions = done("listSessions", after.list_sessions()).await?.sessions;
    assert_eq!(sessions.iter().map(|it| it.current).collect::<Vec<_>>(), [true, false]);
    done("endSession", after.end_session(&sessions[1].id)).await?;
    refused("endSession", after.end_session(&sessions[1].id)).await?;
    done("endOtherSessions", after.end_other_sessions(Others::True)).await?;

    // Consents are given on the pages, so there is none to take back.
    assert!(done("listConsents", after.list_consents()).await?.consents.is_empty());
    refused("withdrawConsent", after.withdraw_consent("shop")).await?;

    let new_password = format!("{password}-new");
    let wrong =
        ChangeBody { current_password: "Wrong-1".parse()?, new_password: new_password.parse()? };
    refused("changePassword", after.change_password(&wrong)).await?;
    let right =
        ChangeBody { current_password: password.parse()?, new_password: new_password.parse()? };
    done("changePassword", after.change_password(&right)).await?;

    done("logOut", after.log_out()).await?;
    refused("getMe", after.get_me()).await?;
    let body = RefreshBody { refresh_token: renewed.refresh_token.parse()? };
    refused("refresh", signet.refresh(&body)).await?;

    let body = LogInBody { email: email.parse()?, password: new_password.parse()? };
    let last = done("logIn", signet.log_in(&body)).await?;
    let leaving = DeleteMeBody { password: new_password.parse()? };
    done("deleteMe", with_token(&last.access_token)?.delete_me(&leaving)).await?;
    Ok(())
}

/// A client that shows `token` with each call.
fn bearer(url: &str, token: &str) -> Fallible<Client> {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse()?)]);
    let http = reqwest::Client::builder().default_headers(headers).build()?;
    Ok(Client::new_with_client(url, http))
}

async fn done<T>(operation: &str, call: impl Future<Output = Answer<T>>) -> Fallible<T> {
    let answer = call.await?;
    println!("{operation} {}", answer.status().as_u16());
    Ok(answer.into_inner())
}

async fn refused<T>(operation: &str, call: impl Future<Output = Answer<T>>) -> Fallible<ErrorBody> {
    match call.await {
        Err(CallError::ErrorResponse(answer)) => {
            let id = answer.headers().get("x-request-id").and_then(|id| id.to_str().ok());
            assert_eq!(id, Some(answer.meta.request_id.to_string().as_str()));
            println!("{operation} {} {}", answer.status().as_u16(), answer.error.code);
            Ok(answer.into_inner().error)
        }
        Err(other) => Err(other.into()),
        Ok(answer) => Err(format!("{operation}: {}", answer.status()).into()),
    }
}
