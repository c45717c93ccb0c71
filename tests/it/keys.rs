//! The key set contains public members only.

use std::collections::BTreeSet;

use openssl::sha::sha256;
use serde_json::Value;

use crate::harness::forge::{Forge, decode, encode, hex, parts};
use crate::harness::{Answer, TestServer};

/// The member names of every key; the values must be strings.
fn key_members(jwks: &Value) -> Vec<BTreeSet<String>> {
    assert_eq!(jwks.as_object().unwrap().keys().collect::<Vec<_>>(), ["keys"]);
    let keys = jwks["keys"].as_array().unwrap();
    assert!(keys.iter().all(|key| key.as_object().unwrap().values().all(Value::is_string)));
    keys.iter().map(|key| key.as_object().unwrap().keys().cloned().collect()).collect()
}

fn text<'j>(key: &'j Value, name: &str) -> &'j str {
    key[name].as_str().unwrap()
}

/// The JWK thumbprint (RFC 7638 §3).
fn thumbprint(key: &Value) -> String {
    let canonical =
        format!(r#"{{"e":"{}","kty":"{}","n":"{}"}}"#, text(key, "e"), "RSA", text(key, "n"));
    encode(sha256(canonical.as_bytes()))
}

/// KY-01: an allow list, so that no private member can appear under any name.
#[tokio::test]
async fn jwks_has_public_members_only() {
    let server = TestServer::start().await;

    let jwks = server.jwks().await;

    let allowed = ["alg", "e", "kid", "kty", "n", "use"].map(str::to_owned);
    assert_eq!(key_members(&jwks), [BTreeSet::from(allowed)]);
    let key = &jwks["keys"][0];
    assert_eq!((text(key, "kty"), text(key, "use"), text(key, "alg")), ("RSA", "sig", "RS256"));
}

/// KY-02
#[tokio::test]
async fn kid_is_the_thumbprint_and_key_has_the_configured_length() {
    let mut kids = BTreeSet::new();
    for bits in [2048, 2048, 3072] {
        let server = TestServer::with(|config| config.keys.rsa_bits = bits).await;

        let jwks = server.jwks().await;

        let key = &jwks["keys"][0];
        let modulus = decode(text(key, "n"));
        assert_eq!(modulus.len() * 8, usize::try_from(bits).unwrap());
        assert!(modulus[0] >= 0x80 && modulus.last().unwrap() % 2 == 1);
        assert_eq!(text(key, "e"), "AQAB");
        assert_eq!(text(key, "kid"), thumbprint(key));
        let tokens = server.sign_up("ada@example.test").await.tokens();
        let (header, _) = parts(&tokens.access_token);
        assert_eq!(header["kid"], key["kid"]);
        server.me(&tokens.access_token).await.expect_status(200);
        kids.insert(text(key, "kid").to_owned());
    }
    assert_eq!(kids.len(), 3);
}

/// KY-02: a restart with another key length affects only future keys.
#[tokio::test]
async fn restart_keeps_the_signing_key() {
    let mut server = TestServer::start().await;
    let before = server.get("/.well-known/jwks.json").await;

    server.config.keys.rsa_bits = 3072;
    let server = server.restart().await;
    let after = server.get("/.well-known/jwks.json").await;

    assert_eq!(before.body, after.body);
    assert_eq!(before.header("etag"), after.header("etag"));
}

/// KY-06: the private key is stored encrypted, with a key that is not in the database.
#[tokio::test]
async fn private_key_is_encrypted_in_the_database() {
    let server = TestServer::start().await;
    server.sign_up("ada@example.test").await.expect_status(201);
    let forge = Forge::open(&server.database).await;

    let dump = server.database.dump().await;
    let answers = [
        server.get("/.well-known/jwks.json").await,
        server.get("/.well-known/openid-configuration").await,
        server.get("/openapi.json").await,
    ];

    let cells: Vec<&String> = dump.values().flatten().collect();
    let private = ["d", "p", "q", "dp", "dq", "qi"].map(|name| text(&forge.private_jwk, name));
    for secret in private {
        let hex = hex(&decode(secret));
        for cell in &cells {
            assert!(!cell.contains(secret) && !cell.contains(&hex), "{cell}");
        }
        for Answer { body, .. } in &answers {
            assert!(!String::from_utf8_lossy(body).contains(secret));
        }
    }
    // The search itself works, because it finds the public modulus.
    let modulus = text(&forge.private_jwk, "n");
    assert!(cells.iter().any(|cell| cell.contains(modulus)));
    let master = std::fs::read_to_string(server.database.master_key_file()).unwrap();
    assert!(cells.iter().all(|cell| !cell.contains(master.trim())));
}
