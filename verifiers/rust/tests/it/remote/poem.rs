//! The extractor for poem.

use poem::Endpoint;
use poem::EndpointExt;
use poem::Request;
use poem::Result;
use poem::Route;
use poem::get;
use poem::handler;
use poem::http::StatusCode;
use poem::http::header;
use poem::web::Path;
use signet_verifier::AccessToken;
use signet_verifier::RemoteVerifier;

use crate::remote::answers::Answer;
use crate::remote::answers::assert_documented_responses;

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
    Route::new().at("/users/:id/tasks", get(tasks)).at("/reports", get(reports))
}

async fn call(verifier: RemoteVerifier, path: String, authorization: Vec<Vec<u8>>) -> Answer {
    let mut request = Request::builder().uri(path.parse().unwrap());
    for value in authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    let response = route().data(verifier).get_response(request.finish()).await;
    let (head, body) = response.into_parts();
    Answer { status: head.status, headers: head.headers, body: body.into_vec().await.unwrap() }
}

#[tokio::test]
async fn poem_extractor_returns_every_documented_response() {
    assert_documented_responses(call).await;
}

/// If the service forgets the verifier, requests must not be accepted unchecked.
#[tokio::test]
async fn route_without_a_verifier_rejects_every_request() {
    let response = route().get_response(Request::builder().uri_str("/reports").finish()).await;

    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
