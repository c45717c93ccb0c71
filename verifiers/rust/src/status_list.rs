//! A status list token (draft-ietf-oauth-status-list §5.1), verified and decompressed.

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

/// Largest decompressed list, in bytes: eight million sessions of one bit.
const MAX_INFLATED_BYTES: usize = 1024 * 1024;

/// A verified status list, created only by
/// [`Verifier::verify_status_list`](crate::Verifier::verify_status_list).
///
/// Clones share the list.
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

    /// The status at `index`, or `None` beyond the end of the list.
    #[must_use]
    pub fn status(&self, index: u64) -> Option<Status> {
        self.packed.value(index).map(Status::from)
    }

    /// Accepts a token whose status is valid.
    ///
    /// # Errors
    /// Answer each of these errors with 401:
    ///
    /// - [`VerifyError::Suspended`] if the token is suspended,
    /// - [`VerifyError::Revoked`] for every other status that is not valid,
    /// - [`VerifyError::MissingOrInvalidClaim`] for an index beyond the end of the list.
    pub fn check(&self, reference: &StatusReference) -> Result<(), VerifyError> {
        match self.status(reference.index) {
            Some(Status::Valid) => Ok(()),
            Some(Status::Suspended) => Err(VerifyError::Suspended),
            Some(Status::Revoked | Status::Other(_)) => Err(VerifyError::Revoked),
            None => Err(VerifyError::MissingOrInvalidClaim("status")),
        }
    }

    /// The number of statuses in the bytes of the list.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.packed.len()
    }

    /// Whether the list has no status.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `ttl`: how long a copy may be used before it should be fetched again.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl
    }

    /// `exp`, in seconds since the Unix epoch. From then on, plus the leeway, the list must not be
    /// used.
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
        self.bytes.len() as u64 * self.statuses_per_byte()
    }

    fn value(&self, index: u64) -> Option<u8> {
        let byte = self.bytes.get(usize::try_from(index / self.statuses_per_byte()).ok()?)?;
        let shift = (index % self.statuses_per_byte()) * u64::from(self.bits);
        Some((byte >> shift) & (u8::MAX >> (8 - self.bits)))
    }

    fn statuses_per_byte(&self) -> u64 {
        8 / u64::from(self.bits)
    }
}

/// Decompresses exactly one zlib stream (RFC 1950). The limit protects against decompression bombs.
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
