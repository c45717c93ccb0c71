//! Configuration of a remote verifier.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use crate::remote::RemoteVerifier;
use crate::remote::Shared;
use crate::remote::clock::Clock;
use crate::remote::clock::HostClock;
use crate::remote::fetch;
use crate::remote::lists::StatusLists;
use crate::remote::slot::RETRY_PAUSE_AT_START;
use crate::remote::slot::Slot;
use crate::verifier::Verifier;

const DEFAULT_COOL_DOWN: Duration = Duration::from_secs(30);

/// What happens to a token whose status cannot be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenStatusUnavailable {
    /// It is refused: a token that may have been revoked grants no access.
    #[default]
    Refuse,
    /// It is accepted: a logout may not take effect at this service while the issuer is
    /// unavailable.
    Accept,
}

/// Why a verifier cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The base URL, or without a base URL the issuer, must begin with `http://` or `https://`, and
    /// have no query or fragment.
    #[error("{0:?} is not an http or https URL without query and fragment")]
    Address(String),
    /// The HTTP client cannot be created, for example because its TLS library has no certificates.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(#[from] reqwest::Error),
}

/// Settings of a [`RemoteVerifier`], each with a default.
pub struct RemoteVerifierBuilder {
    verifier: Verifier,
    issuer: String,
    base_url: Option<String>,
    cool_down: Duration,
    when_status_unavailable: WhenStatusUnavailable,
    use_proxy: bool,
    clock: Arc<dyn Clock>,
}

impl RemoteVerifierBuilder {
    pub(super) fn new(issuer: String, audience: String) -> Self {
        Self {
            verifier: Verifier::new(issuer.clone(), audience),
            issuer,
            base_url: None,
            cool_down: DEFAULT_COOL_DOWN,
            when_status_unavailable: WhenStatusUnavailable::default(),
            use_proxy: true,
            clock: Arc::new(HostClock::new()),
        }
    }

    /// Sets the base URL from which documents are fetched, if it differs from the issuer, for
    /// example inside a cluster. Tokens are still compared with the issuer. One trailing slash is
    /// ignored.
    #[must_use]
    pub fn base_url(self, base_url: impl Into<String>) -> Self {
        Self { base_url: Some(base_url.into()), ..self }
    }

    /// See [`Verifier::leeway_seconds`]: 30 by default, at most 60.
    #[must_use]
    pub fn leeway_seconds(self, seconds: u64) -> Self {
        Self { verifier: self.verifier.leeway_seconds(seconds), ..self }
    }

    /// See [`Verifier::accept_typ_jwt`]: for an audience for which Signet issues tokens with `typ`
    /// `JWT`.
    #[must_use]
    pub fn accept_typ_jwt(self) -> Self {
        Self { verifier: self.verifier.accept_typ_jwt(), ..self }
    }

    /// Sets how often the key set may be fetched for tokens with unknown keys, by default once in
    /// 30 seconds. Attackers can create any number of such tokens.
    #[must_use]
    pub fn cool_down(self, cool_down: Duration) -> Self {
        Self { cool_down, ..self }
    }

    /// Sets what happens to a token whose status cannot be looked up. By default it is refused.
    #[must_use]
    pub fn when_status_unavailable(self, choice: WhenStatusUnavailable) -> Self {
        Self { when_status_unavailable: choice, ..self }
    }

    /// Connects to the issuer directly, ignoring `HTTP_PROXY` and similar variables.
    #[must_use]
    pub fn no_proxy(self) -> Self {
        Self { use_proxy: false, ..self }
    }

    /// Sets another clock, for tests.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Creates the verifier. Nothing is fetched yet.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn build(self) -> Result<RemoteVerifier, BuildError> {
        let base_url = self.base_url.unwrap_or_else(|| self.issuer.clone());
        if !is_base_url(&base_url) {
            return Err(BuildError::Address(base_url));
        }
        Ok(RemoteVerifier(Arc::new(Shared {
            verifier: self.verifier,
            issuer: self.issuer,
            base_url: base_url.strip_suffix('/').unwrap_or(&base_url).to_owned(),
            cool_down: self.cool_down,
            when_status_unavailable: self.when_status_unavailable,
            client: fetch::client(self.use_proxy)?,
            clock: self.clock,
            keys: Arc::new(Slot::with_pause_while_empty(RETRY_PAUSE_AT_START)),
            lists: StatusLists::default(),
        })))
    }
}

impl fmt::Debug for RemoteVerifierBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteVerifierBuilder")
            .field("verifier", &self.verifier)
            .field("cool_down", &self.cool_down)
            .field("when_status_unavailable", &self.when_status_unavailable)
            .finish_non_exhaustive()
    }
}

fn is_base_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.query().is_none()
            && url.fragment().is_none()
    })
}
