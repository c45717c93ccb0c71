//! Keys: the master key in a file, all that is derived from it, and the ring of signing keys.

mod derived;
mod master;
mod ring;
mod seal;

pub use derived::{LimitKey, MacKey};
pub use master::{MasterKeyError, MasterKeys};
pub use ring::{KeyRing, KeyRingError, KeyStatus, any_sealed, check_sealed, list};
