//! Who may sign up. A sign-up requires a [`SignUpPermit`], which only this module grants, so the
//! JSON API and the hosted pages apply the same rule. The policy does not apply to commands with
//! which an operator creates accounts.

use crate::config::{SignUpMode, SignUpSettings, VerifyEmail};
use crate::domain::email::Email;
use crate::domain::email_verification::{UntilVerified, Verification};
use crate::domain::mail::MailQueue;
use crate::domain::secret::digest;
use crate::domain::session::Unverified;

/// Who may sign up.
#[derive(Debug, Clone)]
pub struct SignUpPolicy {
    mode: SignUpMode,
    /// The permitted domains of addresses; empty if all are permitted.
    domains: Vec<String>,
    verify_email: VerifyEmail,
    reveals_existing: bool,
}

/// Why a sign-up is refused. The reasons depend only on the settings and the address, never on
/// whether the address has an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignUpRefusal {
    /// Nobody may sign up.
    #[error("sign-up is closed")]
    Closed,
    /// Only people with an invite may sign up.
    #[error("sign-up requires an invite")]
    InviteRequired,
    /// The domain of the address is not permitted.
    #[error("addresses of this domain cannot sign up")]
    DomainNotAllowed,
}

/// Proof that the policy permits a sign-up with an address.
#[derive(Debug, Clone)]
pub struct SignUpPermit {
    email: Email,
    invite_digest: Option<Vec<u8>>,
}

impl SignUpPolicy {
    /// The policy of these settings.
    #[must_use]
    pub fn new(settings: &SignUpSettings) -> Self {
        Self {
            mode: settings.signup,
            domains: settings.signup_domains.clone(),
            verify_email: settings.verify_email,
            reveals_existing: settings.signup_reveals_existing,
        }
    }

    /// Whether users are asked to verify their address, even if logins do not require it.
    #[must_use]
    pub fn asks_to_verify(&self) -> bool {
        self.verify_email != VerifyEmail::Off
    }

    /// Whether a sign-up begins no session before its address is verified. A mailed invite verifies
    /// the address at the sign-up.
    #[must_use]
    pub fn delays_session(&self) -> bool {
        self.verify_email == VerifyEmail::Require || self.conceals_existing()
    }

    /// Whether a sign-up must not reveal that its address has an account.
    #[must_use]
    pub fn conceals_existing(&self) -> bool {
        !self.reveals_existing
    }

    /// The verification of the address that a sign-up begins, if any. `device_digest` is the digest
    /// of the secret of the device that may use the code.
    #[must_use]
    pub fn verification(&self, mail: &MailQueue, device_digest: Vec<u8>) -> Option<Verification> {
        let until_then = match self.verify_email {
            _ if self.conceals_existing() => UntilVerified::Nothing,
            VerifyEmail::Off => return None,
            VerifyEmail::Ask => UntilVerified::Session,
            VerifyEmail::Require => UntilVerified::Account,
        };
        Some(Verification { mail: mail.clone(), device_digest, until_then })
    }

    /// What happens at a login if the address is not verified.
    #[must_use]
    pub fn unverified_logins(&self) -> Unverified {
        match self.verify_email {
            VerifyEmail::Require => Unverified::Refused,
            VerifyEmail::Off | VerifyEmail::Ask => Unverified::Accepted,
        }
    }

    /// Whether people can sign up on their own, without an invite.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.mode == SignUpMode::Open
    }

    /// Whether nobody can sign up.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.mode == SignUpMode::Closed
    }

    /// Checks whether a sign-up may be attempted with this invite, or without an invite. This check
    /// does not need the address, so a page can make it before it shows the form.
    ///
    /// # Errors
    /// [`SignUpRefusal::Closed`] or [`SignUpRefusal::InviteRequired`].
    pub fn check(&self, invite: Option<&str>) -> Result<(), SignUpRefusal> {
        match (self.mode, invite) {
            (SignUpMode::Open, _) | (SignUpMode::Invite, Some(_)) => Ok(()),
            (SignUpMode::Invite, None) => Err(SignUpRefusal::InviteRequired),
            (SignUpMode::Closed, _) => Err(SignUpRefusal::Closed),
        }
    }

    /// Permits a sign-up with an address, or refuses it. The transaction that creates the account
    /// verifies the invite. The permitted domains do not apply to a sign-up with an invite.
    ///
    /// # Errors
    /// See [`SignUpRefusal`].
    pub fn permit(
        &self,
        email: &Email,
        invite: Option<&str>,
    ) -> Result<SignUpPermit, SignUpRefusal> {
        self.check(invite)?;
        if let Some(token) = invite {
            let invite_digest = Some(digest(token));
            return Ok(SignUpPermit { email: email.clone(), invite_digest });
        }
        let is_allowed =
            self.domains.is_empty() || self.domains.iter().any(|it| it == email.domain());
        if !is_allowed {
            return Err(SignUpRefusal::DomainNotAllowed);
        }
        Ok(SignUpPermit { email: email.clone(), invite_digest: None })
    }
}

impl SignUpPermit {
    /// The address of the new account.
    #[must_use]
    pub fn email(&self) -> &Email {
        &self.email
    }

    /// The digest of the invite's token, if the account is created with an invite.
    #[must_use]
    pub fn invite_digest(&self) -> Option<&[u8]> {
        self.invite_digest.as_deref()
    }
}
