//! Why there is no key to sign with.

use josekit::JoseError;
use sea_orm::DbErr;
use signet_verifier::KeySetError;

use crate::domain::keys::key_pair::ImportError;

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
    /// There is no such key, or it is in another state.
    #[error("there is no key {kid}, or it was revoked before")]
    Unknown {
        /// The key.
        kid: String,
    },
    /// A new key is on its way already.
    #[error(
        "the key {kid} is pending already; it takes over when it has been published long enough"
    )]
    Pending {
        /// The key.
        kid: String,
    },
    /// The key to be brought along is not good enough.
    #[error(transparent)]
    Import(#[from] ImportError),
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
