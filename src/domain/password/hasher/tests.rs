use std::collections::HashSet;
use std::time::Duration;

use super::{AfterMatch, Check, Hasher, StartError, Verdict};
use crate::domain::keys::MacKey;
use crate::domain::password::class::Class;
use crate::domain::password::cost::Cost;
use crate::domain::password::decoy::Decoys;
use crate::domain::password::failure::Failure;
use crate::domain::password::pool::{HashError, PoolSettings};
use crate::domain::password::stored::Stored;
use crate::domain::password::typed::Password;

/// A low cost, so that the tests are fast even in a debug build.
const COST: Cost = Cost { memory_kib: 64, iterations: 1, parallelism: 1 };
const MINUTE: Duration = Duration::from_mins(1);
const SETTINGS: PoolSettings =
    PoolSettings { threads: 2, backlog: MINUTE, patience: MINUTE, ipv6_prefix: 64 };
const MATCH: Verdict = Verdict::Match { new_hash: None };

fn start(cost: Cost, settings: PoolSettings) -> Result<Hasher, StartError> {
    Hasher::start(cost, settings, MacKey::from_bytes(&[7; 32]).unwrap())
}

fn hasher() -> Hasher {
    start(COST, SETTINGS).unwrap()
}

impl Hasher {
    async fn hash_here(&self, password: Password) -> Result<String, HashError> {
        self.hash(password, None).await
    }

    async fn check(&self, typed: Password, stored: Option<String>) -> Result<Verdict, HashError> {
        self.check_then(typed, stored, AfterMatch::Nothing).await
    }

    async fn check_then(
        &self,
        password: Password,
        stored: Option<String>,
        then: AfterMatch,
    ) -> Result<Verdict, HashError> {
        self.verify(Check { password, stored, account: "ada@example.test", client: None, then })
            .await
    }
}

fn password(typed: &str) -> Password {
    Password::parse(typed).unwrap()
}

/// PW-01, PW-08: the default cost, the form of the string, 16 bytes of fresh salt.
#[tokio::test]
async fn new_hash_is_an_argon2id_string_at_the_current_cost() {
    let hasher = start(Cost::default(), SETTINGS).unwrap();

    let stored = hasher.hash_here(password("Correct-Horse7-Battery")).await.unwrap();

    let (settings, salt_and_tag) = stored.split_at("$argon2id$v=19$m=19456,t=2,p=1$".len());
    let (salt, tag) = salt_and_tag.split_once('$').unwrap();
    assert_eq!(settings, "$argon2id$v=19$m=19456,t=2,p=1$");
    assert_eq!((salt.len(), tag.len()), (22, 43), "16 and 32 bytes of unpadded Base64");
    let again = hasher.check(password("Correct-Horse7-Battery"), Some(stored)).await.unwrap();
    assert_eq!(again, MATCH);
}

#[tokio::test]
async fn no_two_hashes_share_a_salt() {
    let hasher = hasher();
    let mut salts = HashSet::new();

    for _ in 0..100 {
        let stored = hasher.hash_here(password("same")).await.unwrap();
        salts.insert(stored.split('$').nth(4).unwrap().to_owned());
    }

    assert_eq!(salts.len(), 100);
}

/// PW-02: passwords are different even if they differ only after 72 bytes, in case or in spaces.
#[tokio::test]
async fn passwords_are_not_truncated_trimmed_or_folded() {
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
        let stored = hasher.hash_here(password(&chosen)).await.unwrap();

        let same = hasher.check(password(&chosen), Some(stored.clone())).await.unwrap();
        let other = hasher.check(password(&typed), Some(stored)).await.unwrap();

        assert_eq!((same, other), (MATCH, Verdict::Mismatch), "{chosen:?} and {typed:?}");
    }
}

/// K5: two encodings of the same characters.
#[tokio::test]
async fn canonically_equivalent_passwords_match() {
    let hasher = hasher();
    let stored = hasher.hash_here(password("caf\u{e9}-\u{212b}-7")).await.unwrap();

    let verdict = hasher.check(password("cafe\u{301}-A\u{30a}-7"), Some(stored)).await;

    assert_eq!(verdict.unwrap(), MATCH);
}

/// PW-02, PW-03: input that is too long never reaches the threads.
#[tokio::test]
async fn overlong_password_is_not_hashed() {
    let hasher = hasher();

    for typed in ["x".repeat(1_025), "x".repeat(1_000_000)] {
        assert!(Password::parse(&typed).is_err());
    }

    assert_eq!(hasher.hashes_started(), 0);
    hasher.check(password(&"x".repeat(1_024)), None).await.unwrap();
    assert_eq!(hasher.hashes_started(), 1);
}

/// PW-06: without a usable hash no password matches, and the work is that of one hash.
#[tokio::test]
async fn unusable_hash_costs_one_hash_and_never_matches() {
    let hasher = hasher();
    let too_costly = "$argon2id$v=19$m=4194304,t=9,p=1$c2l4dGVlbiBieXRlcyBvaw$AuQWTH3SLGo9bOUwqrcvyx3euegWJTZJSmZHILRq8QM";
    let bcrypt_20 = "$2b$20$abcdefghijklmnopqrstuuCrFm/7NsPCOWJ7h5LJAU.gwZDtudXHi";
    let unusable =
        [None, Some(""), Some("null"), Some("undefined"), Some(too_costly), Some(bcrypt_20)];
    let guesses = ["", "null", "undefined", "Correct-Horse7-Battery", bcrypt_20];
    let attempts = unusable.into_iter().flat_map(|stored| guesses.map(|typed| (stored, typed)));
    for (attempt, (stored, typed)) in (1..).zip(attempts) {
        let verdict = hasher.check(password(typed), stored.map(str::to_owned)).await;

        assert_eq!(verdict.unwrap(), Verdict::Mismatch, "{typed:?} {stored:?}");
        assert_eq!(hasher.hashes_started(), attempt, "{typed:?} {stored:?}");
    }
}

/// The decoy of this test is the hash of a known password. Even this password does not match.
#[tokio::test]
async fn decoy_never_matches() {
    let hasher = hasher();
    let stored = hasher.hash_here(password("known")).await.unwrap();
    let mut inner = std::sync::Arc::into_inner(hasher.0).unwrap();
    inner.decoys =
        Decoys::of(MacKey::from_bytes(&[7; 32]).unwrap(), Stored::parse(&stored).unwrap());
    let hasher = Hasher(std::sync::Arc::new(inner));

    assert_eq!(hasher.check(password("known"), Some(stored)).await.unwrap(), MATCH);
    assert_eq!(hasher.check(password("known"), None).await.unwrap(), Verdict::Mismatch);
}

/// W17: an unknown address gets a class that accounts have, and its check computes one hash.
#[tokio::test]
async fn decoy_has_a_class_that_accounts_have() {
    let settings = PoolSettings { threads: 1, ..SETTINGS };
    let hasher = start(COST, settings).unwrap();
    let costly = Class::Bcrypt { cost: 4 };
    hasher.set_classes(&[(costly, 1)].into());

    assert_eq!(hasher.0.decoys.draw("nobody@example.test").class(), costly);
    assert_eq!(hasher.check(password("x"), None).await.unwrap(), Verdict::Mismatch);
    assert_eq!(hasher.hashes_started(), 1);
}

/// PW-01: a hash at a lower cost and a foreign hash match, and a login replaces them.
#[tokio::test]
async fn matching_hash_at_another_cost_or_of_another_kind_is_replaced() {
    let old = start(Cost { memory_kib: 32, ..COST }, SETTINGS).unwrap();
    let old = old.hash_here(password("Correct-Horse7-Battery")).await.unwrap();
    let bcrypt = "$2b$05$abcdefghijklmnopqrstuuCrFm/7NsPCOWJ7h5LJAU.gwZDtudXHi".to_owned();
    let hasher = hasher();
    for stored in [old, bcrypt] {
        let right = password("Correct-Horse7-Battery");

        let rehash = |stored| hasher.check_then(right.clone(), Some(stored), AfterMatch::Rehash);
        let verdict = rehash(stored.clone()).await.unwrap();
        let Verdict::Match { new_hash: Some(new) } = verdict else { panic!("{verdict:?}") };
        assert_eq!(hasher.check(right.clone(), Some(new.clone())).await.unwrap(), MATCH);
        let again = rehash(new).await.unwrap();
        assert_eq!(again, MATCH, "the new hash needs no upgrade");
        let only_checked = hasher.check(right.clone(), Some(stored.clone())).await.unwrap();
        assert_eq!(only_checked, MATCH);
        let wrong = hasher.check(password("wrong"), Some(stored)).await.unwrap();
        assert_eq!(wrong, Verdict::Mismatch);

        let replaced = hasher.hash_here(right.clone()).await.unwrap();
        assert_eq!(hasher.check(right, Some(replaced)).await.unwrap(), MATCH);
    }
}

/// Both hashes are computed in one job, so the caller waits in the queue only once.
#[tokio::test]
async fn replacement_hash_is_computed_in_the_same_job() {
    let settings = PoolSettings { threads: 1, backlog: Duration::ZERO, ..SETTINGS };
    let hasher = start(COST, settings).unwrap();
    let stored = hasher.hash_here(password("old")).await.unwrap();
    let then = || AfterMatch::Replace(password("new"));

    let wrong = hasher.check_then(password("wrong"), Some(stored.clone()), then()).await.unwrap();
    let right = hasher.check_then(password("old"), Some(stored), then()).await.unwrap();

    assert_eq!(wrong, Verdict::Mismatch);
    assert_eq!(hasher.hashes_started(), 4, "one for each of the first two calls, two for the last");
    let Verdict::Match { new_hash: Some(new) } = right else { panic!("{right:?}") };
    assert_eq!(hasher.check(password("new"), Some(new)).await.unwrap(), MATCH);
}

/// F18: requests that are dropped before their job begins cost no hash.
#[tokio::test]
async fn dropped_request_is_not_hashed() {
    let hasher = start(COST, PoolSettings { threads: 1, ..SETTINGS }).unwrap();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let clone = hasher.clone();
    let blocker = tokio::spawn(async move {
        let wait = move |_: &mut _| ended.recv().map_err(|_| Failure::Stopped);
        clone.0.pool.run(0, &[Class::of_new(COST)], wait).await
    });
    tokio::task::yield_now().await;
    for _ in 0..8 {
        let request = hasher.check(password("dropped"), None);
        assert!(tokio::time::timeout(Duration::ZERO, request).await.is_err());
    }

    drop(end);
    blocker.await.unwrap().unwrap_err();

    assert_eq!(hasher.check(password("waiting"), None).await.unwrap(), Verdict::Mismatch);
    assert_eq!(hasher.hashes_started(), 1);
}

#[tokio::test]
async fn start_computes_no_hash_and_rejects_invalid_settings() {
    let too_costly = Cost { memory_kib: 1_048_577, iterations: 1, parallelism: 1 };
    let impossible = Cost { memory_kib: 4, iterations: 1, parallelism: 1 };
    let threadless = PoolSettings { threads: 0, ..SETTINGS };

    assert_eq!(hasher().hashes_started(), 0);
    assert!(matches!(start(COST, threadless), Err(StartError::NoThreads)));
    assert!(matches!(start(impossible, SETTINGS), Err(StartError::Cost(_))));
    assert!(matches!(start(too_costly, SETTINGS), Err(StartError::TooCostly)));
}

/// B4: systems without normalisation hashed the password as typed. Such a hash matches only this
/// typed text. A login replaces it by a hash of the normalised text, which matches both spellings.
#[tokio::test]
async fn hash_of_unnormalised_text_matches_the_typed_password() {
    let hasher = hasher();
    let (typed, other) = ("Pa\u{308}55wo\u{308}rter-alt", "P\u{e4}55w\u{f6}rter-alt");
    let foreign = bcrypt::hash(typed, 4).unwrap();

    let verdict =
        hasher.check_then(password(typed), Some(foreign.clone()), AfterMatch::Rehash).await;
    let Verdict::Match { new_hash: Some(new) } = verdict.unwrap() else { panic!("no new hash") };
    for spelling in [typed, other] {
        assert_eq!(hasher.check(password(spelling), Some(new.clone())).await.unwrap(), MATCH);
    }
    let composed = hasher.check(password(other), Some(foreign)).await.unwrap();
    assert_eq!(composed, Verdict::Mismatch, "the hash was computed from another text");
}

/// PW-06: text with two spellings costs two hashes, with or without an account, for any stored
/// hash.
#[tokio::test]
async fn two_spellings_cost_two_hashes_for_every_account() {
    let hasher = hasher();
    let own = hasher.hash_here(password("Correct-Horse7-Battery")).await.unwrap();
    let foreign = bcrypt::hash("Correct-Horse7-Battery", 4).unwrap();

    for stored in [None, Some(own), Some(foreign)] {
        let before = hasher.hashes_started();
        let wrong = hasher.check(password("Wro\u{308}ng-Horse7"), stored).await.unwrap();

        assert_eq!(wrong, Verdict::Mismatch);
        assert_eq!(hasher.hashes_started() - before, 2);
    }
}
