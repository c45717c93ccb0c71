//! What a client is registered with; `rules` says what is acceptable.
//!
//! The names are those of RFC 7591 §2 where it has one, so that a file for `signet client apply`
//! reads like any other registration.

mod rules;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::entity::client::{Model, Texts};
use crate::timestamp::Timestamp;

pub use rules::{is_client_id, is_resource};

/// What a client can exchange for tokens.
pub const GRANT_TYPES: [&str; 3] = ["authorization_code", "refresh_token", "client_credentials"];

/// How a client can prove who it is.
pub const AUTH_METHODS: [&str; 4] =
    ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];

/// Life of a client's access tokens if it does not say, in seconds.
const ACCESS_TOKEN_SECONDS: u32 = 900;

/// A client as an operator describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// 1 to 100 printable ASCII characters. Never that of a UUID: those are people.
    pub client_id: String,
    /// What people are shown; the `client_id` if not given. 1 to 100 characters that can be seen.
    #[serde(default)]
    pub client_name: Option<String>,
    /// `web`, or `native` for programs on a person's own device.
    #[serde(default = "web")]
    pub application_type: String,
    /// One of [`AUTH_METHODS`].
    #[serde(default = "basic")]
    pub token_endpoint_auth_method: String,
    /// Public keys, for `private_key_jwt` (RFC 7517 §5).
    #[serde(default)]
    pub jwks: Option<Value>,
    /// Where codes may be sent.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// Where people may be sent after they logged out.
    #[serde(default)]
    pub post_logout_redirect_uris: Vec<String>,
    /// Where it is told of logouts.
    #[serde(default)]
    pub backchannel_logout_uri: Option<String>,
    /// Some of [`GRANT_TYPES`].
    #[serde(default = "code_flow")]
    pub grant_types: Vec<String>,
    /// What its tokens may be good for, space-separated.
    #[serde(default = "identity")]
    pub scope: String,
    /// Whom its tokens may be for; the first if it does not say (RFC 8707).
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The audiences in whose name it may introspect tokens of others.
    #[serde(default)]
    pub introspects: Vec<String>,
    /// Life of its access tokens, in seconds: 60 to 86,400.
    #[serde(default = "quarter_of_an_hour")]
    pub access_token_seconds: u32,
    /// Whether it must use PKCE; a public client always does.
    #[serde(default = "yes")]
    pub require_pkce: bool,
    /// `ask` people, or `skip` that for a program of one's own.
    #[serde(default = "ask")]
    pub consent: String,
}

fn web() -> String {
    "web".to_owned()
}

fn basic() -> String {
    "client_secret_basic".to_owned()
}

fn code_flow() -> Vec<String> {
    vec!["authorization_code".to_owned()]
}

fn identity() -> String {
    "openid".to_owned()
}

fn ask() -> String {
    "ask".to_owned()
}

const fn quarter_of_an_hour() -> u32 {
    ACCESS_TOKEN_SECONDS
}

const fn yes() -> bool {
    true
}

/// Which member of a registration is not acceptable, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{client_id}: {member} {reason}")]
pub struct RegistrationError {
    /// The client.
    pub client_id: String,
    /// The member.
    pub member: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl Registration {
    /// A client that nothing is said of but its id.
    #[must_use]
    pub fn new(client_id: String) -> Self {
        Self {
            client_id,
            client_name: None,
            application_type: web(),
            token_endpoint_auth_method: basic(),
            jwks: None,
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            backchannel_logout_uri: None,
            grant_types: code_flow(),
            scope: identity(),
            audiences: Vec::new(),
            introspects: Vec::new(),
            access_token_seconds: quarter_of_an_hour(),
            require_pkce: yes(),
            consent: ask(),
        }
    }

    /// The row of a new client, if every rule is kept.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn into_row(self, now: Timestamp) -> Result<Model, RegistrationError> {
        self.check().map_err(|(member, reason)| RegistrationError {
            client_id: self.client_id.clone(),
            member,
            reason,
        })?;
        let scopes = self.scope.split(' ').filter(|it| !it.is_empty()).map(str::to_owned);
        Ok(Model {
            name: self.client_name.unwrap_or_else(|| self.client_id.clone()),
            id: self.client_id,
            application_type: self.application_type,
            auth_method: self.token_endpoint_auth_method,
            secret_digest: None,
            previous_secret_digest: None,
            jwks: self.jwks.map(|jwks| jwks.to_string()),
            redirect_uris: Texts(self.redirect_uris),
            post_logout_redirect_uris: Texts(self.post_logout_redirect_uris),
            backchannel_logout_uri: self.backchannel_logout_uri,
            grants: Texts(self.grant_types),
            scopes: Texts(scopes.collect()),
            audiences: Texts(self.audiences),
            introspects: Texts(self.introspects),
            access_token_seconds: self.access_token_seconds.into(),
            pkce_required: self.require_pkce,
            consent: self.consent,
            created_at: now,
            updated_at: now,
        })
    }

    /// What a row was registered with.
    #[must_use]
    pub fn of_row(row: &Model) -> Self {
        Self {
            client_id: row.id.clone(),
            client_name: Some(row.name.clone()),
            application_type: row.application_type.clone(),
            token_endpoint_auth_method: row.auth_method.clone(),
            jwks: row.jwks.as_deref().and_then(|jwks| serde_json::from_str(jwks).ok()),
            redirect_uris: row.redirect_uris.0.clone(),
            post_logout_redirect_uris: row.post_logout_redirect_uris.0.clone(),
            backchannel_logout_uri: row.backchannel_logout_uri.clone(),
            grant_types: row.grants.0.clone(),
            scope: row.scopes.0.join(" "),
            audiences: row.audiences.0.clone(),
            introspects: row.introspects.0.clone(),
            access_token_seconds: u32::try_from(row.access_token_seconds).unwrap_or(u32::MAX),
            require_pkce: row.pkce_required,
            consent: row.consent.clone(),
        }
    }
}
