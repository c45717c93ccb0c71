//! Refresh token format: `sgr_` and the base64url of version, session, generation and an HMAC.
//!
//! Tokens are not stored. A copy of the database contains none, and none can be computed without
//! the master key. A forged or altered token costs no query.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::error::ErrorStack;
use uuid::Uuid;

use crate::domain::keys::MacKey;

/// Identifies the kind of secret to people and secret scanners. Never changes.
const PREFIX: &str = "sgr_";

/// The version of the byte layout after the prefix.
const VERSION: u8 = 1;

const CLAIMS: usize = 1 + 16 + 8;
const MAC: usize = 32;

/// Creates and parses refresh tokens with keys derived from the master key.
pub struct RefreshTokens {
    /// The first creates tokens; all are accepted, so that the master key can be rotated.
    keys: Vec<MacKey>,
}

/// The content of an authentic token. [`rotate`] checks whether it is the newest of a live session.
///
/// [`rotate`]: crate::domain::refresh::rotate()
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presented {
    /// The session.
    pub session_id: Uuid,
    /// The generation within the session, from 0.
    pub generation: i64,
}

impl RefreshTokens {
    /// Uses `keys`, the current one first.
    #[must_use]
    pub fn new(keys: Vec<MacKey>) -> Self {
        Self { keys }
    }

    /// The token of a session's `generation`: always the same text.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when out of memory.
    pub fn encode(&self, session_id: Uuid, generation: i64) -> Result<String, ErrorStack> {
        let mut bytes = Vec::with_capacity(CLAIMS + MAC);
        bytes.push(VERSION);
        bytes.extend_from_slice(session_id.as_bytes());
        bytes.extend_from_slice(&generation.to_be_bytes());
        let key = self.keys.first().ok_or_else(ErrorStack::get)?;
        bytes.extend_from_slice(&key.mac(&bytes)?);
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Parses a token. Returns `None` for anything but the exact text of [`encode`](Self::encode).
    #[must_use]
    pub fn decode(&self, token: &str) -> Option<Presented> {
        let encoded = token.strip_prefix(PREFIX)?;
        if encoded.len() != (CLAIMS + MAC).div_ceil(3) * 4 {
            return None;
        }
        // 57 bytes fill 76 characters exactly: no bits remain for a second encoding.
        let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
        let (claims, mac) = bytes.split_at_checked(CLAIMS)?;
        if !self.keys.iter().any(|key| key.verify(claims, mac)) {
            return None;
        }
        let (version, rest) = claims.split_first()?;
        let (session_id, generation) = rest.split_at_checked(16)?;
        (*version == VERSION).then_some(Presented {
            session_id: Uuid::from_slice(session_id).ok()?,
            generation: i64::from_be_bytes(generation.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(key: u8) -> RefreshTokens {
        RefreshTokens::new(vec![MacKey::from_bytes(&[key; 32]).unwrap()])
    }

    #[test]
    fn token_decodes_to_its_parts() {
        let presented = Presented { session_id: Uuid::from_u128(7), generation: 41 };

        let token = tokens(1).encode(presented.session_id, presented.generation).unwrap();

        assert_eq!(token.len(), 80);
        assert_eq!(tokens(1).decode(&token), Some(presented));
        assert_eq!(tokens(2).decode(&token), None);
    }

    /// RF-12: any change of a single character, other length or other encoding is refused.
    #[test]
    fn altered_token_is_rejected() {
        let tokens = tokens(1);
        let token = tokens.encode(Uuid::from_u128(7), 41).unwrap();

        for index in 0..token.len() {
            for other in ["A", "b", "-", "_", "=", " ", "+", "é"] {
                let mut altered = token.clone();
                altered.replace_range(index..=index, other);
                assert!(altered == token || tokens.decode(&altered).is_none(), "{altered}");
            }
            assert_eq!(tokens.decode(&token[..index]), None);
        }
        for altered in [
            format!("{token}A"),
            format!("{token}="),
            format!(" {token}"),
            token.to_uppercase(),
            token.replacen("sgr_", "sgc_", 1),
            token.replacen("sgr_", "", 1),
        ] {
            assert_eq!(tokens.decode(&altered), None, "{altered}");
        }
    }
}
