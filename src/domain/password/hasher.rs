//! The interface to password hashing for other modules of the domain.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use argon2::Argon2;

use crate::domain::keys::MacKey;
use crate::domain::network;
use crate::domain::password::class::Class;
use crate::domain::password::cost::Cost;
use crate::domain::password::decoy::Decoys;
use crate::domain::password::failure::Failure;
use crate::domain::password::hash;
use crate::domain::password::pool::{HashError, Pool, PoolSettings};
use crate::domain::password::stored::{self, Stored};
use crate::domain::password::typed::Password;
use crate::domain::password::workspace::Workspace;

/// How long a thread retains its memory after its last hash.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Hashes and checks passwords on its own threads. Cloning it is cheap.
///
/// The threads end when the last clone is dropped.
#[derive(Clone)]
pub struct Hasher(Arc<Inner>);

struct Inner {
    pool: Pool,
    ipv6_prefix: u8,
    cost: Cost,
    argon2: Argon2<'static>,
    decoys: Decoys,
}

/// A password to check.
pub struct Check<'a> {
    /// The password as typed.
    pub password: Password,
    /// The stored hash. `None` for an unknown account, and for an account without a password.
    pub stored: Option<String>,
    /// The email address of the account, folded or canonical, whether or not the account exists. It
    /// determines the decoy.
    pub account: &'a str,
    /// The client address.
    pub client: Option<IpAddr>,
    /// What is hashed in addition if the password is right. This hash is computed in the same job,
    /// so that the caller waits in the queue only once.
    pub then: AfterMatch,
}

/// What is hashed after a successful check.
pub enum AfterMatch {
    /// Nothing.
    Nothing,
    /// The same password is hashed at the current cost, unless the stored hash already has this
    /// cost.
    Rehash,
    /// Another password is hashed.
    Replace(Password),
}

/// The result of a password check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The password is right.
    Match {
        /// The new hash, if [`AfterMatch`] required one.
        new_hash: Option<String>,
    },
    /// The password is wrong, or there is no hash to compare with.
    Mismatch,
}

/// Why hashing cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The pool would have no threads.
    #[error("at least one hashing thread is required")]
    NoThreads,
    /// Argon2 rejects the cost parameters.
    #[error("the cost of a password hash is not valid")]
    Cost(#[from] argon2::Error),
    /// Hashes of this cost would exceed the bounds for stored hashes when they are read back.
    #[error("the cost of a password hash exceeds the limit for stored hashes")]
    TooCostly,
    /// A decoy could not be created.
    #[error("the decoy for unknown accounts could not be computed")]
    Decoy(#[from] Failure),
    /// A thread could not be started.
    #[error("no hashing thread could be started")]
    Thread(#[from] std::io::Error),
}

impl Hasher {
    /// Starts the threads. Computes no hash, and reserves no memory for hashes yet. `decoy_key`
    /// determines the decoys of unknown accounts.
    ///
    /// # Errors
    /// [`StartError`] for settings that cannot work, or if a thread cannot be started.
    pub fn start(
        cost: Cost,
        settings: PoolSettings,
        decoy_key: MacKey,
    ) -> Result<Self, StartError> {
        if settings.threads == 0 {
            return Err(StartError::NoThreads);
        }
        let argon2 = cost.argon2id()?;
        if !stored::is_affordable(argon2.params()) {
            return Err(StartError::TooCostly);
        }
        let decoys = Decoys::new(decoy_key, Class::of_new(cost))?;
        let pool = Pool::start(
            settings,
            Class::of_new(cost),
            argon2.params().block_count(),
            IDLE_TIMEOUT,
        )?;
        let ipv6_prefix = settings.ipv6_prefix;
        Ok(Self(Arc::new(Inner { pool, ipv6_prefix, cost, argon2, decoys })))
    }

    /// Hashes a new password of `client` with a fresh salt. Returns an Argon2id PHC string.
    ///
    /// # Errors
    /// [`HashError::Busy`] if the queue is full.
    pub async fn hash(
        &self,
        password: Password,
        client: Option<IpAddr>,
    ) -> Result<String, HashError> {
        let (argon2, current) = (self.0.argon2.clone(), Class::of_new(self.0.cost));
        let hash = move |workspace: &mut _| hash::hash(&argon2, &password, workspace);
        self.0
            .pool
            .run(self.client(client), &[current], move |workspace| workspace.timed(current, hash))
            .await
    }

    /// Checks a password against a stored hash, or against a decoy.
    ///
    /// An unknown account takes as much work as an existing account: its email address determines
    /// the hash class of its decoy, and each class gets addresses in proportion to its number of
    /// accounts. A decoy also replaces a stored hash that
    /// [`check_stored`](crate::domain::password::check_stored) refuses. The result for a decoy is
    /// always [`Verdict::Mismatch`].
    ///
    /// # Errors
    /// [`HashError::Busy`] if the queue is full.
    pub async fn verify(&self, check: Check<'_>) -> Result<Verdict, HashError> {
        let Check { password, stored, account, client, then } = check;
        // A decoy is chosen for existing accounts as well, because the time that this takes must
        // not reveal whether the account exists.
        let decoy = self.0.decoys.draw(account);
        let found = stored.and_then(|stored| {
            Stored::parse(&stored)
                .inspect_err(|reason| {
                    tracing::warn!(%reason, "a stored password hash cannot be used: {reason}");
                })
                .ok()
        });
        let (is_real, compared) = (found.is_some(), found.map_or(decoy, Arc::new));
        let new = match then {
            AfterMatch::Rehash if is_real && !compared.is_current(self.0.cost) => {
                Some(password.clone())
            }
            AfterMatch::Nothing | AfterMatch::Rehash => None,
            AfterMatch::Replace(new) => Some(new),
        };
        let (class, current) = (compared.class(), Class::of_new(self.0.cost));
        if is_real {
            self.0.decoys.learn(class);
        }
        let mut classes = vec![class; password.spellings().count()];
        classes.extend(new.as_ref().map(|_| current));
        let argon2 = self.0.argon2.clone();
        self.0
            .pool
            .run(self.client(client), &classes, move |workspace| {
                let is_right = matches(&compared, &password, workspace)?;
                if !is_right || !is_real {
                    return Ok(Verdict::Mismatch);
                }
                let hash = |new| workspace.timed(current, |it| hash::hash(&argon2, &new, it));
                Ok(Verdict::Match { new_hash: new.map(hash).transpose()? })
            })
            .await
    }

    /// Sets how many accounts have a hash of each class. From now on, decoys are chosen
    /// accordingly.
    pub fn set_classes(&self, accounts: &BTreeMap<Class, u64>) {
        self.0.decoys.set(accounts);
    }

    /// The number of password hashes whose computation was started so far, decoys included.
    #[must_use]
    pub fn hashes_started(&self) -> u64 {
        self.0.pool.hashes_started()
    }

    fn client(&self, address: Option<IpAddr>) -> u128 {
        network::client(address, self.0.ipv6_prefix)
    }
}

/// Tries the spellings of a password until one matches. Only the first spelling can match a hash
/// that Signet computed, and no spelling matches a decoy. If the first spelling does not match, the
/// second is tried nevertheless, because the time must not reveal the kind of hash.
fn matches(
    compared: &Stored,
    password: &Password,
    workspace: &mut Workspace,
) -> Result<bool, Failure> {
    let class = compared.class();
    for spelling in password.spellings() {
        if workspace.timed(class, |workspace| compared.matches(spelling, workspace))? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
