//! JW-01: the header parameters that are accepted.

use josekit::jwk::KeyPair;
use josekit::jws::RS256;
use serde_json::json;
use signet_verifier::VerifyError;

use crate::harness::claims;
use crate::harness::encode;
use crate::harness::header;
use crate::harness::public_jwk;
use crate::harness::refusal_of_header;
use crate::harness::sign_with;
use crate::harness::token_with_header;
use crate::harness::verify;
use crate::harness::with;
use crate::harness::with_raw;
use crate::harness::without;

/// RFC 9068 §4, and JW-06 for verifiers.
#[test]
fn both_spellings_of_typ_are_accepted_in_any_case() {
    for typ in ["at+jwt", "AT+JWT", "At+Jwt", "application/at+jwt", "Application/AT+JWT"] {
        let token = token_with_header(with(header(), "typ", json!(typ)));
        assert!(verify(&token).is_ok(), "{typ}");
    }
}

/// MUST-203, JW-01: ID tokens and other JWTs of the same issuer are not access tokens.
#[test]
fn other_typ_is_rejected() {
    let others = ["JWT", "jwt", "logout+jwt", "dpop+jwt", "at+jwt ", "text/at+jwt", "at jwt", ""];
    for typ in others {
        let refusal = refusal_of_header(with(header(), "typ", json!(typ)));
        assert_eq!(refusal, VerifyError::WrongType, "{typ}");
    }
    for typ in [json!(null), json!(["at+jwt"]), json!(1)] {
        assert_eq!(refusal_of_header(with(header(), "typ", typ)), VerifyError::WrongType);
    }
    assert_eq!(refusal_of_header(without(header(), "typ")), VerifyError::WrongType);
}

/// MUST-197, JW-01.
#[test]
fn unknown_kid_is_named_and_missing_kid_is_malformed() {
    for kid in ["key-2", "KEY-1", "key-1 ", "../../keys/key-1", "' or 1=1 --"] {
        let VerifyError::UnknownKey { kid: shown } =
            refusal_of_header(with(header(), "kid", json!(kid)))
        else {
            panic!("{kid} is known")
        };
        assert_eq!(shown, kid.replace(' ', "?"));
    }
    for kid in [json!(null), json!(1), json!(["key-1"]), json!("")] {
        assert_eq!(refusal_of_header(with(header(), "kid", kid)), VerifyError::Malformed);
    }
    assert_eq!(refusal_of_header(without(header(), "kid")), VerifyError::Malformed);
}

/// MUST-196, MUST-198, JW-01: each signature is valid, so only the header causes the rejection.
#[test]
fn header_with_an_embedded_key_or_crit_is_rejected() {
    let url = json!("https://evil.example.test/keys.json");
    let cases = [
        ("jwk", public_jwk()),
        ("jku", url.clone()),
        ("x5u", url),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("jwk", json!(null)),
    ];
    for (name, value) in cases {
        let refusal = refusal_of_header(with(header(), name, value));
        assert_eq!(refusal, VerifyError::ForbiddenHeader(name));
    }
}

/// JW-01: with an embedded key, an attacker can sign a token with their own key.
#[test]
fn token_signed_with_its_embedded_key_is_rejected() {
    let pair = RS256.generate_key_pair(2048).unwrap();
    let signer = RS256.signer_from_pem(pair.to_pem_private_key()).unwrap();
    let jwk = serde_json::to_value(pair.to_jwk_public_key().as_ref()).unwrap();
    let token = |header: serde_json::Value| {
        let input = format!("{}.{}", encode(header.to_string()), encode(claims().to_string()));
        sign_with(&signer, &input)
    };

    let with_jwk = token(with(header(), "jwk", jwk));
    let with_known_kid = token(header());

    assert_eq!(verify(&with_jwk), Err(VerifyError::ForbiddenHeader("jwk")));
    assert_eq!(verify(&with_known_kid), Err(VerifyError::BadSignature));
}

/// RFC 7515 §4: unknown parameters that are not critical are ignored.
#[test]
fn unknown_header_parameter_is_ignored() {
    let header = with(with(header(), "x5t", json!("AAAA")), "later", json!({"a": [1]}));
    assert!(verify(&token_with_header(header)).is_ok());
}

/// MUST-199, RFC 7515 §4: parameter names are unique.
#[test]
fn duplicate_header_parameter_is_rejected() {
    for (name, value) in [("alg", "RS256"), ("kid", "key-1"), ("typ", "at+jwt"), ("x", "y")] {
        let twice = format!(
            r#"{{"{name}":"{value}",{}"#,
            &with(header(), "x", json!("y")).to_string()[1..]
        );
        assert_eq!(refusal_of_header(twice), VerifyError::Malformed, "{name}");
    }
    let escaped = with_raw(with(header(), "alg", json!("none")), "\\u0061lg", r#""RS256""#);
    assert_eq!(refusal_of_header(escaped), VerifyError::Malformed);
    let nested = with_raw(header(), "x", r#"{"a":1,"a":2}"#);
    assert_eq!(refusal_of_header(nested), VerifyError::Malformed);
}

/// RFC 7515 §5.2: the header is a JSON object.
#[test]
fn header_that_is_no_json_object_is_rejected() {
    let object = header().to_string();
    let cases = [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        format!("[{object}]"),
        format!("{object}{object}"),
        format!("\u{feff}{object}"),
        object.replace('"', "'"),
        object[..object.len() - 1].to_owned(),
    ];
    for header in cases {
        assert_eq!(refusal_of_header(&header), VerifyError::Malformed, "{header}");
    }
}
