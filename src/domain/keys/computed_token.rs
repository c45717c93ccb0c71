//! Tokens that are computed and not stored. A token is a prefix, followed by the base64url of a
//! version, an id, a number and an HMAC.
//!
//! A copy of the database contains no such token, and without the master key none can be computed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::error::ErrorStack;
use uuid::Uuid;

use crate::domain::keys::derived::MacKey;

/// The version of the byte layout after the prefix.
const VERSION: u8 = 1;

/// Bytes of version, id and number.
const CONTENT: usize = 1 + 16 + 8;

/// Bytes of the HMAC.
const MAC: usize = 32;

/// Creates and verifies the tokens of one kind.
pub struct ComputedTokens {
    /// Identifies the kind of secret to people and secret scanners. Never changes.
    prefix: &'static str,
    /// The first key creates tokens. Tokens of all keys are accepted, so that the master key can be
    /// rotated.
    keys: Vec<MacKey>,
}

/// The content of a token. It is not verified until [`ComputedTokens::verify`] returns true.
pub struct TokenContent {
    /// The id of a session or an account.
    pub id: Uuid,
    /// A generation or a time.
    pub number: i64,
    bytes: Vec<u8>,
    mac: [u8; MAC],
}

impl ComputedTokens {
    /// Tokens with this prefix. The first of `keys` is the current key.
    #[must_use]
    pub const fn new(prefix: &'static str, keys: Vec<MacKey>) -> Self {
        Self { prefix, keys }
    }

    /// The token of an id and a number, which is always the same. Its HMAC covers `context` as
    /// well, which the token does not contain.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when memory is exhausted.
    pub fn encode(&self, id: Uuid, number: i64, context: &[u8]) -> Result<String, ErrorStack> {
        let mut bytes = Vec::with_capacity(CONTENT + MAC);
        bytes.push(VERSION);
        bytes.extend_from_slice(id.as_bytes());
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.extend_from_slice(context);
        let mac = self.keys.first().ok_or_else(ErrorStack::get)?.mac(&bytes)?;
        bytes.truncate(CONTENT);
        bytes.extend_from_slice(&mac);
        Ok(format!("{}{}", self.prefix, URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Parses a token. Returns `None` if it does not have the form that [`encode`](Self::encode)
    /// returns.
    #[must_use]
    pub fn decode(&self, token: &str) -> Option<TokenContent> {
        let encoded = token.strip_prefix(self.prefix)?;
        if encoded.len() != (CONTENT + MAC).div_ceil(3) * 4 {
            return None;
        }
        // 57 bytes fill 76 characters exactly, so no unused bits permit a second encoding.
        let mut bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
        let mac = *bytes.last_chunk()?;
        bytes.truncate(CONTENT);
        let (version, rest) = bytes.split_first()?;
        let (id, number) = rest.split_at_checked(16)?;
        let (id, number) = (Uuid::from_slice(id).ok()?, number.try_into().ok()?);
        let number = i64::from_be_bytes(number);
        (*version == VERSION).then_some(TokenContent { id, number, bytes, mac })
    }

    /// Verifies that the token was created with one of the keys, and with this context.
    #[must_use]
    pub fn verify(&self, token: TokenContent, context: &[u8]) -> bool {
        let TokenContent { bytes: mut message, mac, .. } = token;
        message.extend_from_slice(context);
        self.keys.iter().any(|key| key.verify(&message, &mac))
    }
}
