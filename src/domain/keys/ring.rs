//! An instance's view of the signing keys: which one signs, and which are published.
//!
//! The ring is read from the database at start, and every few seconds after that. It may be used
//! for signing only until its lease ends, because an instance that was suspended or disconnected
//! must not sign with a key that other instances have retired meanwhile. The key set is served even
//! after the lease has ended.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use josekit::JoseError;
use josekit::jwk::{Jwk, JwkSet};
use josekit::jws::alg::rsassa::{RsassaJwsSigner, RsassaJwsVerifier};
use josekit::jws::{self, JwsHeader, JwsVerifier, RS256};
use sea_orm::DbErr;
use signet_verifier::KeySet;

use crate::database::Db;
use crate::domain::keys::error::KeyRingError;
use crate::domain::keys::rotation;
use crate::domain::keys::rows::{any_sealed, private_jwk};
use crate::domain::keys::schedule::Schedule;
use crate::domain::keys::seal::Sealer;
use crate::entity::signing_key::{Entity, KeyState, Model};
use crate::timestamp::Timestamp;

/// Maximum number of former keys that are loaded. With default settings, these are the keys of the
/// last five years.
const MAX_FORMER_KEYS: u64 = 64;

/// The key ring and the lease on it.
pub struct KeyRing {
    /// Encrypts and decrypts the private keys.
    pub sealer: Sealer,
    /// The schedule of the keys.
    pub schedule: Schedule,
    current: ArcSwap<Snapshot>,
    lease_ends_at: Mutex<Instant>,
}

/// The ring at one point in time: a prepared signer, and the published key set.
pub struct Snapshot {
    /// The `kid` of the active key.
    pub kid: String,
    /// The signer of the active key. Tokens get its `alg` and `kid`.
    pub signer: RsassaJwsSigner,
    /// The published key set (RFC 7517 §5), as JSON.
    pub jwks: Vec<u8>,
    /// The published keys, prepared for verification.
    pub verification_keys: KeySet,
    verifiers: Vec<RsassaJwsVerifier>,
    rows: Vec<(String, KeyState)>,
}

impl KeyRing {
    /// Reads the ring, and creates the first key if there is none.
    ///
    /// # Errors
    /// See [`KeyRingError`].
    pub async fn open(
        db: &Db,
        sealer: Sealer,
        bits: u32,
        schedule: Schedule,
        now: Timestamp,
    ) -> Result<Self, KeyRingError> {
        if !any_sealed(db).await? {
            rotation::create_first(db, &sealer, bits, now).await?;
        }
        let queried_at = Instant::now();
        let rows = read_rows(db).await?;
        let current = ArcSwap::from_pointee(Snapshot::of(&rows, &sealer)?);
        let lease_ends_at = Mutex::new(queried_at + schedule.lease);
        Ok(Self { sealer, schedule, current, lease_ends_at })
    }

    /// Reads the ring again, replaces it if it has changed, and extends the lease.
    ///
    /// # Errors
    /// See [`KeyRingError`]; then the ring is unchanged, and the lease is not extended.
    pub async fn reload(&self, db: &Db) -> Result<(), KeyRingError> {
        // The lease starts before the query, because the result does not show later changes.
        let queried_at = Instant::now();
        let rows = read_rows(db).await?;
        if !self.current.load().has_rows(&rows) {
            self.current.store(Arc::new(Snapshot::of(&rows, &self.sealer)?));
            tracing::info!(keys = published(&rows).count(), "key ring reloaded");
        }
        let mut lease_ends_at = self.lease_ends_at.lock().unwrap_or_else(PoisonError::into_inner);
        *lease_ends_at = queried_at + self.schedule.lease;
        Ok(())
    }

    /// The ring as last read.
    #[must_use]
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Whether the lease is still valid, by the monotonic clock. This clock continues while the
    /// process is suspended, and cannot be set back.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        Instant::now() < *self.lease_ends_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    fn of(rows: &[Model], sealer: &Sealer) -> Result<Self, KeyRingError> {
        let active = rows.iter().find(|row| row.state == KeyState::Active);
        let active = active.ok_or(KeyRingError::NoneActive)?;
        let mut signer = RS256.signer_from_jwk(&Jwk::from_bytes(private_jwk(sealer, active)?)?)?;
        signer.set_key_id(&active.kid);

        let mut set = JwkSet::new();
        for row in published(rows) {
            set.push_key(Jwk::from_bytes(&row.public_jwk)?);
        }
        let verifiers = rows.iter().map(verifier_of).collect::<Result<_, _>>()?;
        let jwks = set.to_string().into_bytes();
        let verification_keys = KeySet::from_json(&jwks)?;
        let kid = active.kid.clone();
        let rows = rows.iter().map(|row| (row.kid.clone(), row.state)).collect();
        Ok(Self { kid, signer, jwks, verification_keys, verifiers, rows })
    }

    fn has_rows(&self, rows: &[Model]) -> bool {
        let own = self.rows.iter().map(|(kid, state)| (kid, *state));
        own.eq(rows.iter().map(|row| (&row.kid, row.state)))
    }

    /// The payload of a JWS of type `token_type` that was signed by a key of this ring, including
    /// former keys. `None` for any other text. This is for tokens that are accepted at any age,
    /// such as ID token hints. Access tokens have a separate verifier.
    #[must_use]
    pub fn verified(&self, token_type: &str, token: &str) -> Option<Vec<u8>> {
        self.verifiers.iter().find_map(|verifier| payload(verifier, token_type, token))
    }
}

/// The rows that the ring uses: first the published keys, then the keys that were removed from the
/// key set but not revoked.
async fn read_rows(db: &Db) -> Result<Vec<Model>, DbErr> {
    db.read(|db| async move {
        let mut rows = Entity::find_published().all(&db).await?;
        rows.extend(Entity::find_former(MAX_FORMER_KEYS).all(&db).await?);
        Ok(rows)
    })
    .await
}

fn published(rows: &[Model]) -> impl Iterator<Item = &Model> {
    rows.iter().filter(|row| row.state.is_published())
}

fn verifier_of(row: &Model) -> Result<RsassaJwsVerifier, JoseError> {
    RS256.verifier_from_jwk(&Jwk::from_bytes(&row.public_jwk)?)
}

/// The payload of a JWS of this type, if this key signed it and its header names this key.
fn payload(verifier: &RsassaJwsVerifier, token_type: &str, token: &str) -> Option<Vec<u8>> {
    let read = jws::deserialize_compact(token, verifier as &dyn JwsVerifier);
    let (payload, header): (Vec<u8>, JwsHeader) = read.ok()?;
    let names_key = header.key_id().is_some() && header.key_id() == verifier.key_id();
    (names_key && header.token_type() == Some(token_type)).then_some(payload)
}
