//! Hashing of new passwords.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Version};
use zeroize::Zeroizing;

use crate::domain::password::cost::TAG_BYTES;
use crate::domain::password::failure::Failure;
use crate::domain::password::typed::Password;
use crate::domain::password::workspace::Workspace;

/// Random bytes of salt per hash (RFC 9106 §3.1 recommends 16).
pub(super) const SALT_BYTES: usize = 16;

/// Hashes a new password with a fresh salt into a PHC string.
pub(super) fn hash(
    argon2: &Argon2<'_>,
    password: &Password,
    workspace: &mut Workspace,
) -> Result<String, Failure> {
    let mut salt = [0; SALT_BYTES];
    openssl::rand::rand_bytes(&mut salt)?;
    let mut tag = Zeroizing::new([0; TAG_BYTES]);
    workspace.argon2(argon2, password.as_bytes(), &salt, tag.as_mut())?;
    Ok(PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(argon2.params())?,
        salt: Some(Salt::new(&salt)?),
        hash: Some(Output::new(tag.as_ref())?),
    }
    .to_string())
}
