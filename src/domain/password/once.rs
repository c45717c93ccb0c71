//! Hashing of one password by a command, without the threads of a server.

use std::sync::Arc;

use crate::domain::password::cost::Cost;
use crate::domain::password::failure::Failure;
use crate::domain::password::hash;
use crate::domain::password::typed::Password;
use crate::domain::password::workspace::Workspace;

/// Hashes a new password on this thread, which takes some milliseconds. Returns an Argon2id PHC
/// string.
///
/// # Errors
/// If the memory is exhausted, or Argon2 refuses the cost.
pub fn hash_once(cost: Cost, password: &Password) -> Result<String, Failure> {
    let argon2 = cost.argon2id()?;
    let mut workspace = Workspace::new(argon2.params().block_count(), Arc::default());
    hash::hash(&argon2, password, &mut workspace)
}
