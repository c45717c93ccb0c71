//! When status lists are fetched, and what becomes of tokens without one.

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

fn lasting_token() -> String {
    token_with_claims(with(claims(), "exp", json!(NOW + 100_000)))
}

fn list_with_ttl(ttl: Option<u64>) -> Value {
    match ttl {
        Some(ttl) => with(list_claims(), "ttl", json!(ttl)),
        None => without(list_claims(), "ttl"),
    }
}

#[tokio::test]
async fn a_logout_arrives_when_the_ttl_is_over() {
    for (ttl, life) in [(Some(15), 15), (None, 300)] {
        let issuer = Issuer::start().await;
        issuer.serve(LIST_PATH, list(&list_with_ttl(ttl)));
        let verifier = issuer.verifier();
        verifier.verify(&lasting_token()).await.unwrap();

        issuer.serve(LIST_PATH, everything_revoked());
        issuer.clock.advance(life - 1);
        assert_eq!(outcome(&verifier, &lasting_token()).await, "accepted");
        assert_eq!(issuer.asked(LIST_PATH), 1);
        issuer.clock.advance(1);
        assert_eq!(outcome(&verifier, &lasting_token()).await, "revoked");
        assert_eq!(outcome(&verifier, &lasting_token()).await, "revoked");
        assert_eq!(issuer.asked(LIST_PATH), 2);
    }
}

/// A list that asks to be kept for a year would hide every logout of that year.
#[tokio::test]
async fn a_ttl_of_more_than_a_day_counts_as_a_day() {
    const DAY: u64 = 24 * 60 * 60;
    let lasting_token = token_with_claims(with(claims(), "exp", json!(NOW + 10 * DAY)));
    for ttl in [json!(DAY + 1), json!(365 * DAY), json!(1e300)] {
        let issuer = Issuer::start().await;
        issuer.serve(LIST_PATH, list(&with(without(list_claims(), "exp"), "ttl", ttl)));
        let verifier = issuer.verifier();
        verifier.verify(&lasting_token).await.unwrap();

        let revoked = with_list(json!(1), deflate(&[0xff]));
        issuer.serve(LIST_PATH, list(&without(revoked, "exp")));
        issuer.clock.advance(DAY - 1);
        assert_eq!(outcome(&verifier, &lasting_token).await, "accepted");
        issuer.clock.advance(1);
        assert_eq!(outcome(&verifier, &lasting_token).await, "revoked");
    }
}

#[tokio::test]
async fn not_modified_makes_a_list_as_good_as_new() {
    let issuer = Issuer::start().await;
    issuer.serve(LIST_PATH, nothing_revoked().with(header::ETAG, "\"1\""));
    let verifier = issuer.verifier();

    for fetches in 1..=4 {
        assert_eq!(outcome(&verifier, &lasting_token()).await, "accepted");
        issuer.clock.advance(14);
        assert_eq!(outcome(&verifier, &lasting_token()).await, "accepted");
        assert_eq!((issuer.asked(LIST_PATH), issuer.not_modified()), (fetches, fetches - 1));
        issuer.clock.advance(1);
    }
}

/// "Not modified" says that there is no newer list, not that the old one has not expired.
#[tokio::test]
async fn a_list_that_has_expired_is_asked_for_anew() {
    let issuer = Issuer::start().await;
    let mortal = with(list_claims(), "exp", json!(NOW + 10));
    issuer.serve(LIST_PATH, list(&mortal).with(header::ETAG, "\"1\""));
    let verifier = issuer.verifier();
    verifier.verify(&lasting_token()).await.unwrap();

    issuer.clock.advance(40);
    assert_eq!(outcome(&verifier, &lasting_token()).await, "status_unavailable");

    assert_eq!((issuer.asked(LIST_PATH), issuer.not_modified()), (2, 0));
}

#[tokio::test]
async fn a_list_is_used_until_it_expires_while_no_other_can_be_had() {
    let broken = [
        Reply::failing(500),
        Reply::new("no list"),
        list(&with(list_claims(), "sub", json!("https://id.example.test/status/2"))),
    ];
    for reply in broken {
        let issuer = Issuer::start().await;
        let verifier = issuer.verifier();
        verifier.verify(&lasting_token()).await.unwrap();
        issuer.serve(LIST_PATH, reply);

        // `exp` is 600 seconds away, and the leeway 30.
        issuer.clock.advance(15);
        for (wait, asked) in [(0, 2), (4, 2), (1, 3), (4, 3)] {
            issuer.clock.advance(wait);
            assert_eq!(outcome(&verifier, &lasting_token()).await, "accepted");
            assert_eq!(issuer.asked(LIST_PATH), asked);
        }
        issuer.clock.advance(606);
        assert_eq!(outcome(&verifier, &lasting_token()).await, "status_unavailable");
        assert_eq!(issuer.asked(LIST_PATH), 4);
    }
}

#[tokio::test]
async fn a_list_is_used_in_the_last_second_before_it_expires() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.verify(&lasting_token()).await.unwrap();
    issuer.serve(LIST_PATH, Reply::failing(500));

    issuer.clock.advance(629);
    assert_eq!(outcome(&verifier, &lasting_token()).await, "accepted");
    issuer.clock.advance(1);
    assert_eq!(outcome(&verifier, &lasting_token()).await, "status_unavailable");
}

/// Else it would hide every later logout without end.
#[tokio::test]
async fn a_list_that_never_expires_is_used_until_its_ttl_is_over() {
    let issuer = Issuer::start().await;
    issuer.serve(LIST_PATH, list(&without(list_claims(), "exp")));
    let verifier = issuer.verifier();
    verifier.verify(&lasting_token()).await.unwrap();
    issuer.serve(LIST_PATH, Reply::failing(503));

    issuer.clock.advance(14);
    assert_eq!(outcome(&verifier, &lasting_token()).await, "accepted");
    issuer.clock.advance(1);
    assert_eq!(outcome(&verifier, &lasting_token()).await, "status_unavailable");
    issuer.serve(LIST_PATH, nothing_revoked());
    issuer.clock.advance(5);
    assert_eq!(outcome(&verifier, &lasting_token()).await, "accepted");
}

#[tokio::test]
async fn a_token_without_status_needs_no_list() {
    let issuer = Issuer::start().await;
    issuer.serve(LIST_PATH, Reply::failing(500));
    let verifier = issuer.verifier();
    let token = token_with_claims(without(claims(), "status"));

    assert_eq!(outcome(&verifier, &token).await, "accepted");
    assert_eq!(outcome(&verifier, &valid_token()).await, "status_unavailable");
    assert_eq!(issuer.asked(LIST_PATH), 1);
}

/// What is known is still believed: only the unknown is forgiven.
#[tokio::test]
async fn a_service_may_choose_to_go_on_without_a_list() {
    let issuer = Issuer::start().await;
    let build = || {
        let builder = issuer.builder();
        builder.when_status_unavailable(WhenStatusUnavailable::Accept).build().unwrap()
    };
    issuer.serve(LIST_PATH, everything_revoked());
    let knowing = build();
    assert_eq!(outcome(&knowing, &valid_token()).await, "revoked");

    issuer.serve(LIST_PATH, Reply::failing(500));
    issuer.clock.advance(60);
    assert_eq!(outcome(&knowing, &valid_token()).await, "revoked");
    assert_eq!(outcome(&build(), &valid_token()).await, "accepted");

    issuer.serve(KEYS_PATH, Reply::failing(500));
    assert_eq!(outcome(&build(), &valid_token()).await, "keys_unavailable");
}

#[tokio::test]
async fn a_forged_token_fetches_no_list() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let valid = valid_token();
    let forged = format!("{}.AAAA", valid.rsplit_once('.').unwrap().0);

    assert_eq!(outcome(&verifier, &forged).await, "bad_signature");
    assert_eq!(issuer.asked(LIST_PATH), 0);
}

#[tokio::test]
async fn sixty_four_lists_are_held_and_each_is_its_own() {
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
        // The usual list revokes its first place.
        assert_eq!(verify(number).await, "revoked");
        issuer.clock.advance(1);
    }
    for number in 0..64 {
        verify(number).await;
        assert_eq!(issuer.asked(&path(number)), 1, "{number}");
    }

    // One more takes the place of the one that was fetched first, and of no other.
    assert_eq!(verify(64).await, "status_unavailable");
    for number in (1..64).rev() {
        verify(number).await;
        assert_eq!(issuer.asked(&path(number)), 1, "{number}");
    }
    verify(0).await;
    assert_eq!(issuer.asked(&path(0)), 2);
}
