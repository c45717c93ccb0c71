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
//!    few threads of its own. What would wait too long is answered with [`HashError::Busy`] before
//!    any work is done; what was admitted is done.
//!
//! The rules of this room:
//!
//! - **The time of a check does not tell whether there is an account.** An unknown account, an
//!   account without a password and a hash that cannot be read are all checked against a decoy,
//!   and never match. Foreign hashes (bcrypt, other Argon2 settings) take their own time until the
//!   account's next login replaces them; as many of the decoys take as long.
//! - **Nothing is truncated.** The one exception is not ours: bcrypt reads 72 bytes, so a hash
//!   imported from it is checked as it was made.
//! - **A stored hash is input.** Its parameters are bounded before memory is reserved for it
//!   (see [`check_stored`]); an import cannot become a denial of service.

mod blocklist;
mod class;
mod cost;
mod decoy;
mod failure;
mod hash;
mod hasher;
mod meter;
mod policy;
mod pool;
mod queue;
mod shared;
mod stored;
mod survey;
mod threads;
mod typed;
mod workspace;

pub use class::Class;
pub use cost::Cost;
pub use failure::Failure;
pub use hasher::{Check, Hasher, StartError, Then, Verdict};
pub use policy::{Policy, Weakness};
pub use pool::{HashError, PoolSettings};
pub use stored::{Unreadable, check_stored};
pub use survey::Survey;
pub use typed::{Password, UnusablePassword};
