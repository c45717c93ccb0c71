//! Keys: the master key in a file, all that is derived from it, and the ring of signing keys.
//!
//! `master` ← `derived`, `seal`, `request_seal`; `pair` is one signing key, `pem` its public half as others read it, `published` those that everybody has,
//! `schedule` its times, `rotation` its
//! life in the database, `replacement` the end of all at once, and `ring` what an instance knows of
//! all of them.

mod derived;
mod error;
mod key_pair;
mod known_leaked;
mod master;
mod pem;
mod replacement;
mod request_seal;
mod ring;
mod rotation;
mod rows;
mod schedule;
mod seal;
mod weakness;

use sea_orm::{DbErr, EntityTrait, QueryOrder};

use crate::database::Db;
use crate::entity::signing_key::{self, Model};

pub use derived::{LimitKey, MacKey};
pub use error::KeyRingError;
pub use key_pair::ImportError;
pub use master::{MasterKeyError, MasterKeys};
pub use pem::public_pem;
pub use replacement::{replace_all, successor};
pub use request_seal::{RequestSealer, is_sealed};
pub use ring::{KeyRing, Snapshot};
pub use rotation::{advance, import, reseal, revoke, rotate};
pub use rows::{any_sealed, check_sealed};
pub use schedule::{Schedule, ScheduleError};
pub use seal::Sealer;

/// All keys there ever were, oldest first.
///
/// # Errors
/// If the database refuses.
pub async fn list(db: &Db) -> Result<Vec<Model>, DbErr> {
    db.read(|db| async move {
        signing_key::Entity::find().order_by_asc(signing_key::Column::CreatedAt).all(&db).await
    })
    .await
}
