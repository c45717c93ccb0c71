//! Responses to requests without a valid token, the same in every framework.

use std::fmt::Write;

use http::HeaderMap;
use http::HeaderValue;
use http::StatusCode;
use http::header;

use crate::access_token::AccessToken;
use crate::error::MissingScope;
use crate::error::NotThisUser;
use crate::error::VerifyError;
use crate::remote::RemoteError;
use crate::remote::RemoteVerifier;

/// Seconds after which to retry a request whose token could not be checked.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// Why a request is refused. It is a response in axum and in poem (RFC 6750 §3), and the errors of
/// verification and authorization convert into it with `?`.
///
/// The response never says which check a refused token failed. Only the log does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is no `Authorization: Bearer`: 401.
    #[error("there is no bearer token")]
    NoToken,
    /// The token is refused: 401. Or it cannot be checked at the moment: 503.
    #[error(transparent)]
    Token(#[from] RemoteError),
    /// The token lacks a required scope: 403.
    #[error(transparent)]
    Scope(#[from] MissingScope),
    /// The token belongs to another user: 403.
    #[error(transparent)]
    User(#[from] NotThisUser),
}

impl Denied {
    /// The status, headers and JSON body of the response.
    pub(crate) fn answer(&self) -> (StatusCode, HeaderMap, &'static str) {
        let status = match self {
            Self::NoToken | Self::Token(RemoteError::Refused(_)) => StatusCode::UNAUTHORIZED,
            Self::Scope(_) | Self::User(_) => StatusCode::FORBIDDEN,
            Self::Token(RemoteError::KeysUnavailable | RemoteError::StatusUnavailable) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        if let Some(challenge) = self.challenge() {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        (status, headers, self.body())
    }

    fn challenge(&self) -> Option<HeaderValue> {
        match self {
            Self::NoToken => Some(HeaderValue::from_static("Bearer")),
            Self::Token(RemoteError::Refused(_)) => {
                Some(HeaderValue::from_static(r#"Bearer error="invalid_token""#))
            }
            Self::Scope(MissingScope { scope }) => {
                let mut challenge = r#"Bearer error="insufficient_scope", scope=""#.to_owned();
                challenge.extend(scope.chars().filter(|c| is_scope_character(*c)));
                challenge.write_char('"').ok()?;
                challenge.try_into().ok()
            }
            Self::Token(_) | Self::User(_) => None,
        }
    }

    fn body(&self) -> &'static str {
        match self {
            Self::NoToken => {
                r#"{"error":"invalid_request","error_description":"A bearer token is required."}"#
            }
            Self::Token(RemoteError::Refused(_)) => {
                r#"{"error":"invalid_token","error_description":"The access token is not valid."}"#
            }
            Self::Token(_) => {
                r#"{"error":"temporarily_unavailable","error_description":"The access token cannot be checked now. Try again."}"#
            }
            Self::Scope(_) => {
                r#"{"error":"insufficient_scope","error_description":"The access token does not allow this."}"#
            }
            Self::User(_) => {
                r#"{"error":"forbidden","error_description":"This belongs to another user."}"#
            }
        }
    }
}

/// Accepts a request with a valid token, and logs the reason for which a token is refused.
pub(crate) async fn authenticate(
    headers: &HeaderMap,
    verifier: &RemoteVerifier,
) -> Result<AccessToken, Denied> {
    let token = bearer(headers).ok_or(Denied::NoToken)?;
    let result = match token {
        Ok(token) => verifier.verify(token).await,
        Err(error) => Err(error.into()),
    };
    result.map_err(|error| {
        tracing::debug!(code = error.code(), %error, "bearer token not accepted");
        Denied::Token(error)
    })
}

/// The token in the header `Authorization` (RFC 6750 §2.1), or `None` if there is none.
///
/// If there are several such fields and the first has a token, this token is refused: a proxy may
/// have checked another field, and combined with a comma (RFC 9110 §5.3), the fields contain no
/// valid token.
fn bearer(headers: &HeaderMap) -> Option<Result<&str, VerifyError>> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let credentials = trim(values.next()?.as_bytes(), b" \t");
    let (scheme, token) = credentials.split_at_checked("Bearer ".len())?;
    if !scheme.eq_ignore_ascii_case(b"Bearer ") {
        return None;
    }
    if values.next().is_some() {
        return Some(Err(VerifyError::Malformed));
    }
    Some(std::str::from_utf8(trim(token, b" ")).map_err(|_| VerifyError::Malformed))
}

/// `text` without these characters around it. `trim_ascii` would also remove characters that
/// are not white space in a field value (RFC 9110 §5.6.3).
fn trim<'t>(mut text: &'t [u8], blanks: &[u8]) -> &'t [u8] {
    while let [first, rest @ ..] = text
        && blanks.contains(first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && blanks.contains(last)
    {
        text = rest;
    }
    text
}

/// Whether `c` may occur in a scope value (RFC 6749 §3.3), or is the space between two values.
fn is_scope_character(c: char) -> bool {
    matches!(c, ' '..='~') && c != '"' && c != '\\'
}
