//! A refresh token cannot be guessed, altered, or computed from stored data.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use openssl::sha::sha256;
use serde_json::json;
use uuid::Uuid;

use crate::harness::forge::{decode, encode, hex, hkdf, hmac};
use crate::harness::{PASSWORD, TestServer};

/// The refresh token of a generation of a session, computed with `key` and without Signet's code.
fn compute(key: &[u8], session: Uuid, generation: i64) -> String {
    let claims = [&[1][..], session.as_bytes(), &generation.to_be_bytes()].concat();
    let mac = hmac(key, &claims);
    format!("sgr_{}", encode([claims, mac].concat()))
}

/// All candidates for a stored key: each cell as text, as bytes, and hashed.
fn candidate_keys(cells: &[String]) -> Vec<Vec<u8>> {
    let mut keys = vec![vec![], vec![0; 32], b"signet".to_vec(), b"changeme".to_vec()];
    for cell in cells {
        keys.push(cell.clone().into_bytes());
        keys.extend(URL_SAFE_NO_PAD.decode(cell));
        keys.extend(cell.split(['.', '"', '$']).filter_map(|it| URL_SAFE_NO_PAD.decode(it).ok()));
        let pairs = cell.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
        let bytes = pairs.map(|pair| u8::from_str_radix(pair?, 16).ok());
        keys.extend(bytes.collect::<Option<Vec<u8>>>());
    }
    let plain = keys.clone();
    keys.extend(plain.iter().map(|key| hkdf(key, b"signet refresh token v1")));
    keys.extend(plain.iter().map(|key| sha256(key).to_vec()));
    keys.sort();
    keys.dedup();
    keys
}

/// RF-11: without the master key, the database and the source code do not suffice to compute a
/// token.
#[tokio::test]
async fn database_copy_yields_no_token_and_no_key() {
    let server = TestServer::start().await;
    let first = server.sign_up("ada@example.test").await.tokens();
    let newest = server.refresh(&first.refresh_token).await.tokens();
    let session: Uuid =
        TestServer::claims(&newest.access_token)["sid"].as_str().unwrap().parse().unwrap();
    let line = std::fs::read_to_string(server.database.master_key_file()).unwrap();
    let master = decode(line.trim());
    let key = hkdf(&master, b"signet refresh token v1");

    let dump = server.database.dump().await;

    assert!(dump.values().flatten().any(|cell| *cell == session.simple().to_string()));
    let mut cells: Vec<String> = dump.into_values().flatten().collect();
    cells.sort();
    cells.dedup();
    for secret in [&newest.refresh_token, &first.refresh_token, &newest.access_token]
        .into_iter()
        .cloned()
        .chain(
            [&master, &key].into_iter().flat_map(|it| [encode(it), hex(it), STANDARD.encode(it)]),
        )
        .chain([newest.refresh_token["sgr_".len()..].to_owned(), PASSWORD.to_owned()])
    {
        assert!(!cells.iter().any(|cell| cell.contains(&secret)), "{secret} is stored");
    }
    // With the right key, `compute` returns the actual token, so the attempts below are realistic.
    assert_eq!(compute(&key, session, 1), newest.refresh_token);
    for key in candidate_keys(&cells) {
        assert_ne!(compute(&key, session, 1), newest.refresh_token);
    }
    for key in candidate_keys(&cells).iter().step_by(9) {
        let forged = server.refresh(&compute(key, session, 1)).await;
        forged.expect_error(401, "INVALID_REFRESH_TOKEN");
    }
    server.refresh(&newest.refresh_token).await.expect_status(200);
}

/// Texts that differ from `token` in spelling, length or one character.
fn altered(token: &str) -> Vec<String> {
    let (prefix, encoded) = token.split_at(4);
    let bytes = decode(encoded);
    let mut all = Vec::new();
    for (index, old) in token.char_indices() {
        let other = if old == 'A' { "B" } else { "A" };
        let mut text = token.to_owned();
        text.replace_range(index..=index, other);
        all.push(text);
    }
    for index in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[index] ^= 1;
        all.push(format!("{prefix}{}", encode(flipped)));
    }
    for length in [0, 1, 4, 5, 40, 79] {
        all.push(token[..length].to_owned());
        all.push(token[length.max(1)..].to_owned());
    }
    let hex = hex(&bytes);
    all.extend([
        format!("{token}A"),
        format!("{token}="),
        format!("{token}\n"),
        format!("{token}\u{0}"),
        format!(" {token}"),
        format!("{token} "),
        format!("{token}{token}"),
        format!("{prefix}{token}"),
        format!("Bearer {token}"),
        format!("{prefix}AAAA{encoded}"),
        format!("{prefix}{}", URL_SAFE.encode([&bytes[..], &[0]].concat())),
        format!("{prefix}{}", STANDARD.encode(&bytes)),
        format!("{prefix}{}", encode(encoded)),
        format!("{prefix}{hex}"),
        token.to_uppercase(),
        token.to_lowercase(),
        encoded.to_owned(),
        token.replacen("sgr_", "SGR_", 1),
        token.replacen("sgr_", "sgc_", 1),
        token.replace('_', "%5F"),
        token.replace(['-', '_'], ""),
        token.chars().rev().collect(),
    ]);
    all.retain(|text| text != token);
    all
}

/// RF-12: only the exact token is accepted. Its case, encoding and length matter.
#[tokio::test]
async fn altered_refresh_token_is_rejected_without_side_effects() {
    let server = TestServer::start().await;
    let first = server.sign_up("ada@example.test").await.tokens();
    let newest = server.refresh(&first.refresh_token).await.tokens();

    for token in [&newest.refresh_token, &first.refresh_token] {
        for altered in altered(token) {
            let refused = server.refresh(&altered).await;
            assert_eq!(refused.status, 401, "{altered:?}");
        }
    }

    let mut events = server.database.events().await;
    events.retain(|event| event != "refresh_failed");
    assert_eq!(events, ["signup", "token_refreshed"]);
    server.me(&newest.access_token).await.expect_status(200);
    server.refresh(&newest.refresh_token).await.expect_status(200);
}

/// RF-12: no endpoint accepts a token of another kind.
#[tokio::test]
async fn access_and_refresh_tokens_are_not_interchangeable() {
    let server = TestServer::start().await;
    let tokens = server.sign_up("ada@example.test").await.tokens();

    let as_refresh = server.refresh(&tokens.access_token).await;
    let as_access = server.me(&tokens.refresh_token).await;
    let as_logout = server.log_out(&tokens.refresh_token).await;
    let session = TestServer::claims(&tokens.access_token)["sid"].clone();
    let as_id = server.post("/api/auth/refresh", &json!({ "refresh_token": session })).await;

    as_refresh.expect_error(401, "INVALID_REFRESH_TOKEN");
    as_id.expect_error(401, "INVALID_REFRESH_TOKEN");
    as_access.expect_error(401, "UNAUTHORIZED");
    as_logout.expect_error(401, "UNAUTHORIZED");
    server.refresh(&tokens.refresh_token).await.expect_status(200);
}
