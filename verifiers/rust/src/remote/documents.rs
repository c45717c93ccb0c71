//! The documents that are fetched: the key set, and status lists.

use std::sync::Arc;
use std::time::Duration;

use crate::error::StatusListError;
use crate::error::VerifyError;
use crate::key_set::KeySet;
use crate::key_set::MAX_JWKS_BYTES;
use crate::remote::Shared;
use crate::remote::fetch;
use crate::remote::fetch::Answer;
use crate::remote::fetch::Document;
use crate::remote::fetch::Question;
use crate::remote::slot;
use crate::remote::slot::Cause;
use crate::remote::slot::Held;
use crate::remote::slot::Moment;
use crate::remote::slot::Slot;
use crate::status_list::StatusList;
use crate::verifier::MAX_STATUS_LIST_TOKEN_BYTES;

/// Path of the key set below the issuer's address.
const JWKS_PATH: &str = "/.well-known/jwks.json";

/// How long a document without a declared lifetime is fresh.
const DEFAULT_LIFE: Duration = Duration::from_mins(5);

const SHORTEST_LIFE_OF_KEYS: Duration = Duration::from_secs(1);

/// Maximum lifetime, whatever a document declares: it limits how long a revoked key or session is
/// accepted.
const LONGEST_LIFE: Duration = Duration::from_hours(24);

impl Shared {
    /// The key set: the cached one if it is fresh, or if a new one cannot be fetched.
    pub(super) async fn keys(self: &Arc<Self>, looked_at: Moment) -> Option<KeySet> {
        let held = self.keys.held();
        if let Some(held) = held.filter(|held| held.is_fresh(self.clock.monotonic())) {
            return Some(held.value.clone());
        }
        self.renew_keys(looked_at, Cause::Age).await
    }

    /// The key set after an attempt to fetch a new one, if the cool-down allows it.
    pub(super) async fn keys_after_unknown(self: &Arc<Self>, looked_at: Moment) -> Option<KeySet> {
        self.renew_keys(looked_at, Cause::UnknownKey(self.cool_down)).await
    }

    async fn renew_keys(self: &Arc<Self>, looked_at: Moment, cause: Cause) -> Option<KeySet> {
        let fetch = Box::pin(fetch_keys(Arc::clone(self)));
        let renewal = self.keys.renew(looked_at, cause, &self.clock, fetch);
        match cause {
            Cause::Age => slot::unless_it_lasts(renewal, || self.keys.held().is_some()).await,
            // The cached set does not help a caller that needs another key.
            Cause::UnknownKey(_) => renewal.await,
        }
        self.keys.held().map(|held| held.value.clone())
    }

    /// A usable status list, if there is one.
    pub(super) async fn list(self: &Arc<Self>, uri: &str) -> Option<StatusList> {
        let slot = self.lists.slot(uri);
        let looked_at = slot.moment();
        let now = self.clock.monotonic();
        let held = slot.held().filter(|held| held.is_fresh(now) && self.may_be_used(held));
        if let Some(held) = held {
            return Some(held.value.clone());
        }
        let fetch = Box::pin(fetch_list(Arc::clone(self), Arc::clone(&slot), uri.to_owned()));
        let usable = || slot.held().filter(|held| self.may_be_used(held));
        let renewal = slot.renew(looked_at, Cause::Age, &self.clock, fetch);
        slot::unless_it_lasts(renewal, || usable().is_some()).await;
        usable().map(|held| held.value.clone())
    }

    /// Until its `exp`, and without one until its `ttl` is over: a list that is never replaced
    /// would hide all later logouts.
    fn may_be_used(&self, list: &Held<StatusList>) -> bool {
        match list.value.expires_at() {
            Some(exp) => !self.verifier.has_passed(exp, self.clock.unix_seconds()),
            None => list.is_fresh(self.clock.monotonic()),
        }
    }

    /// Sends the request, and logs a failure.
    async fn ask(&self, path: &str, question: Question<'_>) -> Option<Answer> {
        let answer = fetch::fetch(&self.client, &question).await;
        answer.inspect_err(|error| tracing::warn!(path, %error, "cannot fetch")).ok()
    }
}

async fn fetch_keys(shared: Arc<Shared>) -> Option<Held<KeySet>> {
    let asked_at = shared.clock.monotonic();
    let held = shared.keys.held();
    let url = format!("{}{JWKS_PATH}", shared.base_url);
    let question = Question {
        url: &url,
        accept: "application/jwk-set+json, application/json",
        limit: MAX_JWKS_BYTES,
        etag: held.as_ref().and_then(|held| held.etag.as_ref()),
    };
    let answer = shared.ask(JWKS_PATH, question).await?;
    let life = answer.max_age.map(|age| age.clamp(SHORTEST_LIFE_OF_KEYS, LONGEST_LIFE));
    match answer.document {
        Document::New { body, etag } => {
            let keys = KeySet::from_json(&body);
            let keys = keys.inspect_err(|error| tracing::warn!(%error, "cannot use the key set"));
            let life = life.unwrap_or(DEFAULT_LIFE);
            keys.ok().map(|value| Held { value, etag, life, asked_at })
        }
        Document::NotModified => {
            let held = Held::clone(&*held?);
            Some(Held { life: life.unwrap_or(held.life), asked_at, ..held })
        }
    }
}

async fn fetch_list(
    shared: Arc<Shared>,
    slot: Arc<Slot<StatusList>>,
    uri: String,
) -> Option<Held<StatusList>> {
    let asked_at = shared.clock.monotonic();
    // An expired list cannot be renewed by a "not modified" response.
    let held = slot.held().filter(|held| shared.may_be_confirmed(held));
    let path = uri.strip_prefix(&shared.issuer)?;
    let url = format!("{}{path}", shared.base_url);
    let question = Question {
        url: &url,
        accept: "application/statuslist+jwt",
        limit: MAX_STATUS_LIST_TOKEN_BYTES,
        etag: held.as_ref().and_then(|held| held.etag.as_ref()),
    };
    match shared.ask(path, question).await?.document {
        Document::New { body, etag } => {
            let list = shared.read_list(&uri, &body).await;
            let list =
                list.inspect_err(|error| tracing::warn!(path, %error, "cannot use the list"));
            list.ok().map(|value| Held {
                life: value.ttl().map_or(DEFAULT_LIFE, |ttl| ttl.min(LONGEST_LIFE)),
                value,
                etag,
                asked_at,
            })
        }
        Document::NotModified => {
            let held = Held::clone(&*held?);
            let confirmed = Held { asked_at, ..held };
            shared.may_be_used(&confirmed).then_some(confirmed)
        }
    }
}

impl Shared {
    /// Whether a "not modified" response would make this copy usable again.
    fn may_be_confirmed(&self, list: &Held<StatusList>) -> bool {
        let exp = list.value.expires_at();
        !exp.is_some_and(|exp| self.verifier.has_passed(exp, self.clock.unix_seconds()))
    }

    /// Verifies a list. Like a token, it may be signed with a new key, for which the key set is
    /// fetched.
    async fn read_list(
        self: &Arc<Self>,
        uri: &str,
        body: &[u8],
    ) -> Result<StatusList, StatusListError> {
        let token = std::str::from_utf8(body).map_err(|_| VerifyError::Malformed)?;
        let looked_at = self.keys.moment();
        let keys = self.keys.held().map(|held| held.value.clone()).unwrap_or_default();
        let read = |keys: &KeySet| {
            self.verifier.verify_status_list(keys, uri, token, self.clock.unix_seconds())
        };
        match read(&keys) {
            Err(StatusListError::Refused(VerifyError::UnknownKey { .. })) => {
                read(&self.keys_after_unknown(looked_at).await.unwrap_or(keys))
            }
            outcome => outcome,
        }
    }
}
