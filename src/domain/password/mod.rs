//! Passwords: policy, hashing and verification.
//!
//! A password is processed in three steps:
//!
//! 1. [`Password::parse`] parses it: at most 1,024 bytes as typed, normalised to Unicode form NFC,
//!    wiped from memory when dropped and redacted in `Debug` output. Longer input is refused here,
//!    so that its length cannot cause hashing work.
//! 2. [`Policy::check`] lists which rules a *new* password breaks. Login does not apply the policy,
//!    so an old password stays valid when the rules change.
//! 3. [`Hasher`] hashes it into an Argon2id PHC string, or checks it against a stored hash, on its
//!    own threads. A request that would wait too long is refused with [`HashError::Busy`] before
//!    any work is done for it.
//!
//! Rules of this module:
//!
//! - **The time of a check does not reveal whether an account exists.** An unknown account, an
//!   account without a password and an unreadable hash are all checked against a decoy, and never
//!   match. Foreign hashes (bcrypt, PBKDF2, scrypt, other Argon2 settings) take a different time
//!   until the next login replaces them, so the same proportion of decoys has their classes.
//! - **Nothing is truncated**, except for imported bcrypt hashes: bcrypt reads only the first 72
//!   bytes. (If an imported hash is bcrypt of a digest of the password, the whole password counts.)
//! - **A stored hash is untrusted input.** Its parameters are checked against bounds before memory
//!   is reserved for it (see [`check_stored`]), so an import cannot cause a denial of service.

mod bcrypt_sha256;
mod blocklist;
mod class;
mod cost;
mod decoy;
mod digest;
mod failure;
mod foreign;
mod hash;
mod hasher;
mod measure;
mod meter;
mod once;
mod pbkdf2;
mod phc;
mod policy;
mod pool;
mod queue;
mod scrypt;
mod shared;
mod stored;
mod survey;
mod threads;
mod typed;
mod unreadable;
mod workspace;

pub use crate::config::PasswordPolicy as Policy;
pub use class::Class;
pub use cost::Cost;
pub use failure::Failure;
pub use foreign::ForeignHash;
pub use hasher::{AfterMatch, Check, Hasher, StartError, Verdict};
pub use measure::measure;
pub use once::hash_once;
pub use policy::Weakness;
pub use pool::{HashError, PoolSettings};
pub use stored::{check_stored, class_of};
pub use survey::Survey;
pub use typed::{Password, UnusablePassword};
pub use unreadable::Unreadable;
