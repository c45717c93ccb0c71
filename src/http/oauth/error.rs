//! OAuth errors (RFC 6749 §5.2, RFC 6750 §3), and the only place that renders them.

use poem::http::{HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use serde_json::json;

use crate::domain::attempt_limit::AttemptError;
use crate::domain::oauth::client_authentication::ClientAuthenticationError;
use crate::domain::oauth::grant_error::GrantError;
use crate::http::error::Problem;
use crate::http::form::Unreadable;

/// The challenge for client authentication.
const BASIC: &str = "Basic realm=\"signet\", charset=\"UTF-8\"";

/// An error in the form that a client gets. All texts are fixed: nothing from the request is
/// echoed.
#[derive(Debug, Clone)]
pub(in crate::http) struct OAuthError {
    status: StatusCode,
    code: &'static str,
    description: &'static str,
    challenge: Option<&'static str>,
    retry_after: Option<u64>,
}

impl OAuthError {
    const fn new(status: StatusCode, code: &'static str, description: &'static str) -> Self {
        Self { status, code, description, challenge: None, retry_after: None }
    }

    /// 400: a parameter is missing, repeated or invalid.
    pub(super) const fn invalid_request(description: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// 401: client authentication failed (RFC 6749 §5.2).
    pub(super) const fn invalid_client() -> Self {
        Self::unreadable_client("client authentication failed")
    }

    /// 401: the client credentials are missing or malformed. The description states the reason,
    /// unlike that of [`invalid_client`](Self::invalid_client).
    pub(super) const fn unreadable_client(why: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", why).challenged(BASIC)
    }

    /// The description, for the log.
    pub(super) const fn description(&self) -> &'static str {
        self.description
    }

    /// 400: a token of a type that cannot be revoked (RFC 7009 §2.2.1).
    pub(super) const fn unsupported_token_type() -> Self {
        let why = "a client's own access token cannot be revoked";
        Self::new(StatusCode::BAD_REQUEST, "unsupported_token_type", why)
    }

    const fn challenged(self, challenge: &'static str) -> Self {
        Self { challenge: Some(challenge), ..self }
    }

    /// 401: no bearer token was sent; the challenge then has no error code (RFC 6750 §3.1).
    pub(super) const fn no_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_token", "a bearer token is required")
            .challenged("Bearer realm=\"signet\"")
    }

    /// 401: the token is forged, expired, revoked or of another type. The error does not say which.
    pub(super) const fn invalid_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_token", "the access token is not valid")
            .challenged("Bearer realm=\"signet\", error=\"invalid_token\"")
    }

    /// 403: the token is valid, but lacks the scope.
    pub(super) const fn insufficient_scope() -> Self {
        Self::new(StatusCode::FORBIDDEN, "insufficient_scope", "the scope openid is required")
            .challenged("Bearer realm=\"signet\", error=\"insufficient_scope\", scope=\"openid\"")
    }

    /// 400: a token was sent in more than one way (RFC 6750 §3.1).
    pub(super) const fn two_tokens() -> Self {
        Self::invalid_request("the token must be sent by one method only")
            .challenged("Bearer realm=\"signet\", error=\"invalid_request\"")
    }

    /// 503: see [`Problem::unavailable`]. Does not log the cause.
    pub(super) const fn unavailable() -> Self {
        let why = "the service is busy, try again in a moment";
        Self {
            retry_after: Some(1),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", why)
        }
    }

    /// 503 for an internal failure. Logs the failure with all its causes, see [`Problem::failed`].
    pub(super) fn failed(error: &(dyn std::error::Error + 'static)) -> Self {
        Problem::failed(error);
        Self::unavailable()
    }
}

/// The error for a bare status from the framework or a layer.
impl From<StatusCode> for OAuthError {
    fn from(status: StatusCode) -> Self {
        let description = match status {
            StatusCode::METHOD_NOT_ALLOWED => "this endpoint does not support this method",
            StatusCode::SERVICE_UNAVAILABLE => return Self::unavailable(),
            StatusCode::PAYLOAD_TOO_LARGE => "the body is larger than 16 KiB",
            _ if status.is_client_error() => "the request cannot be parsed",
            _ => return Self::new(status, "server_error", "internal server error"),
        };
        Self { status, ..Self::invalid_request(description) }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.code, "error_description": self.description });
        let mut response = Response::builder()
            .status(self.status)
            .content_type("application/json")
            .header(header::CACHE_CONTROL, "no-store")
            .body(body.to_string());
        if let Some(challenge) = self.challenge {
            let challenge = HeaderValue::from_static(challenge);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<Unreadable> for OAuthError {
    fn from(Unreadable(description): Unreadable) -> Self {
        Self::invalid_request(description)
    }
}

impl From<AttemptError> for OAuthError {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::Refused(refusal) => Self {
                status: StatusCode::TOO_MANY_REQUESTS,
                retry_after: Some(refusal.seconds().get()),
                description: "too many attempts, try again later",
                ..Self::unavailable()
            },
            AttemptError::Database(_) => Self::failed(&error),
        }
    }
}

impl From<ClientAuthenticationError> for OAuthError {
    fn from(error: ClientAuthenticationError) -> Self {
        match error {
            ClientAuthenticationError::Refused { .. } => Self::invalid_client(),
            ClientAuthenticationError::Database(_) => Self::failed(&error),
        }
    }
}

impl From<GrantError> for OAuthError {
    fn from(error: GrantError) -> Self {
        use GrantError as E;
        let bad = |code, why| Self::new(StatusCode::BAD_REQUEST, code, why);
        match error {
            E::Invalid(why) => Self::invalid_request(why),
            E::Unsupported => bad("unsupported_grant_type", "the grant type is not supported"),
            E::NotAllowed => bad("unauthorized_client", "the client may not use this grant"),
            E::Rejected => bad("invalid_grant", "the code or token is not valid"),
            E::Scope => bad("invalid_scope", "the scope exceeds what was granted"),
            E::Target => bad("invalid_target", "the resource is not available to the client"),
            E::Status(_) | E::Signing(_) | E::OpenSsl(_) | E::Database(_) => Self::failed(&error),
        }
    }
}
