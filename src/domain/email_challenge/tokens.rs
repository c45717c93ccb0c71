//! The secrets of challenges with which a user proves control of an address: the token in the link,
//! and the code.

use openssl::error::ErrorStack;
use openssl::sha::sha256;

use crate::domain::keys::{ComputedTokens, MacKey, TokenContent};
use crate::entity::account;
use crate::entity::email_challenge::{Model as Challenge, Purpose};

/// The secrets in a mail.
pub struct Secrets {
    /// The token in the link.
    pub token: String,
    /// The code that the user types.
    pub code: String,
}

/// Computes and verifies the secrets, with keys derived from the master key. Secrets become void
/// when the address or the password of the account changes.
pub struct EmailTokens {
    verification: ComputedTokens,
    change: ComputedTokens,
    sign_up: ComputedTokens,
}

/// The keys for each purpose, the current key first.
pub struct EmailKeys {
    /// For verifications of an address.
    pub verification: Vec<MacKey>,
    /// For changes of the address.
    pub change: Vec<MacKey>,
    /// For sign-ups.
    pub sign_up: Vec<MacKey>,
}

impl EmailTokens {
    /// Computes the tokens of each purpose with its keys, and gives them a prefix of their own.
    #[must_use]
    pub fn new(keys: EmailKeys) -> Self {
        Self {
            verification: ComputedTokens::new("sgv_", keys.verification),
            change: ComputedTokens::new("sge_", keys.change),
            sign_up: ComputedTokens::new("sgu_", keys.sign_up),
        }
    }

    /// The secrets of a challenge. `None` for a password reset, whose secrets another module
    /// computes (`password_reset`).
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when memory is exhausted.
    pub fn secrets(
        &self,
        account: &account::Model,
        challenge: &Challenge,
    ) -> Result<Option<Secrets>, ErrorStack> {
        let Some(tokens) = self.tokens_of(challenge.purpose) else { return Ok(None) };
        let number = challenge.expires_at.as_micros();
        let token = tokens.encode(account.id, number, &context(account, challenge))?;
        let code = tokens.code(account.id, number, &code_context(account, challenge))?;
        Ok(Some(Secrets { token, code }))
    }

    /// Parses a token, without verifying it.
    #[must_use]
    pub fn decode(&self, token: &str) -> Option<(Purpose, TokenContent)> {
        let of = |purpose| Some((purpose, self.tokens_of(purpose)?.decode(token)?));
        [Purpose::VerifyEmail, Purpose::ChangeEmail, Purpose::SignUp].into_iter().find_map(of)
    }

    /// Whether the token is that of this challenge. It must have been parsed for the purpose of the
    /// challenge ([`decode`](Self::decode)).
    #[must_use]
    pub fn verify_token(
        &self,
        token: TokenContent,
        account: &account::Model,
        challenge: &Challenge,
    ) -> bool {
        let tokens = self.tokens_of(challenge.purpose);
        tokens.is_some_and(|tokens| tokens.verify(token, &context(account, challenge)))
    }

    /// Whether the code that the user typed is that of this challenge.
    #[must_use]
    pub fn verify_code(
        &self,
        typed: &str,
        account: &account::Model,
        challenge: &Challenge,
    ) -> bool {
        let (number, context) =
            (challenge.expires_at.as_micros(), code_context(account, challenge));
        let tokens = self.tokens_of(challenge.purpose);
        tokens.is_some_and(|tokens| tokens.verify_code(typed, account.id, number, &context))
    }

    const fn tokens_of(&self, purpose: Purpose) -> Option<&ComputedTokens> {
        match purpose {
            Purpose::VerifyEmail => Some(&self.verification),
            Purpose::ChangeEmail => Some(&self.change),
            Purpose::SignUp => Some(&self.sign_up),
            Purpose::ResetPassword => None,
        }
    }
}

/// What the HMAC of a token covers in addition to the content of the token.
fn context(account: &account::Model, challenge: &Challenge) -> [u8; 32] {
    let hash = account.password_hash.as_deref().unwrap_or_default();
    let mut parts = vec![account.email.as_str(), hash];
    parts.extend(challenge.new_email.as_deref());
    // No part contains a line feed, so different parts give different texts.
    sha256(parts.join("\n").as_bytes())
}

/// As [`context`], for a code, which is bound to a device.
fn code_context(account: &account::Model, challenge: &Challenge) -> Vec<u8> {
    [&context(account, challenge), challenge.device_digest.as_slice()].concat()
}
