//! Signing keys, the master key and the keys derived from it.
//!
//! `master` is the key file, from which `derived`, `seal`, `request_seal` and `computed_token` get
//! their keys.
//!
//! `key_pair` generates and imports a signing key, with the checks of `weakness` and
//! `known_leaked`. `pem` exports the public half of a key. `schedule` has the durations of a key's
//! lifecycle, and `rotation` performs the steps of the lifecycle in the database (`rows`).
//! `replacement` replaces all keys immediately. `ring` is an instance's view of the keys.

mod computed_token;
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

pub use computed_token::{ComputedTokens, TokenContent};
pub use derived::{LimitKey, MacKey};
pub use error::KeyRingError;
pub use key_pair::ImportError;
pub use master::{MasterKeyError, MasterKeys};
pub use pem::public_pem;
pub use replacement::{replace_all, successor};
pub use request_seal::{RequestSealer, is_sealed};
pub use ring::{KeyRing, Snapshot};
pub use rotation::{advance, import, reseal, revoke, rotate};
pub use rows::{any_sealed, check_sealed, sealed_kids};
pub use schedule::{Schedule, ScheduleError};
pub use seal::Sealer;

/// All keys that have ever existed, oldest first.
///
/// # Errors
/// If the database refuses.
pub async fn list(db: &Db) -> Result<Vec<Model>, DbErr> {
    db.read(|db| async move {
        signing_key::Entity::find().order_by_asc(signing_key::Column::CreatedAt).all(&db).await
    })
    .await
}
