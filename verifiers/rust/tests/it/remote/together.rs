//! Many requests at the same time, and requests that are given up.

use std::time::Duration;
use std::time::Instant;

use serde_json::json;
use signet_verifier::RemoteVerifier;
use tokio::task::JoinSet;

use crate::harness::NOW;
use crate::harness::claims;
use crate::harness::public_jwk;
use crate::harness::token_with_claims;
use crate::harness::valid_token;
use crate::harness::with;
use crate::harness::without;
use crate::remote::issuer::Issuer;
use crate::remote::issuer::KEYS_PATH;
use crate::remote::issuer::LIST_PATH;
use crate::remote::issuer::Reply;
use crate::remote::issuer::everything_revoked;
use crate::remote::issuer::keys;
use crate::remote::issuer::list;
use crate::remote::issuer::nothing_revoked;
use crate::remote::issuer::outcome;
use crate::remote::keys::machines_token;
use crate::remote::keys::token_of_unknown_key;
use crate::status::list_claims;

const A_WHILE: Duration = Duration::from_millis(200);

/// How `count` requests end that come at the same time.
async fn all_at_once(issuer: &Issuer, count: usize) -> Vec<&'static str> {
    let verifier = issuer.verifier();
    let mut requests = JoinSet::new();
    for _ in 0..count {
        let (verifier, token) = (verifier.clone(), valid_token());
        requests.spawn(async move { outcome(&verifier, &token).await });
    }
    requests.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_requests_share_one_fetch_of_each_document() {
    let issuer = Issuer::empty().await;
    issuer.serve(KEYS_PATH, keys(&[public_jwk()]).after(A_WHILE));
    issuer.serve(LIST_PATH, nothing_revoked().after(A_WHILE));

    assert_eq!(all_at_once(&issuer, 100).await, ["accepted"; 100]);

    assert_eq!((issuer.asked(KEYS_PATH), issuer.asked(LIST_PATH)), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_requests_share_one_failure_too() {
    let issuer = Issuer::empty().await;
    issuer.serve(KEYS_PATH, Reply::failing(500).after(A_WHILE));

    assert_eq!(all_at_once(&issuer, 100).await, ["keys_unavailable"; 100]);

    assert_eq!(issuer.asked(KEYS_PATH), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_made_up_keys_at_once_cost_one_fetch() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.verify(&valid_token()).await.unwrap();
    issuer.serve(KEYS_PATH, keys(&[public_jwk()]).after(A_WHILE));

    let mut requests = JoinSet::new();
    for number in 0..1000 {
        let verifier = verifier.clone();
        requests.spawn(async move { outcome(&verifier, &token_of_unknown_key(number)).await });
    }

    assert_eq!(requests.join_all().await, ["unknown_key"; 1000]);
    assert_eq!(issuer.asked(KEYS_PATH), 2);
}

/// Callers who hang up would else get a fetch for each time they come.
#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_outlives_the_request_that_began_it() {
    let issuer = Issuer::empty().await;
    issuer.serve(KEYS_PATH, keys(&[public_jwk()]).after(A_WHILE));
    issuer.serve(LIST_PATH, nothing_revoked());
    let verifier = issuer.verifier();
    let token = valid_token();

    for _ in 0..5 {
        let request = verifier.verify(&token);
        assert!(tokio::time::timeout(A_WHILE / 10, request).await.is_err());
    }
    assert_eq!(outcome(&verifier, &token).await, "accepted");

    assert_eq!(issuer.asked(KEYS_PATH), 1);
}

/// What is at hand is served while something else is being fetched.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_needs_nothing_new_waits_for_nobody() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.verify(&valid_token()).await.unwrap();
    issuer.serve(KEYS_PATH, keys(&[public_jwk()]).after(A_WHILE * 5));

    let (other, token) = (verifier.clone(), token_of_unknown_key(1));
    let waiting = tokio::spawn(async move { outcome(&other, &token).await });
    while issuer.asked(KEYS_PATH) < 2 {
        tokio::task::yield_now().await;
    }
    let ours = tokio::time::timeout(A_WHILE, outcome(&verifier, &valid_token())).await;

    assert_eq!(ours, Ok("accepted"));
    assert!(!waiting.is_finished());
    assert_eq!(waiting.await.unwrap(), "unknown_key");
}

/// Whatever changed while an answer was on its way is not in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_as_old_as_the_question() {
    for (path, seconds) in [(KEYS_PATH, 300), (LIST_PATH, 15)] {
        let issuer = Issuer::empty().await;
        issuer.serve(KEYS_PATH, keys(&[public_jwk()]).after(A_WHILE));
        issuer.serve(LIST_PATH, nothing_revoked().after(A_WHILE));
        let verifier = issuer.verifier();

        let (other, token) = (verifier.clone(), valid_token());
        let waiting = tokio::spawn(async move { outcome(&other, &token).await });
        while issuer.asked(path) == 0 {
            tokio::task::yield_now().await;
        }
        issuer.clock.advance(10);
        assert_eq!(waiting.await.unwrap(), "accepted");

        issuer.clock.advance(seconds - 11);
        assert_eq!(outcome(&verifier, &valid_token()).await, "accepted");
        assert_eq!(issuer.asked(path), 1, "{path}");
        issuer.clock.advance(1);
        assert_eq!(outcome(&verifier, &valid_token()).await, "accepted");
        assert_eq!(issuer.asked(path), 2, "{path}");
    }
}

/// An issuer that takes long, for those who can do without it.
const LONGER_THAN_ANYBODY_WAITS: Duration = Duration::from_secs(2);

/// What becomes of five requests at the same time, and how long the last of them waited.
async fn five_outcomes(verifier: &RemoteVerifier, token: &str) -> (Vec<&'static str>, Duration) {
    let started_at = Instant::now();
    let mut requests = JoinSet::new();
    for _ in 0..5 {
        let (verifier, token) = (verifier.clone(), token.to_owned());
        requests.spawn(async move { outcome(&verifier, &token).await });
    }
    (requests.join_all().await, started_at.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_held_answer_after_a_second() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.verify(&machines_token()).await.unwrap();
    issuer.serve(KEYS_PATH, keys(&[public_jwk()]).after(LONGER_THAN_ANYBODY_WAITS));
    issuer.clock.advance(300);

    let (outcomes, waited) = five_outcomes(&verifier, &machines_token()).await;
    assert_eq!(outcomes, ["accepted"; 5]);
    assert!((900..1900).contains(&waited.as_millis()), "{waited:?}");
    assert_eq!(issuer.asked(KEYS_PATH), 2);

    // What came meanwhile is fresh.
    tokio::time::sleep(LONGER_THAN_ANYBODY_WAITS).await;
    let (outcomes, waited) = five_outcomes(&verifier, &machines_token()).await;
    assert_eq!(outcomes, ["accepted"; 5]);
    assert!(waited.as_millis() < 900, "{waited:?}");
    assert_eq!(issuer.asked(KEYS_PATH), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_may_be_used_answers_after_a_second_and_the_new_one_when_it_comes() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.verify(&valid_token()).await.unwrap();
    issuer.serve(LIST_PATH, everything_revoked().after(LONGER_THAN_ANYBODY_WAITS));
    issuer.clock.advance(15);

    let (outcomes, waited) = five_outcomes(&verifier, &valid_token()).await;
    assert_eq!(outcomes, ["accepted"; 5]);
    assert!((900..1900).contains(&waited.as_millis()), "{waited:?}");

    tokio::time::sleep(LONGER_THAN_ANYBODY_WAITS).await;
    assert_eq!(outcome(&verifier, &valid_token()).await, "revoked");
    assert_eq!(issuer.asked(LIST_PATH), 2);
}

/// A fetch that fails in the background is followed by the usual pause.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_nobody_waited_for_counts_too() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.verify(&valid_token()).await.unwrap();
    issuer.serve(LIST_PATH, Reply::failing(500).after(LONGER_THAN_ANYBODY_WAITS));
    issuer.clock.advance(15);
    assert_eq!(five_outcomes(&verifier, &valid_token()).await.0, ["accepted"; 5]);
    tokio::time::sleep(LONGER_THAN_ANYBODY_WAITS).await;
    issuer.serve(LIST_PATH, everything_revoked());

    for (wait, expected, asked) in [(0, "accepted", 2), (4, "accepted", 2), (1, "revoked", 3)] {
        issuer.clock.advance(wait);
        assert_eq!(outcome(&verifier, &valid_token()).await, expected);
        assert_eq!(issuer.asked(LIST_PATH), asked);
    }
}

/// Without keys, with a list that is of no more use, and with a key that is not held.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_nothing_to_go_by_waits_for_as_long_as_it_takes() {
    let issuer = Issuer::start().await;
    let slow_keys = keys(&[public_jwk()]).after(LONGER_THAN_ANYBODY_WAITS);
    issuer.serve(KEYS_PATH, slow_keys.clone());
    let verifier = issuer.verifier();
    assert_eq!(outcome(&verifier, &machines_token()).await, "accepted");

    issuer.serve(LIST_PATH, list(&without(list_claims(), "exp")));
    assert_eq!(outcome(&verifier, &valid_token()).await, "accepted");
    issuer.serve(LIST_PATH, everything_revoked().after(LONGER_THAN_ANYBODY_WAITS));
    issuer.clock.advance(15);
    assert_eq!(outcome(&verifier, &valid_token()).await, "revoked");

    let started_at = Instant::now();
    assert_eq!(outcome(&verifier, &token_of_unknown_key(1)).await, "unknown_key");
    assert!(started_at.elapsed() >= LONGER_THAN_ANYBODY_WAITS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_expires_while_another_is_waited_for_answers_nobody() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let token = token_with_claims(with(claims(), "exp", json!(NOW + 10_000)));
    verifier.verify(&token).await.unwrap();
    let lasting = with(list_claims(), "exp", json!(NOW + 10_000));
    issuer.serve(LIST_PATH, list(&lasting).after(LONGER_THAN_ANYBODY_WAITS));

    // `exp` is 600 seconds away, and the leeway 30.
    issuer.clock.advance(629);
    let (other, token) = (verifier.clone(), token.clone());
    let waiting = tokio::spawn(async move { outcome(&other, &token).await });
    while issuer.asked(LIST_PATH) < 2 {
        tokio::task::yield_now().await;
    }
    issuer.clock.advance(1);

    assert_eq!(waiting.await.unwrap(), "accepted");
}
