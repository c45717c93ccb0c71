//! Tokens that are computed and not stored. A token is a prefix, followed by the base64url of a
//! version, an id, a number and an HMAC.
//!
//! A copy of the database contains no such token, and without the master key none can be computed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::error::ErrorStack;
use openssl::memcmp;
use uuid::Uuid;

use crate::domain::keys::derived::MacKey;

/// The version of the byte layout after the prefix.
const VERSION: u8 = 1;

/// Length of version, id and number together, in bytes.
const CONTENT_BYTES: usize = 1 + 16 + 8;

/// Length of the HMAC, in bytes.
const MAC_BYTES: usize = 32;

/// The first byte of the message that the HMAC of a code covers. It differs from [`VERSION`], so
/// that a token and a code never have the same message.
const CODE_VERSION: u8 = 2;

/// The characters of codes: Crockford's Base32, which has no I, L, O and U.
const CODE_CHARACTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Length of a code, in characters of 5 bits each.
const CODE_LENGTH: usize = 8;

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
    /// The id of a session, an account or an invite.
    pub id: Uuid,
    /// The generation of a session, or an expiry in microseconds since the Unix epoch.
    pub number: i64,
    bytes: Vec<u8>,
    mac: [u8; MAC_BYTES],
}

impl ComputedTokens {
    /// Tokens with this prefix. The first of `keys` is the current key.
    #[must_use]
    pub const fn new(prefix: &'static str, keys: Vec<MacKey>) -> Self {
        Self { prefix, keys }
    }

    /// The token of an id and a number. Equal arguments give equal tokens. The HMAC also covers
    /// `context`, which the token does not contain.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when memory is exhausted.
    pub fn encode(&self, id: Uuid, number: i64, context: &[u8]) -> Result<String, ErrorStack> {
        let key = self.keys.first().ok_or_else(ErrorStack::get)?;
        self.encode_with(key, id, number, context)
    }

    /// The tokens of all keys, as [`encode`](Self::encode) returned them while each key was the
    /// current one. The first is that of the current key.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when memory is exhausted.
    pub fn encode_with_each(
        &self,
        id: Uuid,
        number: i64,
        context: &[u8],
    ) -> Result<Vec<String>, ErrorStack> {
        self.keys.iter().map(|key| self.encode_with(key, id, number, context)).collect()
    }

    fn encode_with(
        &self,
        key: &MacKey,
        id: Uuid,
        number: i64,
        context: &[u8],
    ) -> Result<String, ErrorStack> {
        let mut bytes = Vec::with_capacity(CONTENT_BYTES + MAC_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(id.as_bytes());
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.extend_from_slice(context);
        let mac = key.mac(&bytes)?;
        bytes.truncate(CONTENT_BYTES);
        bytes.extend_from_slice(&mac);
        Ok(format!("{}{}", self.prefix, URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The short code of an id and a number, for people to type: `XXXX-XXXX`. Equal arguments give
    /// equal codes. The 40 bits suffice only if the number of guesses is limited.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when memory is exhausted.
    pub fn code(&self, id: Uuid, number: i64, context: &[u8]) -> Result<String, ErrorStack> {
        let key = self.keys.first().ok_or_else(ErrorStack::get)?;
        let code = code(key, id, number, context)?;
        let (first, last) = code.split_at(CODE_LENGTH / 2);
        Ok(format!("{first}-{last}"))
    }

    /// Verifies a typed code in constant time. Case, spaces and hyphens are ignored, and characters
    /// that look like a digit count as this digit.
    #[must_use]
    pub fn verify_code(&self, typed: &str, id: Uuid, number: i64, context: &[u8]) -> bool {
        let typed: String = typed
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .map(|c| match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                c => c,
            })
            .collect();
        self.keys.iter().any(|key| {
            let valid = code(key, id, number, context);
            valid.is_ok_and(|valid| {
                typed.len() == valid.len() && memcmp::eq(typed.as_bytes(), valid.as_bytes())
            })
        })
    }

    /// Parses a token. Returns `None` if it does not have the form that [`encode`](Self::encode)
    /// returns.
    #[must_use]
    pub fn decode(&self, token: &str) -> Option<TokenContent> {
        let encoded = token.strip_prefix(self.prefix)?;
        if encoded.len() != (CONTENT_BYTES + MAC_BYTES).div_ceil(3) * 4 {
            return None;
        }
        // 57 bytes fill 76 characters exactly, so no unused bits permit a second encoding.
        let mut bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
        let mac = *bytes.last_chunk()?;
        bytes.truncate(CONTENT_BYTES);
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

fn code(key: &MacKey, id: Uuid, number: i64, context: &[u8]) -> Result<String, ErrorStack> {
    let mut message = vec![CODE_VERSION];
    message.extend_from_slice(id.as_bytes());
    message.extend_from_slice(&number.to_be_bytes());
    message.extend_from_slice(context);
    let mac = key.mac(&message)?;
    // 256 is a multiple of 32, so the remainder of a uniform byte is uniform.
    let characters = mac.iter().take(CODE_LENGTH);
    let characters = characters.filter_map(|byte| CODE_CHARACTERS.get(usize::from(byte % 32)));
    Ok(characters.map(|byte| char::from(*byte)).collect())
}
