//! The JSON envelope of errors, and the only place that writes it.
//!
//! An endpoint fails with a [`Problem`], which contains only what the client may know. Errors of
//! the framework (404, 405, 413, 415 …) are converted in [`response_of`].

use std::num::NonZeroU64;

use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::{Error, IntoResponse, Response};
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaResponses, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Object};
use serde::Serialize;
use uuid::Uuid;

use crate::domain::attempt_limit::{Refusal, WINDOW, whole_seconds};
use crate::domain::password::HashError;
use crate::http::request_context::RequestContext;

/// An error in the form the client gets. All texts are fixed, and no value of the request is
/// echoed. Only the name of an unknown member may be repeated (see `json`).
#[derive(Debug, Clone)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
    fields: Vec<FieldProblem>,
    retry: Option<Retry>,
    challenge: Option<&'static str>,
}

/// When to retry.
#[derive(Debug, Clone, Copy)]
enum Retry {
    /// After this many seconds.
    After(NonZeroU64),
    /// When the rate limit allows it.
    Limited(Refusal),
}

/// The body of every error.
#[derive(Debug, Object, Serialize)]
pub(super) struct ErrorEnvelope {
    error: ErrorBody,
    meta: ErrorMeta,
}

/// The error.
#[derive(Debug, Object, Serialize)]
struct ErrorBody {
    /// The error code, for programs; each operation documents its codes.
    code: String,
    /// The error message, for people.
    message: String,
    /// Details for people, or null.
    #[oai(validator(max_length = 2048))]
    details: Option<String>,
    /// The invalid members of the request; present only with `VALIDATION_ERROR`.
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<FieldProblem>>,
}

/// An invalid member of the request.
#[derive(Debug, Clone, Object, Serialize)]
pub(super) struct FieldProblem {
    /// The name of the member; `body` or `request` if the error concerns the whole body or request.
    name: String,
    /// Why it is invalid.
    message: String,
}

/// Identifies the request.
#[derive(Debug, Object, Serialize)]
struct ErrorMeta {
    /// When the request was received, in UTC (RFC 3339).
    timestamp: String,
    /// The request id; also in the `X-Request-Id` header and in Signet's logs.
    request_id: Uuid,
}

impl FieldProblem {
    pub(super) fn new(name: &str, message: impl Into<String>) -> Self {
        Self { name: name.to_owned(), message: message.into() }
    }
}

impl Problem {
    const fn new(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message, fields: Vec::new(), retry: None, challenge: None }
    }

    fn unauthorized(code: &'static str, message: &'static str, challenge: &'static str) -> Self {
        Self { challenge: Some(challenge), ..Self::new(StatusCode::UNAUTHORIZED, code, message) }
    }

    /// 400: members of the request are invalid.
    pub(super) fn validation(fields: Vec<FieldProblem>) -> Self {
        Self {
            fields,
            ..Self::new(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", "The request is not valid")
        }
    }

    /// 400: one member of the request is invalid.
    pub(super) fn invalid(name: &str, why: impl Into<String>) -> Self {
        Self::validation(vec![FieldProblem::new(name, why)])
    }

    /// 401: the password is wrong or the account is unknown. The error does not say which.
    pub(super) fn auth_failed() -> Self {
        Self::unauthorized("AUTH_FAILED", "Invalid credentials", "Bearer")
    }

    /// 401: no bearer token was sent (RFC 6750 §3).
    pub(super) fn unauthenticated() -> Self {
        Self::unauthorized("UNAUTHORIZED", "Authentication required", "Bearer")
    }

    /// 401: the bearer token is invalid, expired or revoked.
    pub(super) fn invalid_token() -> Self {
        Self::unauthorized(
            "UNAUTHORIZED",
            "The access token is not valid",
            "Bearer error=\"invalid_token\"",
        )
    }

    /// 401: the refresh token is forged, expired, already used or of an ended session. The error
    /// does not say which.
    pub(super) fn invalid_refresh_token() -> Self {
        Self::unauthorized("INVALID_REFRESH_TOKEN", "Invalid refresh token", "Bearer")
    }

    /// 400: the reset token is forged, expired or already used. The error does not say which.
    pub(super) fn invalid_reset_token() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_RESET_TOKEN", "The reset token is not valid")
    }

    /// 400: the invite is unknown, used, revoked, expired, or for another email address. The error
    /// does not say which.
    pub(super) fn invalid_invite() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_INVITE", "The invite is not valid")
    }

    /// 400: the token or the code of a mail that verifies an address is wrong, expired, already
    /// used, or replaced by a newer mail. The error does not say which.
    pub(super) fn invalid_verification_token() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "INVALID_VERIFICATION_TOKEN",
            "The token or the code is not valid",
        )
    }

    /// 403: the password is right, but the settings require a verified email address.
    pub(super) fn email_not_verified() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "EMAIL_NOT_VERIFIED",
            "The email address must be verified first",
        )
    }

    /// 404: the operation needs mail, which is off.
    pub(super) fn mail_is_off() -> Self {
        Self::new(StatusCode::NOT_FOUND, "MAIL_OFF", "This server sends no mail")
    }

    /// 404: the session is not live or belongs to another account. The error does not say which.
    pub(super) fn no_such_session() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", "There is no such session")
    }

    /// 404: there is no consent, or no such client. The error does not say which.
    pub(super) fn no_such_consent() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", "There is no such consent")
    }

    /// 403: nobody may sign up.
    pub(super) fn signup_closed() -> Self {
        Self::new(StatusCode::FORBIDDEN, "SIGNUP_CLOSED", "Sign-up is closed")
    }

    /// 403: only people with an invite may sign up.
    pub(super) fn invite_required() -> Self {
        Self::new(StatusCode::FORBIDDEN, "SIGNUP_CLOSED", "Sign-up requires an invite")
    }

    /// 403: email addresses of this domain may not sign up. The error does not depend on whether
    /// the address has an account.
    pub(super) fn signup_domain_not_allowed() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "SIGNUP_DOMAIN_NOT_ALLOWED",
            "Email addresses of this domain cannot sign up",
        )
    }

    /// 409: the email address belongs to another account.
    pub(super) fn email_exists() -> Self {
        Self::new(StatusCode::CONFLICT, "EMAIL_EXISTS", "An account with this email already exists")
    }

    /// 429: a rate limit is exceeded.
    pub(super) fn rate_limited(refusal: Refusal) -> Self {
        Self {
            retry: Some(Retry::Limited(refusal)),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "RATE_LIMIT_EXCEEDED",
                "Too many attempts, try again later",
            )
        }
    }

    /// 503: a retry may succeed soon. The error does not say whether the request took effect,
    /// because it is also used when a commit is in doubt.
    pub(super) fn unavailable() -> Self {
        Self {
            retry: Some(Retry::After(NonZeroU64::MIN)),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "The service is busy, try again in a moment",
            )
        }
    }

    /// 503 for a failure of the database or of hashing. The failure is logged here with all its
    /// causes, except for an overload of password hashing, which is expected to end soon.
    pub(super) fn failed(error: &(dyn std::error::Error + 'static)) -> Self {
        let causes = || std::iter::successors(Some(error), |it| it.source());
        let hashing = causes().find_map(|it| it.downcast_ref::<HashError>());
        if let Some(HashError::Busy { retry_after }) = hashing {
            let retry = Some(Retry::After(whole_seconds(*retry_after)));
            return Self { retry, ..Self::unavailable() };
        }
        let causes: Vec<_> = causes().map(ToString::to_string).collect();
        tracing::error!(error = causes.join(": "), "request failed");
        Self::unavailable()
    }

    /// The error for a bare status, from the framework or the panic handler.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let (code, message) = match status {
            StatusCode::BAD_REQUEST => return Self::invalid("request", "cannot be parsed"),
            StatusCode::UNAUTHORIZED => return Self::unauthenticated(),
            StatusCode::SERVICE_UNAVAILABLE => return Self::unavailable(),
            StatusCode::NOT_FOUND => ("NOT_FOUND", "No resource at this path"),
            StatusCode::METHOD_NOT_ALLOWED => {
                ("METHOD_NOT_ALLOWED", "This path does not support this method")
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                ("PAYLOAD_TOO_LARGE", "The body is larger than 16 KiB")
            }
            StatusCode::URI_TOO_LONG => ("URI_TOO_LONG", "The URL is longer than 8 KiB"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                ("UNSUPPORTED_MEDIA_TYPE", "The content type must be application/json")
            }
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                ("HEADERS_TOO_LARGE", "The header fields are larger than 16 KiB")
            }
            status if status.is_client_error() => ("BAD_REQUEST", "The request is not valid"),
            _ => ("INTERNAL_ERROR", "Internal server error"),
        };
        Self::new(status, code, message)
    }

    /// How many seconds to wait before a retry; `None` if a retry would fail, too.
    pub(super) fn retry_after(&self) -> Option<NonZeroU64> {
        Some(match self.retry? {
            Retry::After(seconds) => seconds,
            Retry::Limited(refusal) => refusal.seconds(),
        })
    }

    fn add_headers(&self, headers: &mut HeaderMap) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        let Some(seconds) = self.retry_after() else { return };
        headers.insert(header::RETRY_AFTER, seconds.get().into());
        let Some(Retry::Limited(Refusal { quota_name: name, quota, .. })) = self.retry else {
            return;
        };
        let window = WINDOW.as_secs();
        for (field, value) in [
            ("ratelimit-policy", format!("\"{name}\";q={quota};w={window}")),
            ("ratelimit", format!("\"{name}\";r=0;t={seconds}")),
        ] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(field, value);
            }
        }
    }
}

/// Lets extractors, middleware and operations fail with a `Problem`.
impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::from_response(problem.into_response())
    }
}

/// Writes the envelope.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        self.add_headers(response.headers_mut());
        let RequestContext { id, at } = RequestContext::current().unwrap_or_default();
        let envelope = ErrorEnvelope {
            error: ErrorBody {
                code: self.code.to_owned(),
                message: self.message.to_owned(),
                details: details_of(&self.fields),
                fields: (!self.fields.is_empty()).then_some(self.fields),
            },
            meta: ErrorMeta { timestamp: at.to_rfc3339(), request_id: id },
        };
        response.set_body(serde_json::to_vec(&envelope).unwrap_or_default());
        response
    }
}

/// Declares no responses: `openapi` adds those that all operations have in common.
impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        MetaResponses { responses: Vec::new() }
    }

    fn register(registry: &mut Registry) {
        <Self as Payload>::register(registry);
    }
}

impl Payload for Problem {
    const CONTENT_TYPE: &'static str = "application/json";

    fn schema_ref() -> MetaSchemaRef {
        ErrorEnvelope::schema_ref()
    }

    fn register(registry: &mut Registry) {
        ErrorEnvelope::register(registry);
    }
}

fn details_of(fields: &[FieldProblem]) -> Option<String> {
    let parts: Vec<_> =
        fields.iter().map(|field| format!("{}: {}", field.name, field.message)).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The response to an error. A response that Signet made is returned unchanged. For an error of the
/// framework only the status is used, since its text may echo the request.
pub(super) fn response_of(error: Error) -> Response {
    if error.is_from_response() {
        return error.into_response();
    }
    let status = error.status();
    Problem::of_status(status).into_response()
}
