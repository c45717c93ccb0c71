//! An authorization request that passed every check (`authorize`), and the reasons to refuse a
//! request.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::entity::authorization_code::RequestedClaims;
use crate::scope::{Audiences, Scope};

/// Error codes of authorization responses (RFC 6749 §4.1.2.1, OpenID Connect Core 1.0 §3.1.2.6,
/// RFC 8707 §2, OpenID Connect Core Error Code `unmet_authentication_requirements`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode(&'static str);

impl ErrorCode {
    /// A parameter is missing, repeated or invalid.
    pub const INVALID_REQUEST: Self = Self("invalid_request");
    /// The client is not registered for the authorization code flow.
    pub const UNAUTHORIZED_CLIENT: Self = Self("unauthorized_client");
    /// The user denied the request.
    pub const ACCESS_DENIED: Self = Self("access_denied");
    /// The response type is not `code`.
    pub const UNSUPPORTED_RESPONSE_TYPE: Self = Self("unsupported_response_type");
    /// The scope is not a list of scope values, or the client is registered for none of them.
    pub const INVALID_SCOPE: Self = Self("invalid_scope");
    /// The client is not registered for a requested resource.
    pub const INVALID_TARGET: Self = Self("invalid_target");
    /// A login is needed, but the request forbids asking the user.
    pub const LOGIN_REQUIRED: Self = Self("login_required");
    /// Consent is needed, but the request forbids asking the user.
    pub const CONSENT_REQUIRED: Self = Self("consent_required");
    /// The required authentication level is not supported.
    pub const UNMET_AUTHENTICATION_REQUIREMENTS: Self = Self("unmet_authentication_requirements");
    /// Request objects are not supported.
    pub const REQUEST_NOT_SUPPORTED: Self = Self("request_not_supported");
    /// Request URIs are not supported.
    pub const REQUEST_URI_NOT_SUPPORTED: Self = Self("request_uri_not_supported");
    /// Client registration within a request is not supported.
    pub const REGISTRATION_NOT_SUPPORTED: Self = Self("registration_not_supported");

    /// The value of the parameter `error`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// How the response is returned to the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnAddress {
    /// A redirect URI of the client.
    pub redirect_uri: String,
    /// The `state` of the request, which is returned unchanged.
    pub state: Option<String>,
    /// Whether the response is a form post instead of a query.
    pub by_form_post: bool,
}

/// A request that passed every check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// The client.
    pub client_id: String,
    /// Where the response is sent.
    pub to: ReturnAddress,
    /// The requested scope, limited to the scope of the client.
    pub scope: Scope,
    /// The audiences of the tokens.
    pub audience: Audiences,
    /// The nonce for the ID token.
    pub nonce: Option<String>,
    /// The PKCE code challenge.
    pub code_challenge: Option<String>,
    /// The values of `prompt`.
    pub prompt: Vec<String>,
    /// The maximum age of the login, in seconds.
    pub max_age: Option<u64>,
    /// The email address of the expected user, which is only a hint.
    pub login_hint: Option<String>,
    /// The account that must be logged in. An ID token hint or a requested `sub` claim identifies
    /// it.
    pub subject: Option<Uuid>,
    /// The claims that the client requested by name, limited to claims of its scope. Missing in
    /// requests that an instance of the previous version has stored.
    #[serde(default)]
    pub claims: RequestedClaims,
    /// The tag of the language that `ui_locales` requests for the pages, if it is supported.
    /// Missing in requests that an instance of the previous version has stored. The type is not
    /// `Language`, because an instance of the next version may support more languages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ui_locale: Option<String>,
}

impl AuthorizationRequest {
    /// Whether `prompt` contains this value.
    #[must_use]
    pub fn prompts(&self, value: &str) -> bool {
        self.prompt.iter().any(|it| it == value)
    }
}

/// The refusal of a request whose redirect URI is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where the error is sent.
    pub to: ReturnAddress,
    /// The error.
    pub reason: Reason,
}

/// An error code, and a description for the developer of the client.
pub type Reason = (ErrorCode, &'static str);

/// The reason for refusing a request that is not valid.
pub(super) const fn invalid(description: &'static str) -> Reason {
    (ErrorCode::INVALID_REQUEST, description)
}

/// The reason for refusing a request whose user is not logged in, if it forbids asking the user.
pub(super) const NOT_LOGGED_IN: Reason =
    (ErrorCode::LOGIN_REQUIRED, "the requested user is not logged in");
