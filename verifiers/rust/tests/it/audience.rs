//! JW-01: the token must be from this issuer and for this service.

use serde_json::json;
use signet_verifier::Verifier;
use signet_verifier::VerifyError;

use crate::harness::AUDIENCE;
use crate::harness::ISSUER;
use crate::harness::KEYS;
use crate::harness::NOW;
use crate::harness::claims;
use crate::harness::refusal_of_claims;
use crate::harness::token_with_claims;
use crate::harness::verify_claims;
use crate::harness::with;
use crate::harness::without;

/// RFC 7519 §4.1.3.
#[test]
fn audience_may_be_a_string_or_an_array() {
    let lists =
        [json!(AUDIENCE), json!([AUDIENCE]), json!(["https://other.example.test", AUDIENCE])];
    for aud in lists {
        assert!(verify_claims(with(claims(), "aud", aud.clone())).is_ok(), "{aud}");
    }
}

/// MUST-201, JW-01, RFC 9068 §4.
#[test]
fn other_audience_is_rejected() {
    let others = [
        json!("https://other.example.test"),
        json!(["https://other.example.test"]),
        json!([]),
        json!(""),
        json!([""]),
        json!(format!("{AUDIENCE}/")),
        json!(AUDIENCE.to_uppercase()),
        json!(format!("{AUDIENCE} https://other.example.test")),
        json!(&AUDIENCE[..AUDIENCE.len() - 1]),
    ];
    for aud in others {
        let refusal = refusal_of_claims(with(claims(), "aud", aud.clone()));
        assert_eq!(refusal, VerifyError::WrongAudience, "{aud}");
    }
}

/// JW-01, RFC 9068 §2.2.
#[test]
fn missing_or_mistyped_audience_is_rejected() {
    let invalid = VerifyError::MissingOrInvalidClaim("aud");
    assert_eq!(refusal_of_claims(without(claims(), "aud")), invalid);

    let others = [json!(null), json!(true), json!(1), json!({AUDIENCE: 1}), json!([AUDIENCE, 1])];
    for aud in others {
        assert_eq!(refusal_of_claims(with(claims(), "aud", aud.clone())), invalid, "{aud}");
    }
}

/// MUST-201, JW-01, RFC 8725 §3.8.
#[test]
fn issuer_is_compared_byte_for_byte() {
    let others = [
        format!("{ISSUER}/"),
        ISSUER.to_uppercase(),
        ISSUER.replace("https", "http"),
        format!(" {ISSUER}"),
        format!("{ISSUER}\0"),
        format!("{ISSUER}.evil.test"),
    ];
    for iss in others {
        let refusal = refusal_of_claims(with(claims(), "iss", json!(iss)));
        assert_eq!(refusal, VerifyError::WrongIssuer, "{iss:?}");
    }
    for iss in [json!(null), json!([ISSUER]), json!(1), json!("")] {
        let refusal = refusal_of_claims(with(claims(), "iss", iss));
        assert_eq!(refusal, VerifyError::MissingOrInvalidClaim("iss"));
    }
    let refusal = refusal_of_claims(without(claims(), "iss"));
    assert_eq!(refusal, VerifyError::MissingOrInvalidClaim("iss"));
}

/// An empty setting must not disable a check.
#[test]
fn empty_issuer_or_audience_matches_no_token() {
    let empty_iss = token_with_claims(with(claims(), "iss", json!("")));
    for aud in [json!(""), json!([""]), json!([]), json!(AUDIENCE)] {
        let empty_aud = token_with_claims(with(claims(), "aud", aud));
        let outcome = Verifier::new(ISSUER, "").verify(&KEYS, &empty_aud, NOW);
        assert_eq!(outcome, Err(VerifyError::WrongAudience));
    }
    assert!(Verifier::new("", AUDIENCE).verify(&KEYS, &empty_iss, NOW).is_err());
}
