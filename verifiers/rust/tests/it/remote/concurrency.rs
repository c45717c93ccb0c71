//! Concurrent requests, and cancelled requests.

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
use crate::remote::keys::client_credentials_token;
use crate::remote::keys::token_of_unknown_key;
use crate::status::list_claims;

const DELAY: Duration = Duration::from_millis(200);

/// The outcomes of `count` concurrent requests.
async fn concurrent_outcomes(issuer: &Issuer, count: usize) -> Vec<&'static str> {
    let verifier = issuer.verifier();
    let mut requests = JoinSet::new();
    for _ in 0..count {
        let (verifier, token) = (verifier.clone(), valid_token());
        requests.spawn(async move { outcome(&verifier, &token).await });
    }
    requests.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn hundred_concurrent_requests_share_one_fetch_per_document() {
    let issuer = Issuer::empty().await;
    issuer.serve(KEYS_PATH, keys(&[public_jwk()]).after(DELAY));
    issuer.serve(LIST_PATH, nothing_revoked().after(DELAY));

    assert_eq!(concurrent_outcomes(&issuer, 100).await, ["accepted"; 100]);

    assert_eq!((issuer.requests(KEYS_PATH), issuer.requests(LIST_PATH)), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn hundred_concurrent_requests_share_one_failed_fetch() {
    let issuer = Issuer::empty().await;
    issuer.serve(KEYS_PATH, Reply::failing(500).after(DELAY));

    assert_eq!(concurrent_outcomes(&issuer, 100).await, ["keys_unavailable"; 100]);

    assert_eq!(issuer.requests(KEYS_PATH), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn thousand_concurrent_unknown_kids_cause_one_fetch() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.verify(&valid_token()).await.unwrap();
    issuer.serve(KEYS_PATH, keys(&[public_jwk()]).after(DELAY));

    let mut requests = JoinSet::new();
    for number in 0..1000 {
        let verifier = verifier.clone();
        requests.spawn(async move { outcome(&verifier, &token_of_unknown_key(number)).await });
    }

    assert_eq!(requests.join_all().await, ["unknown_key"; 1000]);
    assert_eq!(issuer.requests(KEYS_PATH), 2);
}

/// Otherwise each caller that disconnects would cause another fetch.
#[tokio::test(flavor = "multi_thread")]
async fn fetch_continues_after_its_request_is_cancelled() {
    let issuer = Issuer::empty().await;
    issuer.serve(KEYS_PATH, keys(&[public_jwk()]).after(DELAY));
    issuer.serve(LIST_PATH, nothing_revoked());
    let verifier = issuer.verifier();
    let token = valid_token();

    for _ in 0..5 {
        let request = verifier.verify(&token);
        assert!(tokio::time::timeout(DELAY / 10, request).await.is_err());
    }
    assert_eq!(outcome(&verifier, &token).await, "accepted");

    assert_eq!(issuer.requests(KEYS_PATH), 1);
}

/// The key set is fetched again for an unknown key. Meanwhile, requests use the cached set.
#[tokio::test(flavor = "multi_thread")]
async fn cached_keys_are_used_during_a_fetch_for_an_unknown_key() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.verify(&valid_token()).await.unwrap();
    issuer.serve(KEYS_PATH, keys(&[public_jwk()]).after(DELAY * 5));

    let (other, token) = (verifier.clone(), token_of_unknown_key(1));
    let waiting = tokio::spawn(async move { outcome(&other, &token).await });
    while issuer.requests(KEYS_PATH) < 2 {
        tokio::task::yield_now().await;
    }
    let meanwhile = tokio::time::timeout(DELAY, outcome(&verifier, &valid_token())).await;

    assert_eq!(meanwhile, Ok("accepted"));
    assert!(!waiting.is_finished());
    assert_eq!(waiting.await.unwrap(), "unknown_key");
}

/// A response does not contain changes that the issuer made while it was in transit.
#[tokio::test(flavor = "multi_thread")]
async fn cache_age_counts_from_the_start_of_the_fetch() {
    for (path, seconds) in [(KEYS_PATH, 300), (LIST_PATH, 15)] {
        let issuer = Issuer::empty().await;
        issuer.serve(KEYS_PATH, keys(&[public_jwk()]).after(DELAY));
        issuer.serve(LIST_PATH, nothing_revoked().after(DELAY));
        let verifier = issuer.verifier();

        let (other, token) = (verifier.clone(), valid_token());
        let waiting = tokio::spawn(async move { outcome(&other, &token).await });
        while issuer.requests(path) == 0 {
            tokio::task::yield_now().await;
        }
        issuer.clock.advance(10);
        assert_eq!(waiting.await.unwrap(), "accepted");

        issuer.clock.advance(seconds - 11);
        assert_eq!(outcome(&verifier, &valid_token()).await, "accepted");
        assert_eq!(issuer.requests(path), 1, "{path}");
        issuer.clock.advance(1);
        assert_eq!(outcome(&verifier, &valid_token()).await, "accepted");
        assert_eq!(issuer.requests(path), 2, "{path}");
    }
}

/// The delay of a slow issuer. It is longer than a request waits if it can use a cached document.
const SLOW_RESPONSE: Duration = Duration::from_secs(2);

/// The outcomes of five concurrent requests, and the longest wait.
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
async fn cached_keys_are_used_if_a_refresh_takes_over_a_second() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.verify(&client_credentials_token()).await.unwrap();
    issuer.serve(KEYS_PATH, keys(&[public_jwk()]).after(SLOW_RESPONSE));
    issuer.clock.advance(300);

    let (outcomes, waited) = five_outcomes(&verifier, &client_credentials_token()).await;
    assert_eq!(outcomes, ["accepted"; 5]);
    assert!((900..1900).contains(&waited.as_millis()), "{waited:?}");
    assert_eq!(issuer.requests(KEYS_PATH), 2);

    // The key set that was fetched in the background is fresh.
    tokio::time::sleep(SLOW_RESPONSE).await;
    let (outcomes, waited) = five_outcomes(&verifier, &client_credentials_token()).await;
    assert_eq!(outcomes, ["accepted"; 5]);
    assert!(waited.as_millis() < 900, "{waited:?}");
    assert_eq!(issuer.requests(KEYS_PATH), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn valid_list_is_used_after_a_second_until_the_new_one_arrives() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.verify(&valid_token()).await.unwrap();
    issuer.serve(LIST_PATH, everything_revoked().after(SLOW_RESPONSE));
    issuer.clock.advance(15);

    let (outcomes, waited) = five_outcomes(&verifier, &valid_token()).await;
    assert_eq!(outcomes, ["accepted"; 5]);
    assert!((900..1900).contains(&waited.as_millis()), "{waited:?}");

    tokio::time::sleep(SLOW_RESPONSE).await;
    assert_eq!(outcome(&verifier, &valid_token()).await, "revoked");
    assert_eq!(issuer.requests(LIST_PATH), 2);
}

/// After a failed fetch in the background, the next fetch is made five seconds later.
#[tokio::test(flavor = "multi_thread")]
async fn background_failure_starts_the_retry_pause() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.verify(&valid_token()).await.unwrap();
    issuer.serve(LIST_PATH, Reply::failing(500).after(SLOW_RESPONSE));
    issuer.clock.advance(15);
    assert_eq!(five_outcomes(&verifier, &valid_token()).await.0, ["accepted"; 5]);
    tokio::time::sleep(SLOW_RESPONSE).await;
    issuer.serve(LIST_PATH, everything_revoked());

    for (wait, expected, requests) in [(0, "accepted", 2), (4, "accepted", 2), (1, "revoked", 3)] {
        issuer.clock.advance(wait);
        assert_eq!(outcome(&verifier, &valid_token()).await, expected);
        assert_eq!(issuer.requests(LIST_PATH), requests);
    }
}

/// The test covers three cases: no keys, no usable list, and an unknown key.
#[tokio::test(flavor = "multi_thread")]
async fn request_without_usable_cache_waits_for_the_fetch() {
    let issuer = Issuer::start().await;
    let slow_keys = keys(&[public_jwk()]).after(SLOW_RESPONSE);
    issuer.serve(KEYS_PATH, slow_keys.clone());
    let verifier = issuer.verifier();
    assert_eq!(outcome(&verifier, &client_credentials_token()).await, "accepted");

    issuer.serve(LIST_PATH, list(&without(list_claims(), "exp")));
    assert_eq!(outcome(&verifier, &valid_token()).await, "accepted");
    issuer.serve(LIST_PATH, everything_revoked().after(SLOW_RESPONSE));
    issuer.clock.advance(15);
    assert_eq!(outcome(&verifier, &valid_token()).await, "revoked");

    let started_at = Instant::now();
    assert_eq!(outcome(&verifier, &token_of_unknown_key(1)).await, "unknown_key");
    assert!(started_at.elapsed() >= SLOW_RESPONSE);
}

#[tokio::test(flavor = "multi_thread")]
async fn list_that_expires_during_a_fetch_is_not_used() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let token = token_with_claims(with(claims(), "exp", json!(NOW + 10_000)));
    verifier.verify(&token).await.unwrap();
    let new_list = with(list_claims(), "exp", json!(NOW + 10_000));
    issuer.serve(LIST_PATH, list(&new_list).after(SLOW_RESPONSE));

    // `exp` is 600 seconds away, and the leeway 30.
    issuer.clock.advance(629);
    let (other, token) = (verifier.clone(), token.clone());
    let waiting = tokio::spawn(async move { outcome(&other, &token).await });
    while issuer.requests(LIST_PATH) < 2 {
        tokio::task::yield_now().await;
    }
    issuer.clock.advance(1);

    assert_eq!(waiting.await.unwrap(), "accepted");
}
