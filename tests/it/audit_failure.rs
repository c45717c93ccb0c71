//! Actions that cannot be recorded in the audit log fail.

use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Program, TestServer, Tokens};

const ADA: &str = "ada@example.test";
const CLIENT_ADDRESS: &str = "203.0.113.9";

/// Makes the audit log unavailable during `work`.
async fn without_audit_log<T>(server: &TestServer, work: impl Future<Output = T>) -> T {
    server.database.execute("ALTER TABLE auth_event RENAME TO away").await;
    let result = work.await;
    server.database.execute("ALTER TABLE away RENAME TO auth_event").await;
    result
}

/// AU-03, IJ-04: asserts a 503 with `Retry-After` that does not disclose the cause.
#[track_caller]
fn assert_unavailable(answer: &Answer) {
    let envelope = answer.expect_error(503, "SERVICE_UNAVAILABLE");
    assert_eq!(envelope["error"]["details"], Value::Null);
    assert_eq!(answer.header("retry-after"), "1");
    let body = envelope.to_string().to_lowercase();
    for leak in ["auth_event", "table", "relation", "sql", "insert"] {
        assert!(!body.contains(leak), "{body}");
    }
}

/// The rows that an action could have changed.
async fn state(server: &TestServer) -> (i64, Vec<i64>, Vec<Option<i64>>, Vec<Option<i64>>) {
    (
        server.database.count("account").await,
        server.database.column("SELECT generation FROM session ORDER BY id").await,
        server.database.column("SELECT ended_at FROM session ORDER BY id").await,
        server.database.column("SELECT last_login_at FROM account ORDER BY id").await,
    )
}

async fn server_with_account() -> (TestServer, Tokens) {
    let server = TestServer::start().await;
    let tokens = server.sign_up(ADA).await.tokens();
    server.advance_seconds(1);
    (server, tokens)
}

/// AU-03: no account is created, and the address stays available.
#[tokio::test]
async fn sign_up_fails_without_the_audit_log() {
    let (server, _) = server_with_account().await;
    let before = state(&server).await;

    let answer = without_audit_log(&server, server.sign_up("bob@example.test")).await;

    assert_unavailable(&answer);
    assert_eq!(state(&server).await, before);
    server.sign_up("bob@example.test").await.expect_status(201);
}

/// AU-03: no session is created, and the response does not disclose whether the password was
/// correct.
#[tokio::test]
async fn login_fails_without_the_audit_log() {
    let (server, _) = server_with_account().await;
    let before = state(&server).await;

    let (right, wrong, unknown) = without_audit_log(&server, async {
        let right = server.log_in(ADA, PASSWORD).await;
        let wrong = server.log_in(ADA, "wrong").await;
        (right, wrong, server.log_in("nobody@example.test", "wrong").await)
    })
    .await;

    for answer in [right, wrong, unknown] {
        assert_unavailable(&answer);
    }
    assert_eq!(state(&server).await, before);
    server.log_in(ADA, PASSWORD).await.expect_status(200);
}

/// AU-03: a login that cannot be recorded does not upgrade the hash.
#[tokio::test]
async fn hash_upgrade_is_skipped_without_the_audit_log() {
    let (server, _) = server_with_account().await;
    let old = "$2b$05$abcdefghijklmnopqrstuuCrFm/7NsPCOWJ7h5LJAU.gwZDtudXHi";
    server.database.execute(&format!("UPDATE account SET password_hash = '{old}'")).await;

    let answer = without_audit_log(&server, server.log_in(ADA, "Correct-Horse7-Battery")).await;

    assert_unavailable(&answer);
    let hashes: Vec<String> = server.database.column("SELECT password_hash FROM account").await;
    assert_eq!(hashes, [old]);
}

/// AU-03, RF-05: the refresh token stays valid.
#[tokio::test]
async fn refresh_fails_without_the_audit_log() {
    let (server, tokens) = server_with_account().await;
    let before = state(&server).await;

    let answers = without_audit_log(&server, async {
        [server.refresh(&tokens.refresh_token).await, server.refresh(&tokens.refresh_token).await]
    })
    .await;

    answers.iter().for_each(assert_unavailable);
    assert_eq!(state(&server).await, before);
    server.refresh(&tokens.refresh_token).await.expect_status(200);
}

/// AU-03: token reuse that cannot be recorded is detected at the next use.
#[tokio::test]
async fn reuse_ends_no_session_without_the_audit_log() {
    let (server, first) = server_with_account().await;
    let second = server.refresh(&first.refresh_token).await.tokens();
    server.refresh(&second.refresh_token).await.expect_status(200);
    let before = state(&server).await;

    let answer = without_audit_log(&server, server.refresh(&first.refresh_token)).await;

    assert_unavailable(&answer);
    assert_eq!(state(&server).await, before);
    server.refresh(&first.refresh_token).await.expect_error(401, "INVALID_REFRESH_TOKEN");
    server.me(&first.access_token).await.expect_error(401, "UNAUTHORIZED");
}

/// AU-03: a failed logout is reported and can be retried.
#[tokio::test]
async fn logout_fails_without_the_audit_log() {
    let (server, tokens) = server_with_account().await;
    let before = state(&server).await;

    let answer = without_audit_log(&server, server.log_out(&tokens.access_token)).await;

    assert_unavailable(&answer);
    assert_eq!(state(&server).await, before);
    server.me(&tokens.access_token).await.expect_status(200);
    server.log_out(&tokens.access_token).await.expect_status(200);
}

/// AU-03: password, sessions and reset token stay valid.
#[tokio::test]
async fn password_reset_fails_without_the_audit_log() {
    let (server, tokens) = server_with_account().await;
    let token = server.reset_token(ADA).await;
    let before = state(&server).await;
    let body = json!({ "token": token, "new_password": "Difference-Engine-1822" });

    let answer = without_audit_log(&server, server.post("/api/auth/password/reset", &body)).await;

    assert_unavailable(&answer);
    assert_eq!(state(&server).await, before);
    server.me(&tokens.access_token).await.expect_status(200);
    server.log_in(ADA, PASSWORD).await.expect_status(200);
    server.post("/api/auth/password/reset", &body).await.expect_status(204);
}

/// AU-03: the old password and all sessions stay valid.
#[tokio::test]
async fn password_change_fails_without_the_audit_log() {
    let (server, tokens) = server_with_account().await;
    let other = server.log_in(ADA, PASSWORD).await.tokens();
    let before = state(&server).await;
    let change =
        |current| server.change_password(&tokens.access_token, current, "Difference-Engine-1822");

    let (right, wrong) =
        without_audit_log(&server, async { (change(PASSWORD).await, change("wrong").await) }).await;

    assert_unavailable(&right);
    assert_unavailable(&wrong);
    assert_eq!(state(&server).await, before);
    server.me(&other.access_token).await.expect_status(200);
    server.log_in(ADA, PASSWORD).await.expect_status(200);
    change(PASSWORD).await.expect_status(204);
}

/// AU-03: a download that cannot be recorded does not begin.
#[tokio::test]
async fn data_download_fails_without_the_audit_log() {
    let (server, tokens) = server_with_account().await;

    let downloading = server.download_data(&tokens.access_token, PASSWORD);
    let answer = without_audit_log(&server, downloading).await;

    assert_unavailable(&answer);
    server.download_data(&tokens.access_token, PASSWORD).await.expect_status(200);
}

/// AU-03: if the deletion fails, the whole account is kept.
#[tokio::test]
async fn account_deletion_fails_without_the_audit_log() {
    let (server, tokens) = server_with_account().await;
    let before = state(&server).await;

    let deleting = server.delete_me(&tokens.access_token, PASSWORD);
    let answer = without_audit_log(&server, deleting).await;

    assert_unavailable(&answer);
    assert_eq!(state(&server).await, before);
    server.refresh(&tokens.refresh_token).await.expect_status(200);
    server.delete_me(&tokens.access_token, PASSWORD).await.expect_status(204);
}

/// AU-03
#[tokio::test]
async fn session_revocation_fails_without_the_audit_log() {
    let (server, tokens) = server_with_account().await;
    let other = server.log_in(ADA, PASSWORD).await.tokens();
    let before = state(&server).await;
    let id = TestServer::session_id(&other.access_token);

    let (one, others) = without_audit_log(&server, async {
        let one = server.end_session(&tokens.access_token, &id).await;
        (one, server.end_other_sessions(&tokens.access_token).await)
    })
    .await;

    assert_unavailable(&one);
    assert_unavailable(&others);
    assert_eq!(state(&server).await, before);
    server.me(&other.access_token).await.expect_status(200);
}

/// AU-03
#[tokio::test]
async fn profile_update_fails_without_the_audit_log() {
    let (server, tokens) = server_with_account().await;
    let before = server.me(&tokens.access_token).await.json();
    let patch = json!({ "name": "Ada Lovelace" });

    let patching = server.patch_me(&tokens.access_token, &patch);
    let answer = without_audit_log(&server, patching).await;

    assert_unavailable(&answer);
    assert_eq!(server.me(&tokens.access_token).await.json(), before);
    server.patch_me(&tokens.access_token, &patch).await.expect_status(200);
}

/// AU-03: a command fails if it cannot be recorded.
#[tokio::test]
async fn account_disable_fails_without_the_audit_log() {
    let (server, tokens) = server_with_account().await;
    let before = state(&server).await;

    let disabling = Program::new(&server.database);
    let output = without_audit_log(&server, disabling.run(&["account", "disable", ADA])).await;

    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(state(&server).await, before);
    server.me(&tokens.access_token).await.expect_status(200);
}

/// AU-03: a limit applies even if exceeding it cannot be recorded.
#[tokio::test]
async fn attempt_limits_apply_without_the_audit_log() {
    let (server, _) = server_with_account().await;
    for _ in 0..5 {
        server.log_in_from(CLIENT_ADDRESS, ADA, "wrong").await.expect_status(401);
    }

    let answer =
        without_audit_log(&server, server.log_in_from(CLIENT_ADDRESS, ADA, PASSWORD)).await;

    assert_unavailable(&answer);
    server
        .log_in_from(CLIENT_ADDRESS, ADA, PASSWORD)
        .await
        .expect_error(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(server.database.count("auth_event WHERE type = 'rate_limited'").await, 1);
}

/// AU-03: requests that write nothing succeed.
#[tokio::test]
async fn read_requests_succeed_without_the_audit_log() {
    let (server, tokens) = server_with_account().await;

    let (me, keys, live) = without_audit_log(&server, async {
        let me = server.me(&tokens.access_token).await;
        (me, server.get("/.well-known/jwks.json").await, server.get("/livez").await)
    })
    .await;

    for answer in [me, keys, live] {
        answer.expect_status(200);
    }
}
