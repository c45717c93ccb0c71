//! The documents that are fetched: the key set, and status lists.

use std::sync::Arc;
use std::time::Duration;

use crate::error::StatusListError;
use crate::error::VerifyError;
use crate::key_set::KeySet;
use crate::key_set::MAX_JWKS_BYTES;
use crate::remote::Shared;
use crate::remote::fetch;
use crate::remote::fetch::Document;
use crate::remote::fetch::DocumentRequest;
use crate::remote::fetch::Fetched;
use crate::remote::slot;
use crate::remote::slot::Cached;
use crate::remote::slot::Cause;
use crate::remote::slot::FetchCount;
use crate::remote::slot::Slot;
use crate::status_list::StatusList;
use crate::verifier::MAX_STATUS_LIST_TOKEN_BYTES;

/// Path of the key set below the base URL.
const JWKS_PATH: &str = "/.well-known/jwks.json";

/// How long a document is fresh if it declares no lifetime.
const DEFAULT_LIFETIME: Duration = Duration::from_mins(5);

const MIN_LIFETIME_OF_KEYS: Duration = Duration::from_secs(1);

/// Maximum lifetime of a document, even if it declares a longer one. While the issuer can be
/// reached, it limits how long a revoked key or session is accepted.
const MAX_LIFETIME: Duration = Duration::from_hours(24);

impl Shared {
    /// The key set: the cached one if it is fresh, or if no new one can be fetched within a second.
    pub(super) async fn keys(self: &Arc<Self>, seen: FetchCount) -> Option<KeySet> {
        let cached = self.keys.cached();
        if let Some(cached) = cached.filter(|cached| cached.is_fresh(self.clock.monotonic())) {
            return Some(cached.value.clone());
        }
        self.renew_keys(seen, Cause::Age).await
    }

    /// The key set after an attempt to fetch a new one, if the cool-down allows it.
    pub(super) async fn keys_after_unknown(self: &Arc<Self>, seen: FetchCount) -> Option<KeySet> {
        self.renew_keys(seen, Cause::UnknownKey(self.cool_down)).await
    }

    async fn renew_keys(self: &Arc<Self>, seen: FetchCount, cause: Cause) -> Option<KeySet> {
        let fetch = Box::pin(fetch_keys(Arc::clone(self)));
        let renewal = self.keys.renew(seen, cause, &self.clock, fetch);
        match cause {
            Cause::Age => slot::wait_or_use_cached(renewal, || self.keys.cached().is_some()).await,
            // The cached set does not help a caller that needs another key.
            Cause::UnknownKey(_) => renewal.await,
        }
        self.keys.cached().map(|cached| cached.value.clone())
    }

    /// The status list, if a usable one is cached or can be fetched.
    pub(super) async fn list(self: &Arc<Self>, uri: &str) -> Option<StatusList> {
        let slot = self.lists.slot(uri);
        let seen = slot.fetch_count();
        let now = self.clock.monotonic();
        let cached =
            slot.cached().filter(|cached| cached.is_fresh(now) && self.may_be_used(cached));
        if let Some(cached) = cached {
            return Some(cached.value.clone());
        }
        let fetch = Box::pin(fetch_list(Arc::clone(self), Arc::clone(&slot), uri.to_owned()));
        let usable = || slot.cached().filter(|cached| self.may_be_used(cached));
        let renewal = slot.renew(seen, Cause::Age, &self.clock, fetch);
        slot::wait_or_use_cached(renewal, || usable().is_some()).await;
        usable().map(|cached| cached.value.clone())
    }

    /// Whether the list may be used: until its `exp`, or without `exp` until its `ttl` has passed.
    /// A list that is never replaced would hide all later logouts.
    fn may_be_used(&self, list: &Cached<StatusList>) -> bool {
        match list.value.expires_at() {
            Some(exp) => !self.verifier.has_passed(exp, self.clock.unix_seconds()),
            None => list.is_fresh(self.clock.monotonic()),
        }
    }

    /// Sends the request, and logs a failure.
    async fn fetch(&self, path: &str, request: DocumentRequest<'_>) -> Option<Fetched> {
        let fetched = fetch::fetch(&self.client, &request).await;
        fetched.inspect_err(|error| tracing::warn!(path, %error, "cannot fetch")).ok()
    }
}

async fn fetch_keys(shared: Arc<Shared>) -> Option<Cached<KeySet>> {
    let requested_at = shared.clock.monotonic();
    let cached = shared.keys.cached();
    let url = format!("{}{JWKS_PATH}", shared.base_url);
    let request = DocumentRequest {
        url: &url,
        accept: "application/jwk-set+json, application/json",
        limit: MAX_JWKS_BYTES,
        etag: cached.as_ref().and_then(|cached| cached.etag.as_ref()),
    };
    let fetched = shared.fetch(JWKS_PATH, request).await?;
    let lifetime = fetched.max_age.map(|age| age.clamp(MIN_LIFETIME_OF_KEYS, MAX_LIFETIME));
    match fetched.document {
        Document::New { body, etag } => {
            let keys = KeySet::from_json(&body);
            let keys = keys.inspect_err(|error| tracing::warn!(%error, "cannot use the key set"));
            let lifetime = lifetime.unwrap_or(DEFAULT_LIFETIME);
            keys.ok().map(|value| Cached { value, etag, lifetime, requested_at })
        }
        Document::NotModified => {
            let cached = Cached::clone(&*cached?);
            Some(Cached { lifetime: lifetime.unwrap_or(cached.lifetime), requested_at, ..cached })
        }
    }
}

async fn fetch_list(
    shared: Arc<Shared>,
    slot: Arc<Slot<StatusList>>,
    uri: String,
) -> Option<Cached<StatusList>> {
    let requested_at = shared.clock.monotonic();
    // A "not modified" response cannot renew an expired list.
    let cached = slot.cached().filter(|cached| shared.may_be_confirmed(cached));
    let path = uri.strip_prefix(&shared.issuer)?;
    let url = format!("{}{path}", shared.base_url);
    let request = DocumentRequest {
        url: &url,
        accept: "application/statuslist+jwt",
        limit: MAX_STATUS_LIST_TOKEN_BYTES,
        etag: cached.as_ref().and_then(|cached| cached.etag.as_ref()),
    };
    match shared.fetch(path, request).await?.document {
        Document::New { body, etag } => {
            let list = shared.read_list(&uri, &body).await;
            let list =
                list.inspect_err(|error| tracing::warn!(path, %error, "cannot use the list"));
            list.ok().map(|value| Cached {
                lifetime: value.ttl().map_or(DEFAULT_LIFETIME, |ttl| ttl.min(MAX_LIFETIME)),
                value,
                etag,
                requested_at,
            })
        }
        Document::NotModified => {
            let cached = Cached::clone(&*cached?);
            let confirmed = Cached { requested_at, ..cached };
            shared.may_be_used(&confirmed).then_some(confirmed)
        }
    }
}

impl Shared {
    /// Whether a "not modified" response would make this copy usable again.
    fn may_be_confirmed(&self, list: &Cached<StatusList>) -> bool {
        let exp = list.value.expires_at();
        !exp.is_some_and(|exp| self.verifier.has_passed(exp, self.clock.unix_seconds()))
    }

    /// Verifies a list. If it is signed with an unknown key, fetches the key set, as for a token.
    async fn read_list(
        self: &Arc<Self>,
        uri: &str,
        body: &[u8],
    ) -> Result<StatusList, StatusListError> {
        let token = std::str::from_utf8(body).map_err(|_| VerifyError::Malformed)?;
        let seen = self.keys.fetch_count();
        let keys = self.keys.cached().map(|cached| cached.value.clone()).unwrap_or_default();
        let read = |keys: &KeySet| {
            self.verifier.verify_status_list(keys, uri, token, self.clock.unix_seconds())
        };
        match read(&keys) {
            Err(StatusListError::Refused(VerifyError::UnknownKey { .. })) => {
                read(&self.keys_after_unknown(seen).await.unwrap_or(keys))
            }
            outcome => outcome,
        }
    }
}
