//! The master key: a file outside the database, from which all other secrets are derived.
//!
//! Each line is a key: 32 random bytes in base64url. The first key is the current one. Former keys
//! remain in the file until all data that was encrypted with them has been encrypted again.
//!
//! The file is created once, at the first start. If it is missing later, or is invalid, Signet
//! refuses to start and creates nothing, so that an installation never gets a new master key by
//! accident.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::error::ErrorStack;
use rustix::fs::OFlags;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::domain::keys::derived::{LimitKey, MacKey, derive};
use crate::domain::keys::request_seal::RequestSealer;
use crate::domain::keys::seal::Sealer;

/// Largest number of lines in a key file: the current key and former ones.
const MAX_KEYS: usize = 8;

/// The keys of one key file, the current one first.
pub struct MasterKeys {
    secrets: Vec<Zeroizing<[u8; 32]>>,
}

/// Whether other users than `user`, the user that Signet runs as, can read or write a file of this
/// mode. A secret that Kubernetes mounts for an `fsGroup` is accepted: it belongs to root and is
/// readable by its group, whose only member is Signet.
fn is_exposed(mode: u32, owner: u32, user: u32) -> bool {
    let is_mounted = owner == 0 && user != 0;
    let allowed = if is_mounted { 0o040 } else { 0 };
    mode & 0o077 & !allowed != 0
}

/// Why the master key cannot be used. Each message names the file and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file is missing, although there are signing keys, so there was a master key.
    #[error(
        "the master key file {0} is missing, but the database holds keys sealed with it; restore \
         the file from its backup, or name it with SIGNET_MASTER_KEY_FILE. No new key was made"
    )]
    Missing(PathBuf),
    /// Other users of this host could read the file.
    #[error("the master key file {0} can be read by other users of this host; run: chmod 600 {0}")]
    Exposed(PathBuf),
    /// The owner of the file could replace it, or let other users read it, at any time.
    #[error(
        "the master key file {file} belongs to another user of this host; run: chown {user} {file}"
    )]
    Foreign {
        /// The file.
        file: PathBuf,
        /// The user that Signet runs as.
        user: u32,
    },
    /// The path names a directory, a pipe, a socket or a device.
    #[error("the master key file {0} is not a regular file")]
    NotAFile(PathBuf),
    /// The file cannot be read.
    #[error("cannot read the master key file {file}: {source}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A line is not a key.
    #[error(
        "the master key file {file} is damaged: line {line} is not 32 bytes in base64url; restore \
         the file from its backup"
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The file cannot be created.
    #[error("cannot make the master key file {file}: {source}")]
    Unwritable {
        /// The file.
        file: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The random number generator failed.
    #[error("the random generator failed: {0}")]
    Random(#[from] ErrorStack),
}

impl MasterKeys {
    /// Reads the file. Creates it if it does not exist and no data has been encrypted with a master
    /// key yet (`something_is_sealed`).
    ///
    /// # Errors
    /// See [`MasterKeyError`].
    pub fn open(file: &Path, something_is_sealed: bool) -> Result<Self, MasterKeyError> {
        match Self::read(file) {
            Err(MasterKeyError::Missing(_)) if !something_is_sealed => {
                Self::create(file)?;
                Self::read(file)
            }
            result => result,
        }
    }

    fn read(path: &Path) -> Result<Self, MasterKeyError> {
        let file = || path.to_owned();
        let unreadable = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => MasterKeyError::Missing(file()),
            _ => MasterKeyError::Unreadable { file: file(), source },
        };
        // Opening a pipe must not block until another process writes to it.
        let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let opened = OpenOptions::new().read(true).custom_flags(nonblocking).open(path);
        let opened = opened.map_err(unreadable)?;
        let metadata = opened.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(MasterKeyError::NotAFile(file()));
        }
        let user = rustix::process::geteuid().as_raw();
        if is_exposed(metadata.permissions().mode(), metadata.uid(), user) {
            return Err(MasterKeyError::Exposed(file()));
        }
        // Root can read every file, and owns secrets that are mounted into containers.
        if metadata.uid() != user && metadata.uid() != 0 {
            return Err(MasterKeyError::Foreign { file: file(), user });
        }
        let text = Zeroizing::new(io::read_to_string(opened).map_err(unreadable)?);
        let secrets = text.lines().zip(1..).map(|(text, line)| {
            let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim()).unwrap_or_default());
            let secret = <[u8; 32]>::try_from(bytes.as_slice());
            secret.map(Zeroizing::new).map_err(|_| MasterKeyError::Damaged { file: file(), line })
        });
        let secrets = secrets.collect::<Result<Vec<_>, _>>()?;
        if secrets.is_empty() || secrets.len() > MAX_KEYS {
            return Err(MasterKeyError::Damaged { file: file(), line: secrets.len().max(1) });
        }
        Ok(Self { secrets })
    }

    /// Creates the file with one new key, atomically. Does not replace an existing file.
    fn create(path: &Path) -> Result<(), MasterKeyError> {
        let unwritable =
            |source: io::Error| MasterKeyError::Unwritable { file: path.to_owned(), source };
        let mut secret = Zeroizing::new([0; 32]);
        openssl::rand::rand_bytes(secret.as_mut())?;
        let line = Zeroizing::new(format!("{}\n", URL_SAFE_NO_PAD.encode(secret.as_ref())));

        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(directory) = directory {
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true).mode(0o700).create(directory).map_err(unwritable)?;
        }
        let temporary = temporary_path(path)?;
        let written = write_synced(&temporary, &line).and_then(|()| {
            // If two instances start for the first time at the same time, only one can link its
            // temporary file. Both then read the linked file.
            match std::fs::hard_link(&temporary, path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                _ => File::open(directory.unwrap_or(Path::new(".")))?.sync_all(),
            }
        });
        let removed = std::fs::remove_file(&temporary);
        written.and(removed).map_err(unwritable)
    }

    /// Encrypts and decrypts private keys at rest.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when memory is exhausted.
    pub fn sealer(&self) -> Result<Sealer, ErrorStack> {
        Ok(Sealer::new(self.derived("signet signing key seal v1")?))
    }

    /// Encrypts and decrypts the authorization requests that browsers carry.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when memory is exhausted.
    pub fn request_sealer(&self) -> Result<RequestSealer, ErrorStack> {
        Ok(RequestSealer::new(self.derived("signet authorization request v1")?))
    }

    /// The keys of refresh tokens, the current key first. `restore` is the id of the last restore
    /// of the database. A restore changes the keys, so that all tokens issued before it become
    /// invalid, including tokens of sessions that the backup does not contain.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when memory is exhausted.
    pub fn refresh_keys(&self, restore: Option<Uuid>) -> Result<Vec<MacKey>, ErrorStack> {
        self.mac_keys(&purpose_since(restore, "signet refresh token v1"))
    }

    /// The keys of password reset tokens, the current key first. A restore of the database changes
    /// these keys as well.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when memory is exhausted.
    pub fn reset_keys(&self, restore: Option<Uuid>) -> Result<Vec<MacKey>, ErrorStack> {
        self.mac_keys(&purpose_since(restore, "signet password reset v1"))
    }

    /// The keys of links and codes that verify an address, the current key first. A restore of the
    /// database changes these keys as well.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when memory is exhausted.
    pub fn email_verification_keys(
        &self,
        restore: Option<Uuid>,
    ) -> Result<Vec<MacKey>, ErrorStack> {
        self.mac_keys(&purpose_since(restore, "signet email verification v1"))
    }

    /// As [`Self::email_verification_keys`], for links and codes that confirm a new address.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when memory is exhausted.
    pub fn email_change_keys(&self, restore: Option<Uuid>) -> Result<Vec<MacKey>, ErrorStack> {
        self.mac_keys(&purpose_since(restore, "signet email change v1"))
    }

    /// As [`Self::email_verification_keys`], for links and codes that confirm a sign-up.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when memory is exhausted.
    pub fn sign_up_keys(&self, restore: Option<Uuid>) -> Result<Vec<MacKey>, ErrorStack> {
        self.mac_keys(&purpose_since(restore, "signet sign-up v1"))
    }

    /// The keys of mailed invites, the current key first. They do not depend on the last restore,
    /// because a restore deletes all invites.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when memory is exhausted.
    pub fn invite_keys(&self) -> Result<Vec<MacKey>, ErrorStack> {
        self.mac_keys("signet invite v1")
    }

    /// The key that computes the primary keys of the attempt table.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when memory is exhausted.
    pub fn limit_key(&self) -> Result<LimitKey, ErrorStack> {
        self.current_mac_key("signet attempt window v1").map(LimitKey::new)
    }

    /// The key that determines the decoys of unknown accounts.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when memory is exhausted.
    pub fn decoy_key(&self) -> Result<MacKey, ErrorStack> {
        self.current_mac_key("signet decoy class v1")
    }

    fn current_mac_key(&self, purpose: &str) -> Result<MacKey, ErrorStack> {
        self.mac_keys(purpose)?.into_iter().next().ok_or_else(ErrorStack::get)
    }

    fn mac_keys(&self, purpose: &str) -> Result<Vec<MacKey>, ErrorStack> {
        self.derived(purpose)?.iter().map(MacKey::from_bytes).collect()
    }

    fn derived(&self, purpose: &str) -> Result<Vec<[u8; 32]>, ErrorStack> {
        self.secrets.iter().map(|secret| derive(secret.as_ref(), purpose)).collect()
    }
}

/// The HKDF purpose since the last restore. Without a restore, this is the original purpose.
fn purpose_since(restore: Option<Uuid>, purpose: &str) -> String {
    restore.map_or_else(|| purpose.to_owned(), |id| format!("{purpose}, restore {id}"))
}

/// The path of a temporary file, unique to this start. The process id would not be unique: two
/// containers that share the folder may both run as process 1, and the temporary file of one of
/// them may already be linked as the key file.
fn temporary_path(path: &Path) -> Result<PathBuf, ErrorStack> {
    let mut id = [0; 8];
    openssl::rand::rand_bytes(&mut id)?;
    Ok(path.with_extension(format!("{:016x}.new", u64::from_be_bytes(id))))
}

fn write_synced(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::is_exposed;

    /// D8: a secret that Kubernetes mounts for an `fsGroup` is accepted. Any other file that other
    /// users can read is refused.
    #[test]
    fn only_a_mounted_secret_may_be_group_readable() {
        let (root, own, other) = (0, 1000, 1001);
        for mode in [0o400, 0o600] {
            assert!(!is_exposed(mode, own, own) && !is_exposed(mode, root, own));
        }
        for mode in [0o440, 0o640] {
            assert!(!is_exposed(mode, root, own), "{mode:o}");
            assert!(is_exposed(mode, own, own) && is_exposed(mode, root, root), "{mode:o}");
            assert!(is_exposed(mode, other, own), "{mode:o}");
        }
        for mode in [0o660, 0o604, 0o444, 0o601, 0o644] {
            assert!(is_exposed(mode, root, own), "{mode:o}");
        }
    }
}
