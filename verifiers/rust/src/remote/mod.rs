//! A verifier that fetches the key set and the status lists.

mod builder;
mod clock;
mod documents;
mod fetch;
mod lists;
mod slot;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use builder::BuildError;
pub use builder::RemoteVerifierBuilder;
pub use builder::WhenStatusUnavailable;
pub use clock::Clock;

use crate::access_token::AccessToken;
use crate::error::VerifyError;
use crate::key_set::KeySet;
use crate::remote::lists::StatusLists;
use crate::remote::slot::Slot;
use crate::status::StatusReference;
use crate::verifier::Verifier;

/// Checks access tokens, and whether they have been revoked since they were issued.
///
/// It fetches the issuer's key set and status lists when it first needs them, and caches them for
/// the time that they declare. Create one verifier for the whole process: clones share its cache.
/// It must be used within a Tokio runtime.
///
/// ```no_run
/// # async fn check(bearer: &str) -> Result<(), Box<dyn std::error::Error>> {
/// use signet_verifier::RemoteVerifier;
///
/// let verifier = RemoteVerifier::new("https://id.example", "https://tasks.example")?;
/// let token = verifier.verify(bearer).await?;
/// println!("{} may {}", token.subject(), token.scope());
/// # Ok(())
/// # }
/// ```
///
/// # What is fetched, and when
///
/// There is at most one request at a time for each document. Callers that need its result wait for
/// at most three seconds, or one second if the cached copy may still be used.
///
/// The key set is fetched again when its `max-age` has passed. It is also fetched for an unknown
/// key, but only once in 30 seconds ([`cool_down`]). A status list is fetched again when its `ttl`
/// has passed.
///
/// After a failed fetch, the next one is made after five seconds at the earliest (one second while
/// there are no keys). Meanwhile the cached copy is used: a key set without limit, a status list
/// until its `exp`, or without `exp` until its `ttl` has passed.
///
/// [`cool_down`]: RemoteVerifierBuilder::cool_down
#[derive(Clone)]
pub struct RemoteVerifier(Arc<Shared>);

struct Shared {
    verifier: Verifier,
    issuer: String,
    base_url: String,
    cool_down: Duration,
    when_status_unavailable: WhenStatusUnavailable,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    keys: Arc<Slot<KeySet>>,
    lists: StatusLists,
}

/// Why a token was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// The token is refused: answer 401.
    #[error(transparent)]
    Refused(#[from] VerifyError),

    /// No key set has been fetched yet: answer 503. The token could not be checked.
    #[error("the issuer's keys cannot be fetched")]
    KeysUnavailable,

    /// No usable status list can be fetched: answer 503. The token passed all other checks, but may
    /// have been revoked.
    #[error("the issuer's list of ended sessions cannot be fetched")]
    StatusUnavailable,
}

impl RemoteError {
    /// The name of this reason for logs and metrics. See [`VerifyError::code`].
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(error) => error.code(),
            Self::KeysUnavailable => "keys_unavailable",
            Self::StatusUnavailable => "status_unavailable",
        }
    }
}

impl RemoteVerifier {
    /// Creates a verifier with the default settings of [`builder`](Self::builder).
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Result<Self, BuildError> {
        Self::builder(issuer, audience).build()
    }

    /// `issuer` and `audience` are compared byte for byte, as by
    /// [`Verifier::new`](crate::Verifier::new).
    pub fn builder(
        issuer: impl Into<String>,
        audience: impl Into<String>,
    ) -> RemoteVerifierBuilder {
        RemoteVerifierBuilder::new(issuer.into(), audience.into())
    }

    /// Checks `token`. Fetches the documents that are not cached, or no longer fresh.
    ///
    /// This method is cancel-safe: a fetch that it started continues.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn verify(&self, token: &str) -> Result<AccessToken, RemoteError> {
        let token = self.verify_without_status(token).await?;
        if let Some(reference) = token.status() {
            self.check_status(reference).await?;
        }
        Ok(token)
    }

    /// Performs all checks except that of the status.
    async fn verify_without_status(&self, token: &str) -> Result<AccessToken, RemoteError> {
        let shared = &self.0;
        let read = |keys: &KeySet| shared.verifier.verify(keys, token, shared.clock.unix_seconds());

        let seen = shared.keys.fetch_count();
        if shared.keys.cached().is_none() {
            // A token that is refused without any key must not cause a fetch.
            match read(&KeySet::default()) {
                Err(VerifyError::UnknownKey { .. }) => {}
                outcome => return Ok(outcome?),
            }
        }
        let keys = shared.keys(seen).await.ok_or(RemoteError::KeysUnavailable)?;
        match read(&keys) {
            Err(VerifyError::UnknownKey { .. }) => {
                let keys = shared.keys_after_unknown(seen).await;
                Ok(read(&keys.ok_or(RemoteError::KeysUnavailable)?)?)
            }
            outcome => Ok(outcome?),
        }
    }

    async fn check_status(&self, reference: &StatusReference) -> Result<(), RemoteError> {
        match (self.0.list(&reference.uri).await, self.0.when_status_unavailable) {
            (Some(list), _) => Ok(list.check(reference)?),
            (None, WhenStatusUnavailable::Accept) => Ok(()),
            (None, WhenStatusUnavailable::Refuse) => Err(RemoteError::StatusUnavailable),
        }
    }
}

impl fmt::Debug for RemoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteVerifier").field(&self.0.verifier).finish()
    }
}
