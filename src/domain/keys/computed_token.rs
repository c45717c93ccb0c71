//! Tokens that are computed, not stored: a prefix, and the base64url of version, id, number and an
//! HMAC.
//!
//! A copy of the database contains none, and none can be computed without the master key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::error::ErrorStack;
use uuid::Uuid;

use crate::domain::keys::derived::MacKey;

/// The version of the byte layout after the prefix.
const VERSION: u8 = 1;

const CLAIMS: usize = 1 + 16 + 8;
const MAC: usize = 32;

/// Creates and verifies the tokens of one kind.
pub struct ComputedTokens {
    /// Identifies the kind of secret to people and secret scanners. Never changes.
    prefix: &'static str,
    /// The first creates tokens; all are accepted, so that the master key can be rotated.
    keys: Vec<MacKey>,
}

/// The content of a token, which [`ComputedTokens::vouch`] has yet to verify.
pub struct TokenContent {
    /// Whom or what the token is for.
    pub id: Uuid,
    /// A generation or a time.
    pub number: i64,
    claims: Vec<u8>,
    mac: [u8; MAC],
}

impl ComputedTokens {
    /// Tokens with this prefix; uses `keys`, the current one first.
    #[must_use]
    pub const fn new(prefix: &'static str, keys: Vec<MacKey>) -> Self {
        Self { prefix, keys }
    }

    /// The token of an id and a number: always the same text. Its HMAC includes `context`, which
    /// the token does not contain.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when out of memory.
    pub fn encode(&self, id: Uuid, number: i64, context: &[u8]) -> Result<String, ErrorStack> {
        let mut bytes = Vec::with_capacity(CLAIMS + MAC);
        bytes.push(VERSION);
        bytes.extend_from_slice(id.as_bytes());
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.extend_from_slice(context);
        let mac = self.keys.first().ok_or_else(ErrorStack::get)?.mac(&bytes)?;
        bytes.truncate(CLAIMS);
        bytes.extend_from_slice(&mac);
        Ok(format!("{}{}", self.prefix, URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Parses a token. Returns `None` for anything but the form of [`encode`](Self::encode).
    #[must_use]
    pub fn decode(&self, token: &str) -> Option<TokenContent> {
        let encoded = token.strip_prefix(self.prefix)?;
        if encoded.len() != (CLAIMS + MAC).div_ceil(3) * 4 {
            return None;
        }
        // 57 bytes fill 76 characters exactly: no bits remain for a second encoding.
        let mut claims = URL_SAFE_NO_PAD.decode(encoded).ok()?;
        let mac = *claims.last_chunk()?;
        claims.truncate(CLAIMS);
        let (version, rest) = claims.split_first()?;
        let (id, number) = rest.split_at_checked(16)?;
        let (id, number) = (Uuid::from_slice(id).ok()?, number.try_into().ok()?);
        let number = i64::from_be_bytes(number);
        (*version == VERSION).then_some(TokenContent { id, number, claims, mac })
    }

    /// Verifies that one of the keys made the token, in this context.
    #[must_use]
    pub fn vouch(&self, token: TokenContent, context: &[u8]) -> bool {
        let TokenContent { claims: mut message, mac, .. } = token;
        message.extend_from_slice(context);
        self.keys.iter().any(|key| key.verify(&message, &mac))
    }
}
