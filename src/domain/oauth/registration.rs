//! What a client is registered with, and the rules for that.
//!
//! The names are those of RFC 7591 §2 where it has one, so that a file for `signet client apply`
//! reads like any other registration.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use crate::domain::oauth::assertion;
use crate::domain::oauth::redirect::{self, RedirectError};
use crate::domain::oauth::scope::is_token;
use crate::domain::session::FIRST_PARTY_CLIENT;
use crate::entity::client::{Model, Texts};
use crate::naming::is_name;
use crate::timestamp::Timestamp;

/// What a client can exchange for tokens.
pub const GRANT_TYPES: [&str; 3] = ["authorization_code", "refresh_token", "client_credentials"];

/// How a client can prove who it is.
pub const AUTH_METHODS: [&str; 4] =
    ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];

/// Most entries of a list.
const MAX_ENTRIES: usize = 50;

/// Longest entry of a list, in bytes.
const MAX_ENTRY: usize = 2000;

/// Largest key set, in bytes.
const MAX_KEYS: usize = 64 * 1024;

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

    fn is_public(&self) -> bool {
        self.token_endpoint_auth_method == "none"
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        self.check_sizes()?;
        self.check_names()?;
        self.check_proof()?;
        self.check_grants()?;
        self.check_addresses()?;
        self.check_audiences()?;
        if !(60..=86_400).contains(&self.access_token_seconds) {
            return fail("access_token_seconds", "must be 60 to 86400");
        }
        Ok(())
    }

    /// First of all: the other checks look at each entry, and errors repeat it.
    fn check_sizes(&self) -> Result<(), (&'static str, String)> {
        for (member, list) in [
            ("redirect_uris", &self.redirect_uris),
            ("post_logout_redirect_uris", &self.post_logout_redirect_uris),
            ("grant_types", &self.grant_types),
            ("audiences", &self.audiences),
            ("introspects", &self.introspects),
        ] {
            if list.len() > MAX_ENTRIES {
                return Err((member, format!("must have at most {MAX_ENTRIES} entries")));
            }
            if list.iter().any(|entry| entry.len() > MAX_ENTRY) {
                return Err((member, format!("must have at most {MAX_ENTRY} bytes an entry")));
            }
        }
        let keys = self.jwks.as_ref().and_then(|jwks| jwks.get("keys")?.as_array());
        if keys.is_some_and(|keys| keys.len() > MAX_ENTRIES) {
            return Err(("jwks", format!("must have at most {MAX_ENTRIES} keys")));
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), (&'static str, String)> {
        let id = &self.client_id;
        if !is_client_id(id) {
            return fail("client_id", "must be 1 to 100 printable ASCII characters without spaces");
        }
        if id.parse::<Uuid>().is_ok() {
            return fail("client_id", "must not be a UUID: those are the subjects of people");
        }
        if id == FIRST_PARTY_CLIENT {
            return fail("client_id", "is that of the JSON API's own sessions");
        }
        if !is_name(self.client_name.as_deref().unwrap_or(id), 100) {
            return fail("client_name", "must be 1 to 100 characters, all of them visible");
        }
        one_of("application_type", &self.application_type, &["web", "native"])?;
        one_of("consent", &self.consent, &["ask", "skip"])
    }

    fn check_proof(&self) -> Result<(), (&'static str, String)> {
        let method = self.token_endpoint_auth_method.as_str();
        one_of("token_endpoint_auth_method", method, &AUTH_METHODS)?;
        match (&self.jwks, method == "private_key_jwt") {
            (None, false) => {}
            (Some(jwks), true) if assertion::is_usable_key_set(jwks) => {
                if jwks.to_string().len() > MAX_KEYS {
                    return fail("jwks", "must be at most 64 KiB");
                }
            }
            (_, true) => {
                return fail("jwks", "must hold public keys for RS256, PS256, ES256 or EdDSA");
            }
            (Some(_), false) => return fail("jwks", "is for private_key_jwt alone"),
        }
        if self.is_public() && !self.require_pkce {
            return fail("require_pkce", "cannot be turned off for a public client");
        }
        if self.is_public() && self.application_type == "native" && self.consent == "skip" {
            return fail(
                "consent",
                "cannot be skipped for a public native client: \
                         anybody's program can name it (RFC 8252 section 8.6)",
            );
        }
        Ok(())
    }

    fn check_grants(&self) -> Result<(), (&'static str, String)> {
        let has = |grant: &str| self.grant_types.iter().any(|it| it == grant);
        if self.grant_types.is_empty() && self.introspects.is_empty() {
            return fail("grant_types", "must not be empty, unless the client introspects");
        }
        for grant in &self.grant_types {
            one_of("grant_types", grant, &GRANT_TYPES)?;
        }
        if has("client_credentials") && self.is_public() {
            return fail("grant_types", "client_credentials is for confidential clients");
        }
        if has("refresh_token") && !has("authorization_code") {
            return fail("grant_types", "refresh_token is of no use without authorization_code");
        }
        if has("authorization_code") == self.redirect_uris.is_empty() {
            return fail("redirect_uris", "are needed for authorization_code, and for it alone");
        }
        if !self.scope.split(' ').filter(|it| !it.is_empty()).all(is_token)
            || self.scope.len() > 2000
        {
            return fail(
                "scope",
                "must be scope values separated by spaces (RFC 6749 section 3.3)",
            );
        }
        Ok(())
    }

    fn check_addresses(&self) -> Result<(), (&'static str, String)> {
        let is_native = self.application_type == "native";
        let lists = [
            ("redirect_uris", &self.redirect_uris),
            ("post_logout_redirect_uris", &self.post_logout_redirect_uris),
        ];
        for (member, uris) in lists {
            for uri in uris {
                redirect::check(uri, is_native)
                    .map_err(|error| (member, format!("{uri:?} {error}")))?;
            }
        }
        // http is for a receiver on the same host; the guard against private networks stands.
        let uri = self.backchannel_logout_uri.as_deref();
        let checked = uri.map_or(Ok(()), |uri| match redirect::check(uri, true) {
            Ok(()) if uri.starts_with("https://") || uri.starts_with("http://") => Ok(()),
            Ok(()) => Err(RedirectError::Scheme),
            Err(error) => Err(error),
        });
        checked.map_err(|error| ("backchannel_logout_uri", error.to_string()))
    }

    fn check_audiences(&self) -> Result<(), (&'static str, String)> {
        let lists = [("audiences", &self.audiences), ("introspects", &self.introspects)];
        let is_good = |audience: &String| is_resource(audience) && *audience != self.client_id;
        for (member, audiences) in lists {
            if !audiences.iter().all(is_good) {
                return fail(member, "must be absolute URIs without fragment, no client_id");
            }
        }
        if !self.introspects.is_empty() && self.is_public() {
            return fail("introspects", "is for confidential clients");
        }
        Ok(())
    }
}

/// 1 to 100 printable ASCII characters.
#[must_use]
pub fn is_client_id(text: &str) -> bool {
    (1..=100).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// RFC 8707 §2: an absolute URI without a fragment.
#[must_use]
pub fn is_resource(uri: &str) -> bool {
    let plain = uri.len() <= 500 && uri.bytes().all(|b| b.is_ascii_graphic());
    plain && !uri.contains('#') && Url::parse(uri).is_ok()
}

fn one_of(
    member: &'static str,
    value: &str,
    allowed: &[&str],
) -> Result<(), (&'static str, String)> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err((member, format!("must be one of {}", allowed.join(", "))))
}

fn fail(member: &'static str, reason: &str) -> Result<(), (&'static str, String)> {
    Err((member, reason.to_owned()))
}
