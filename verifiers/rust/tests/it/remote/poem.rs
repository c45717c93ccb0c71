//! The extractor for poem.

use poem::Endpoint;
use poem::EndpointExt;
use poem::Request;
use poem::Result;
use poem::Route;
use poem::get;
use poem::handler;
use poem::http::Method;
use poem::http::StatusCode;
use poem::http::header;
use poem::web::Path;
use signet_verifier::AccessToken;
use signet_verifier::RemoteVerifier;

use crate::remote::answers;
use crate::remote::answers::Answer;
use crate::remote::answers::assert_documented_responses;
use crate::remote::authorization::assert_shared_cases;

#[handler]
fn tasks(token: AccessToken, Path(user_id): Path<String>) -> Result<String> {
    token.require_user(&user_id)?;
    token.require_scope("tasks:read")?;
    Ok(user_id)
}

#[handler]
fn reports(token: AccessToken) -> Result<StatusCode> {
    token.require_scope("reports:write")?;
    Ok(StatusCode::OK)
}

fn route() -> Route {
    Route::new().at("/users/:id/tasks", get(tasks).post(tasks)).at("/reports", get(reports))
}

async fn call(verifier: RemoteVerifier, sent: answers::Request) -> Answer {
    let mut request = Request::builder().uri(sent.path.parse().unwrap());
    if !sent.form.is_empty() {
        request = request.method(Method::POST).content_type("application/x-www-form-urlencoded");
    }
    for value in sent.authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    let response = route().data(verifier).get_response(request.body(sent.form)).await;
    let (head, body) = response.into_parts();
    Answer { status: head.status, headers: head.headers, body: body.into_vec().await.unwrap() }
}

#[tokio::test]
async fn poem_extractor_returns_every_documented_response() {
    assert_documented_responses(call).await;
}

#[tokio::test]
async fn poem_extractor_reads_the_authorization_header_as_all_verifiers_do() {
    assert_shared_cases(call).await;
}

/// If the service forgets the verifier, requests must not be accepted unchecked.
#[tokio::test]
async fn route_without_a_verifier_rejects_every_request() {
    let response = route().get_response(Request::builder().uri_str("/reports").finish()).await;

    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
