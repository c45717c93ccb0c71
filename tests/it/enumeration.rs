//! Who may not come in learns nothing about who may.

use crate::harness::{PASSWORD, TestServer};

const ADA: &str = "ada@example.test";

/// The whole answer to a request with a fixed id, at a standing clock: what is random is fixed, so
/// that two answers that say the same are the same bytes. Only the second hand of `date` is cut.
async fn answer(server: &TestServer, path: &str, body: &str) -> (u16, Vec<String>, String) {
    let client = server.fresh_client();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: id.example.test\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\
         x-forwarded-for: {client}\r\nx-request-id: 019a0000-0000-7000-8000-000000000001\r\n\
         \r\n{body}"
    );
    let mut raw = server.raw(request.as_bytes()).await;
    for line in &mut raw.header_lines {
        if line.to_ascii_lowercase().starts_with("date:") {
            line.truncate("date:".len());
        }
    }
    (raw.answer.status, raw.header_lines, String::from_utf8(raw.answer.body).unwrap())
}

async fn log_in(server: &TestServer, email: &str, password: &str) -> (u16, Vec<String>, String) {
    let body = serde_json::json!({ "email": email, "password": password }).to_string();
    answer(server, "/api/auth/login", &body).await
}

/// EN-01: status, header lines in their order, and body are the same bytes.
#[tokio::test]
async fn every_refused_login_gets_the_same_bytes() {
    let server = TestServer::start().await;
    for account in ["ada", "disabled", "passwordless", "damaged", "verified"] {
        server.sign_up(&format!("{account}@example.test")).await.expect_status(201);
    }
    let change = async |account: &str, change: &str| {
        let sql = format!("UPDATE account SET {change} WHERE email = '{account}@example.test'");
        server.database.execute(&sql).await;
    };
    change("disabled", "disabled_at = 1").await;
    change("passwordless", "password_hash = NULL").await;
    change("damaged", "password_hash = '$argon2id$v=19$m=19456'").await;
    change("verified", "email_verified_at = 1").await;

    let unknown = log_in(&server, "nobody@example.test", PASSWORD).await;

    assert_eq!(unknown.0, 401);
    assert!(unknown.2.contains("\"message\":\"Invalid credentials\""), "{}", unknown.2);
    for (case, email, password) in [
        ("wrong password", ADA, "wrong"),
        ("empty password", ADA, ""),
        ("disabled, right password", "disabled@example.test", PASSWORD),
        ("disabled, wrong password", "disabled@example.test", "wrong"),
        ("without a password", "passwordless@example.test", PASSWORD),
        ("unreadable hash", "damaged@example.test", PASSWORD),
        ("verified, wrong password", "verified@example.test", "wrong"),
        ("unknown, other domain", "somebody.else@bücher.example", PASSWORD),
    ] {
        assert_eq!(log_in(&server, email, password).await, unknown, "{case}");
    }
}

/// EN-07: nor does a refused refresh token say what was wrong with it.
#[tokio::test]
async fn every_refused_refresh_gets_the_same_bytes() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();
    let bob = server.sign_up("bob@example.test").await.tokens();
    server.log_out(&ada.access_token).await.expect_status(200);
    server
        .database
        .execute("UPDATE account SET disabled_at = 1 WHERE email = 'bob@example.test'")
        .await;
    let refresh = async |token: &str| {
        answer(&server, "/api/auth/refresh", &format!(r#"{{"refresh_token":"{token}"}}"#)).await
    };

    let forged = refresh("sgr_none").await;

    assert_eq!(forged.0, 401);
    assert_eq!(refresh(&ada.refresh_token).await, forged, "logged out");
    assert_eq!(refresh(&bob.refresh_token).await, forged, "disabled");
    assert_eq!(refresh(&ada.access_token[..200]).await, forged, "an access token");
    assert_eq!(refresh("").await, forged, "nothing");
}

/// EN-08: a new account's id tells neither how many there are nor who was before it.
#[tokio::test]
async fn ids_are_not_counted() {
    let server = TestServer::start().await;

    let ids = [server.sign_up(ADA).await, server.sign_up("bob@example.test").await]
        .map(|answer| answer.tokens().user_id);

    let distance = ids[0].as_u128().abs_diff(ids[1].as_u128());
    assert!(distance > u128::from(u32::MAX), "{ids:?}");
}
