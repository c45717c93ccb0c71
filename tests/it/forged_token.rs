//! Tokens that Signet's own endpoints must not take, however well they are made.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::forge::{Forge, decode, encode, parts, sign_hmac};
use crate::harness::{TestServer, Tokens};

/// A server, a login on it, and its private key in the wrong hands.
struct Scene {
    server: TestServer,
    tokens: Tokens,
    forge: Forge,
    header: Value,
    claims: Value,
}

impl Scene {
    async fn set() -> Self {
        let server = TestServer::start().await;
        let tokens = server.sign_up("ada@example.test").await.tokens();
        let forge = Forge::open(&server.database).await;
        let (header, claims) = parts(&tokens.access_token);
        let scene = Self { server, tokens, forge, header, claims };
        // What is refused below is refused for what was changed, and for nothing else.
        let unchanged = scene.forge.sign(&scene.header, &scene.claims);
        scene.server.me(&unchanged).await.expect_status(200);
        scene
    }

    fn header_with(&self, name: &str, value: Value) -> Value {
        with(&self.header, name, value)
    }

    async fn assert_refused(&self, token: &str, what: &str) {
        for answer in [self.server.me(token).await, self.server.log_out(token).await] {
            assert_eq!(answer.status, 401, "{what}");
            answer.expect_error(401, "UNAUTHORIZED");
            assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
        }
    }

    /// The session lived through all of it.
    async fn end(self) {
        self.server.me(&self.tokens.access_token).await.expect_status(200);
        assert_eq!(self.server.database.events().await, ["signup"]);
    }
}

fn with(json: &Value, name: &str, value: Value) -> Value {
    let mut json = json.clone();
    json[name] = value;
    json
}

fn without(json: &Value, name: &str) -> Value {
    let mut json = json.clone();
    json.as_object_mut().unwrap().remove(name);
    json
}

/// MUST-194, MUST-195, JW-01: the algorithm is ours and not the token's.
#[tokio::test]
async fn a_token_of_another_algorithm_is_refused() {
    let scene = Scene::set().await;
    let Scene { server, forge, header, claims, .. } = &scene;

    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = scene.header_with("alg", alg.into());
        let signed = forge.sign(&header, claims);
        let unsigned = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        for token in [signed, format!("{unsigned}."), unsigned.clone(), format!("{unsigned}.AA")] {
            scene.assert_refused(&token, alg).await;
        }
    }
    let jwks = server.get("/.well-known/jwks.json").await;
    let key = jwks.json()["keys"][0].to_string();
    let secrets = forge.public_forms().into_iter().chain([jwks.body, key.into_bytes()]);
    for secret in secrets {
        for alg in ["HS256", "RS256"] {
            let header = scene.header_with("alg", alg.into());
            scene.assert_refused(&sign_hmac(&secret, &header, claims), "HMAC").await;
        }
    }
    let pss = scene.header_with("alg", "PS256".into());
    scene.assert_refused(&forge.sign_pss(&pss, claims), "PS256").await;
    scene.assert_refused(&forge.sign_pss(header, claims), "PSS as RS256").await;
    for alg in ["rs256", "Rs256", "RS256 ", "RS384", "RS512", "ES256", "EdDSA", "RSA-OAEP"] {
        let header = scene.header_with("alg", alg.into());
        scene.assert_refused(&forge.sign(&header, claims), alg).await;
    }
    for alg in [json!(["RS256"]), json!(null), json!(256), json!({ "RS256": 1 })] {
        let header = scene.header_with("alg", alg);
        scene.assert_refused(&forge.sign(&header, claims), "type").await;
    }
    scene.assert_refused(&forge.sign(&without(header, "alg"), claims), "no alg").await;
    scene.end().await;
}

/// MUST-196, MUST-197, MUST-198, JW-01: a token cannot bring its own key, nor rules of its own.
#[tokio::test]
async fn a_token_with_another_key_or_rule_in_its_header_is_refused() {
    let scene = Scene::set().await;
    let Scene { server, forge, header, claims, .. } = &scene;
    let jwk = server.jwks().await["keys"][0].clone();

    for (name, value) in [
        ("jwk", jwk.clone()),
        ("jku", "https://id.example.test/.well-known/jwks.json".into()),
        ("x5u", "https://id.example.test/certificate".into()),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", false.into()),
        ("b64", true.into()),
        ("kid", "unknown".into()),
        ("kid", "".into()),
        ("kid", "../../../../dev/null".into()),
        ("kid", "' UNION SELECT 'key' --".into()),
        ("kid", jwk["kid"].as_str().unwrap().to_lowercase().into()),
        ("kid", 7.into()),
        ("typ", "JWT".into()),
        ("typ", "id+jwt".into()),
        ("typ", "logout+jwt".into()),
        ("typ", "at jwt".into()),
        ("typ", Value::Null),
    ] {
        let header = with(header, name, value);
        scene.assert_refused(&forge.sign(&header, claims), &header.to_string()).await;
    }
    for name in ["kid", "typ"] {
        let header = without(header, name);
        scene.assert_refused(&forge.sign(&header, claims), name).await;
    }
    let doubled = format!(r#"{{"alg":"none",{}"#, &header.to_string()[1..]);
    scene.assert_refused(&forge.sign_text(&doubled, &claims.to_string()), "twice").await;
    scene.end().await;
}

/// MUST-201, MUST-202, MUST-203, JW-01, JW-02: signed with the real key, and still not a token for us, or not now.
#[tokio::test]
async fn a_token_with_a_wrong_or_malformed_claim_is_refused() {
    let scene = Scene::set().await;
    let Scene { forge, header, claims, .. } = &scene;
    let mut wrong = vec![
        ("iss", json!("https://id.example.test/")),
        ("iss", json!("https://ID.example.test")),
        ("iss", json!("http://id.example.test")),
        ("iss", json!(["https://id.example.test"])),
        ("aud", json!("https://other.example.test")),
        ("aud", json!("https://id.example.test")),
        ("aud", json!([])),
        ("aud", json!(["https://api.example.test", 7])),
        ("aud", json!({ "https://api.example.test": true })),
        ("sub", json!("00000000-0000-7000-8000-000000000000")),
        ("user_id", json!("00000000-0000-7000-8000-000000000000")),
        ("sid", json!("00000000-0000-7000-8000-000000000000")),
        ("sid", json!("' OR 1=1 --")),
        ("jti", json!(7)),
    ];
    let exp = claims["exp"].as_u64().unwrap();
    for name in ["exp", "nbf", "iat"] {
        let good = if name == "exp" { exp } else { exp - 24 * 60 * 60 };
        wrong.extend([
            (name, json!(good.to_string())),
            (name, serde_json::from_str(&format!("{good}.0")).unwrap()),
            (name, serde_json::from_str(&format!("{good}.5")).unwrap()),
            (name, json!(-1)),
            (name, json!(1_u64 << 63)),
            (name, json!(1_u64 << 53)),
            (name, json!(u64::MAX)),
            (name, json!(1e300)),
            (name, json!(null)),
            (name, json!(true)),
            (name, json!([good])),
        ]);
    }
    for (name, value) in wrong {
        let claims = with(claims, name, value);
        scene.assert_refused(&forge.sign(header, &claims), &claims.to_string()).await;
    }
    for name in ["exp", "iat", "iss", "aud", "sub", "jti", "client_id", "sid", "user_id"] {
        let claims = without(claims, name);
        scene.assert_refused(&forge.sign(header, &claims), name).await;
    }
    for exp in ["1e400", "01", "+1", "0x7fffffff", "NaN"] {
        let text = claims
            .to_string()
            .replace(&format!("\"exp\":{}", claims["exp"]), &format!("\"exp\":{exp}"));
        assert_ne!(text, claims.to_string());
        scene.assert_refused(&forge.sign_text(&header.to_string(), &text), exp).await;
    }
    let doubled = format!(r#"{{"sub":"someone",{}"#, &claims.to_string()[1..]);
    scene.assert_refused(&forge.sign_text(&header.to_string(), &doubled), "twice").await;
    scene.end().await;
}

/// MUST-199, MUST-200, JW-07: one text is the token, and every other text is not.
#[tokio::test]
async fn a_token_in_any_other_spelling_is_refused() {
    let scene = Scene::set().await;
    let token = &scene.tokens.access_token;
    let pieces: Vec<_> = token.split('.').collect();
    let [header, payload, signature] = [pieces[0], pieces[1], pieces[2]];
    let mut wrong = Vec::new();
    for (part, index) in [(0, 3), (0, 9), (1, 0), (1, 40), (2, 0), (2, 100), (2, 255)] {
        for bit in [1, 128] {
            let mut bytes = decode(pieces[part]);
            bytes[index] ^= bit;
            let mut altered = pieces.clone();
            let encoded = encode(bytes);
            altered[part] = &encoded;
            wrong.push(altered.join("."));
        }
    }
    // 256 bytes leave four bits over in the last character: all but one spelling are wrong.
    let last = signature.chars().last().unwrap();
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars() {
        if other != last {
            wrong.push(format!("{}{other}", &token[..token.len() - 1]));
        }
    }
    wrong.extend([
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{signature}"),
        format!("{token}="),
        format!("{token}=="),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}. {payload}.{signature}"),
        format!("{header}.{payload} .{signature}"),
        format!("{header}.{payload}.\t{signature}"),
        format!("{token},{token}"),
        format!("\"{token}\""),
        format!("{header}.{payload}.{}", URL_SAFE.encode(decode(signature))),
        format!("{header}.{payload}.{}", &signature[..signature.len() - 1]),
        format!("{header}.{payload}.{signature}A"),
        format!("{header}.{payload}.{}", encode([&decode(signature)[..], &[0]].concat())),
        format!("{header}.{payload}.{}", encode([&[0], &decode(signature)[..]].concat())),
        format!("{header}.{payload}.{}", encode([0; 256])),
        format!("{header}.{}.{signature}", STANDARD.encode(decode(payload))),
        format!("{payload}.{header}.{signature}"),
        token.to_lowercase(),
        "..".to_owned(),
        ".".to_owned(),
    ]);
    wrong.retain(|wrong| wrong != token);

    for wrong in wrong {
        scene.assert_refused(&wrong, &wrong).await;
    }
    scene.end().await;
}

/// JW-08: size buys an attacker nothing.
#[tokio::test]
async fn a_huge_token_is_refused_in_little_time() {
    let scene = Scene::set().await;
    let Scene { server, forge, header, claims, .. } = &scene;
    let token = &scene.tokens.access_token;
    let nested = format!("{{\"a\":{}1{}}}", "[".repeat(2500), "]".repeat(2500));
    let padded = with(claims, "pad", "x".repeat(9000).into());
    let long = [
        format!("{token}{}", ".".repeat(10_000)),
        ".".repeat(15_000),
        format!("{}.{}.AA", encode(&nested), encode("{}")),
        forge.sign(header, &padded),
        forge.sign_text(&nested, &claims.to_string()),
    ];

    for token in long {
        let answer = server.me(&token).await;
        answer.expect_error(401, "UNAUTHORIZED");
        assert!(answer.took < Duration::from_secs(1), "{:?}", answer.took);
    }
    let beyond = server.me(&".".repeat(16 * 1024)).await;
    beyond.expect_error(431, "HEADERS_TOO_LARGE");
    for huge in [".".repeat(1_000_000), format!("{token}{}", "A".repeat(1 << 20))] {
        let started = std::time::Instant::now();
        let mut connection = TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET /api/auth/me HTTP/1.1\r\nauthorization: Bearer {huge}\r\n\r\n");
        // The server need not read all of it: what it does not read breaks the connection.
        let _ = connection.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = connection.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
    scene.end().await;
}
