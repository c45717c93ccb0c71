//! The private key of a server, and functions that sign, read and check tokens. An attacker could
//! make some of the signed tokens. Others are signed with the real private key, so only a defect of
//! Signet could produce them.
//!
//! The private key is read without any code of Signet, so this also tests how keys are stored.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::{Padding, Rsa, RsaPrivateKeyBuilder};
use openssl::sign::{RsaPssSaltlen, Signer, Verifier};
use openssl::symm::{Cipher, decrypt_aead};
use serde_json::{Value, json};

use crate::harness::TestDatabase;

/// The private key of a server, for signing arbitrary tokens.
pub struct Forge {
    key: PKey<Private>,
    /// The JWK, including the private members; null in a [foreign](Self::foreign) forge.
    pub private_jwk: Value,
}

impl Forge {
    /// Decrypts the active key of `database` with its master key file.
    pub async fn open(database: &TestDatabase) -> Self {
        let line = std::fs::read_to_string(database.master_key_file()).unwrap();
        let sealed: Vec<String> =
            database.column("SELECT sealed_jwk FROM signing_key WHERE state = 'active'").await;
        let seal_key = hkdf(&decode(line.trim()), b"signet signing key seal v1");
        let private_jwk: Value =
            serde_json::from_slice(&decrypt_jwe(&seal_key, &sealed[0])).unwrap();
        let key = PKey::from_rsa(private_key_from_jwk(&private_jwk)).unwrap();
        Self { key, private_jwk }
    }

    /// A JWS of this header and these claims, signed with the key by RS256.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// Like [`Self::sign`], for JSON that [`Value`] cannot represent.
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let mut rsa = Signer::new(MessageDigest::sha256(), &self.key).unwrap();
        let signature = rsa.sign_oneshot_to_vec(signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(signature))
    }

    /// A JWS signed with the same key and another digest: RS512 (RFC 7518 §3.3).
    pub fn sign_sha512(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let mut rsa = Signer::new(MessageDigest::sha512(), &self.key).unwrap();
        format!("{signed}.{}", encode(rsa.sign_oneshot_to_vec(signed.as_bytes()).unwrap()))
    }

    /// A forge with a new key, which no server publishes.
    pub fn foreign() -> Self {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        Self { key, private_jwk: Value::Null }
    }

    /// The public key as a JWK.
    pub fn public_jwk(&self) -> Value {
        let rsa = self.key.rsa().unwrap();
        let [n, e] = [rsa.n(), rsa.e()].map(|number| encode(number.to_vec()));
        json!({ "kty": "RSA", "n": n, "e": e })
    }

    /// A JWS signed with the same key and another algorithm: RSASSA-PSS (RFC 7518 §3.5).
    pub fn sign_pss(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let mut pss = Signer::new(MessageDigest::sha256(), &self.key).unwrap();
        pss.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
        pss.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).unwrap();
        let signature = pss.sign_oneshot_to_vec(signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(signature))
    }

    /// Secrets for HMAC that an attacker knows and that libraries have accepted: the public key in
    /// several encodings, and the empty secret.
    pub fn known_hmac_secrets(&self) -> Vec<Vec<u8>> {
        let pem = self.key.public_key_to_pem().unwrap();
        let without_newline = pem.trim_ascii_end().to_vec();
        let pkcs1 = self.key.rsa().unwrap().public_key_to_pem_pkcs1().unwrap();
        let modulus = self.private_jwk["n"].as_str().unwrap();
        vec![
            pem,
            without_newline,
            pkcs1,
            self.key.public_key_to_der().unwrap(),
            modulus.as_bytes().to_vec(),
            decode(modulus),
            Vec::new(),
        ]
    }
}

/// A JWS signed with `secret` by HS256.
pub fn sign_hmac(secret: &[u8], header: &Value, claims: &Value) -> String {
    let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
    let signature = hmac(secret, signed.as_bytes());
    format!("{signed}.{}", encode(signature))
}

/// HMAC-SHA-256 (RFC 2104).
pub fn hmac(secret: &[u8], message: &[u8]) -> Vec<u8> {
    // OpenSSL rejects an empty key. By RFC 2104, a zero byte is an equivalent key.
    let key = PKey::hmac(if secret.is_empty() { &[0] } else { secret }).unwrap();
    Signer::new(MessageDigest::sha256(), &key).unwrap().sign_oneshot_to_vec(message).unwrap()
}

/// The first 32 bytes of HKDF-SHA-256 without a salt (RFC 5869).
pub fn hkdf(secret: &[u8], info: &[u8]) -> Vec<u8> {
    let pseudo_random_key = hmac(&[0; 32], secret);
    hmac(&pseudo_random_key, &[info, &[1]].concat())
}

/// The header and the claims of a token of Signet, unverified. Asserts that no name is duplicated
/// (MUST-130).
pub fn parts(token: &str) -> (Value, Value) {
    let parts: Vec<_> = token.split('.').collect();
    let json = |part: &str| {
        let text = String::from_utf8(decode(part)).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        // [`Value`] drops duplicate members and serializes as compactly as Signet. Equal lengths
        // show that no member was dropped.
        assert_eq!(value.to_string().len(), text.len(), "{text}");
        value
    };
    (json(parts[0]), json(parts[1]))
}

/// Whether the RS256 signature of the token matches the published key with its `kid`.
pub fn is_signed_by(jwks: &Value, token: &str) -> bool {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let kid = &parts(token).0["kid"];
    let jwk = jwks["keys"].as_array().unwrap().iter().find(|jwk| &jwk["kid"] == kid).unwrap();
    let number = |name: &str| BigNum::from_slice(&decode(jwk[name].as_str().unwrap())).unwrap();
    let key = Rsa::from_public_components(number("n"), number("e")).unwrap();
    let key = PKey::from_rsa(key).unwrap();
    let mut rsa = Verifier::new(MessageDigest::sha256(), &key).unwrap();
    rsa.verify_oneshot(&decode(signature), signed.as_bytes()).unwrap()
}

/// Unpadded base64url.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL.encode(bytes)
}

/// Decodes unpadded base64url.
pub fn decode(text: &str) -> Vec<u8> {
    BASE64_URL.decode(text).unwrap()
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Decrypts a JWE (RFC 7516 §5.2) with `A256GCMKW` (RFC 7518 §4.7) and `A256GCM`.
fn decrypt_jwe(key: &[u8], compact: &str) -> Vec<u8> {
    let parts: Vec<_> = compact.split('.').collect();
    let header: Value = serde_json::from_slice(&decode(parts[0])).unwrap();
    assert_eq!((&header["alg"], &header["enc"]), (&"A256GCMKW".into(), &"A256GCM".into()));
    let member = |name: &str| decode(header[name].as_str().unwrap());
    let aes = Cipher::aes_256_gcm();
    let wrapped = decode(parts[1]);
    let content_key =
        decrypt_aead(aes, key, Some(&member("iv")), &[], &wrapped, &member("tag")).unwrap();
    let [iv, text, tag] = [decode(parts[2]), decode(parts[3]), decode(parts[4])];
    decrypt_aead(aes, &content_key, Some(&iv), parts[0].as_bytes(), &text, &tag).unwrap()
}

fn private_key_from_jwk(jwk: &Value) -> Rsa<Private> {
    let number = |name: &str| BigNum::from_slice(&decode(jwk[name].as_str().unwrap())).unwrap();
    RsaPrivateKeyBuilder::new(number("n"), number("e"), number("d"))
        .unwrap()
        .set_factors(number("p"), number("q"))
        .unwrap()
        .set_crt_params(number("dp"), number("dq"), number("qi"))
        .unwrap()
        .build()
}
