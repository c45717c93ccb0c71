//! A key, a valid token, and functions that modify it.
//!
//! Header and payload are signed as text, because a JSON builder permits neither duplicate names
//! nor unusual spellings of numbers.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwk::KeyPair;
use josekit::jwk::alg::rsa::RsaKeyPair;
use josekit::jws::JwsSigner;
use josekit::jws::RS256;
use josekit::jws::alg::rsassa::RsassaJwsSigner;
use serde_json::Value;
use serde_json::json;
use signet_verifier::AccessToken;
use signet_verifier::KeySet;
use signet_verifier::Verifier;
use signet_verifier::VerifyError;

pub(crate) const ISSUER: &str = "https://id.example.test";
pub(crate) const AUDIENCE: &str = "https://tasks.example.test";
pub(crate) const KEY_ID: &str = "key-1";
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const EXPIRY: u64 = NOW + 900;
pub(crate) const USER: &str = "0197a1b2-0000-7000-8000-000000000001";

/// All tests use one key, because key generation is slow.
pub(crate) static KEY: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RS256.generate_key_pair(2048).unwrap());

static SIGNER: LazyLock<RsassaJwsSigner> =
    LazyLock::new(|| RS256.signer_from_pem(KEY.to_pem_private_key()).unwrap());

pub(crate) static KEYS: LazyLock<KeySet> = LazyLock::new(|| key_set(&[public_jwk()]).unwrap());

pub(crate) fn public_jwk() -> Value {
    let jwk = KEY.to_jwk_public_key();
    let [modulus, exponent] = ["n", "e"].map(|name| jwk.parameter(name).unwrap());
    json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": modulus, "e": exponent})
}

pub(crate) fn key_set(keys: &[Value]) -> Result<KeySet, signet_verifier::KeySetError> {
    KeySet::from_json(json!({ "keys": keys }).to_string().as_bytes())
}

pub(crate) fn header() -> Value {
    json!({"alg": "RS256", "typ": "at+jwt", "kid": KEY_ID})
}

pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "sub": USER,
        "aud": AUDIENCE,
        "exp": EXPIRY,
        "iat": NOW,
        "jti": "0197a1b2-0000-7000-8000-00000000000a",
        "client_id": "web",
        "sid": "0197a1b2-0000-7000-8000-00000000000b",
        "auth_time": NOW - 60,
        "scope": "openid tasks:read",
        "status": {"status_list": {"idx": 7, "uri": "https://id.example.test/status/1"}},
        "user_id": USER,
        "email": "alice@example.test",
    })
}

/// `object` with one member replaced or added.
pub(crate) fn with(mut object: Value, name: &str, value: Value) -> Value {
    object.as_object_mut().unwrap().insert(name.to_owned(), value);
    object
}

pub(crate) fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().shift_remove(name).unwrap();
    object
}

/// `object` as JSON, with `value` as the literal text of one member.
pub(crate) fn with_raw(mut object: Value, name: &str, value: &str) -> String {
    object.as_object_mut().unwrap().shift_remove(name);
    let rest = object.to_string();
    format!(r#"{{"{name}":{value},{}"#, &rest[1..])
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Encodes and signs any header and payload.
pub(crate) fn sign(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    sign_encoded(&format!("{}.{}", encode(header), encode(payload)))
}

pub(crate) fn sign_encoded(input: &str) -> String {
    sign_with(&*SIGNER, input)
}

pub(crate) fn sign_with(signer: &dyn JwsSigner, input: &str) -> String {
    format!("{input}.{}", encode(signer.sign(input.as_bytes()).unwrap()))
}

pub(crate) fn valid_token() -> String {
    sign(header().to_string(), claims().to_string())
}

pub(crate) fn token_with_header(header: impl ToString) -> String {
    sign(header.to_string(), claims().to_string())
}

pub(crate) fn token_with_claims(claims: impl ToString) -> String {
    sign(header().to_string(), claims.to_string())
}

pub(crate) fn verifier() -> Verifier {
    Verifier::new(ISSUER, AUDIENCE)
}

pub(crate) fn verify(token: &str) -> Result<AccessToken, VerifyError> {
    verifier().verify(&KEYS, token, NOW)
}

/// The outcome for a token with these claims and the usual header.
pub(crate) fn verify_claims(claims: impl ToString) -> Result<AccessToken, VerifyError> {
    verify(&token_with_claims(claims))
}

/// The error for a token with this header and the usual claims.
pub(crate) fn refusal_of_header(header: impl ToString) -> VerifyError {
    verify(&token_with_header(header)).unwrap_err()
}

/// The error for a token with these claims and the usual header.
pub(crate) fn refusal_of_claims(claims: impl ToString) -> VerifyError {
    verify_claims(claims).unwrap_err()
}
