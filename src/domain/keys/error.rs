//! Errors of signing keys.

use josekit::JoseError;
use sea_orm::DbErr;
use signet_verifier::KeySetError;

use crate::domain::keys::key_pair::ImportError;

/// Why a signing key cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// The key with this `kid` was encrypted with a master key that is not in the file.
    #[error(
        "the signing key {0} in the database was sealed with another master key; point \
         SIGNET_MASTER_KEY_FILE at the file that belongs to this database. Nothing was changed"
    )]
    Sealed(String),
    /// Keys exist, and none of them is active.
    #[error("the database contains signing keys, but none of them is active")]
    NoneActive,
    /// There is no key with this `kid`, or it is already revoked.
    #[error("there is no key {0}, or it is already revoked")]
    Unknown(String),
    /// The key with this `kid` is already pending.
    #[error(
        "the key {0} is already pending; it becomes active when it has been published long enough"
    )]
    Pending(String),
    /// The key to import is not acceptable.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The JOSE library failed.
    #[error("a signing key cannot be used: {0}")]
    Jose(#[from] JoseError),
    /// The verifier cannot parse the key set.
    #[error("the key set cannot be published: {0}")]
    Published(#[from] KeySetError),
    /// The database refused or failed.
    #[error("the signing keys cannot be read: {0}")]
    Database(#[from] DbErr),
}
