//! JW-08: hostile input is rejected quickly.

use std::hint::black_box;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;
use signet_verifier::VerifyError;

use crate::harness::KEYS;
use crate::harness::claims;
use crate::harness::encode;
use crate::harness::header;
use crate::harness::sign_encoded;
use crate::harness::token_with_claims;
use crate::harness::valid_token;
use crate::harness::verify;
use crate::harness::with;
use crate::harness::with_raw;

const LIMIT: usize = 8 * 1024;

/// The time of the fastest of ten runs, so that interruptions by the system do not count.
fn time_to_reject(token: &str) -> Duration {
    let _ready = &*KEYS;
    let attempt = || {
        let start = Instant::now();
        assert!(black_box(verify(black_box(token))).is_err());
        start.elapsed()
    };
    (0..10).map(|_| attempt()).min().unwrap()
}

/// JW-08: the token is rejected before it is parsed, so this is quick even in a debug build.
#[test]
fn oversized_token_is_rejected_by_its_length() {
    let valid = valid_token();
    let cases = [
        "a".repeat(1 << 20),
        ".".repeat(1_000_000),
        format!("{valid}{}", "A".repeat(1 << 20)),
        format!("{}.{valid}", "A".repeat(1 << 20)),
        "é".repeat(1 << 19),
    ];
    for token in cases {
        assert_eq!(verify(&token), Err(VerifyError::Malformed));
        let elapsed = time_to_reject(&token);
        assert!(elapsed < Duration::from_micros(50), "{elapsed:?}");
    }
}

/// JW-08: the worst inputs within the size limit take less than 5 ms.
#[test]
fn worst_case_tokens_are_rejected_quickly() {
    let longest = 6000;
    let members: Vec<String> = (0..700).map(|n| format!(r#""{n}":0"#)).collect();
    let headers = [
        "[".repeat(longest),
        r#"{"a":"#.repeat(longest / 5),
        format!(r#"{{"a":{}{}}}"#, "[".repeat(2900), "]".repeat(2900)),
        format!(r#"{{"a":[{}0]}}"#, "0,".repeat(longest / 2 - 10)),
        format!("{{{}}}", members.join(",")),
        format!(r#"{{"a":"{}"}}"#, r"\u0041".repeat(longest / 6 - 10)),
        format!(r#"{{"alg":{}}}"#, "9".repeat(longest - 20)),
    ];
    for header in headers {
        let token = format!("{}.{}.AAAA", encode(&header), encode("{}"));
        assert!(token.len() <= LIMIT, "{} of {}", token.len(), &header[..10]);
        let elapsed = time_to_reject(&token);
        assert!(elapsed < Duration::from_millis(5), "{elapsed:?} {}", &header[..10]);
    }
    let elapsed = time_to_reject(&".".repeat(LIMIT));
    assert!(elapsed < Duration::from_millis(5), "{elapsed:?}");
}

/// JW-08: nesting is limited in the payload, too, although only the issuer can sign a payload.
#[test]
fn deeply_nested_claim_is_rejected() {
    let nested = |depth| with_raw(claims(), "x", &("[".repeat(depth) + &"]".repeat(depth)));

    assert!(verify(&token_with_claims(nested(100))).is_ok());
    assert_eq!(verify(&token_with_claims(nested(1500))), Err(VerifyError::Malformed));
}

#[test]
fn token_of_exactly_eight_kibibytes_is_accepted() {
    let padded = |object, length| with(object, "pad", json!("x".repeat(length))).to_string();
    // Base64 does not have every length, so both the header and the payload are padded.
    let token_of = |size: usize| {
        let pads = (0..3).flat_map(|short| (5000..6200).map(move |long| (short, long)));
        let mut inputs = pads.map(|(short, long)| {
            format!("{}.{}", encode(padded(header(), short)), encode(padded(claims(), long)))
        });
        let signature_size = 1 + 342;
        sign_encoded(&inputs.find(|input| input.len() + signature_size == size).unwrap())
    };

    assert!(verify(&token_of(LIMIT)).is_ok());
    assert_eq!(verify(&token_of(LIMIT + 1)), Err(VerifyError::Malformed));
}

/// JW-08: errors contain the `kid`, and are written to logs.
#[test]
fn unknown_key_id_is_truncated_in_errors() {
    let header = with(header(), "kid", json!(format!("a\n{}", "k".repeat(4000)))).to_string();
    let token = format!("{}.{}.AAAA", encode(header), encode("{}"));

    let refusal = verify(&token).unwrap_err();

    let shown = format!("a?{}", "k".repeat(62));
    assert_eq!(refusal.to_string(), format!("the token is signed with an unknown key: {shown}"));
}
