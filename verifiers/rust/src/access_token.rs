//! The claims of a verified access token.

use crate::claims::Claims;
use crate::error::MissingScope;
use crate::error::NotThisUser;
use crate::error::VerifyError;
use crate::status::StatusReference;

/// The claims of an access token that passed every check.
///
/// Only [`Verifier::verify`](crate::Verifier::verify) creates it, so a function that takes an
/// `AccessToken` needs no check of its own. It contains the claims, but not the token, so it is not
/// a secret. `Debug` shows the email address, which is personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    subject: String,
    is_user: bool,
    email: Option<String>,
    client_id: String,
    session_id: Option<String>,
    scope: String,
    token_id: String,
    issued_at: u64,
    expires_at: u64,
    auth_time: Option<u64>,
    status: Option<StatusReference>,
}

impl AccessToken {
    /// Copies the claims, and performs the checks that depend only on the claims and the issuer.
    pub(crate) fn from_claims(claims: &Claims<'_>, issuer: &str) -> Result<Self, VerifyError> {
        let subject = claims.text("sub")?;
        let user_id = claims.optional_text("user_id")?;
        if user_id.is_some_and(|id| id != subject) {
            return Err(VerifyError::MissingOrInvalidClaim("user_id"));
        }
        Ok(Self {
            subject: subject.to_owned(),
            is_user: user_id.is_some(),
            email: claims.optional_text("email")?.map(str::to_owned),
            client_id: claims.text("client_id")?.to_owned(),
            session_id: claims.optional_text("sid")?.map(str::to_owned),
            scope: claims.optional_text("scope")?.unwrap_or_default().to_owned(),
            token_id: claims.text("jti")?.to_owned(),
            issued_at: claims.seconds("iat")?,
            expires_at: claims.seconds("exp")?,
            auth_time: claims.optional_seconds("auth_time")?,
            status: claims.status(issuer)?,
        })
    }

    /// Accepts only a token of this user, compared byte for byte with `user_id`.
    ///
    /// For paths that contain a user id, such as `/users/{id}/tasks`.
    ///
    /// # Errors
    /// [`NotThisUser`] (answer 403) if the token belongs to another user or to no user. A client
    /// credentials token is never accepted, not even for its own subject.
    pub fn require_user(&self, user_id: &str) -> Result<(), NotThisUser> {
        if self.user_id() == Some(user_id) { Ok(()) } else { Err(NotThisUser) }
    }

    /// Accepts only a token whose `scope` lists this value.
    ///
    /// # Errors
    /// [`MissingScope`], to be answered 403 `insufficient_scope`.
    pub fn require_scope(&self, scope: &str) -> Result<(), MissingScope> {
        if self.has_scope(scope) { Ok(()) } else { Err(MissingScope { scope: scope.to_owned() }) }
    }

    /// Whether `scope` lists exactly this value (RFC 6749 §3.3).
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        !scope.is_empty() && self.scope.split(' ').any(|granted| granted == scope)
    }

    /// `sub`: the account, or the client itself for client credentials.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `user_id`: the user of the token, equal to [`subject`](Self::subject). `None` for client
    /// credentials.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        self.is_user.then_some(self.subject.as_str())
    }

    /// `email` at the time of issue. It may change, so never use it as an identifier.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.email.as_deref()
    }

    /// `client_id`: the client that requested the token (RFC 9068 §2.2).
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// `sid`: the session for which the token was issued, if any.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    /// `scope`: values separated by spaces. Empty if the claim is absent.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// `jti`: unique to this token.
    #[must_use]
    pub fn token_id(&self) -> &str {
        &self.token_id
    }

    /// `iat`, in seconds since the Unix epoch.
    #[must_use]
    pub fn issued_at(&self) -> u64 {
        self.issued_at
    }

    /// `exp`, in seconds since the Unix epoch. The leeway is not added.
    #[must_use]
    pub fn expires_at(&self) -> u64 {
        self.expires_at
    }

    /// `auth_time`: when the user last authenticated, in seconds since the Unix
    /// epoch (RFC 9068 §2.2.1).
    #[must_use]
    pub fn auth_time(&self) -> Option<u64> {
        self.auth_time
    }

    /// `status`: where to look up whether the token has been revoked since it was issued
    /// (draft-ietf-oauth-status-list §6.1). `None` for client credentials.
    ///
    /// [`Verifier::verify`](crate::Verifier::verify) parses the claim but does not check the status.
    /// [`StatusList::check`](crate::StatusList::check) checks it.
    #[must_use]
    pub fn status(&self) -> Option<&StatusReference> {
        self.status.as_ref()
    }
}
