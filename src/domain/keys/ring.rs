//! The ring of signing keys: which one signs, and which ones others verify with.

use josekit::JoseError;
use josekit::jwk::{Jwk, JwkSet, KeyPair};
use josekit::jws::RS256;
use josekit::jws::alg::rsassa::RsassaJwsSigner;
use sea_orm::{ActiveModelTrait, DbErr, EntityTrait, SqlErr};
use serde_json::Value;
use signet_verifier::{KeySet, KeySetError};

use crate::database::Db;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::keys::seal::Sealer;
use crate::entity::signing_key::{self, KeyState};
use crate::timestamp::Timestamp;

/// The keys of one moment: a signer made once, and the public set as it is published.
pub struct KeyRing {
    signer: RsassaJwsSigner,
    jwks: Vec<u8>,
    verification_keys: KeySet,
}

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// The key was sealed with a master key that is not in the file.
    #[error(
        "the signing key {kid} in the database was sealed with another master key; point \
         SIGNET_MASTER_KEY_FILE at the file that belongs to this database. Nothing was changed"
    )]
    Sealed {
        /// The key.
        kid: String,
    },
    /// Keys exist, and none of them may sign.
    #[error("the database holds signing keys, but none of them is active")]
    NoneActive,
    /// The library failed.
    #[error("a signing key cannot be used: {0}")]
    Jose(#[from] JoseError),
    /// The set cannot be read back.
    #[error("the key set cannot be published: {0}")]
    Published(#[from] KeySetError),
    /// The database refused or failed.
    #[error("the signing keys cannot be read: {0}")]
    Database(#[from] DbErr),
}

/// What an operator sees of a key.
#[derive(Debug, Clone)]
pub struct KeyStatus {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// JWA name.
    pub algorithm: String,
    /// Where it is in its life.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it began to sign.
    pub activated_at: Option<Timestamp>,
}

impl KeyRing {
    /// Reads the ring; makes the first key if there is none at all.
    ///
    /// There are no verifiers yet that could have cached a set without it, so the first key signs
    /// at once. Of several instances that start on an empty database, one makes it.
    ///
    /// # Errors
    /// See [`KeyRingError`].
    pub async fn open(
        db: &Db,
        sealer: &Sealer,
        bits: u32,
        now: Timestamp,
    ) -> Result<Self, KeyRingError> {
        if !any_sealed(db).await? {
            create_first(db, sealer, bits, now).await?;
        }
        Self::load(db, sealer).await
    }

    async fn load(db: &Db, sealer: &Sealer) -> Result<Self, KeyRingError> {
        let rows = signing_key::Entity::find_published().all(db.read()).await?;
        let active = rows.iter().find(|row| row.state == KeyState::Active);
        let active = active.ok_or(KeyRingError::NoneActive)?;
        let jwk = open_sealed(sealer, active)?;
        let mut signer = RS256.signer_from_jwk(&jwk)?;
        signer.set_key_id(&active.kid);

        let mut set = JwkSet::new();
        for row in &rows {
            set.push_key(Jwk::from_bytes(&row.public_jwk)?);
        }
        let jwks = set.to_string().into_bytes();
        let verification_keys = KeySet::from_json(&jwks)?;
        Ok(Self { signer, jwks, verification_keys })
    }

    /// Signs with the active key; adds `alg` and `kid` to its tokens.
    #[must_use]
    pub fn signer(&self) -> &RsassaJwsSigner {
        &self.signer
    }

    /// The published key set (RFC 7517 §5), as JSON.
    #[must_use]
    pub fn jwks(&self) -> &[u8] {
        &self.jwks
    }

    /// The published keys, ready to verify with.
    #[must_use]
    pub fn verification_keys(&self) -> &KeySet {
        &self.verification_keys
    }
}

/// Whether the database holds a key that some master key sealed.
///
/// # Errors
/// If the database refuses.
pub async fn any_sealed(db: &Db) -> Result<bool, DbErr> {
    Ok(signing_key::Entity::find().one(db.read()).await?.is_some())
}

/// Refuses a master key that cannot open what the database holds. Changes nothing.
///
/// # Errors
/// [`KeyRingError::Sealed`] names the first key that stays closed.
pub async fn check_sealed(db: &Db, sealer: &Sealer) -> Result<(), KeyRingError> {
    for row in signing_key::Entity::find_published().all(db.read()).await? {
        open_sealed(sealer, &row)?;
    }
    Ok(())
}

/// All keys, oldest first.
///
/// # Errors
/// If the database refuses.
pub async fn list(db: &Db) -> Result<Vec<KeyStatus>, DbErr> {
    let rows = signing_key::Entity::find_published().all(db.read()).await?;
    Ok(rows
        .into_iter()
        .map(|row| KeyStatus {
            kid: row.kid,
            algorithm: row.algorithm,
            state: row.state,
            created_at: row.created_at,
            activated_at: row.activated_at,
        })
        .collect())
}

fn open_sealed(sealer: &Sealer, row: &signing_key::Model) -> Result<Jwk, KeyRingError> {
    let jwk = sealer.open(&row.sealed_jwk);
    let jwk = jwk.ok_or_else(|| KeyRingError::Sealed { kid: row.kid.clone() })?;
    Ok(Jwk::from_bytes(jwk)?)
}

async fn create_first(
    db: &Db,
    sealer: &Sealer,
    bits: u32,
    now: Timestamp,
) -> Result<(), KeyRingError> {
    let row = generate(sealer, bits, now)?;
    let created = db
        .write(move |txn| {
            let row = row.clone();
            Box::pin(async move {
                let kid = row.kid.clone();
                signing_key::Entity::insert(signing_key::ActiveModel::from(row).reset_all())
                    .exec_without_returning(txn)
                    .await?;
                for kind in [Kind::KeyCreated, Kind::KeyActivated] {
                    let event = Event::new(kind).reason(format!("kid {kid}"));
                    event.record(txn, &Origin::default(), now).await?;
                }
                Ok::<(), DbErr>(())
            })
        })
        .await;
    match created {
        // Another instance was first; its key is the first key.
        Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
            Ok(())
        }
        result => Ok(result?),
    }
}

fn generate(
    sealer: &Sealer,
    bits: u32,
    now: Timestamp,
) -> Result<signing_key::Model, KeyRingError> {
    let pair = RS256.generate_key_pair(bits)?;
    let mut public = pair.to_jwk_public_key();
    let kid = thumbprint(&public);
    public.set_key_id(&kid);
    public.set_key_use("sig");
    public.set_algorithm("RS256");
    let sealed_jwk = sealer.seal(pair.to_jwk_private_key().to_string().as_bytes())?;
    Ok(signing_key::Model {
        kid,
        algorithm: "RS256".to_owned(),
        state: KeyState::Active,
        public_jwk: public.to_string(),
        sealed_jwk,
        created_at: now,
        activated_at: Some(now),
        retired_at: None,
    })
}

/// RFC 7638 §3: SHA-256 of the required members in lexicographic order, without white space.
fn thumbprint(jwk: &Jwk) -> String {
    use base64::Engine;

    let member = |name| jwk.parameter(name).and_then(Value::as_str).unwrap_or_default();
    let canonical = format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, member("e"), member("n"));
    let digest = openssl::sha::sha256(canonical.as_bytes());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// KY-02: the example of RFC 7638 §3.1.
    #[test]
    fn the_thumbprint_agrees_with_rfc_7638() {
        let n = concat!(
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1",
            "L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4",
            "QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbO",
            "pbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csF",
            "Cur-kEgU8awapJzKnqDKgw",
        );
        let jwk =
            format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB","alg":"RS256","kid":"2011-04-29"}}"#);

        let thumbprint = thumbprint(&Jwk::from_bytes(jwk).unwrap());

        assert_eq!(thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }
}
