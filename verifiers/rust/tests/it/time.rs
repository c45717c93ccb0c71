//! JW-02: the time in which a token is valid, exact to the second, and the format of times.

use serde_json::json;
use signet_verifier::Verifier;
use signet_verifier::VerifyError;

use crate::harness::EXPIRY;
use crate::harness::KEYS;
use crate::harness::NOW;
use crate::harness::claims;
use crate::harness::refusal_of_claims;
use crate::harness::token_with_claims;
use crate::harness::valid_token;
use crate::harness::verifier;
use crate::harness::verify_claims;
use crate::harness::with;
use crate::harness::with_raw;
use crate::harness::without;

/// JSON that is not a number from 0 to 2^53 - 1 in digits only: no sign, fraction or exponent.
const INVALID_TIMES: [&str; 17] = [
    r#""1800000000""#,
    "1800000000.0",
    "1800000000.5",
    "18e8",
    "1.8E9",
    "-1",
    "-0",
    "9007199254740992",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e300",
    "null",
    "true",
    "[1800000000]",
    r#"{"seconds":1800000000}"#,
];
/// Invalid JSON.
const INVALID_NUMBERS: [&str; 5] = ["01800000000", "0x6b49d200", "1_800_000_000", "NaN", "+1"];

/// MUST-202, JW-02.
#[test]
fn time_of_a_wrong_type_or_range_is_rejected() {
    for name in ["exp", "iat", "nbf", "auth_time"] {
        for value in INVALID_TIMES {
            let refusal = refusal_of_claims(with_raw(claims(), name, value));
            assert_eq!(refusal, VerifyError::MissingOrInvalidClaim(name), "{name} {value}");
        }
        for value in INVALID_NUMBERS {
            let refusal = refusal_of_claims(with_raw(claims(), name, value));
            assert_eq!(refusal, VerifyError::Malformed, "{name} {value}");
        }
        // This exceeds the range of a double. Some settings of the JSON parser do not accept it as
        // a number, so the kind of error is not tested.
        assert!(verify_claims(with_raw(claims(), name, "1e400")).is_err(), "{name}");
    }
}

/// JW-02: RFC 9068 §2.2 requires `exp` and `iat`. `nbf` is optional (RFC 7519 §4.1.5).
#[test]
fn exp_and_iat_are_required_and_other_times_are_optional() {
    for name in ["exp", "iat"] {
        let refusal = refusal_of_claims(without(claims(), name));
        assert_eq!(refusal, VerifyError::MissingOrInvalidClaim(name));
    }
    let token = verify_claims(without(claims(), "auth_time")).unwrap();
    assert_eq!(token.auth_time(), None);
}

/// RFC 7519 §4.1.4: `now` must be before `exp` plus the leeway.
#[test]
fn token_is_rejected_from_the_second_of_exp_plus_leeway() {
    let token = valid_token();
    let cases = [(0, EXPIRY), (30, EXPIRY + 30), (60, EXPIRY + 60), (61, EXPIRY + 60)];
    for (leeway, first_refused) in cases {
        let verifier = verifier().leeway_seconds(leeway);
        let at = |now| verifier.verify(&KEYS, &token, now);

        assert!(at(first_refused - 1).is_ok(), "leeway {leeway}");
        assert_eq!(at(first_refused), Err(VerifyError::Expired), "leeway {leeway}");
        assert_eq!(at(u64::MAX), Err(VerifyError::Expired), "leeway {leeway}");
    }
}

#[test]
fn leeway_is_thirty_seconds_and_at_most_sixty() {
    let token = valid_token();
    let refused_from = |verifier: Verifier| {
        (EXPIRY..=EXPIRY + 100).find(|now| verifier.verify(&KEYS, &token, *now).is_err())
    };

    assert_eq!(refused_from(verifier()), Some(EXPIRY + 30));
    assert_eq!(refused_from(verifier().leeway_seconds(u64::MAX)), Some(EXPIRY + 60));
    assert_eq!(refused_from(verifier().leeway_seconds(u64::MAX).leeway_seconds(0)), Some(EXPIRY));
}

/// RFC 7519 §4.1.5 and §4.1.6.
#[test]
fn token_from_the_future_is_rejected_beyond_the_leeway() {
    for name in ["nbf", "iat"] {
        for leeway in [0, 30, 60] {
            let verifier = verifier().leeway_seconds(leeway);
            let starting_at = |time: u64| {
                let token = token_with_claims(with(claims(), name, json!(time)));
                verifier.verify(&KEYS, &token, NOW)
            };

            assert!(starting_at(NOW + leeway).is_ok(), "{name}, leeway {leeway}");
            let early = starting_at(NOW + leeway + 1);
            assert_eq!(early, Err(VerifyError::NotYetValid), "{name}, leeway {leeway}");
        }
    }
}

#[test]
fn extreme_times_do_not_overflow() {
    let last = (1_u64 << 53) - 1;
    let latest_exp = token_with_claims(with(claims(), "exp", json!(last)));
    let earliest_iat = token_with_claims(with(claims(), "iat", json!(0)));
    let latest_nbf = token_with_claims(with(claims(), "nbf", json!(last)));

    assert_eq!(verifier().verify(&KEYS, &latest_exp, NOW).unwrap().expires_at(), last);
    assert_eq!(verifier().verify(&KEYS, &earliest_iat, NOW).unwrap().issued_at(), 0);
    for now in [0, NOW] {
        let outcome = verifier().verify(&KEYS, &latest_nbf, now);
        assert_eq!(outcome, Err(VerifyError::NotYetValid));
    }
    let expired = verifier().verify(&KEYS, &latest_nbf, u64::MAX);
    assert_eq!(expired, Err(VerifyError::Expired));
}
