//! The handle that the rest of the domain hashes through.

use std::sync::Arc;
use std::time::Duration;

use argon2::Argon2;

use crate::domain::password::hash::{self, Cost, Failure};
use crate::domain::password::pool::{HashError, Pool, PoolSettings};
use crate::domain::password::stored::{self, Stored};
use crate::domain::password::typed::Password;

/// How long a thread keeps its memory after its last hash.
const REST: Duration = Duration::from_secs(30);

/// Hashes and checks passwords on threads of its own. Cheap to clone.
///
/// The threads end when the last clone is dropped.
#[derive(Clone)]
pub struct Hasher(Arc<Inner>);

struct Inner {
    pool: Pool,
    cost: Cost,
    argon2: Argon2<'static>,
    decoy: Stored,
}

/// What a check of a password found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the password.
    Match {
        /// The stored hash is not what [`Hasher::hash`] would make now; store a new one.
        needs_upgrade: bool,
    },
    /// It is not, or there is none to compare with.
    Mismatch,
}

/// Why hashing cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The pool would have no threads.
    #[error("at least one hashing thread is needed")]
    NoThreads,
    /// Argon2 does not know such a cost.
    #[error("the cost of a password hash is not valid")]
    Cost(#[from] argon2::Error),
    /// Hashes of this cost would be refused as too costly when they are read back.
    #[error("the cost of a password hash is beyond what is accepted from stored hashes")]
    TooCostly,
    /// No decoy could be made.
    #[error("no decoy for unknown accounts")]
    Decoy(#[from] Failure),
    /// The system did not start a thread.
    #[error("no thread to hash on")]
    Thread(#[from] std::io::Error),
}

impl Hasher {
    /// Starts the threads. Hashes nothing and reserves no memory for it yet.
    ///
    /// # Errors
    /// [`StartError`] for settings that cannot work, or a system that is out of threads.
    pub fn start(cost: Cost, settings: PoolSettings) -> Result<Self, StartError> {
        if settings.threads == 0 {
            return Err(StartError::NoThreads);
        }
        let argon2 = cost.argon2id()?;
        if !stored::is_affordable(argon2.params()) {
            return Err(StartError::TooCostly);
        }
        let decoy = Stored::parse(&hash::decoy(&argon2)?).map_err(|_| StartError::TooCostly)?;
        let pool = Pool::start(settings, argon2.params().block_count(), REST)?;
        Ok(Self(Arc::new(Inner { pool, cost, argon2, decoy })))
    }

    /// Hashes a new password under a fresh salt; the answer is an Argon2id PHC string.
    ///
    /// # Errors
    /// [`HashError::Busy`] if there is no room in the queue or the wait was too long.
    pub async fn hash(&self, password: Password) -> Result<String, HashError> {
        let argon2 = self.0.argon2.clone();
        self.0.pool.run(move |workspace| hash::hash(&argon2, &password, workspace)).await
    }

    /// Checks a password against a stored hash, or against a decoy.
    ///
    /// `None` stands for an unknown account and for one without a password. That, and a hash
    /// that [`check_stored`](crate::domain::password::check_stored) refuses, costs the same work
    /// as a check at the live settings and is always [`Verdict::Mismatch`].
    ///
    /// # Errors
    /// [`HashError::Busy`] if there is no room in the queue or the wait was too long.
    pub async fn verify(
        &self,
        password: Password,
        stored: Option<String>,
    ) -> Result<Verdict, HashError> {
        let found = stored.and_then(|stored| {
            Stored::parse(&stored)
                .inspect_err(|reason| {
                    tracing::warn!(%reason, "a stored password hash cannot be used: {reason}");
                })
                .ok()
        });
        let match_verdict = match &found {
            Some(stored) => Verdict::Match { needs_upgrade: !stored.is_current(self.0.cost) },
            None => Verdict::Mismatch,
        };
        let compared = found.unwrap_or_else(|| self.0.decoy.clone());
        let run = self.0.pool.run(move |workspace| compared.matches(&password, workspace));
        Ok(if run.await? { match_verdict } else { Verdict::Mismatch })
    }

    /// Argon2 and bcrypt computations begun since the start, decoys included.
    #[must_use]
    pub fn hashes_started(&self) -> u64 {
        self.0.pool.hashes_started()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::{Hasher, StartError, Verdict};
    use crate::domain::password::hash::{self, Cost, Failure};
    use crate::domain::password::pool::{HashError, PoolSettings};
    use crate::domain::password::stored::{Stored, check_stored};
    use crate::domain::password::typed::Password;

    /// Small, so that the tests are quick in a debug build too.
    const COST: Cost = Cost { memory_kib: 64, iterations: 1, parallelism: 1 };
    const SETTINGS: PoolSettings =
        PoolSettings { threads: 2, queue: 8, deadline: Duration::from_mins(1) };
    const MATCH: Verdict = Verdict::Match { needs_upgrade: false };

    fn hasher() -> Hasher {
        Hasher::start(COST, SETTINGS).unwrap()
    }

    fn password(typed: &str) -> Password {
        Password::parse(typed).unwrap()
    }

    /// PW-01, PW-08: the default cost, the form of the string, 16 bytes of fresh salt.
    #[tokio::test]
    async fn a_new_hash_is_an_argon2id_string_at_the_live_cost() {
        let hasher = Hasher::start(Cost::default(), SETTINGS).unwrap();

        let stored = hasher.hash(password("Correct-Horse7-Battery")).await.unwrap();

        let (settings, salt_and_tag) = stored.split_at("$argon2id$v=19$m=19456,t=2,p=1$".len());
        let (salt, tag) = salt_and_tag.split_once('$').unwrap();
        assert_eq!(settings, "$argon2id$v=19$m=19456,t=2,p=1$");
        assert_eq!((salt.len(), tag.len()), (22, 43), "16 and 32 bytes of unpadded Base64");
        let again = hasher.verify(password("Correct-Horse7-Battery"), Some(stored)).await.unwrap();
        assert_eq!(again, MATCH);
    }

    #[tokio::test]
    async fn no_two_hashes_share_a_salt() {
        let hasher = hasher();
        let mut salts = HashSet::new();

        for _ in 0..100 {
            let stored = hasher.hash(password("same")).await.unwrap();
            salts.insert(stored.split('$').nth(4).unwrap().to_owned());
        }

        assert_eq!(salts.len(), 100);
    }

    /// PW-02: 72-byte twins differ, as does everything else that is not the very password.
    #[tokio::test]
    async fn nothing_is_truncated_trimmed_or_folded() {
        let hasher = hasher();
        let long = "x".repeat(72);
        for (chosen, typed) in [
            (format!("{long}1"), format!("{long}2")),
            (format!("{long}1"), long.clone()),
            ("y".repeat(1_024), "y".repeat(1_023)),
            ("Pass word".to_owned(), "Pass word ".to_owned()),
            ("Pass word".to_owned(), "Pass Word".to_owned()),
            ("\u{ff30}ass".to_owned(), "Pass".to_owned()),
        ] {
            let stored = hasher.hash(password(&chosen)).await.unwrap();

            let same = hasher.verify(password(&chosen), Some(stored.clone())).await.unwrap();
            let twin = hasher.verify(password(&typed), Some(stored)).await.unwrap();

            assert_eq!((same, twin), (MATCH, Verdict::Mismatch), "{chosen:?} and {typed:?}");
        }
    }

    /// K5.
    #[tokio::test]
    async fn another_spelling_of_the_same_characters_is_the_same_password() {
        let hasher = hasher();
        let stored = hasher.hash(password("caf\u{e9}-\u{212b}-7")).await.unwrap();

        let verdict = hasher.verify(password("cafe\u{301}-A\u{30a}-7"), Some(stored)).await;

        assert_eq!(verdict.unwrap(), MATCH);
    }

    /// PW-02, PW-03: no length of input reaches the threads.
    #[tokio::test]
    async fn a_password_that_is_too_long_costs_no_hash() {
        let hasher = hasher();

        for typed in ["x".repeat(1_025), "x".repeat(1_000_000)] {
            assert!(Password::parse(&typed).is_err());
        }

        assert_eq!(hasher.hashes_started(), 0);
        hasher.verify(password(&"x".repeat(1_024)), None).await.unwrap();
        assert_eq!(hasher.hashes_started(), 1);
    }

    /// PW-06: nothing matches where there is no password, and the work is the same.
    #[tokio::test]
    async fn what_cannot_match_costs_one_hash_and_never_matches() {
        let hasher = hasher();
        let too_costly = "$argon2id$v=19$m=4194304,t=9,p=1$c2l4dGVlbiBieXRlcyBvaw$AuQWTH3SLGo9bOUwqrcvyx3euegWJTZJSmZHILRq8QM";
        let bcrypt_20 = "$2b$20$abcdefghijklmnopqrstuuCrFm/7NsPCOWJ7h5LJAU.gwZDtudXHi";
        let unusable =
            [None, Some(""), Some("null"), Some("undefined"), Some(too_costly), Some(bcrypt_20)];
        let guesses = ["", "null", "undefined", "Correct-Horse7-Battery", bcrypt_20];
        let attempts = unusable.into_iter().flat_map(|stored| guesses.map(|typed| (stored, typed)));
        for (attempt, (stored, typed)) in (1..).zip(attempts) {
            let verdict = hasher.verify(password(typed), stored.map(str::to_owned)).await;

            assert_eq!(verdict.unwrap(), Verdict::Mismatch, "{typed:?} {stored:?}");
            assert_eq!(hasher.hashes_started(), attempt, "{typed:?} {stored:?}");
        }
    }

    /// Even the one password that belongs to the decoy (here: a real hash) does not match.
    #[tokio::test]
    async fn a_matching_decoy_is_a_mismatch() {
        let one = hasher();
        let stored = one.hash(password("known")).await.unwrap();
        let mut inner = std::sync::Arc::into_inner(one.0).unwrap();
        inner.decoy = Stored::parse(&stored).unwrap();
        let hasher = Hasher(std::sync::Arc::new(inner));

        assert_eq!(hasher.verify(password("known"), Some(stored)).await.unwrap(), MATCH);
        assert_eq!(hasher.verify(password("known"), None).await.unwrap(), Verdict::Mismatch);
    }

    /// PW-06: the decoy costs what the live settings cost, and every server has its own.
    #[test]
    fn a_decoy_is_a_current_hash_of_nothing() {
        let argon2 = Cost::default().argon2id().unwrap();

        let (one, other) = (hash::decoy(&argon2).unwrap(), hash::decoy(&argon2).unwrap());

        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_eq!(check_stored(&one), Ok(()));
        assert!(Stored::parse(&one).unwrap().is_current(Cost::default()));
        assert_ne!(one, other);
    }

    /// PW-01: weaker, stronger and foreign hashes still match, and ask to be replaced.
    #[tokio::test]
    async fn a_match_says_whether_the_hash_is_to_be_replaced() {
        let old = Hasher::start(Cost { memory_kib: 32, ..COST }, SETTINGS).unwrap();
        let old = old.hash(password("Correct-Horse7-Battery")).await.unwrap();
        let bcrypt = "$2b$05$abcdefghijklmnopqrstuuCrFm/7NsPCOWJ7h5LJAU.gwZDtudXHi".to_owned();
        let hasher = hasher();
        for stored in [old, bcrypt] {
            let right = password("Correct-Horse7-Battery");

            let verdict = hasher.verify(right.clone(), Some(stored.clone())).await.unwrap();
            assert_eq!(verdict, Verdict::Match { needs_upgrade: true });
            let wrong = hasher.verify(password("wrong"), Some(stored)).await.unwrap();
            assert_eq!(wrong, Verdict::Mismatch);

            let replaced = hasher.hash(right.clone()).await.unwrap();
            assert_eq!(hasher.verify(right, Some(replaced)).await.unwrap(), MATCH);
        }
    }

    /// DS-11: what is refused or late does no work.
    #[tokio::test]
    async fn an_expired_deadline_is_busy_without_a_hash() {
        let settings = PoolSettings { deadline: Duration::ZERO, ..SETTINGS };
        let hasher = Hasher::start(COST, settings).unwrap();

        let late = hasher.verify(password("late"), None).await;
        let later = hasher.hash(password("late")).await;

        assert!(matches!(late, Err(HashError::Busy)));
        assert!(matches!(later, Err(HashError::Busy)));
        assert_eq!(hasher.hashes_started(), 0);
    }

    /// F18: requests that are dropped before their turn cost no hash.
    #[tokio::test]
    async fn a_dropped_request_is_not_hashed() {
        let hasher = Hasher::start(COST, PoolSettings { threads: 1, ..SETTINGS }).unwrap();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let blocker = hasher.clone();
        let blocker = tokio::spawn(async move {
            blocker.0.pool.run(move |_| ended.recv().map_err(|_| Failure::Stopped)).await
        });
        tokio::task::yield_now().await;
        for _ in 0..8 {
            let request = hasher.verify(password("gone"), None);
            assert!(tokio::time::timeout(Duration::ZERO, request).await.is_err());
        }
        let refused = hasher.verify(password("refused"), None).await;
        assert!(matches!(refused, Err(HashError::Busy)));

        drop(end);
        blocker.await.unwrap().unwrap_err();

        assert_eq!(hasher.verify(password("honest"), None).await.unwrap(), Verdict::Mismatch);
        assert_eq!(hasher.hashes_started(), 1);
    }

    #[tokio::test]
    async fn starting_hashes_nothing_and_refuses_what_cannot_work() {
        let too_costly = Cost { memory_kib: 1_048_577, iterations: 1, parallelism: 1 };
        let impossible = Cost { memory_kib: 4, iterations: 1, parallelism: 1 };
        let threadless = PoolSettings { threads: 0, ..SETTINGS };

        assert_eq!(hasher().hashes_started(), 0);
        assert!(matches!(Hasher::start(COST, threadless), Err(StartError::NoThreads)));
        assert!(matches!(Hasher::start(impossible, SETTINGS), Err(StartError::Cost(_))));
        assert!(matches!(Hasher::start(too_costly, SETTINGS), Err(StartError::TooCostly)));
    }
}
