//! Every documented response of the verifiers, for each framework with an extractor.

use ::axum::http::HeaderMap;
use ::axum::http::StatusCode;
use ::axum::http::header;
use serde_json::Value;
use serde_json::json;
use signet_verifier::RemoteVerifier;

use crate::harness::USER;
use crate::harness::claims;
use crate::harness::token_with_claims;
use crate::harness::valid_token;
use crate::harness::with;
use crate::remote::issuer::Issuer;
use crate::remote::issuer::KEYS_PATH;
use crate::remote::issuer::LIST_PATH;
use crate::remote::issuer::Reply;
use crate::remote::issuer::everything_revoked;
use crate::remote::keys::client_credentials_token;

/// A response of a framework.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// A request: GET, or POST if it has a form.
pub(crate) struct Request {
    pub(crate) path: String,
    /// The values of the `Authorization` fields.
    pub(crate) authorization: Vec<Vec<u8>>,
    pub(crate) form: String,
}

/// A service. Its path `/users/{id}/tasks` requires that user, and `/reports` requires the scope
/// `reports:write`.
pub(crate) trait Service: AsyncFn(RemoteVerifier, Request) -> Answer {}

impl<F: AsyncFn(RemoteVerifier, Request) -> Answer> Service for F {}

/// A service with its issuer.
struct TestService<'s, S> {
    service: &'s S,
    issuer: Issuer,
}

impl<'s, S: Service> TestService<'s, S> {
    async fn new(service: &'s S) -> Self {
        Self { service, issuer: Issuer::start().await }
    }

    async fn answer(&self, path: &str, authorization: &[&[u8]]) -> Answer {
        let authorization = authorization.iter().map(|value| value.to_vec()).collect();
        let request = Request { path: path.to_owned(), authorization, form: String::new() };
        (self.service)(self.issuer.verifier(), request).await
    }

    async fn with_token(&self, path: &str, token: &str) -> Answer {
        self.answer(path, &[format!("Bearer {token}").as_bytes()]).await
    }
}

impl Answer {
    #[track_caller]
    fn assert_is(&self, status: u16, error: &str, challenge: Option<&str>) {
        let header = |name| self.headers.get(name).map(|value| value.to_str().unwrap());
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(self.status.as_u16(), status, "{body}");
        assert_eq!(body["error"], error);
        assert!(body["error_description"].as_str().unwrap().ends_with('.'));
        assert_eq!(body.as_object().unwrap().len(), 2);
        assert_eq!(header(header::CONTENT_TYPE), Some("application/json"));
        assert_eq!(header(header::WWW_AUTHENTICATE), challenge);
        assert_eq!(header(header::RETRY_AFTER), (status == 503).then_some("5"));
    }
}

/// Tests every documented response (RFC 6750 §3).
pub(crate) async fn assert_documented_responses(service: impl Service) {
    let service = TestService::new(&service).await;
    let tasks = format!("/users/{USER}/tasks");

    valid_token_is_accepted(&service, &tasks).await;
    invalid_token_is_rejected(&service, &tasks).await;
    insufficient_token_is_forbidden(&service).await;
    failed_fetch_is_reported(&service, &tasks).await;
}

async fn valid_token_is_accepted(service: &TestService<'_, impl Service>, tasks: &str) {
    let answer = service.with_token(tasks, &valid_token()).await;
    assert_eq!((answer.status, answer.body), (StatusCode::OK, USER.as_bytes().to_vec()));
    let writer = token_with_claims(with(claims(), "scope", json!("openid reports:write")));
    assert_eq!(service.with_token("/reports", &writer).await.status, StatusCode::OK);
}

async fn invalid_token_is_rejected(service: &TestService<'_, impl Service>, tasks: &str) {
    let expired = token_with_claims(with(claims(), "exp", json!(1)));
    for token in [&*expired, "x", "a.b.c"] {
        let answer = service.with_token(tasks, token).await;
        answer.assert_is(401, "invalid_token", Some(r#"Bearer error="invalid_token""#));
    }

    service.issuer.serve(LIST_PATH, everything_revoked());
    let answer = service.with_token(tasks, &valid_token()).await;
    answer.assert_is(401, "invalid_token", Some(r#"Bearer error="invalid_token""#));
    service.issuer.serve(LIST_PATH, crate::remote::issuer::nothing_revoked());
}

async fn insufficient_token_is_forbidden(service: &TestService<'_, impl Service>) {
    let answer = service.with_token("/reports", &valid_token()).await;
    let challenge = r#"Bearer error="insufficient_scope", scope="reports:write""#;
    answer.assert_is(403, "insufficient_scope", Some(challenge));

    let answer = service.with_token("/users/bob/tasks", &valid_token()).await;
    answer.assert_is(403, "forbidden", None);
    let answer =
        service.with_token(&format!("/users/{USER}/tasks"), &client_credentials_token()).await;
    answer.assert_is(403, "forbidden", None);
}

async fn failed_fetch_is_reported(service: &TestService<'_, impl Service>, tasks: &str) {
    for path in [LIST_PATH, KEYS_PATH] {
        service.issuer.serve(path, Reply::failing(500));
        let answer = service.with_token(tasks, &valid_token()).await;
        answer.assert_is(503, "temporarily_unavailable", None);
    }
    // If the token is missing or malformed, a retry cannot help, so the status is not 503.
    let answer = service.answer(tasks, &[]).await;
    answer.assert_is(401, "invalid_request", Some("Bearer"));
    let answer = service.with_token(tasks, "x").await;
    answer.assert_is(401, "invalid_token", Some(r#"Bearer error="invalid_token""#));
}
