//! Password reset by the owner of the email address.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::harness::{Answer, PASSWORD, TestServer};

const NEW_PASSWORD: &str = "Difference-Engine-1822";

async fn reset(server: &TestServer, token: &str, new_password: &str) -> Answer {
    let body = json!({ "token": token, "new_password": new_password });
    server.post("/api/auth/password/reset", &body).await
}

/// ID-03: an attacker who signed up with the address of another person loses access when the owner
/// of the address resets the password.
#[tokio::test]
async fn reset_locks_out_an_attacker_who_signed_up_with_the_address() {
    let server = TestServer::start().await;
    let attacker = server.sign_up("ada@example.test").await.tokens();
    let token = server.reset_token("ada@example.test").await;

    reset(&server, &token, NEW_PASSWORD).await.expect_status(204);

    server.log_in("ada@example.test", PASSWORD).await.expect_error(401, "AUTH_FAILED");
    server.me(&attacker.access_token).await.expect_error(401, "UNAUTHORIZED");
    server.refresh(&attacker.refresh_token).await.expect_error(401, "INVALID_REFRESH_TOKEN");
    let owner = server.log_in("ada@example.test", NEW_PASSWORD).await.expect_status(200).tokens();
    assert_eq!(server.me(&owner.access_token).await.json()["email_verified"], true);
    for event in ["password_reset_requested", "password_reset", "email_verified"] {
        assert_eq!(server.database.count(&format!("auth_event WHERE type = '{event}'")).await, 1);
    }
}

/// AT-03: of many concurrent uses of a token, exactly one succeeds and sets the password.
#[tokio::test]
async fn reset_token_works_once() {
    let server = TestServer::start().await;
    server.sign_up("ada@example.test").await.expect_status(201);
    let token = server.reset_token("ada@example.test").await;

    let passwords: Vec<_> = (0..64).map(|n| format!("Difference-Engine-{n}")).collect();
    let resets = passwords.iter().map(|password| reset(&server, &token, password));
    let answers = futures_util::future::join_all(resets).await;

    let won: Vec<_> = answers.iter().zip(&passwords).filter(|(it, _)| it.status == 204).collect();
    assert_eq!(won.len(), 1);
    for (answer, _) in answers.iter().zip(&passwords).filter(|(it, _)| it.status != 204) {
        answer.expect_error(400, "INVALID_RESET_TOKEN");
    }
    server.log_in("ada@example.test", won[0].1).await.expect_status(200);
    reset(&server, &token, NEW_PASSWORD).await.expect_error(400, "INVALID_RESET_TOKEN");
    assert_eq!(server.database.count("auth_event WHERE type = 'password_reset'").await, 1);
}

/// RS-01: requesting a new token voids the previous one, which may have leaked.
#[tokio::test]
async fn newer_reset_token_voids_the_older_one() {
    let server = TestServer::start().await;
    for email in ["ada@example.test", "bob@example.test"] {
        server.sign_up(email).await.expect_status(201);
    }
    let older = server.reset_token("ada@example.test").await;
    let bobs = server.reset_token("bob@example.test").await;
    let newer = server.reset_token("ada@example.test").await;

    reset(&server, &older, NEW_PASSWORD).await.expect_error(400, "INVALID_RESET_TOKEN");
    server.log_in("ada@example.test", PASSWORD).await.expect_status(200);
    reset(&server, &newer, NEW_PASSWORD).await.expect_status(204);

    server.log_in("ada@example.test", NEW_PASSWORD).await.expect_status(200);
    reset(&server, &bobs, NEW_PASSWORD).await.expect_status(204);
    let again = server.reset_token("ada@example.test").await;
    reset(&server, &newer, PASSWORD).await.expect_error(400, "INVALID_RESET_TOKEN");
    reset(&server, &again, PASSWORD).await.expect_status(204);
}

/// TM-05: a token expires half an hour after its creation, exactly. The command that creates it
/// uses the real clock, and the server uses the clock of the test.
#[tokio::test]
async fn reset_token_expires_after_half_an_hour() {
    let server = TestServer::start().await;
    let mut expires = Vec::new();
    for email in ["ada@example.test", "bob@example.test"] {
        server.sign_up(email).await.expect_status(201);
        let created = real_time();
        let token = server.reset_token(email).await;
        let sql = format!("SELECT reset_expires_at FROM account WHERE email = '{email}'");
        let at: i64 = server.database.column(&sql).await[0];
        assert!((created + HALF_AN_HOUR..=real_time() + HALF_AN_HOUR).contains(&at), "{at}");
        expires.push((token, at));
    }
    let advance_to = |at: i64| {
        let micros = u64::try_from(at - server.clock.now().as_micros()).unwrap();
        server.clock.advance(Duration::from_micros(micros));
    };

    let (adas, bobs) = (&expires[0], &expires[1]);
    advance_to(adas.1);
    reset(&server, &adas.0, NEW_PASSWORD).await.expect_error(400, "INVALID_RESET_TOKEN");
    server.log_in("ada@example.test", PASSWORD).await.expect_status(200);
    advance_to(bobs.1 - 1);
    reset(&server, &bobs.0, NEW_PASSWORD).await.expect_status(204);
}

const HALF_AN_HOUR: i64 = 30 * 60 * 1_000_000;

/// Microseconds since 1970.
fn real_time() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the command uses the real clock")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_micros()).unwrap()
}

/// AT-10: after the response, every session opened with the old password has ended, on two
/// instances and in any order of the requests.
#[tokio::test]
async fn logins_with_the_old_password_do_not_outlive_a_reset() {
    let server = TestServer::with(|config| {
        config.limits.account_attempts_per_minute = 1_000;
        config.passwords.hash_backlog_seconds = 60;
    })
    .await;
    let beside = server.another_instance().await;
    let first = server.sign_up("ada@example.test").await.tokens();
    let token = server.reset_token("ada@example.test").await;

    let log_ins = (0..48).map(async |n| {
        let instance = if n % 2 == 0 { &server } else { &beside };
        instance.log_in_from(&format!("198.51.100.{n}"), "ada@example.test", PASSWORD).await
    });
    let resetting = async {
        let answer = reset(&beside, &token, NEW_PASSWORD).await;
        answer.expect_status(204);
    };
    let refreshing = server.refresh(&first.refresh_token);
    let (answers, (), refreshed) =
        futures_util::future::join3(futures_util::future::join_all(log_ins), resetting, refreshing)
            .await;

    let opened = answers.iter().chain([&refreshed]).filter(|answer| answer.status == 200);
    for tokens in opened.map(Answer::tokens) {
        server.me(&tokens.access_token).await.expect_error(401, "UNAUTHORIZED");
        let refused = beside.refresh(&tokens.refresh_token).await;
        refused.expect_error(401, "INVALID_REFRESH_TOKEN");
    }
    let live = "session WHERE ended_at IS NULL";
    assert_eq!(server.database.count(live).await, 0);
}

/// RL-07: after a reset, the failed logins of an attacker do not lock out the owner.
#[tokio::test]
async fn reset_clears_the_account_limit() {
    let server = TestServer::start().await;
    server.sign_up("ada@example.test").await.expect_status(201);
    let token = server.reset_token("ada@example.test").await;
    for _ in 0..10 {
        server.log_in("ada@example.test", "Guess-0000").await.expect_status(401);
    }
    server.log_in("ada@example.test", PASSWORD).await.expect_status(429);

    reset(&server, &token, NEW_PASSWORD).await.expect_status(204);

    server.log_in("ada@example.test", NEW_PASSWORD).await.expect_status(200);
}

#[tokio::test]
async fn weak_new_password_does_not_use_up_the_reset_token() {
    let server = TestServer::start().await;
    server.sign_up("ada.lovelace@example.test").await.expect_status(201);
    let token = server.reset_token("ada.lovelace@example.test").await;

    let weak = reset(&server, &token, "Ada.Lovelace1").await;

    let error = weak.expect_error(400, "VALIDATION_ERROR");
    assert_eq!(error["error"]["fields"][0]["name"], "new_password");
    reset(&server, &token, NEW_PASSWORD).await.expect_status(204);
}

/// Like RF-12: altered tokens and tokens of another kind are rejected.
#[tokio::test]
async fn altered_reset_token_is_rejected() {
    let server = TestServer::start().await;
    let tokens = server.sign_up("ada@example.test").await.tokens();
    let token = server.reset_token("ada@example.test").await;

    for index in (0..token.len()).step_by(7) {
        let mut altered = token.clone();
        let other = if &token[index..=index] == "A" { "B" } else { "A" };
        altered.replace_range(index..=index, other);
        reset(&server, &altered, NEW_PASSWORD).await.expect_error(400, "INVALID_RESET_TOKEN");
    }
    for other in ["", "sgp_", &tokens.refresh_token, &tokens.access_token[..200]] {
        reset(&server, other, NEW_PASSWORD).await.expect_error(400, "INVALID_RESET_TOKEN");
    }
}
