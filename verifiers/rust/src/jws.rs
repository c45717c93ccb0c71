//! A compact JWS (RFC 7515 §3.1), the format of access tokens and status list tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::VerifyError;
use crate::header;
use crate::header::Header;
use crate::header::Type;
use crate::key_set::KeySet;

/// The parts of a compact JWS, decoded but not yet verified.
pub(crate) struct Jws<'t> {
    /// The signing input: header and payload as sent.
    signed: &'t str,
    header: Vec<u8>,
    signature: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

impl<'t> Jws<'t> {
    /// Splits and decodes `token`, unless it is longer than `limit` bytes.
    pub(crate) fn split(token: &'t str, limit: usize) -> Result<Self, VerifyError> {
        if token.len() > limit {
            return Err(VerifyError::Malformed);
        }
        // With a fourth part, the payload would contain a dot, which is not base64url.
        let (signed, signature) = token.rsplit_once('.').ok_or(VerifyError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(VerifyError::Malformed)?;
        Ok(Self {
            signed,
            header: decode(header).ok_or(VerifyError::Malformed)?,
            payload: decode(payload).ok_or(VerifyError::Malformed)?,
            signature: decode(signature).ok_or(VerifyError::Malformed)?,
        })
    }

    /// Parses the header, which is not yet verified.
    pub(crate) fn header(&self) -> Result<Header<'_>, VerifyError> {
        header::parse(&self.header)
    }

    /// Checks the header, and the signature with the key that the header names.
    pub(crate) fn check(
        &self,
        header: &Header<'_>,
        keys: &KeySet,
        wanted: &[Type],
    ) -> Result<(), VerifyError> {
        let kid = header.key_id(wanted)?;
        let key = keys.key(kid).ok_or_else(|| VerifyError::unknown_key(kid))?;
        if key.verifies(self.signed.as_bytes(), &self.signature) {
            Ok(())
        } else {
            Err(VerifyError::BadSignature)
        }
    }
}

/// Unpadded base64url in canonical form: no padding, no whitespace, no stray bits in the last
/// character (RFC 7515 §2, RFC 4648 §3.5).
pub(crate) fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}
