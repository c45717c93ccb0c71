//! An authorization request that passed every check (`authorize`), and why one is refused.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::entity::authorization_code::AskedClaims;

/// Why a request ends at the client with an error (RFC 6749 §4.1.2.1, OpenID Connect Core 1.0
/// §3.1.2.6, RFC 8707 §2, OpenID Connect Core Error Code `unmet_authentication_requirements`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// A parameter is missing, twice there, or cannot be what it is.
    InvalidRequest,
    /// The client is not registered for the code flow.
    UnauthorizedClient,
    /// The person said no.
    AccessDenied,
    /// Anything but `code`.
    UnsupportedResponseType,
    /// Not a list of scope values, or none that the client may have.
    InvalidScope,
    /// A resource that the client may not have tokens for.
    InvalidTarget,
    /// Nobody is logged in, and nobody may be asked.
    LoginRequired,
    /// Nobody has agreed, and nobody may be asked.
    ConsentRequired,
    /// Logins here do not have the level that must be met.
    UnmetAuthenticationRequirements,
    /// Request objects are not read.
    RequestNotSupported,
    /// Nor fetched.
    RequestUriNotSupported,
    /// Nor are clients registered along the way.
    RegistrationNotSupported,
}

impl ErrorCode {
    /// As it is sent.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::AccessDenied => "access_denied",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::RegistrationNotSupported => "registration_not_supported",
        }
    }
}

/// How an answer gets back to the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnAddress {
    /// One of the client's own.
    pub redirect_uri: String,
    /// Handed back as it came.
    pub state: Option<String>,
    /// In a form that the browser posts, and not in the query.
    pub by_form_post: bool,
}

/// A request that passed every check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub client_id: String,
    /// Where the answer goes.
    pub to: ReturnAddress,
    /// What is asked for, space-separated: as much of it as the client may have.
    pub scope: String,
    /// Whom the tokens will be for, space-separated.
    pub audience: String,
    /// What the ID token is to repeat.
    pub nonce: Option<String>,
    /// What the redeemer must know the origin of.
    pub code_challenge: Option<String>,
    /// What `prompt` asks for.
    pub prompt: Vec<String>,
    /// How old a login may be, in seconds.
    pub max_age: Option<u64>,
    /// Who is expected.
    pub login_hint: Option<String>,
    /// Who must be logged in, by an ID token of ours or by name.
    pub subject: Option<Uuid>,
    /// What is asked for by name: as much of it as the client may have. A request that an instance of
    /// the version before has kept says nothing of it.
    #[serde(default)]
    pub claims: AskedClaims,
}

impl AuthorizationRequest {
    /// Whether `prompt` asks for this.
    #[must_use]
    pub fn prompts(&self, what: &str) -> bool {
        self.prompt.iter().any(|one| one == what)
    }
}

/// A request that was refused, once it was clear where to say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where.
    pub to: ReturnAddress,
    /// Why.
    pub code: ErrorCode,
    /// Why, in a sentence for whoever writes the client.
    pub description: &'static str,
}

/// What is wrong with a request, for programs and for whoever writes the client.
pub type Reason = (ErrorCode, &'static str);
