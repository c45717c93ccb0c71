//! When status lists are fetched, and how tokens are verified if no list is available.

use ::axum::http::header;
use serde_json::Value;
use serde_json::json;
use signet_verifier::WhenStatusUnavailable;

use crate::harness::ISSUER;
use crate::harness::NOW;
use crate::harness::claims;
use crate::harness::token_with_claims;
use crate::harness::valid_token;
use crate::harness::with;
use crate::harness::without;
use crate::remote::issuer::Issuer;
use crate::remote::issuer::KEYS_PATH;
use crate::remote::issuer::LIST_PATH;
use crate::remote::issuer::Reply;
use crate::remote::issuer::everything_revoked;
use crate::remote::issuer::list;
use crate::remote::issuer::nothing_revoked;
use crate::remote::issuer::outcome;
use crate::status::deflate;
use crate::status::list_claims;
use crate::status::with_list;

fn long_lived_token() -> String {
    token_with_claims(with(claims(), "exp", json!(NOW + 100_000)))
}

fn list_with_ttl(ttl: Option<u64>) -> Value {
    match ttl {
        Some(ttl) => with(list_claims(), "ttl", json!(ttl)),
        None => without(list_claims(), "ttl"),
    }
}

#[tokio::test]
async fn logout_takes_effect_after_the_ttl() {
    for (ttl, lifetime) in [(Some(15), 15), (None, 300)] {
        let issuer = Issuer::start().await;
        issuer.serve(LIST_PATH, list(&list_with_ttl(ttl)));
        let verifier = issuer.verifier();
        verifier.verify(&long_lived_token()).await.unwrap();

        issuer.serve(LIST_PATH, everything_revoked());
        issuer.clock.advance(lifetime - 1);
        assert_eq!(outcome(&verifier, &long_lived_token()).await, "accepted");
        assert_eq!(issuer.requests(LIST_PATH), 1);
        issuer.clock.advance(1);
        assert_eq!(outcome(&verifier, &long_lived_token()).await, "revoked");
        assert_eq!(outcome(&verifier, &long_lived_token()).await, "revoked");
        assert_eq!(issuer.requests(LIST_PATH), 2);
    }
}

/// Otherwise a list with a TTL of a year would hide all logouts of that year.
#[tokio::test]
async fn ttl_is_capped_at_a_day() {
    const DAY: u64 = 24 * 60 * 60;
    let long_lived_token = token_with_claims(with(claims(), "exp", json!(NOW + 10 * DAY)));
    for ttl in [json!(DAY + 1), json!(365 * DAY), json!(1e300)] {
        let issuer = Issuer::start().await;
        issuer.serve(LIST_PATH, list(&with(without(list_claims(), "exp"), "ttl", ttl)));
        let verifier = issuer.verifier();
        verifier.verify(&long_lived_token).await.unwrap();

        let revoked = with_list(json!(1), deflate(&[0xff]));
        issuer.serve(LIST_PATH, list(&without(revoked, "exp")));
        issuer.clock.advance(DAY - 1);
        assert_eq!(outcome(&verifier, &long_lived_token).await, "accepted");
        issuer.clock.advance(1);
        assert_eq!(outcome(&verifier, &long_lived_token).await, "revoked");
    }
}

#[tokio::test]
async fn not_modified_renews_the_cached_list() {
    let issuer = Issuer::start().await;
    issuer.serve(LIST_PATH, nothing_revoked().with(header::ETAG, "\"1\""));
    let verifier = issuer.verifier();

    for fetches in 1..=4 {
        assert_eq!(outcome(&verifier, &long_lived_token()).await, "accepted");
        issuer.clock.advance(14);
        assert_eq!(outcome(&verifier, &long_lived_token()).await, "accepted");
        assert_eq!((issuer.requests(LIST_PATH), issuer.not_modified()), (fetches, fetches - 1));
        issuer.clock.advance(1);
    }
}

/// A 304 means that there is no newer list. The cached list may still have expired.
#[tokio::test]
async fn expired_list_is_fetched_unconditionally() {
    let issuer = Issuer::start().await;
    let short_lived = with(list_claims(), "exp", json!(NOW + 10));
    issuer.serve(LIST_PATH, list(&short_lived).with(header::ETAG, "\"1\""));
    let verifier = issuer.verifier();
    verifier.verify(&long_lived_token()).await.unwrap();

    issuer.clock.advance(40);
    assert_eq!(outcome(&verifier, &long_lived_token()).await, "status_unavailable");

    assert_eq!((issuer.requests(LIST_PATH), issuer.not_modified()), (2, 0));
}

#[tokio::test]
async fn cached_list_is_used_until_exp_while_the_issuer_is_unreachable() {
    let broken = [
        Reply::failing(500),
        Reply::new("no list"),
        list(&with(list_claims(), "sub", json!("https://id.example.test/status/2"))),
    ];
    for reply in broken {
        let issuer = Issuer::start().await;
        let verifier = issuer.verifier();
        verifier.verify(&long_lived_token()).await.unwrap();
        issuer.serve(LIST_PATH, reply);

        // `exp` is 600 seconds away, and the leeway 30.
        issuer.clock.advance(15);
        for (wait, requests) in [(0, 2), (4, 2), (1, 3), (4, 3)] {
            issuer.clock.advance(wait);
            assert_eq!(outcome(&verifier, &long_lived_token()).await, "accepted");
            assert_eq!(issuer.requests(LIST_PATH), requests);
        }
        issuer.clock.advance(606);
        assert_eq!(outcome(&verifier, &long_lived_token()).await, "status_unavailable");
        assert_eq!(issuer.requests(LIST_PATH), 4);
    }
}

#[tokio::test]
async fn list_is_used_until_the_last_second_before_exp() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.verify(&long_lived_token()).await.unwrap();
    issuer.serve(LIST_PATH, Reply::failing(500));

    issuer.clock.advance(629);
    assert_eq!(outcome(&verifier, &long_lived_token()).await, "accepted");
    issuer.clock.advance(1);
    assert_eq!(outcome(&verifier, &long_lived_token()).await, "status_unavailable");
}

/// Otherwise such a list would hide all later logouts forever.
#[tokio::test]
async fn list_without_exp_is_used_until_its_ttl_has_passed() {
    let issuer = Issuer::start().await;
    issuer.serve(LIST_PATH, list(&without(list_claims(), "exp")));
    let verifier = issuer.verifier();
    verifier.verify(&long_lived_token()).await.unwrap();
    issuer.serve(LIST_PATH, Reply::failing(503));

    issuer.clock.advance(14);
    assert_eq!(outcome(&verifier, &long_lived_token()).await, "accepted");
    issuer.clock.advance(1);
    assert_eq!(outcome(&verifier, &long_lived_token()).await, "status_unavailable");
    issuer.serve(LIST_PATH, nothing_revoked());
    issuer.clock.advance(5);
    assert_eq!(outcome(&verifier, &long_lived_token()).await, "accepted");
}

#[tokio::test]
async fn token_without_status_needs_no_list() {
    let issuer = Issuer::start().await;
    issuer.serve(LIST_PATH, Reply::failing(500));
    let verifier = issuer.verifier();
    let token = token_with_claims(without(claims(), "status"));

    assert_eq!(outcome(&verifier, &token).await, "accepted");
    assert_eq!(outcome(&verifier, &valid_token()).await, "status_unavailable");
    assert_eq!(issuer.requests(LIST_PATH), 1);
}

/// Only a missing list is ignored: the status in a cached list still applies.
#[tokio::test]
async fn fail_open_accepts_tokens_without_a_list() {
    let issuer = Issuer::start().await;
    let build = || {
        let builder = issuer.builder();
        builder.when_status_unavailable(WhenStatusUnavailable::Accept).build().unwrap()
    };
    issuer.serve(LIST_PATH, everything_revoked());
    let with_cached_list = build();
    assert_eq!(outcome(&with_cached_list, &valid_token()).await, "revoked");

    issuer.serve(LIST_PATH, Reply::failing(500));
    issuer.clock.advance(60);
    assert_eq!(outcome(&with_cached_list, &valid_token()).await, "revoked");
    assert_eq!(outcome(&build(), &valid_token()).await, "accepted");

    issuer.serve(KEYS_PATH, Reply::failing(500));
    assert_eq!(outcome(&build(), &valid_token()).await, "keys_unavailable");
}

#[tokio::test]
async fn forged_token_causes_no_list_fetch() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let valid = valid_token();
    let forged = format!("{}.AAAA", valid.rsplit_once('.').unwrap().0);

    assert_eq!(outcome(&verifier, &forged).await, "bad_signature");
    assert_eq!(issuer.requests(LIST_PATH), 0);
}

#[tokio::test]
async fn cache_contains_at_most_64_lists() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let path = |number: usize| format!("/status/n{number}");
    let verify = async |number: usize| {
        let status = json!({"status_list": {"idx": 0, "uri": format!("{ISSUER}{}", path(number))}});
        outcome(&verifier, &token_with_claims(with(claims(), "status", status))).await
    };
    for number in 0..64 {
        let uri = format!("{ISSUER}{}", path(number));
        issuer.serve(&path(number), list(&with(list_with_ttl(Some(900)), "sub", json!(uri))));
        // In the usual list, the first entry is revoked.
        assert_eq!(verify(number).await, "revoked");
        issuer.clock.advance(1);
    }
    for number in 0..64 {
        verify(number).await;
        assert_eq!(issuer.requests(&path(number)), 1, "{number}");
    }

    // The 65th list replaces only the least recently used one, which is not the list that was
    // fetched first.
    verify(0).await;
    assert_eq!(verify(64).await, "status_unavailable");
    for number in (2..64).chain([0]) {
        verify(number).await;
        assert_eq!(issuer.requests(&path(number)), 1, "{number}");
    }
    verify(1).await;
    assert_eq!(issuer.requests(&path(1)), 2);
}
