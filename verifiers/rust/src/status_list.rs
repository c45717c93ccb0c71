//! A status list token (draft-ietf-oauth-status-list §5.1), verified and unpacked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flate2::Decompress;
use flate2::FlushDecompress;

use crate::claims::Claims;
use crate::error::StatusListError;
use crate::error::VerifyError;
use crate::json::Json;
use crate::jws;
use crate::status::Status;
use crate::status::StatusReference;

/// Longest list that is unpacked, in bytes: eight million sessions of one bit.
const MAX_INFLATED_BYTES: usize = 1024 * 1024;

/// Statuses under a signature of the issuer's. Only
/// [`Verifier::verify_status_list`](crate::Verifier::verify_status_list) makes one.
///
/// Cloning shares the list.
#[derive(Clone)]
pub struct StatusList {
    packed: Packed,
    ttl: Option<Duration>,
    expires_at: Option<u64>,
}

impl StatusList {
    pub(crate) fn from_claims(claims: &Claims<'_>) -> Result<Self, StatusListError> {
        let ttl = claims.optional_duration("ttl")?;
        let expires_at = claims.optional_seconds("exp")?;
        Ok(Self { packed: Packed::read(claims).ok_or(StatusListError::BadList)?, ttl, expires_at })
    }

    /// The status at `index`; `None` beyond the end of the list.
    #[must_use]
    pub fn status(&self, index: u64) -> Option<Status> {
        self.packed.value(index).map(Status::from)
    }

    /// Passes a token that is valid by this list.
    ///
    /// # Errors
    /// [`VerifyError::Suspended`]; [`VerifyError::Revoked`] for every status that
    /// is neither valid nor suspended; [`VerifyError::MissingOrInvalidClaim`] for a
    /// place beyond the end of the list. All are answered 401.
    pub fn check(&self, reference: &StatusReference) -> Result<(), VerifyError> {
        match self.status(reference.index) {
            Some(Status::Valid) => Ok(()),
            Some(Status::Suspended) => Err(VerifyError::Suspended),
            Some(Status::Revoked | Status::Other(_)) => Err(VerifyError::Revoked),
            None => Err(VerifyError::MissingOrInvalidClaim("status")),
        }
    }

    /// The number of places, a multiple of 8 divided by the bits of a status.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.packed.len()
    }

    /// Tells whether the list has no place at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `ttl`: how long a copy may be used before a new one is asked for.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl
    }

    /// `exp`, in seconds since the Unix epoch: the list says nothing after that.
    #[must_use]
    pub fn expires_at(&self) -> Option<u64> {
        self.expires_at
    }
}

impl fmt::Debug for StatusList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusList")
            .field("bits", &self.packed.bits)
            .field("len", &self.len())
            .field("ttl", &self.ttl)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Statuses of 1, 2, 4 or 8 bits, the first in the lowest bits of the first byte
/// (draft-ietf-oauth-status-list §4.1).
#[derive(Clone)]
struct Packed {
    bits: u8,
    bytes: Arc<[u8]>,
}

impl Packed {
    fn read(claims: &Claims<'_>) -> Option<Self> {
        let list = claims.object("status_list")?;
        let bits = match list.get("bits") {
            Some(Json::Integer(bits @ (1 | 2 | 4 | 8))) => u8::try_from(*bits).ok()?,
            _ => return None,
        };
        let bytes = inflate(&jws::decode(list.text("lst")?)?)?;
        Some(Self { bits, bytes: bytes.into() })
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64 * self.in_a_byte()
    }

    fn value(&self, index: u64) -> Option<u8> {
        let byte = self.bytes.get(usize::try_from(index / self.in_a_byte()).ok()?)?;
        let shift = (index % self.in_a_byte()) * u64::from(self.bits);
        Some((byte >> shift) & (u8::MAX >> (8 - self.bits)))
    }

    fn in_a_byte(&self) -> u64 {
        8 / u64::from(self.bits)
    }
}

/// Unpacks exactly one zlib stream (RFC 1950), and stops where a bomb would go on.
fn inflate(zlib: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![0; MAX_INFLATED_BYTES + 1];
    let mut stream = Decompress::new(true);
    let end = stream.decompress(zlib, &mut bytes, FlushDecompress::Finish).ok()?;
    let length = usize::try_from(stream.total_out()).ok()?;
    let is_whole = end == flate2::Status::StreamEnd && stream.total_in() == zlib.len() as u64;
    if !is_whole || length > MAX_INFLATED_BYTES {
        return None;
    }
    bytes.truncate(length);
    Some(bytes)
}
