//! Parses stored hashes, checks that their cost is within bounds, and compares passwords with them.
//! A stored hash is one of Signet's own, or was imported from another system (Argon2 with other
//! settings, bcrypt, PBKDF2 and scrypt).

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::GeneralPurpose;
use bcrypt::HashParts;
use zeroize::Zeroizing;

use crate::domain::password::bcrypt_sha256::BcryptSha256Hash;
use crate::domain::password::class::Class;
use crate::domain::password::cost::{Cost, TAG_BYTES};
use crate::domain::password::failure::Failure;
use crate::domain::password::hash::SALT_BYTES;
use crate::domain::password::pbkdf2::Pbkdf2Hash;
use crate::domain::password::scrypt::ScryptHash;
use crate::domain::password::unreadable::Unreadable;
use crate::domain::password::workspace::{ScryptCost, Workspace};

/// Largest memory of a stored hash: 256 MiB, libsodium's "moderate" setting.
const MAX_MEMORY_KIB: u32 = 256 * 1_024;
/// Largest number of passes.
const MAX_ITERATIONS: u32 = 16;
/// Largest number of lanes.
const MAX_PARALLELISM: u32 = 16;
/// Largest product of memory and passes: 1 GiB, which takes about half a second on one core.
const MAX_WORK_KIB: u64 = 1_024 * 1_024;
/// Bytes of the bcrypt output that are stored.
const BCRYPT_TAG_BYTES: usize = 23;

/// The alphabet of bcrypt strings.
const BCRYPT_BASE64: GeneralPurpose =
    GeneralPurpose::new(&base64::alphabet::BCRYPT, base64::engine::general_purpose::NO_PAD);

/// The prefixes of bcrypt strings.
const BCRYPT_PREFIXES: [&str; 3] = ["$2a$", "$2b$", "$2y$"];

/// Highest bcrypt cost, which takes about a second on one core.
const MAX_BCRYPT_COST: u32 = 14;

/// Tests whether passwords can be checked against a hash from another system.
///
/// These hashes are accepted:
///
/// - PHC strings of `argon2id`, `argon2i` and `argon2d`, version 19 or 16, with m ≤ 256 MiB, t ≤
///   16, p ≤ 16 and m·t ≤ 1 GiB. A string without a version is of version 16, as before versions
///   existed.
/// - bcrypt strings with `$2a$`, `$2b$` or `$2y$`, up to cost 14, and bcrypt of a SHA-256 digest,
///   in the notations of Django (`bcrypt_sha256$…`) and passlib (`$bcrypt-sha256$…`), up to the
///   same cost.
/// - PHC strings of `pbkdf2-sha1`, `pbkdf2-sha256` and `pbkdf2-sha512` with a parameter `i`, up to
///   6,000,000 iterations, counted for each block of output.
/// - PHC strings of `scrypt` with N·r·p·128 ≤ 256 MiB, and Firebase's variant of scrypt, in the
///   notation of Supabase Auth (`$fbscrypt$v=1,n=…`), with the same bound.
///
/// Within these bounds, no stored hash occupies a thread for much longer than a second. An import
/// should check every row, because an account with any other hash cannot log in.
///
/// # Errors
/// The reason why the hash is not accepted.
pub fn check_stored(hash: &str) -> Result<(), Unreadable> {
    Stored::parse(hash).map(|_| ())
}

/// The class of a stored hash.
///
/// # Errors
/// The reason why the hash is not accepted, as for [`check_stored`].
pub fn class_of(hash: &str) -> Result<Class, Unreadable> {
    Stored::parse(hash).map(|stored| stored.class())
}

/// A parsed stored hash within bounds.
#[derive(Clone)]
pub(super) enum Stored {
    /// Argon2 of any kind.
    Argon2(Box<Argon2Hash>),
    /// A bcrypt string, prefix included.
    Bcrypt {
        /// The complete string.
        hash: String,
        /// The binary logarithm of the number of rounds.
        cost: u32,
    },
    /// bcrypt of a SHA-256 digest.
    BcryptSha256 {
        /// The hash.
        hash: Box<BcryptSha256Hash>,
        /// The binary logarithm of the number of rounds.
        cost: u32,
    },
    /// PBKDF2.
    Pbkdf2(Box<Pbkdf2Hash>),
    /// scrypt, also as Firebase uses it.
    Scrypt(Box<ScryptHash>),
}

/// A parsed Argon2 PHC string.
#[derive(Clone)]
pub(super) struct Argon2Hash {
    argon2: Argon2<'static>,
    algorithm: Algorithm,
    version: Version,
    salt: Salt,
    tag: Output,
}

impl Stored {
    pub(super) fn parse(hash: &str) -> Result<Self, Unreadable> {
        if hash.starts_with("$argon2") {
            Argon2Hash::parse(hash).map(|hash| Self::Argon2(Box::new(hash)))
        } else if BCRYPT_PREFIXES.iter().any(|prefix| hash.starts_with(prefix)) {
            bcrypt_cost(hash).map(|cost| Self::Bcrypt { hash: hash.to_owned(), cost })
        } else if BcryptSha256Hash::is_notation_of(hash) {
            let hash = Box::new(BcryptSha256Hash::parse(hash)?);
            bcrypt_cost(hash.bcrypt()).map(|cost| Self::BcryptSha256 { hash, cost })
        } else if hash.starts_with("$pbkdf2-") {
            Pbkdf2Hash::parse(hash).map(|hash| Self::Pbkdf2(Box::new(hash)))
        } else if hash.starts_with("$scrypt$") || hash.starts_with("$fbscrypt$") {
            ScryptHash::parse(hash).map(|hash| Self::Scrypt(Box::new(hash)))
        } else {
            Err(Unreadable::UnknownKind)
        }
    }

    /// A decoy: it has the form of a hash of this class, but its salt and tag are random.
    ///
    /// Creating a decoy computes no hash.
    pub(super) fn decoy(class: Class) -> Result<Self, Failure> {
        let mut salt = [0; SALT_BYTES];
        openssl::rand::rand_bytes(&mut salt)?;
        match class {
            Class::Argon2 { algorithm, version, cost } => {
                let Cost { memory_kib, iterations, parallelism } = cost;
                let params = Params::new(memory_kib, iterations, parallelism, Some(TAG_BYTES))?;
                let mut tag = [0; TAG_BYTES];
                openssl::rand::rand_bytes(&mut tag)?;
                Ok(Self::Argon2(Box::new(Argon2Hash {
                    argon2: Argon2::new(algorithm, version, params),
                    algorithm,
                    version,
                    salt: Salt::new(&salt)?,
                    tag: Output::new(&tag)?,
                })))
            }
            Class::Bcrypt { cost } => {
                let mut tag = [0; BCRYPT_TAG_BYTES];
                openssl::rand::rand_bytes(&mut tag)?;
                let (salt, tag) = (BCRYPT_BASE64.encode(salt), BCRYPT_BASE64.encode(tag));
                Ok(Self::Bcrypt { hash: format!("$2b${cost:02}${salt}{tag}"), cost })
            }
            Class::Pbkdf2 { digest, rounds, blocks } => {
                let hash = Pbkdf2Hash::decoy(digest, rounds, blocks, salt.to_vec())?;
                Ok(Self::Pbkdf2(Box::new(hash)))
            }
            Class::Scrypt { log_n, block_size, parallelism } => {
                let cost = ScryptCost { log_n, block_size, parallelism };
                Ok(Self::Scrypt(Box::new(ScryptHash::decoy(cost, salt.to_vec())?)))
            }
        }
    }

    /// The class of the hash.
    pub(super) fn class(&self) -> Class {
        match self {
            Self::Argon2(hash) => hash.class(),
            // A digest takes no measurable time.
            Self::Bcrypt { cost, .. } | Self::BcryptSha256 { cost, .. } => {
                Class::Bcrypt { cost: *cost }
            }
            Self::Pbkdf2(hash) => {
                let (digest, rounds, blocks) = hash.cost();
                Class::Pbkdf2 { digest, rounds, blocks }
            }
            Self::Scrypt(hash) => {
                let ScryptCost { log_n, block_size, parallelism } = hash.cost();
                Class::Scrypt { log_n, block_size, parallelism }
            }
        }
    }

    /// Computes the hash of `password` with the stored parameters, and compares it with the stored
    /// hash.
    ///
    /// bcrypt reads at most 72 bytes of a password, both when it computes a hash and when it checks
    /// one.
    pub(super) fn matches(
        &self,
        password: &[u8],
        workspace: &mut Workspace,
    ) -> Result<bool, Failure> {
        match self {
            Self::Argon2(hash) => hash.matches(password, workspace),
            Self::Bcrypt { hash, .. } => workspace.bcrypt(password, hash),
            Self::BcryptSha256 { hash, .. } => hash.matches(password, workspace),
            Self::Pbkdf2(hash) => hash.matches(password, workspace),
            Self::Scrypt(hash) => hash.matches(password, workspace),
        }
    }

    /// Whether the stored hash may stay. If not, the next login replaces it by a new hash at
    /// `cost`.
    ///
    /// The stored hash may stay if it is an Argon2id hash of version 1.3 at exactly `cost`, with a
    /// salt of at least 16 bytes and a tag of at least 32 bytes. A hash with stronger settings may
    /// not stay either. The operator lowered the cost for a reason. Also, a login that takes longer
    /// than the check of a decoy reveals that the account exists.
    pub(super) fn is_current(&self, cost: Cost) -> bool {
        match self {
            Self::Argon2(hash) => hash.is_current(cost),
            Self::Bcrypt { .. } | Self::BcryptSha256 { .. } | Self::Pbkdf2(_) | Self::Scrypt(_) => {
                false
            }
        }
    }
}

impl Argon2Hash {
    fn parse(hash: &str) -> Result<Self, Unreadable> {
        let phc = PasswordHash::new(hash).map_err(|_| Unreadable::Malformed)?;
        let algorithm =
            Algorithm::new(phc.algorithm.as_str()).map_err(|_| Unreadable::UnknownKind)?;
        let version = phc.version.map_or(Ok(Version::V0x10), Version::try_from);
        let version = version.map_err(|_| Unreadable::UnknownKind)?;
        // Otherwise the library would use defaults for missing cost parameters.
        if ["m", "t", "p"].iter().any(|&name| phc.params.get_decimal(name).is_none()) {
            return Err(Unreadable::Malformed);
        }
        let params = Params::try_from(&phc).map_err(|_| Unreadable::Malformed)?;
        if !is_affordable(&params) {
            return Err(Unreadable::TooCostly);
        }
        Ok(Self {
            argon2: Argon2::new(algorithm, version, params),
            algorithm,
            version,
            salt: phc.salt.ok_or(Unreadable::Malformed)?,
            tag: phc.hash.ok_or(Unreadable::Malformed)?,
        })
    }

    fn matches(&self, password: &[u8], workspace: &mut Workspace) -> Result<bool, Failure> {
        let mut computed = Zeroizing::new(vec![0; self.tag.len()]);
        workspace.argon2(&self.argon2, password, &self.salt, &mut computed)?;
        // `memcmp::eq` panics on different lengths. These lengths are equal by construction.
        Ok(openssl::memcmp::eq(&computed, self.tag.as_bytes()))
    }

    fn class(&self) -> Class {
        let params = self.argon2.params();
        let cost = Cost {
            memory_kib: params.m_cost(),
            iterations: params.t_cost(),
            parallelism: params.p_cost(),
        };
        Class::Argon2 { algorithm: self.algorithm, version: self.version, cost }
    }

    fn is_current(&self, cost: Cost) -> bool {
        let params = self.argon2.params();
        self.class() == Class::of_new(cost)
            && params.keyid().is_empty()
            && params.data().is_empty()
            && self.salt.len() >= SALT_BYTES
            && self.tag.len() >= TAG_BYTES
    }
}

/// The cost of a bcrypt string within bounds.
fn bcrypt_cost(hash: &str) -> Result<u32, Unreadable> {
    // The library also reads `$2x$`, which marks hashes of a faulty implementation.
    if !BCRYPT_PREFIXES.iter().any(|prefix| hash.starts_with(prefix)) {
        return Err(Unreadable::Malformed);
    }
    let parts: HashParts = hash.parse().map_err(|_| Unreadable::Malformed)?;
    match parts.get_cost() {
        0..4 => Err(Unreadable::Malformed),
        cost @ 4..=MAX_BCRYPT_COST => Ok(cost),
        _ => Err(Unreadable::TooCostly),
    }
}

/// Whether a hash with these parameters is cheap enough for a login.
pub(super) fn is_affordable(params: &Params) -> bool {
    let (memory, iterations) = (params.m_cost(), params.t_cost());
    memory <= MAX_MEMORY_KIB
        && iterations <= MAX_ITERATIONS
        && params.p_cost() <= MAX_PARALLELISM
        && u64::from(memory) * u64::from(iterations) <= MAX_WORK_KIB
}

#[cfg(test)]
mod tests;
