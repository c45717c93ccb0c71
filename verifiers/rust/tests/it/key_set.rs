//! KY-01, KY-02 for verifiers: which keys of a set are used.

use josekit::jwk::Jwk;
use josekit::jwk::KeyPair;
use josekit::jwk::alg::ec::EcCurve;
use josekit::jws::RS256;
use serde_json::Value;
use serde_json::json;
use signet_verifier::KeySet;
use signet_verifier::KeySetError;
use signet_verifier::VerifyError;

use crate::harness::KEY;
use crate::harness::KEYS;
use crate::harness::NOW;
use crate::harness::claims;
use crate::harness::encode;
use crate::harness::header;
use crate::harness::key_set;
use crate::harness::public_jwk;
use crate::harness::sign_with;
use crate::harness::valid_token;
use crate::harness::verifier;
use crate::harness::with;
use crate::harness::without;

fn key_ids(keys: &[Value]) -> Vec<String> {
    key_set(keys).unwrap().key_ids().map(str::to_owned).collect()
}

/// A modulus with this number of bits. It need not be a product of two primes.
fn modulus(bits: usize) -> String {
    let mut bytes = vec![0xff; bits.div_ceil(8)];
    bytes[0] >>= bytes.len() * 8 - bits;
    encode(bytes)
}

#[test]
fn optional_jwk_members_may_be_absent() {
    for name in ["alg", "use"] {
        assert_eq!(key_ids(&[without(public_jwk(), name)]), ["key-1"], "{name}");
    }
    let more = with(public_jwk(), "key_ops", json!(["verify"]));
    assert_eq!(key_ids(&[with(more, "later", json!({"a": null}))]), ["key-1"]);
}

/// RFC 7517 §5: unsupported keys are not an error.
#[test]
fn key_not_usable_for_rs256_is_ignored() {
    let ec = Jwk::generate_ec_key(EcCurve::P256).unwrap().to_public_key().unwrap();
    let changes = [
        ("kty", json!("EC")),
        ("kty", json!("rsa")),
        ("kty", json!(null)),
        ("alg", json!("RS512")),
        ("alg", json!("PS256")),
        ("alg", json!("rs256")),
        ("alg", json!(null)),
        ("use", json!("enc")),
        ("use", json!(["sig"])),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!([])),
        ("key_ops", json!("verify")),
        ("kid", json!("")),
        ("kid", json!(1)),
        ("n", json!("")),
        ("n", json!("!")),
        ("n", json!(7)),
        ("e", json!("AQ")),
        ("e", json!("Aw")),
        ("e", json!("AAEAAQ")),
        ("e", json!("AQAB=")),
        ("e", json!(65537)),
    ];
    let mut keys = vec![
        public_jwk(),
        serde_json::to_value(ec.as_ref()).unwrap(),
        json!(null),
        json!("key"),
        json!([public_jwk()]),
        json!({"kty": "oct", "kid": "oct", "k": "AAAA"}),
    ];
    for (name, value) in changes {
        let other = with(with(public_jwk(), "kid", json!("other")), name, value);
        assert!(key_set(std::slice::from_ref(&other)).unwrap().is_empty(), "{other}");
        keys.push(other);
    }
    for name in ["kty", "kid", "n", "e"] {
        let other = without(with(public_jwk(), "kid", json!("other")), name);
        assert!(key_set(std::slice::from_ref(&other)).unwrap().is_empty(), "{other}");
        keys.push(other);
    }
    assert_eq!(key_ids(&keys), ["key-1"]);
}

/// KY-02, RFC 7518 §3.3: the length is counted in bits, and leading zeros are not accepted.
#[test]
fn modulus_must_have_2048_to_8192_bits() {
    let is_used = |n: &str| !key_set(&[with(public_jwk(), "n", json!(n))]).unwrap().is_empty();

    for bits in [2048, 2049, 3072, 4096, 8192] {
        assert!(is_used(&modulus(bits)), "{bits}");
    }
    for bits in [8, 1024, 2040, 2041, 2047, 8193, 16384, 100_000] {
        assert!(!is_used(&modulus(bits)), "{bits}");
    }
    let zero_padded = encode([&[0; 128][..], &[0xff; 128]].concat());
    assert!(!is_used(&zero_padded));
    assert!(!is_used(&encode([&[0][..], &[0xff; 256]].concat())));
    assert!(!is_used(&encode([0; 256])));
    assert!(!is_used(&format!("{}=", modulus(2048))));
}

/// RFC 7517 §4.5.
#[test]
fn duplicate_kid_is_rejected() {
    let same = with(public_jwk(), "n", json!(modulus(2048)));

    assert_eq!(key_set(&[public_jwk(), same.clone()]).unwrap_err(), KeySetError::DuplicateKeyId);
    assert_eq!(key_set(&[public_jwk(), public_jwk()]).unwrap_err(), KeySetError::DuplicateKeyId);
    let for_encryption = with(same, "use", json!("enc"));
    assert_eq!(key_ids(&[public_jwk(), for_encryption]), ["key-1"]);
}

#[test]
fn invalid_key_set_document_is_rejected() {
    let jwk = public_jwk().to_string();
    let cases = [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        jwk.clone(),
        format!("[{jwk}]"),
        format!(r#"{{"keys":{jwk}}}"#),
        format!(r#"{{"keys":null,"x":[{jwk}]}}"#),
        format!(r#"{{"keys":[{jwk}],"keys":[]}}"#),
        format!(r#"{{"keys":[{{"kid":"a",{}]}}"#, &jwk[1..]),
        format!(r#"{{"keys":[{jwk}]}} "#) + "x",
        format!(r#"{{"keys":[{jwk}"#),
        "[".repeat(100_000),
        format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(256 * 1024)),
    ];
    for document in cases {
        let refusal = KeySet::from_json(document.as_bytes()).unwrap_err();
        assert_eq!(refusal, KeySetError::Malformed, "{document:.80}");
    }
    assert!(KeySet::from_json(br#" {"x":1,"keys":[]} "#).unwrap().is_empty());
}

/// KY-01: a set that contains private members is usable, but the verifier does not expose them.
#[test]
fn private_members_are_ignored() {
    let mut jwk = KEY.to_jwk_private_key();
    jwk.set_key_id("key-1");
    let secret = jwk.parameter("d").unwrap().as_str().unwrap().to_owned();

    let keys = key_set(&[serde_json::to_value(jwk.as_ref()).unwrap()]).unwrap();

    assert!(verifier().verify(&keys, &valid_token(), NOW).is_ok());
    let shown = format!("{keys:?}");
    assert_eq!(shown, r#"KeySet {"key-1"}"#);
    assert!(!shown.contains(&secret));
}

/// F10: during a rotation, the set contains two keys.
#[test]
fn token_is_verified_with_the_key_it_names() {
    let pair = RS256.generate_key_pair(2048).unwrap();
    let signer = RS256.signer_from_pem(pair.to_pem_private_key()).unwrap();
    let jwk = with(
        serde_json::to_value(pair.to_jwk_public_key().as_ref()).unwrap(),
        "kid",
        json!("key-2"),
    );
    let both = key_set(&[jwk, public_jwk()]).unwrap();
    let token = |kid| {
        let header = with(header(), "kid", json!(kid)).to_string();
        sign_with(&signer, &format!("{}.{}", encode(header), encode(claims().to_string())))
    };
    let verify = |keys: &KeySet, token: &str| verifier().verify(keys, token, NOW).map(|_| ());

    assert_eq!(both.key_ids().collect::<Vec<_>>(), ["key-1", "key-2"]);
    assert_eq!(both.len(), 2);
    assert_eq!(verify(&both, &valid_token()), Ok(()));
    assert_eq!(verify(&both, &token("key-2")), Ok(()));
    assert_eq!(verify(&both, &token("key-1")), Err(VerifyError::BadSignature));
    let unknown = VerifyError::UnknownKey { kid: "key-2".to_owned() };
    assert_eq!(verify(&KEYS, &token("key-2")), Err(unknown));
}

/// A service shares the key set between threads, and replaces it as a whole.
#[test]
fn public_types_can_be_shared_between_threads() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<KeySet>();
    shared::<signet_verifier::Verifier>();
    shared::<signet_verifier::AccessToken>();
    shared::<VerifyError>();
}
