//! The registration metadata of a client; `rules` validates it.
//!
//! Members have the names of RFC 7591 §2 if it defines them. So a file for `signet client apply`
//! looks like a registration at other servers.

mod rules;

use sea_orm::ActiveEnum;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::entity::client::{AuthMethod, Model, Texts};
use crate::timestamp::Timestamp;

pub use rules::{is_client_id, is_resource};

/// Grant types that clients can be registered for.
pub const GRANT_TYPES: [&str; 3] = ["authorization_code", "refresh_token", "client_credentials"];

/// The names of all client authentication methods.
#[must_use]
pub fn auth_methods() -> Vec<String> {
    AuthMethod::values()
}

/// The method of clients that may send their secret by `client_secret_basic` or by
/// `client_secret_post`.
const EITHER_SECRET: &str = "client_secret";

/// How a client is protected against authorization code injection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pkce {
    /// Each request must have a `code_challenge` (RFC 7636).
    Required,
    /// Each request must have a `code_challenge`, or a `nonce` and the scope `openid` (OAuth 2.1
    /// §7.5.1).
    RequiredOrNonce,
    /// Requests need neither.
    Optional,
}

impl std::str::FromStr for Pkce {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = serde_json::from_value(text.into());
        read.map_err(|_| "must be required, required-or-nonce or optional".to_owned())
    }
}

/// A client as described by an operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// 1 to 100 printable ASCII characters without spaces. It must not be a UUID, because user IDs
    /// are UUIDs.
    pub client_id: String,
    /// The name that users see: 1 to 100 visible characters. The default is the `client_id`.
    pub client_name: Option<String>,
    /// `web`, or `native` for programs on a user's device.
    #[serde(default = "web")]
    pub application_type: String,
    /// One of [`auth_methods`], or `client_secret`, which permits both `client_secret_basic` and
    /// `client_secret_post`. The default is `client_secret`.
    pub token_endpoint_auth_method: Option<String>,
    /// Public keys, for `private_key_jwt` (RFC 7517 §5).
    pub jwks: Option<Value>,
    /// Redirect URIs for authorization responses.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// Redirect URIs after logout.
    #[serde(default)]
    pub post_logout_redirect_uris: Vec<String>,
    /// The URI to which logout tokens are sent.
    pub backchannel_logout_uri: Option<String>,
    /// Some of [`GRANT_TYPES`].
    #[serde(default = "code_flow")]
    pub grant_types: Vec<String>,
    /// The scope values that the client may request, separated by spaces.
    #[serde(default = "identity")]
    pub scope: String,
    /// The audiences that the client's tokens may have (RFC 8707). The first is the default.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The audiences whose tokens the client may introspect, even tokens of other clients.
    #[serde(default)]
    pub introspects: Vec<String>,
    /// The lifetime of the client's access tokens, in seconds: 60 to 86,400.
    #[serde(default = "default_token_seconds")]
    pub access_token_seconds: u32,
    /// Always [`Pkce::Required`] for a public client. The default for a confidential client is
    /// [`Pkce::RequiredOrNonce`].
    pub pkce: Option<Pkce>,
    /// The form of `pkce` in previous versions: `required` if true, `optional` if false.
    #[serde(skip_serializing)]
    pub require_pkce: Option<bool>,
    /// Whether ID tokens also have the claims of the client's scope, which userinfo always returns.
    #[serde(default)]
    pub id_token_claims: bool,
    /// `ask` if users are asked for consent, or `skip` for an application of the operator.
    #[serde(default = "ask")]
    pub consent: String,
}

fn web() -> String {
    "web".to_owned()
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

const fn default_token_seconds() -> u32 {
    900
}

/// The invalid member of a registration, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{client_id}: {member} {reason}")]
pub struct RegistrationError {
    /// The client.
    pub client_id: String,
    /// The member.
    pub member: &'static str,
    /// Why it is invalid.
    pub reason: String,
}

impl Registration {
    /// The client authentication method.
    fn auth_method(&self) -> &str {
        self.token_endpoint_auth_method.as_deref().unwrap_or(EITHER_SECRET)
    }

    fn is_public(&self) -> bool {
        self.auth_method() == "none"
    }

    fn pkce(&self) -> Pkce {
        match (self.pkce, self.require_pkce) {
            (Some(pkce), _) => pkce,
            (None, Some(true)) => Pkce::Required,
            (None, Some(false)) => Pkce::Optional,
            (None, None) if self.is_public() => Pkce::Required,
            (None, None) => Pkce::RequiredOrNonce,
        }
    }

    /// Keeps the authentication method and the PKCE setting of an existing client, if this registration
    /// lacks them. The client may have been registered when the defaults were stricter, or an operator
    /// may have changed its PKCE setting (`signet client pkce`).
    pub fn keep_unstated_settings(&mut self, row: &Model) {
        if self.token_endpoint_auth_method.is_none()
            && row.auth_method == AuthMethod::ClientSecretBasic
        {
            self.token_endpoint_auth_method = Some(auth_method_of(row));
        }
        if self.pkce.is_none() && self.require_pkce.is_none() && !self.is_public() {
            self.pkce = Some(pkce_of(row));
        }
    }

    /// The row of a new client, if the registration is valid.
    ///
    /// # Errors
    /// The first rule that the registration breaks.
    pub fn into_row(self, now: Timestamp) -> Result<Model, RegistrationError> {
        let checked = self.check().map_err(|(member, reason)| RegistrationError {
            client_id: self.client_id.clone(),
            member,
            reason,
        });
        let (application_type, auth_method, consent) = checked?;
        let (either_secret_method, pkce) = (self.auth_method() == EITHER_SECRET, self.pkce());
        let scopes = self.scope.split(' ').filter(|it| !it.is_empty()).map(str::to_owned);
        Ok(Model {
            name: self.client_name.unwrap_or_else(|| self.client_id.clone()),
            id: self.client_id,
            application_type,
            auth_method,
            either_secret_method,
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
            pkce_required: pkce != Pkce::Optional,
            nonce_for_pkce: pkce == Pkce::RequiredOrNonce,
            id_token_claims: self.id_token_claims,
            consent,
            created_at: now,
            updated_at: now,
        })
    }

    /// The registration of a row.
    #[must_use]
    pub fn of_row(row: &Model) -> Self {
        Self {
            client_id: row.id.clone(),
            client_name: Some(row.name.clone()),
            application_type: row.application_type.to_value(),
            token_endpoint_auth_method: Some(auth_method_of(row)),
            jwks: row.jwks.as_deref().and_then(|jwks| serde_json::from_str(jwks).ok()),
            redirect_uris: row.redirect_uris.0.clone(),
            post_logout_redirect_uris: row.post_logout_redirect_uris.0.clone(),
            backchannel_logout_uri: row.backchannel_logout_uri.clone(),
            grant_types: row.grants.0.clone(),
            scope: row.scopes.0.join(" "),
            audiences: row.audiences.0.clone(),
            introspects: row.introspects.0.clone(),
            access_token_seconds: u32::try_from(row.access_token_seconds).unwrap_or(u32::MAX),
            pkce: Some(pkce_of(row)),
            require_pkce: None,
            id_token_claims: row.id_token_claims,
            consent: row.consent.to_value(),
        }
    }
}

fn auth_method_of(row: &Model) -> String {
    if row.either_secret_method { EITHER_SECRET.to_owned() } else { row.auth_method.to_value() }
}

fn pkce_of(row: &Model) -> Pkce {
    match (row.pkce_required, row.nonce_for_pkce) {
        (false, _) => Pkce::Optional,
        (true, true) => Pkce::RequiredOrNonce,
        (true, false) => Pkce::Required,
    }
}
