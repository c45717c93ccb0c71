//! Client authentication with `private_key_jwt` (RFC 7523).

use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use serde_json::{Value, json};

use crate::harness::oauth::ISSUER;
use crate::harness::{Answer, TestServer, forge, forgeries};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn sign(key: &PKey<Private>, header: &Value, claims: &Value) -> String {
    let signed =
        format!("{}.{}", forge::encode(header.to_string()), forge::encode(claims.to_string()));
    let mut pkcs1 = Signer::new(MessageDigest::sha256(), key).unwrap();
    format!("{signed}.{}", forge::encode(pkcs1.sign_oneshot_to_vec(signed.as_bytes()).unwrap()))
}

async fn token(server: &TestServer, assertion: &str) -> Answer {
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", TYPE),
        ("client_assertion", assertion),
    ];
    Answer::of(server.form("/oauth2/token", &fields)).await
}

/// Asserts that forged assertions are rejected: invalid ones with the client's signature, and ones
/// without it.
async fn assert_forgeries_are_rejected(
    server: &TestServer,
    key: &PKey<Private>,
    jwk: &Value,
    claims: &impl Fn(&str) -> Value,
) {
    let mut number = 0..;
    let mut fresh = || claims(&format!("forged {}", number.next().unwrap_or_default()));
    let mut forged_assertions = Vec::new();
    let plain = json!({ "alg": "RS256" });
    for alg in ["None", "NONE", "", "rs256", "RS384", "PS256", "ES256"] {
        forged_assertions.push(sign(key, &json!({ "alg": alg }), &fresh()));
    }
    forged_assertions.push(sign(key, &json!({}), &fresh()));
    let pem = key.public_key_to_pem().unwrap();
    let der = key.public_key_to_der().unwrap();
    let modulus = jwk["n"].as_str().unwrap().as_bytes().to_vec();
    for secret in [pem, der, modulus, jwk.to_string().into_bytes(), Vec::new()] {
        for alg in ["HS256", "RS256"] {
            forged_assertions.push(forge::sign_hmac(&secret, &json!({ "alg": alg }), &fresh()));
        }
    }
    let foreign = forge::Forge::foreign();
    let with_embedded_key = json!({ "alg": "RS256", "kid": "one", "jwk": foreign.public_jwk() });
    forged_assertions.push(foreign.sign(&json!({ "alg": "RS256", "kid": "one" }), &fresh()));
    forged_assertions.push(foreign.sign(&with_embedded_key, &fresh()));
    forged_assertions.push(sign(key, &json!({ "alg": "RS256", "crit": ["exp"] }), &fresh()));
    forged_assertions.push(sign(key, &json!({ "alg": "RS256", "crit": ["x"], "x": 1 }), &fresh()));
    for name in ["iss", "sub", "aud", "exp", "jti"] {
        let mut claims = fresh();
        claims.as_object_mut().unwrap().remove(name);
        forged_assertions.push(sign(key, &plain, &claims));
    }
    for name in ["exp", "nbf", "iat"] {
        let now = server.clock.now().as_seconds();
        for time in
            [json!((now + 60).to_string()), json!(-1), json!(1e300), json!([now]), json!(true)]
        {
            let mut claims = fresh();
            claims[name] = time;
            forged_assertions.push(sign(key, &plain, &claims));
        }
    }
    for (name, other) in
        [("aud", json!([])), ("aud", json!({})), ("aud", json!(7)), ("jti", json!(7))]
    {
        let mut claims = fresh();
        claims[name] = other;
        forged_assertions.push(sign(key, &plain, &claims));
    }
    let good = sign(key, &plain, &fresh());
    forged_assertions
        .extend(forgeries::altered_or_reencoded(&good).into_iter().map(|forgery| forgery.token));
    for forged in forged_assertions {
        // Each request comes from a new address, because failed attempts are limited per address.
        let answer = token(server, &forged).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (401, &json!("invalid_client")),
            "{forged}"
        );
    }
    token(server, &good).await.expect_status(200);
}

/// W9: after a restore, an assertion made before the restore is rejected, with or without `iat`.
#[tokio::test]
async fn assertion_from_before_a_restore_is_rejected() {
    let mut server = TestServer::start().await;
    let (key, _) = register(&server).await;
    let assertion = |iat: Option<u64>, exp: u64, jti: &str| {
        let mut claims =
            json!({ "iss": "signer", "sub": "signer", "aud": ISSUER, "exp": exp, "jti": jti });
        if let Some(iat) = iat {
            claims["iat"] = json!(iat);
        }
        sign(&key, &json!({ "alg": "RS256" }), &claims)
    };
    server.stop_cleanly().await;
    server.database.back_up().await;
    server = server.restart().await;
    let now = server.clock.now().as_seconds();
    let used = [assertion(Some(now), now + 3600, "1"), assertion(None, now + 3600, "2")];
    for assertion in &used {
        token(&server, assertion).await.expect_status(200);
    }

    server.stop_cleanly().await;
    server.database.restore().await;
    let restored = crate::harness::Program::new(&server.database).run(&["restored"]).await;
    assert!(restored.status.success(), "{restored:?}");
    server = server.restart().await;
    server.advance_seconds(120);
    let now = server.clock.now().as_seconds();

    for assertion in &used {
        token(&server, assertion).await.expect_oauth_error(401, "invalid_client");
    }
    let without_iat = assertion(None, now + 600, "3");
    token(&server, &without_iat).await.expect_oauth_error(401, "invalid_client");
    token(&server, &assertion(Some(now), now + 600, "4")).await.expect_status(200);
    server.advance_seconds(3600);
    token(&server, &assertion(None, now + 3900, "5")).await.expect_status(200);
}

/// Registers the client `signer`. Returns its key, and the public JWK.
async fn register(server: &TestServer) -> (PKey<Private>, Value) {
    let rsa = Rsa::generate(2048).unwrap();
    let jwk = json!({ "kty": "RSA", "kid": "one", "n": forge::encode(rsa.n().to_vec()), "e": forge::encode(rsa.e().to_vec()) });
    let file = server.database.directory().join("clients.json");
    let client = json!({ "client": [{ "client_id": "signer", "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [&jwk] } }] });
    std::fs::write(&file, client.to_string()).unwrap();
    let program = crate::harness::Program::new(&server.database);
    let output = program.run(&["client", "apply", file.to_str().unwrap()]).await;
    assert!(output.status.success(), "{output:?}");
    (PKey::from_rsa(rsa).unwrap(), jwk)
}

/// MUST-194..203, RFC 7523 §3: an assertion is valid once, at this server, for a limited time, and
/// for its own client.
#[tokio::test]
async fn assertion_is_valid_once_and_for_this_server_only() {
    let server = TestServer::start().await;
    let (key, jwk) = register(&server).await;
    let iat = server.clock.now().as_seconds();
    let header = json!({ "alg": "RS256" });
    let claims = |jti: &str| json!({ "iss": "signer", "sub": "signer", "aud": ISSUER, "iat": iat, "exp": iat + 60, "jti": jti });
    let with = |jti: &str, name: &str, value: Value| {
        let mut claims = claims(jti);
        claims[name] = value;
        sign(&key, &header, &claims)
    };

    let good = sign(&key, &header, &claims("1"));
    token(&server, &good).await.expect_status(200);
    token(&server, &good).await.expect_oauth_error(401, "invalid_client");
    // `kid` is optional. The maximum lifetime is an hour, plus the leeway for a fast clock.
    let named = sign(&key, &json!({ "alg": "RS256", "kid": "one" }), &claims("named"));
    token(&server, &named).await.expect_status(200);
    token(&server, &with("hour", "exp", json!(iat + 3630))).await.expect_status(200);
    let endpoint = with("2", "aud", json!([format!("{ISSUER}/oauth2/token"), "https://x.example"]));
    token(&server, &endpoint).await.expect_status(200);

    let other = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    for refused in [
        with("3", "aud", json!("https://other.example")),
        with("4", "iss", json!("other")),
        with("5", "sub", json!("other")),
        with("6", "exp", json!(iat - 31)),
        with("7", "exp", json!(iat + 3631)),
        with("8", "nbf", json!(iat + 120)),
        with("9", "jti", json!("")),
        with("a", "jti", Value::Null),
        with("b", "exp", Value::Null),
        sign(&other, &header, &claims("c")),
        sign(&key, &json!({ "alg": "RS512" }), &claims("d")),
        format!(
            "{}.{}.",
            forge::encode(json!({ "alg": "none" }).to_string()),
            forge::encode(claims("e").to_string())
        ),
        forge::sign_hmac(b"secret", &json!({ "alg": "HS256" }), &claims("f")),
        "x".to_owned(),
    ] {
        token(&server, &refused).await.expect_oauth_error(401, "invalid_client");
    }
    assert_forgeries_are_rejected(&server, &key, &jwk, &claims).await;
    // Of concurrent replays, one succeeds.
    let once = sign(&key, &header, &claims("g"));
    let answers = futures_util::future::join_all((0..16).map(|_| token(&server, &once))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
}

/// C1, RFC 7519 §2: times are JSON numbers, and some libraries send fractions.
#[tokio::test]
async fn assertion_times_may_have_fractions() {
    let server = TestServer::start().await;
    let (key, _) = register(&server).await;
    let iat = server.clock.now().as_seconds();
    let assertion = |jti: &str, iat: &str, exp: &str| {
        let claims = format!(
            r#"{{"iss":"signer","sub":"signer","aud":"{ISSUER}","jti":"{jti}","iat":{iat},"exp":{exp}}}"#
        );
        let input = format!("{}.{}", forge::encode(r#"{"alg":"RS256"}"#), forge::encode(claims));
        let mut pkcs1 = Signer::new(MessageDigest::sha256(), &key).unwrap();
        format!("{input}.{}", forge::encode(pkcs1.sign_oneshot_to_vec(input.as_bytes()).unwrap()))
    };

    for (jti, iat, exp) in [
        ("1", format!("{iat}.25"), format!("{}.0", iat + 60)),
        ("2", format!("{iat}.999999"), format!("{}.5", iat + 60)),
        ("3", format!("{}e0", iat - 1), format!("{}", iat + 60)),
    ] {
        token(&server, &assertion(jti, &iat, &exp)).await.expect_status(200);
    }
    for (jti, exp) in [("4", "1e400"), ("5", "-1.5"), ("6", "1.5"), ("7", "\"1e10\"")] {
        let refused = token(&server, &assertion(jti, &iat.to_string(), exp)).await;
        refused.expect_oauth_error(401, "invalid_client");
    }
}

/// W2: the response to an assertion may have been lost in an outage. Such an assertion is valid
/// again until the end of the retry window that follows the outage.
#[tokio::test]
async fn assertion_can_be_retried_after_an_outage() {
    let server = TestServer::start().await;
    let (key, _) = register(&server).await;
    let iat = server.clock.now().as_seconds();
    let claims = |jti: &str| json!({ "iss": "signer", "sub": "signer", "aud": ISSUER, "iat": iat, "exp": iat + 600, "jti": jti });
    let [early, lost] =
        ["early", "lost"].map(|jti| sign(&key, &json!({ "alg": "RS256" }), &claims(jti)));
    token(&server, &early).await.expect_status(200);
    server.advance_seconds(10);
    token(&server, &lost).await.expect_status(200);
    token(&server, &lost).await.expect_oauth_error(401, "invalid_client");
    server.record_outage(-1, 20).await;
    let other = server.another_instance().await;
    server.advance_seconds(29);

    token(&other, &early).await.expect_oauth_error(401, "invalid_client");
    token(&other, &lost).await.expect_status(200);
    token(&server, &lost).await.expect_status(200);
    server.advance_seconds(1);
    token(&server, &lost).await.expect_oauth_error(401, "invalid_client");
}
