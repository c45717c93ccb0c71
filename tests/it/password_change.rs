//! Password change while logged in.

use futures_util::future::{join_all, join3};
use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, TestServer, Tokens, eventually};

const ADA: &str = "ada@example.test";
const NEW_PASSWORD: &str = "Difference-Engine-1822";

async fn change(server: &TestServer, tokens: &Tokens, current: &str, new: &str) -> Answer {
    server.change_password(&tokens.access_token, current, new).await
}

/// PW-07: afterwards only the new password works. The requesting session continues with its refresh
/// token. All other sessions end.
#[tokio::test]
async fn password_change_ends_all_other_sessions() {
    let server = TestServer::start().await;
    let mine = server.sign_up(ADA).await.tokens();
    let other = server.log_in(ADA, PASSWORD).await.tokens();
    let bob = server.sign_up("bob@example.test").await.tokens();

    let answer = change(&server, &mine, PASSWORD, NEW_PASSWORD).await;

    answer.expect_status(204);
    assert!(answer.body.is_empty());
    server.me(&other.access_token).await.expect_error(401, "UNAUTHORIZED");
    server.refresh(&other.refresh_token).await.expect_error(401, "INVALID_REFRESH_TOKEN");
    server.log_in(ADA, PASSWORD).await.expect_error(401, "AUTH_FAILED");
    server.log_in(ADA, NEW_PASSWORD).await.expect_status(200);
    server.me(&mine.access_token).await.expect_status(200);
    let next = server.refresh(&mine.refresh_token).await.tokens();
    server.refresh(&next.refresh_token).await.expect_status(200);
    server.refresh(&bob.refresh_token).await.expect_status(200);
    // Rows are updated after the sessions have ended.
    let ended = "session WHERE end_reason = 'password_changed'";
    eventually("the row of the other session has the reason", async || {
        server.database.count(ended).await == 1
    })
    .await;
    let events = server.database.events().await;
    assert_eq!(events.iter().filter(|event| *event == "password_changed").count(), 1);
}

/// RS-01: a password change voids reset tokens.
#[tokio::test]
async fn password_change_voids_reset_tokens() {
    let server = TestServer::start().await;
    let mine = server.sign_up(ADA).await.tokens();
    let token = server.reset_token(ADA).await;

    change(&server, &mine, PASSWORD, NEW_PASSWORD).await.expect_status(204);

    let body = json!({ "token": token, "new_password": "Jacquard-Loom-1804" });
    let reset = server.post("/api/auth/password/reset", &body).await;
    reset.expect_error(400, "INVALID_RESET_TOKEN");
}

/// PW-07: a wrong current password changes nothing and is recorded.
#[tokio::test]
async fn wrong_current_password_changes_nothing() {
    let server = TestServer::start().await;
    let mine = server.sign_up(ADA).await.tokens();
    let other = server.log_in(ADA, PASSWORD).await.tokens();

    for wrong in ["", "wrong", "analytical-engine-1843", NEW_PASSWORD] {
        let refused = change(&server, &mine, wrong, NEW_PASSWORD).await;
        refused.expect_error(401, "AUTH_FAILED");
    }

    server.refresh(&other.refresh_token).await.expect_status(200);
    server.log_in(ADA, PASSWORD).await.expect_status(200);
    let recorded = "auth_event WHERE type = 'login_failed' AND session_id IS NOT NULL \
                    AND reason = 'wrong_password_for_password_change'";
    assert_eq!(server.database.count(recorded).await, 4);
}

/// PW-05: the policy is the same as at sign-up. A violation does not count as an attempt.
#[tokio::test]
async fn weak_new_password_is_rejected_and_not_counted() {
    let server = TestServer::start().await;
    let mine = server.sign_up("ada.lovelace@example.test").await.tokens();

    for weak in ["short", "nodigitsatall", "Password1", "Ada.Lovelace1"] {
        for _ in 0..3 {
            let refused = change(&server, &mine, "wrong", weak).await;
            let error = refused.expect_error(400, "VALIDATION_ERROR");
            assert_eq!(error["error"]["fields"][0]["name"], "new_password", "{weak}");
        }
    }

    change(&server, &mine, PASSWORD, NEW_PASSWORD).await.expect_status(204);
}

/// PW-02, PW-03
#[tokio::test]
async fn overlong_passwords_are_rejected_before_hashing() {
    let server = TestServer::start().await;
    let mine = server.sign_up(ADA).await.tokens();
    let long = format!("Aa3{}", "x".repeat(1_022));

    for (current, new, member) in
        [(&*long, NEW_PASSWORD, "current_password"), (PASSWORD, &*long, "new_password")]
    {
        let refused = change(&server, &mine, current, new).await;
        let error: Value = refused.expect_error(400, "VALIDATION_ERROR");
        assert_eq!(error["error"]["fields"][0]["name"], member);
    }
}

/// RL-06: all checks of an account's password share one limit.
#[tokio::test]
async fn password_change_and_login_share_the_account_limit() {
    let server = TestServer::start().await;
    let mine = server.sign_up(ADA).await.tokens();
    for _ in 0..5 {
        change(&server, &mine, "wrong", NEW_PASSWORD).await.expect_error(401, "AUTH_FAILED");
        server.log_in(ADA, "wrong").await.expect_error(401, "AUTH_FAILED");
    }

    let changed = change(&server, &mine, PASSWORD, NEW_PASSWORD).await;
    let deleted = server.delete_me(&mine.access_token, PASSWORD).await;
    let logged_in = server.log_in(ADA, PASSWORD).await;
    server.advance_seconds(60);
    let later = change(&server, &mine, PASSWORD, NEW_PASSWORD).await;

    for refused in [changed, deleted, logged_in] {
        refused.expect_error(429, "RATE_LIMIT_EXCEEDED");
        assert_eq!(refused.header("ratelimit-policy"), "\"account\";q=10;w=60");
    }
    later.expect_status(204);
}

/// RL-01: five attempts per minute and address, across all checks of the password.
#[tokio::test]
async fn reauthentications_are_limited_to_five_per_minute_and_address() {
    let server = TestServer::start().await;
    let mine = server.sign_up(ADA).await.tokens();
    let body = json!({ "current_password": "wrong", "new_password": NEW_PASSWORD });
    let attempt = async || {
        let request = server.request(reqwest::Method::POST, "/api/auth/password");
        let request = request.header("x-forwarded-for", "203.0.113.9").json(&body);
        Answer::of(request.bearer_auth(&mine.access_token)).await
    };

    for _ in 0..5 {
        attempt().await.expect_error(401, "AUTH_FAILED");
    }
    let refused = attempt().await;

    refused.expect_error(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(refused.header("ratelimit-policy"), "\"address\";q=5;w=60");
}

/// RL-07: a correct password counts as an attempt, too, and does not reset the limit.
#[tokio::test]
async fn password_change_counts_against_the_account_limit() {
    let server = TestServer::start().await;
    let mine = server.sign_up(ADA).await.tokens();
    for _ in 0..9 {
        server.log_in(ADA, "wrong").await.expect_status(401);
    }

    change(&server, &mine, PASSWORD, NEW_PASSWORD).await.expect_status(204);

    server.log_in(ADA, NEW_PASSWORD).await.expect_error(429, "RATE_LIMIT_EXCEEDED");
}

/// SS-12: an ended session cannot change the password, even with the correct one.
#[tokio::test]
async fn ended_session_cannot_change_the_password() {
    let server = TestServer::start().await;
    let mine = server.sign_up(ADA).await.tokens();
    server.log_out(&mine.access_token).await.expect_status(200);

    let refused = change(&server, &mine, PASSWORD, NEW_PASSWORD).await;

    refused.expect_error(401, "UNAUTHORIZED");
    server.log_in(ADA, PASSWORD).await.expect_status(200);
}

/// PW-01: a password change accepts an old hash and replaces it.
#[tokio::test]
async fn imported_password_can_be_changed() {
    let server = TestServer::start().await;
    let mine = server.sign_up(ADA).await.tokens();
    let old = "$2b$05$abcdefghijklmnopqrstuuCrFm/7NsPCOWJ7h5LJAU.gwZDtudXHi";
    server.database.execute(&format!("UPDATE account SET password_hash = '{old}'")).await;

    change(&server, &mine, "Correct-Horse7-Battery", NEW_PASSWORD).await.expect_status(204);

    server.log_in(ADA, NEW_PASSWORD).await.expect_status(200);
    let hashes: Vec<String> = server.database.column("SELECT password_hash FROM account").await;
    assert!(hashes[0].starts_with("$argon2id$"), "{hashes:?}");
}

/// AT-10: after the response, every session opened with the old password has ended, on two
/// instances and in any order of the requests. Only the requesting session remains.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn logins_and_refreshes_on_the_old_password_do_not_outlive_its_change() {
    let server = TestServer::with(|config| {
        config.limits.account_attempts_per_minute = 1_000;
        config.passwords.hash_backlog_seconds = 60;
    })
    .await;
    let beside = server.another_instance().await;
    let first = server.sign_up(ADA).await.tokens();
    let existing = [server.log_in(ADA, PASSWORD).await, server.log_in(ADA, PASSWORD).await];
    let existing = existing.map(|answer| answer.tokens());
    // The delay is long enough for the change to run between two statements of a login.
    server.database.delay_after_inserts_into("session").await;

    let instance = |n: u32| if n.is_multiple_of(2) { &server } else { &beside };
    let log_ins = (0..16).map(|n| instance(n).log_in(ADA, PASSWORD));
    let refreshes =
        (0..48).map(|n| instance(n / 2).refresh(&existing[n as usize % 2].refresh_token));
    let changing = change(&beside, &first, PASSWORD, NEW_PASSWORD);
    let (log_ins, refreshes, changed) =
        join3(join_all(log_ins), join_all(refreshes), changing).await;

    changed.expect_status(204);
    let opened = log_ins.iter().chain(&refreshes).filter(|answer| answer.status == 200);
    for tokens in opened.map(Answer::tokens) {
        server.me(&tokens.access_token).await.expect_error(401, "UNAUTHORIZED");
        let refused = beside.refresh(&tokens.refresh_token).await;
        refused.expect_error(401, "INVALID_REFRESH_TOKEN");
    }
    assert_eq!(server.database.count("session WHERE ended_at IS NULL").await, 1);
    beside.refresh(&first.refresh_token).await.expect_status(200);
}

/// Like AT-03: of many concurrent changes, one succeeds, and only its password works.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_password_changes_succeed_once() {
    let server = TestServer::with(|config| {
        config.limits.account_attempts_per_minute = 1_000;
        config.passwords.hash_backlog_seconds = 60;
    })
    .await;
    let beside = server.another_instance().await;
    let mine = server.sign_up(ADA).await.tokens();

    let passwords: Vec<_> = (0..24).map(|n| format!("Difference-Engine-{n}")).collect();
    let changes = passwords
        .iter()
        .enumerate()
        .map(|(n, new)| change(if n % 2 == 0 { &server } else { &beside }, &mine, PASSWORD, new));
    let answers = join_all(changes).await;

    let won: Vec<_> = answers.iter().zip(&passwords).filter(|(it, _)| it.status == 204).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    for refused in answers.iter().filter(|answer| answer.status != 204) {
        refused.expect_error(401, "AUTH_FAILED");
    }
    for (password, answer) in passwords.iter().zip(&answers) {
        let status = if answer.status == 204 { 200 } else { 401 };
        server.log_in(ADA, password).await.expect_status(status);
    }
    assert_eq!(server.database.count("auth_event WHERE type = 'password_changed'").await, 1);
}

/// AT-09: a logout while the password is hashed makes the change fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn logout_during_a_password_change_makes_it_fail() {
    let server = TestServer::with(|config| {
        config.limits.account_attempts_per_minute = 1_000;
        // Hashing is slow enough for the logout to finish first.
        config.passwords.argon2_iterations = 16;
    })
    .await;
    let other = server.sign_up(ADA).await.tokens();
    for _ in 0..4 {
        let changing_session = server.log_in(ADA, PASSWORD).await.tokens();
        let logout = async {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            server.log_out(&changing_session.access_token).await.expect_status(200);
        };

        let changing = change(&server, &changing_session, PASSWORD, NEW_PASSWORD);
        let (changed, ()) = futures_util::future::join(changing, logout).await;

        changed.expect_error(401, "UNAUTHORIZED");
    }
    server.refresh(&other.refresh_token).await.expect_status(200);
    server.log_in(ADA, PASSWORD).await.expect_status(200);
}
