//! Validation of client registrations (RFC 7591 §2, RFC 8252, RFC 8707, RFC 9700).

use sea_orm::ActiveEnum;
use url::Url;
use uuid::Uuid;

use crate::domain::oauth::assertion;
use crate::domain::oauth::client::metadata::{EITHER_SECRET, GRANT_TYPES, Pkce, Registration};
use crate::domain::oauth::redirect;
use crate::domain::session::FIRST_PARTY_CLIENT;
use crate::entity::client::{ApplicationType, AuthMethod, ConsentPolicy};
use crate::naming::is_name;
use crate::scope::is_scope_token;

/// Maximum number of entries in a list.
const MAX_ENTRIES: usize = 50;

/// Maximum length of a list entry, in bytes.
const MAX_ENTRY: usize = 2000;

/// Maximum size of a key set, in bytes.
const MAX_KEYS: usize = 64 * 1024;

/// An invalid member, and the reason.
type InvalidMember = (&'static str, String);

impl Registration {
    /// Validates the registration. Returns the values of the members that have a fixed set of
    /// values.
    ///
    /// # Errors
    /// The first rule that the registration breaks.
    pub(super) fn check(
        &self,
    ) -> Result<(ApplicationType, AuthMethod, ConsentPolicy), InvalidMember> {
        self.check_sizes()?;
        self.check_names()?;
        let application_type = one_of("application_type", &self.application_type)?;
        let consent = one_of("consent", &self.consent)?;
        let auth_method = match self.auth_method() {
            EITHER_SECRET => AuthMethod::ClientSecretBasic,
            method => one_of("token_endpoint_auth_method", method)?,
        };
        self.check_authentication(application_type, auth_method, consent)?;
        self.check_grants()?;
        self.check_uris()?;
        self.check_audiences()?;
        if !(60..=86_400).contains(&self.access_token_seconds) {
            return Err(("access_token_seconds", "must be 60 to 86400".to_owned()));
        }
        Ok((application_type, auth_method, consent))
    }

    /// Checks the sizes of lists. Must be the first check, because other checks read each entry,
    /// and their errors contain the entry.
    fn check_sizes(&self) -> Result<(), InvalidMember> {
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
                return Err((member, format!("must have at most {MAX_ENTRY} bytes per entry")));
            }
        }
        let keys = self.jwks.as_ref().and_then(|jwks| jwks.get("keys")?.as_array());
        if keys.is_some_and(|keys| keys.len() > MAX_ENTRIES) {
            return Err(("jwks", format!("must have at most {MAX_ENTRIES} keys")));
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), InvalidMember> {
        let id = &self.client_id;
        if !is_client_id(id) {
            return fail("client_id", "must be 1 to 100 printable ASCII characters without spaces");
        }
        if id.parse::<Uuid>().is_ok() {
            return fail("client_id", "must not be a UUID: those are user IDs");
        }
        if id == FIRST_PARTY_CLIENT {
            return fail("client_id", "is reserved for the JSON API");
        }
        if !is_name(self.client_name.as_deref().unwrap_or(id), 100) {
            return fail("client_name", "must be 1 to 100 characters, all of them visible");
        }
        Ok(())
    }

    fn check_authentication(
        &self,
        application_type: ApplicationType,
        method: AuthMethod,
        consent: ConsentPolicy,
    ) -> Result<(), InvalidMember> {
        match (&self.jwks, method == AuthMethod::PrivateKeyJwt) {
            (None, false) => {}
            (Some(jwks), true) if assertion::is_usable_key_set(jwks) => {
                if jwks.to_string().len() > MAX_KEYS {
                    return fail("jwks", "must be at most 64 KiB");
                }
            }
            (_, true) => {
                return fail("jwks", "must contain public keys for RS256, PS256, ES256 or EdDSA");
            }
            (Some(_), false) => return fail("jwks", "is allowed only for private_key_jwt"),
        }
        if self.pkce.is_some() && self.require_pkce.is_some() {
            return fail("require_pkce", "is a former name of pkce; remove one of them");
        }
        if self.is_public() && self.pkce() != Pkce::Required {
            return fail("pkce", "must be required for a public client");
        }
        let is_public_native = self.is_public() && application_type == ApplicationType::Native;
        if is_public_native && consent == ConsentPolicy::Skip {
            return fail(
                "consent",
                "cannot be skipped for a public native client: \
                         any program can use its client_id (RFC 8252 section 8.6)",
            );
        }
        Ok(())
    }

    fn check_grants(&self) -> Result<(), InvalidMember> {
        let has = |grant: &str| self.grant_types.iter().any(|it| it == grant);
        if self.grant_types.is_empty() && self.introspects.is_empty() {
            return fail("grant_types", "must not be empty, unless the client introspects");
        }
        if !self.grant_types.iter().all(|it| GRANT_TYPES.contains(&it.as_str())) {
            return Err(("grant_types", format!("must be one of {}", GRANT_TYPES.join(", "))));
        }
        if has("client_credentials") && self.is_public() {
            return fail("grant_types", "client_credentials requires a confidential client");
        }
        if has("refresh_token") && !has("authorization_code") {
            return fail("grant_types", "refresh_token requires authorization_code");
        }
        if has("authorization_code") == self.redirect_uris.is_empty() {
            return fail("redirect_uris", "are required with authorization_code, and only with it");
        }
        if !self.scope.split(' ').filter(|it| !it.is_empty()).all(is_scope_token)
            || self.scope.len() > 2000
        {
            return fail(
                "scope",
                "must be scope values separated by spaces (RFC 6749 section 3.3)",
            );
        }
        Ok(())
    }

    fn check_uris(&self) -> Result<(), InvalidMember> {
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
        // http is allowed for a receiver on the same host. Requests to private networks are blocked
        // nevertheless, unless the configuration allows them.
        let uri = self.backchannel_logout_uri.as_deref();
        let checked = uri.map_or(Ok(()), |uri| match redirect::check(uri, true) {
            Ok(()) if uri.starts_with("https://") || uri.starts_with("http://") => Ok(()),
            Ok(()) => Err(redirect::NOT_HTTPS),
            Err(error) => Err(error),
        });
        checked.map_err(|error| ("backchannel_logout_uri", error.to_owned()))
    }

    fn check_audiences(&self) -> Result<(), InvalidMember> {
        let lists = [("audiences", &self.audiences), ("introspects", &self.introspects)];
        let is_valid = |audience: &String| is_resource(audience) && *audience != self.client_id;
        for (member, audiences) in lists {
            if !audiences.iter().all(is_valid) {
                return fail(member, "must be absolute URIs without fragment, not the client_id");
            }
        }
        if !self.introspects.is_empty() && self.is_public() {
            return fail("introspects", "requires a confidential client");
        }
        Ok(())
    }
}

/// Whether a text consists of 1 to 100 printable ASCII characters other than the space.
#[must_use]
pub fn is_client_id(text: &str) -> bool {
    (1..=100).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Whether a text is an absolute URI without a fragment (RFC 8707 §2), of at most 500 bytes.
#[must_use]
pub fn is_resource(uri: &str) -> bool {
    let is_printable = uri.len() <= 500 && uri.bytes().all(|b| b.is_ascii_graphic());
    is_printable && !uri.contains('#') && Url::parse(uri).is_ok()
}

fn one_of<T: ActiveEnum<Value = String>>(
    member: &'static str,
    value: &str,
) -> Result<T, InvalidMember> {
    T::try_from_value(&value.to_owned())
        .map_err(|_| (member, format!("must be one of {}", T::values().join(", "))))
}

fn fail(member: &'static str, reason: &str) -> Result<(), InvalidMember> {
    Err((member, reason.to_owned()))
}
