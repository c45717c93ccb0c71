//! The extractor for axum.

use axum::Router;
use axum::body::Body;
use axum::body::to_bytes;
use axum::extract::FromRef;
use axum::extract::Path;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use signet_verifier::AccessToken;
use signet_verifier::Denied;
use signet_verifier::MissingScope;
use signet_verifier::NotThisUser;
use signet_verifier::RemoteVerifier;
use tower::ServiceExt;

use crate::remote::answers;
use crate::remote::answers::Answer;
use crate::remote::answers::assert_documented_responses;
use crate::remote::authorization::assert_shared_cases;

/// A state type of the service, which contains the verifier.
#[derive(Clone)]
struct App {
    verifier: RemoteVerifier,
}

impl FromRef<App> for RemoteVerifier {
    fn from_ref(app: &App) -> Self {
        app.verifier.clone()
    }
}

async fn tasks(token: AccessToken, Path(user_id): Path<String>) -> Result<String, Denied> {
    token.require_user(&user_id)?;
    token.require_scope("tasks:read")?;
    Ok(user_id)
}

async fn reports(token: AccessToken) -> Result<StatusCode, MissingScope> {
    token.require_scope("reports:write")?;
    Ok(StatusCode::OK)
}

async fn call(verifier: RemoteVerifier, sent: answers::Request) -> Answer {
    let router = Router::new()
        .route("/users/{id}/tasks", get(tasks).post(tasks))
        .route("/reports", get(reports))
        .with_state(App { verifier });
    let mut request = Request::get(sent.path);
    if !sent.form.is_empty() {
        let media_type = "application/x-www-form-urlencoded";
        request = request.method("POST").header(header::CONTENT_TYPE, media_type);
    }
    for value in sent.authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    let response = router.oneshot(request.body(Body::from(sent.form)).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    Answer { status: head.status, headers: head.headers, body }
}

#[tokio::test]
async fn axum_extractor_returns_every_documented_response() {
    assert_documented_responses(call).await;
}

#[tokio::test]
async fn axum_extractor_reads_the_authorization_header_as_all_verifiers_do() {
    assert_shared_cases(call).await;
}

/// A handler with a single kind of error can return this error itself.
#[test]
fn error_is_a_response() {
    assert_eq!(NotThisUser.into_response().status(), StatusCode::FORBIDDEN);
    assert_eq!(Denied::NoToken.into_response().status(), StatusCode::UNAUTHORIZED);
}

/// A service may use any text as a scope, but the header must be valid.
#[test]
fn scope_is_stripped_of_characters_invalid_in_a_header() {
    let missing = MissingScope { scope: "a\"b\\c\r\nd é:e".to_owned() };

    let response = missing.into_response();

    let challenge = response.headers().get(header::WWW_AUTHENTICATE).unwrap();
    assert_eq!(challenge, r#"Bearer error="insufficient_scope", scope="abcd :e""#);
}
