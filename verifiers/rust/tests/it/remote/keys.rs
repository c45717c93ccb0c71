//! When the key set is fetched, and how tokens are verified before and after.

use std::sync::Arc;
use std::sync::LazyLock;

use ::axum::http::header;
use josekit::jwk::KeyPair;
use josekit::jwk::alg::rsa::RsaKeyPair;
use josekit::jws::RS256;
use serde_json::Value;
use serde_json::json;
use signet_verifier::BuildError;
use signet_verifier::RemoteVerifier;

use crate::harness::AUDIENCE;
use crate::harness::claims;
use crate::harness::encode;
use crate::harness::header as token_header;
use crate::harness::public_jwk;
use crate::harness::sign;
use crate::harness::sign_with;
use crate::harness::token_with_claims;
use crate::harness::valid_token;
use crate::harness::with;
use crate::harness::without;
use crate::remote::issuer::Issuer;
use crate::remote::issuer::KEYS_PATH;
use crate::remote::issuer::LIST_PATH;
use crate::remote::issuer::Reply;
use crate::remote::issuer::keys;
use crate::remote::issuer::nothing_revoked;
use crate::remote::issuer::outcome;
use crate::status::list_claims;
use crate::status::list_header;

/// The key after the next rotation.
static NEXT_KEY: LazyLock<RsaKeyPair> = LazyLock::new(|| RS256.generate_key_pair(2048).unwrap());

fn next_jwk() -> Value {
    let jwk = serde_json::to_value(NEXT_KEY.to_jwk_public_key().as_ref()).unwrap();
    with(jwk, "kid", json!("key-2"))
}

fn signed_with_next_key(header: Value, claims: &Value) -> String {
    let signer = RS256.signer_from_pem(NEXT_KEY.to_pem_private_key()).unwrap();
    let header = with(header, "kid", json!("key-2")).to_string();
    sign_with(&signer, &format!("{}.{}", encode(header), encode(claims.to_string())))
}

/// A client credentials token. It has no status, so only the key set is fetched.
pub(crate) fn client_credentials_token() -> String {
    let claims = without(without(claims(), "status"), "user_id");
    sign(token_header().to_string(), claims.to_string())
}

/// A token with the `kid` of a key that does not exist.
pub(crate) fn token_of_unknown_key(number: usize) -> String {
    let header = with(token_header(), "kid", json!(format!("made-up-{number}"))).to_string();
    format!("{}.{}.AAAA", encode(header), encode(claims().to_string()))
}

#[tokio::test]
async fn key_set_is_fetched_on_first_use_and_cached() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();

    assert_eq!(issuer.requests(KEYS_PATH), 0);
    for _ in 0..10 {
        assert_eq!(outcome(&verifier, &client_credentials_token()).await, "accepted");
    }

    assert_eq!(issuer.requests(KEYS_PATH), 1);
    assert_eq!(issuer.requests(LIST_PATH), 0);
}

/// Unauthenticated input must not cause requests to the issuer.
#[tokio::test]
async fn token_rejected_before_key_lookup_causes_no_fetch() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let unsigned = sign(with(token_header(), "alg", json!("none")).to_string(), "{}");

    assert_eq!(outcome(&verifier, "").await, "malformed");
    assert_eq!(outcome(&verifier, "a.b.c").await, "malformed");
    assert_eq!(outcome(&verifier, &unsigned).await, "unsupported_algorithm");
    assert_eq!(issuer.requests(KEYS_PATH), 0);
}

#[tokio::test]
async fn key_set_is_refetched_after_max_age() {
    let cases = [
        (Some("max-age=60"), 60),
        (Some("public, Max-Age=\"60\", must-revalidate"), 60),
        (Some("s-maxage=10"), 300),
        (Some("no-cache"), 1),
        (Some("No-Store"), 1),
        (Some("max-age=60, no-cache"), 1),
        (Some("private, no-cache=\"set-cookie\", max-age=60"), 1),
        (Some("x-no-cache, max-age=60"), 60),
        (Some("max-age=-5"), 300),
        (None, 300),
        (Some("max-age=0"), 1),
        (Some("max-age=99999999999999999999999"), 86400),
    ];
    for (cache_control, lifetime) in cases {
        let issuer = Issuer::empty().await;
        let mut reply = keys(&[public_jwk()]);
        reply.headers.clear();
        if let Some(value) = cache_control {
            reply = reply.with(header::CACHE_CONTROL, value);
        }
        issuer.serve(KEYS_PATH, reply);
        let verifier = issuer.verifier();
        verifier.verify(&client_credentials_token()).await.unwrap();

        issuer.clock.advance(lifetime - 1);
        outcome(&verifier, &client_credentials_token()).await;
        assert_eq!(issuer.requests(KEYS_PATH), 1, "{cache_control:?}");
        issuer.clock.advance(1);
        outcome(&verifier, &client_credentials_token()).await;
        assert_eq!(issuer.requests(KEYS_PATH), 2, "{cache_control:?}");
    }
}

#[tokio::test]
async fn not_modified_renews_the_cached_key_set() {
    let issuer = Issuer::empty().await;
    issuer.serve(KEYS_PATH, keys(&[public_jwk()]).with(header::ETAG, "\"1\""));
    let verifier = issuer.verifier();
    verifier.verify(&client_credentials_token()).await.unwrap();

    issuer.clock.advance(300);
    verifier.verify(&client_credentials_token()).await.unwrap();
    issuer.clock.advance(299);
    verifier.verify(&client_credentials_token()).await.unwrap();

    assert_eq!((issuer.requests(KEYS_PATH), issuer.not_modified()), (2, 1));
}

/// A key that the issuer removed must not be used beyond `max-age`.
#[tokio::test]
async fn removed_key_is_rejected_after_max_age() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.verify(&client_credentials_token()).await.unwrap();

    issuer.serve(KEYS_PATH, keys(&[next_jwk()]));
    issuer.clock.advance(300);

    assert_eq!(outcome(&verifier, &client_credentials_token()).await, "unknown_key");
}

#[tokio::test]
async fn stale_keys_are_used_while_the_issuer_is_unreachable() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.verify(&client_credentials_token()).await.unwrap();

    let broken = [Reply::failing(500), Reply::new("<html>"), Reply::failing(304)];
    for (reply, first) in broken.into_iter().zip([2, 4, 6]) {
        issuer.serve(KEYS_PATH, reply);
        // The `max-age` of 300 seconds passes once, before the first round.
        issuer.clock.advance(100 * u64::from(first == 2) * 3);
        // Immediately, within the retry pause, after it, and within the next pause.
        for (wait, requests) in [(0, first), (4, first), (1, first + 1), (4, first + 1)] {
            issuer.clock.advance(wait);
            assert_eq!(outcome(&verifier, &client_credentials_token()).await, "accepted");
            assert_eq!(issuer.requests(KEYS_PATH), requests);
        }
        issuer.clock.advance(1);
    }
}

#[tokio::test]
async fn without_keys_fetches_are_retried_after_a_second() {
    let issuer = Issuer::empty().await;
    let verifier = issuer.verifier();

    for requests in 1..=3 {
        for _ in 0..5 {
            assert_eq!(outcome(&verifier, &client_credentials_token()).await, "keys_unavailable");
        }
        assert_eq!(issuer.requests(KEYS_PATH), requests);
        issuer.clock.advance(1);
    }
    issuer.serve(KEYS_PATH, keys(&[public_jwk()]));
    assert_eq!(outcome(&verifier, &client_credentials_token()).await, "accepted");
}

#[tokio::test]
async fn new_key_is_fetched_at_once() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.verify(&client_credentials_token()).await.unwrap();

    issuer.serve(KEYS_PATH, keys(&[public_jwk(), next_jwk()]));
    let token = signed_with_next_key(token_header(), &without(claims(), "status"));

    assert_eq!(outcome(&verifier, &token).await, "accepted");
    assert_eq!(issuer.requests(KEYS_PATH), 2);
}

/// A list may be the first document that is signed with a new key.
#[tokio::test]
async fn new_key_of_a_status_list_is_fetched_at_once() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.verify(&client_credentials_token()).await.unwrap();

    issuer.serve(KEYS_PATH, keys(&[public_jwk(), next_jwk()]));
    issuer.serve(LIST_PATH, Reply::new(signed_with_next_key(list_header(), &list_claims())));

    assert_eq!(outcome(&verifier, &valid_token()).await, "accepted");
    assert_eq!(issuer.requests(KEYS_PATH), 2);
}

/// Attackers can invent any `kid`. The issuer must not get a request for each of them.
#[tokio::test]
async fn thousand_unknown_kids_cause_one_fetch_per_cool_down() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.verify(&client_credentials_token()).await.unwrap();

    for (round, wait) in [(0, 29), (1, 1), (2, 30)] {
        for number in 0..1000 {
            let token = token_of_unknown_key(number);
            assert_eq!(outcome(&verifier, &token).await, "unknown_key");
        }
        assert_eq!(issuer.requests(KEYS_PATH), [2, 2, 3][round]);
        issuer.clock.advance(wait);
    }
    assert_eq!(outcome(&verifier, &client_credentials_token()).await, "accepted");
}

/// The issuer is unavailable, so the fetch for an unknown `kid` fails.
#[tokio::test]
async fn cool_down_applies_after_a_failed_fetch() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.verify(&client_credentials_token()).await.unwrap();
    issuer.serve(KEYS_PATH, Reply::failing(500));

    for number in 0..29 {
        assert_eq!(outcome(&verifier, &token_of_unknown_key(number)).await, "unknown_key");
        issuer.clock.advance(1);
    }

    assert_eq!(issuer.requests(KEYS_PATH), 2);
}

#[tokio::test]
async fn key_set_is_fetched_below_the_base_url() {
    let issuer = Issuer::empty().await;
    issuer.serve("/signet/.well-known/jwks.json", keys(&[public_jwk()]));
    issuer.serve("/signet/status/1", nothing_revoked());

    for final_slash in ["", "/"] {
        let base_url = format!("http://{}/signet{final_slash}", issuer.address);
        let verifier = issuer.builder().base_url(base_url).build().unwrap();
        assert_eq!(outcome(&verifier, &valid_token()).await, "accepted");
    }
}

/// Further slashes are part of the URL.
#[tokio::test]
async fn one_trailing_slash_of_issuer_and_base_url_is_dropped() {
    let issuer = Issuer::empty().await;
    let base_url = format!("http://{}", issuer.address);
    issuer.serve(KEYS_PATH, keys(&[public_jwk()]));
    for (slashes, expected) in [("", "accepted"), ("/", "accepted"), ("//", "keys_unavailable")] {
        let name = format!("{base_url}{slashes}");
        let token = without(without(claims(), "status"), "user_id");
        let token = token_with_claims(with(token, "iss", json!(name)));
        let builder = RemoteVerifier::builder(name.clone(), AUDIENCE)
            .clock(Arc::clone(&issuer.clock) as _)
            .no_proxy();
        assert_eq!(outcome(&builder.build().unwrap(), &token).await, expected, "{name}");

        let elsewhere = issuer.builder().base_url(name.clone()).build().unwrap();
        assert_eq!(outcome(&elsewhere, &client_credentials_token()).await, expected, "{name}");
    }
}

#[test]
fn invalid_issuer_url_is_rejected_by_the_builder() {
    for issuer in ["", "id.example", "ftp://id.example", "https://id.example?a", "https://a/#b"] {
        let refusal = RemoteVerifier::new(issuer, "audience").unwrap_err();
        assert!(matches!(refusal, BuildError::Address(named) if named == issuer), "{issuer}");
    }
}
