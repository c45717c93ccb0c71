//! Authorization requests that wait for a login. The server does not store them: the page contains
//! the request, sealed for its browser, and the form sends it back.
//!
//! Anyone can send a browser to the authorization endpoint, so a waiting request must not use
//! storage. The seal protects the request from changes. The registration of the client may change
//! while the request waits, so each step checks the request against the current registration
//! ([`entitlement`](crate::domain::oauth::client::entitlement)).

use crate::domain::keys::RequestSealer;
use crate::domain::oauth::authorization_request::AuthorizationRequest;
use crate::domain::oauth::pending_authorization::FlowError;
use crate::domain::oauth::pending_authorization::{PENDING_LIFETIME, Pending, StoredIn};
use crate::timestamp::Timestamp;

pub use crate::domain::keys::is_sealed;

/// Seals a request for the browser whose cookie has this digest. The request expires 30 minutes
/// after it arrived, even if it is sealed again.
///
/// # Errors
/// See [`FlowError`].
pub fn seal(
    sealer: &RequestSealer,
    pending: &Pending,
    browser_digest: &[u8],
) -> Result<String, FlowError> {
    let content = serde_json::to_vec(&(&pending.request, pending.asked_at.as_micros()))?;
    Ok(sealer.seal(&content, browser_digest)?)
}

/// The request in a sealed text. `None` if the text was sealed for another browser or was altered,
/// or if the request has expired.
#[must_use]
pub fn open(
    sealer: &RequestSealer,
    text: &str,
    browser_digest: &[u8],
    now: Timestamp,
) -> Option<Pending> {
    let content = sealer.open(text, browser_digest)?;
    let read = serde_json::from_slice::<(AuthorizationRequest, i64)>(&content).ok();
    let (request, asked_at) = read?;
    let asked_at = Timestamp::from_micros(asked_at);
    let pending = Pending { stored_in: StoredIn::SealedForm, request, asked_at };
    (asked_at.plus(PENDING_LIFETIME) > now).then_some(pending)
}
