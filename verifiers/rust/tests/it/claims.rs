//! RFC 9068 §2.2: required claims and types of claims.

use serde_json::json;
use signet_verifier::VerifyError;

use crate::harness::claims;
use crate::harness::header;
use crate::harness::refusal_of_claims;
use crate::harness::sign;
use crate::harness::verify;
use crate::harness::verify_claims;
use crate::harness::with;
use crate::harness::with_raw;
use crate::harness::without;

#[test]
fn required_claim_that_is_missing_empty_or_no_string_is_rejected() {
    for name in ["sub", "client_id", "jti"] {
        let claims = || without(claims(), "user_id");
        let missing = VerifyError::MissingOrInvalidClaim(name);

        assert_eq!(refusal_of_claims(without(claims(), name)), missing);
        for value in [json!(""), json!(null), json!(7), json!(true), json!(["a"]), json!({})] {
            assert_eq!(refusal_of_claims(with(claims(), name, value)), missing);
        }
    }
}

#[test]
fn optional_claim_may_be_absent_but_not_of_another_type() {
    for name in ["user_id", "email", "sid", "scope"] {
        assert!(verify_claims(without(claims(), name)).is_ok(), "{name}");
        for value in [json!(null), json!(7), json!(false), json!(["a"]), json!({})] {
            let refusal = refusal_of_claims(with(claims(), name, value));
            assert_eq!(refusal, VerifyError::MissingOrInvalidClaim(name));
        }
    }
}

#[test]
fn user_id_that_differs_from_sub_is_rejected() {
    let subject = claims()["sub"].as_str().unwrap().to_owned();
    for user_id in ["", "bob", &subject.to_uppercase(), &format!("{subject} ")] {
        let refusal = refusal_of_claims(with(claims(), "user_id", json!(user_id)));
        assert_eq!(refusal, VerifyError::MissingOrInvalidClaim("user_id"));
    }
}

/// MUST-199, RFC 7519 §4: claim names are unique.
#[test]
fn duplicate_claim_is_rejected() {
    let first = |member: &str| format!("{{{member},{}", &claims().to_string()[1..]);
    let cases = [
        first(r#""sub":"bob""#),
        first(r#""exp":1"#),
        first(r#""aud":"other""#),
        first(r#""s\u0075b":"bob""#),
        first(r#""unknown":1,"unknown":1"#),
        with_raw(claims(), "unknown", r#"{"a":1,"a":1}"#),
    ];
    for claims in cases {
        assert_eq!(refusal_of_claims(&claims), VerifyError::Malformed, "{claims}");
    }
}

#[test]
fn unknown_claims_are_ignored() {
    let claims = with(claims(), "act", json!({"sub": "x", "nested": [1.5, null, {"a": -1}]}));
    assert!(verify_claims(with(claims, "Exp", json!("never"))).is_ok());
}

/// RFC 7519 §7.2: the payload is a JSON object, in UTF-8.
#[test]
fn payload_that_is_no_json_object_is_rejected() {
    let object = claims().to_string();
    let cases = [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        format!("[{object}]"),
        format!("{object}{object}"),
        format!("\u{feff}{object}"),
        object.replace('"', "'"),
        object[1..].to_owned(),
        format!("{object}//"),
    ];
    for payload in cases {
        assert_eq!(refusal_of_claims(&payload), VerifyError::Malformed, "{payload}");
    }
    let header = header().to_string();
    let not_utf8 = object.replace("alice", "al?ce").into_bytes();
    let not_utf8: Vec<u8> = not_utf8.iter().map(|b| if *b == b'?' { 0xff } else { *b }).collect();
    let outcome = verify(&sign(header, not_utf8));
    assert_eq!(outcome, Err(VerifyError::Malformed));
}
