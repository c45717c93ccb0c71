//! JW-01: the algorithm is always RS256, regardless of the header (RFC 8725 §3.1).

use josekit::jwk::Jwk;
use josekit::jwk::KeyPair;
use josekit::jws::HS256;
use josekit::jws::JwsSigner;
use josekit::jws::PS256;
use josekit::jws::RS384;
use josekit::jws::RS512;
use serde_json::json;
use signet_verifier::VerifyError;

use crate::harness::KEY;
use crate::harness::claims;
use crate::harness::encode;
use crate::harness::header;
use crate::harness::refusal_of_header;
use crate::harness::sign_with;
use crate::harness::valid_token;
use crate::harness::verify;
use crate::harness::with;
use crate::harness::without;

/// A token signed by `signer`, with `algorithm` as `alg`.
fn token(signer: &dyn JwsSigner, algorithm: &str) -> String {
    let header = with(header(), "alg", json!(algorithm)).to_string();
    sign_with(signer, &format!("{}.{}", encode(header), encode(claims().to_string())))
}

/// MUST-194, JW-01. The last case is the example of an unsecured JWS in RFC 7515 §A.5.
#[test]
fn unsigned_token_is_rejected() {
    let valid = valid_token();
    let signature = valid.rsplit_once('.').unwrap().1;
    for name in ["none", "None", "NONE", "nOnE", ""] {
        let header = encode(with(header(), "alg", json!(name)).to_string());
        let signed = format!("{header}.{}", encode(claims().to_string()));

        for token in [format!("{signed}."), format!("{signed}.{signature}")] {
            assert_eq!(verify(&token), Err(VerifyError::UnsupportedAlgorithm), "{token}");
        }
    }
    // The example has no `kid`, which is checked before `alg`.
    let rfc_example = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0\
                       dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
    assert_eq!(verify(rfc_example), Err(VerifyError::Malformed));
}

/// MUST-195, JW-01: the public key must not be accepted as an HMAC secret.
#[test]
fn hmac_keyed_with_the_public_key_is_rejected() {
    let secrets =
        [KEY.to_pem_public_key(), KEY.to_der_public_key(), KEY.to_traditional_pem_public_key()];
    for secret in secrets {
        let mut jwk = Jwk::new("oct");
        jwk.set_parameter("k", Some(encode(secret).into())).unwrap();
        let signer = HS256.signer_from_jwk(&jwk).unwrap();

        assert_eq!(verify(&token(&signer, "HS256")), Err(VerifyError::UnsupportedAlgorithm));
        assert_eq!(verify(&token(&signer, "RS256")), Err(VerifyError::BadSignature));
    }
}

/// JW-01: the signatures are made with the right key.
#[test]
fn other_signature_schemes_are_rejected_even_if_labelled_rs256() {
    let rs384 = RS384.signer_from_pem(KEY.to_pem_private_key()).unwrap();
    let rs512 = RS512.signer_from_pem(KEY.to_pem_private_key()).unwrap();
    let mut jwk = KEY.to_jwk_private_key();
    jwk.set_algorithm("PS256");
    let ps256 = PS256.signer_from_jwk(&jwk).unwrap();
    let signers: [(&dyn JwsSigner, &str); 3] =
        [(&rs384, "RS384"), (&rs512, "RS512"), (&ps256, "PS256")];

    for (signer, name) in signers {
        assert_eq!(verify(&token(signer, name)), Err(VerifyError::UnsupportedAlgorithm), "{name}");
        assert_eq!(verify(&token(signer, "RS256")), Err(VerifyError::BadSignature), "{name}");
    }
}

/// JW-01: RFC 7515 §4.1.1 makes `alg` case-sensitive.
#[test]
fn alg_is_compared_exactly() {
    for name in ["rs256", "Rs256", "RS256 ", " RS256", "RS256\0", "ES256", "EdDSA"] {
        let refusal = refusal_of_header(with(header(), "alg", json!(name)));
        assert_eq!(refusal, VerifyError::UnsupportedAlgorithm, "{name:?}");
    }
    for value in [json!(null), json!(256), json!(["RS256"]), json!({"alg": "RS256"})] {
        let refusal = refusal_of_header(with(header(), "alg", value));
        assert_eq!(refusal, VerifyError::UnsupportedAlgorithm);
    }
    let refusal = refusal_of_header(without(header(), "alg"));
    assert_eq!(refusal, VerifyError::UnsupportedAlgorithm);
}
