//! The format of refresh tokens: `sgr_`, followed by the base64url of version, session, generation
//! and an HMAC. A forged or altered token is refused without a query.

use openssl::error::ErrorStack;
use uuid::Uuid;

use crate::domain::keys::{ComputedTokens, MacKey};

/// Creates and parses refresh tokens with keys derived from the master key.
pub struct RefreshTokens(ComputedTokens);

/// The content of an authentic token. [`Rotation`] checks whether it is the newest of a live
/// session.
///
/// [`Rotation`]: crate::domain::refresh::Rotation
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presented {
    /// The session.
    pub session_id: Uuid,
    /// The generation within the session, from 0.
    pub generation: i64,
}

impl RefreshTokens {
    /// Takes the keys, the current key first.
    #[must_use]
    pub const fn new(keys: Vec<MacKey>) -> Self {
        Self(ComputedTokens::new("sgr_", keys))
    }

    /// The token of a session's `generation`. It is the same at each call, until another key
    /// becomes the current key.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when memory is exhausted.
    pub fn encode(&self, session_id: Uuid, generation: i64) -> Result<String, ErrorStack> {
        self.0.encode(session_id, generation, &[])
    }

    /// Parses and verifies a token. Returns `None` unless it is the exact text that
    /// [`encode`](Self::encode) returns with the current or a previous key.
    #[must_use]
    pub fn decode(&self, token: &str) -> Option<Presented> {
        let content = self.0.decode(token)?;
        let presented = Presented { session_id: content.id, generation: content.number };
        self.0.verify(content, &[]).then_some(presented)
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

    /// RF-12: a token is refused if a single character is changed, or if it has another length or
    /// another encoding.
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
