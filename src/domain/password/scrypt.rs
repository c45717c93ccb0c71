//! scrypt hashes (RFC 7914) of other systems, as PHC strings: `$scrypt$ln=14,r=8,p=1$salt$tag`.
//! Also Firebase's variant of scrypt, in the notation of Supabase Auth:
//! `$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=…$salt$tag`.
//!
//! Firebase does not compare the output of scrypt. It uses this output as an AES key, encrypts the
//! signer key of the project with it, and compares the ciphertext
//! (<https://github.com/firebase/scrypt>).

use openssl::symm::{Cipher, encrypt};
use zeroize::Zeroizing;

use crate::domain::password::failure::Failure;
use crate::domain::password::phc::{Phc, decode, encode};
use crate::domain::password::unreadable::Unreadable;
use crate::domain::password::workspace::{ScryptCost, Workspace};

/// Largest memory, summed over the lanes, which are computed one after the other: 256 MiB, which
/// take about a second on one core.
const MAX_BYTES: u64 = 256 * 1_024 * 1_024;

/// Bytes of the AES key of Firebase's variant.
const AES_KEY_BYTES: usize = 32;

/// Bytes of a decoy's tag.
const TAG_BYTES: usize = 32;

/// A parsed scrypt hash within bounds.
#[derive(Clone)]
pub(super) struct ScryptHash {
    cost: ScryptCost,
    /// The salt; in Firebase's variant, with the salt separator appended.
    salt: Vec<u8>,
    tag: Vec<u8>,
    /// The signer key of Firebase's variant, which is as long as the tag.
    signer_key: Option<Zeroizing<Vec<u8>>>,
}

impl ScryptHash {
    pub(super) fn parse(text: &str) -> Result<Self, Unreadable> {
        let mut phc = Phc::parse(text)?;
        let is_firebase = phc.function == "fbscrypt";
        let log_n = phc.number(if is_firebase { "n" } else { "ln" })?;
        let cost = ScryptCost {
            log_n: u8::try_from(log_n).map_err(|_| Unreadable::TooCostly)?,
            block_size: phc.number("r")?,
            parallelism: phc.number("p")?,
        };
        if !is_affordable(cost) {
            return Err(Unreadable::TooCostly);
        }
        let mut signer_key = None;
        if is_firebase {
            if phc.text("v") != Some("1") {
                return Err(Unreadable::UnknownKind);
            }
            phc.salt.extend(decode(phc.text("ss").unwrap_or_default())?);
            let key = decode(phc.text("sk").ok_or(Unreadable::Malformed)?)?;
            if key.len() != phc.tag.len() {
                return Err(Unreadable::Malformed);
            }
            signer_key = Some(Zeroizing::new(key));
        }
        Ok(Self { cost, salt: phc.salt, tag: phc.tag, signer_key })
    }

    /// The PHC string with these parts.
    pub(super) fn phc(log_n: u32, r: &str, p: &str, salt: &[u8], tag: &[u8]) -> String {
        format!("$scrypt$ln={log_n},r={r},p={p}${}${}", encode(salt), encode(tag))
    }

    /// A hash with a random tag.
    pub(super) fn decoy(cost: ScryptCost, salt: Vec<u8>) -> Result<Self, Failure> {
        let mut tag = vec![0; TAG_BYTES];
        openssl::rand::rand_bytes(&mut tag)?;
        Ok(Self { cost, salt, tag, signer_key: None })
    }

    pub(super) fn cost(&self) -> ScryptCost {
        self.cost
    }

    pub(super) fn matches(&self, password: &[u8], workspace: &Workspace) -> Result<bool, Failure> {
        let Some(signer_key) = &self.signer_key else {
            let mut computed = Zeroizing::new(vec![0; self.tag.len()]);
            workspace.scrypt(self.cost, password, &self.salt, &mut computed)?;
            // `memcmp::eq` panics on different lengths. These lengths are equal by construction.
            return Ok(openssl::memcmp::eq(&computed, &self.tag));
        };
        let mut key = Zeroizing::new([0; AES_KEY_BYTES]);
        workspace.scrypt(self.cost, password, &self.salt, key.as_mut())?;
        let sealed = encrypt(Cipher::aes_256_ctr(), key.as_ref(), Some(&[0; 16]), signer_key);
        let sealed = sealed.map_err(Failure::OpenSsl)?;
        Ok(sealed.len() == self.tag.len() && openssl::memcmp::eq(&sealed, &self.tag))
    }
}

/// Whether a hash with these parameters is cheap enough for a login, and OpenSSL can compute it,
/// which requires 1 < N < 2^(16 r) (RFC 7914 §6). OpenSSL needs N + 2 blocks of 128·r bytes for the
/// lanes, which are computed one after the other, and one block for the output of each lane.
fn is_affordable(cost: ScryptCost) -> bool {
    let ScryptCost { log_n, block_size, parallelism } = cost;
    let (block_size, lanes) = (u64::from(block_size), u64::from(parallelism));
    let is_valid = log_n > 0 && u64::from(log_n) < block_size.saturating_mul(16) && lanes > 0;
    let n = 1_u64.checked_shl(log_n.into()).unwrap_or(u64::MAX);
    let blocks = n.saturating_mul(lanes).max(n.saturating_add(lanes).saturating_add(2));
    let bytes = block_size.saturating_mul(128).saturating_mul(blocks);
    is_valid && bytes <= MAX_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parameters_that_openssl_computes_are_read() {
        for (parameters, is_read) in [
            ("ln=14,r=8,p=1", true),
            ("ln=15,r=1,p=1", true),
            ("ln=16,r=1,p=1", false),
            ("ln=20,r=1,p=1", false),
            ("ln=1,r=1048576,p=1", false),
            ("ln=10,r=8,p=0", false),
        ] {
            let parsed = ScryptHash::parse(&format!(
                "$scrypt${parameters}$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg"
            ));
            assert_eq!(parsed.is_ok(), is_read, "{parameters}");
            let Ok(hash) = parsed else { continue };
            let computed = hash.matches(b"password", &Workspace::new(0, std::sync::Arc::default()));
            assert!(matches!(computed, Ok(false)), "{parameters}");
        }
    }
}
