//! Passwords: what may be chosen, how it is stored, and how it is checked.
//!
//! A password passes three doors, in this order:
//!
//! 1. [`Password::parse`] makes it a value: at most 1,024 bytes as typed, Unicode form
//!    NFC, wiped from memory when dropped and shown by no formatter. Nothing longer gets
//!    any further, so no length of input can buy hashing time.
//! 2. [`Policy::check`] says what a *new* password lacks. Login never asks the policy: an old
//!    password stays good when the rules change.
//! 3. [`Hasher`] turns it into an Argon2id PHC string, or checks it against a stored one, on a
//!    few threads of its own behind a bounded queue. An overload is answered with
//!    [`HashError::Busy`] before any work is done.
//!
//! The rules of this room:
//!
//! - **Every check costs the same work.** An unknown account, an account without a password and
//!   a hash that cannot be read are all checked against a decoy made from the live settings, and
//!   never match. Foreign hashes (bcrypt, other Argon2 settings) take their own time until the
//!   account's next login replaces them.
//! - **Nothing is truncated.** The one exception is not ours: bcrypt reads 72 bytes, so a hash
//!   imported from it is checked as it was made.
//! - **A stored hash is input.** Its parameters are bounded before memory is reserved for it
//!   (see [`check_stored`]); an import cannot become a denial of service.

mod blocklist;
mod hash;
mod hasher;
mod policy;
mod pool;
mod stored;
mod typed;
mod workspace;

pub use hash::{Cost, Failure};
pub use hasher::{Hasher, StartError, Verdict};
pub use policy::{Policy, Weakness};
pub use pool::{HashError, PoolSettings};
pub use stored::{Unreadable, check_stored};
pub use typed::{Password, UnusablePassword};
