//! A refresh that fails has no effect.

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, TransactionTrait};

use crate::harness::TestServer;

const BREAK_AUDIT: &str = "ALTER TABLE auth_event RENAME TO auth_event_taken_away";
const REPAIR_AUDIT: &str = "ALTER TABLE auth_event_taken_away RENAME TO auth_event";

async fn generations(server: &TestServer) -> Vec<i64> {
    server.database.column("SELECT generation FROM session ORDER BY id").await
}

/// RF-05, AU-03: without its audit event a refresh fails, and the token stays valid.
#[tokio::test]
async fn refresh_that_cannot_be_audited_changes_nothing() {
    let server = TestServer::start().await;
    let first = server.sign_up("ada@example.test").await.tokens();

    server.database.execute(BREAK_AUDIT).await;
    for _ in 0..3 {
        let failed = server.refresh(&first.refresh_token).await;
        failed.expect_error(503, "SERVICE_UNAVAILABLE");
        assert_eq!(failed.header("retry-after"), "1");
    }
    let while_broken = generations(&server).await;
    server.database.execute(REPAIR_AUDIT).await;
    // The retry window has passed, so the token is accepted only because it is still the newest.
    server.advance_seconds(3600);
    let repaired = server.refresh(&first.refresh_token).await;

    assert_eq!(while_broken, [0]);
    repaired.expect_status(200);
    assert_eq!(generations(&server).await, [1]);
    assert_eq!(server.database.events().await, ["signup", "token_refreshed"]);
}

/// RF-05: reuse ends a session only if the reuse is recorded.
#[tokio::test]
async fn reuse_that_cannot_be_audited_ends_no_session() {
    let server = TestServer::start().await;
    let first = server.sign_up("ada@example.test").await.tokens();
    let second = server.refresh(&first.refresh_token).await.tokens();
    let third = server.refresh(&second.refresh_token).await.tokens();

    server.database.execute(BREAK_AUDIT).await;
    let unrecorded = server.refresh(&first.refresh_token).await;
    server.database.execute(REPAIR_AUDIT).await;

    unrecorded.expect_error(503, "SERVICE_UNAVAILABLE");
    assert_eq!(server.database.count("session WHERE ended_at IS NULL").await, 1);
    server.refresh(&first.refresh_token).await.expect_status(401);
    server.refresh(&third.refresh_token).await.expect_status(401);
    assert_eq!(server.database.count("auth_event WHERE type = 'token_reuse'").await, 1);
}

/// RF-05: concurrent refreshes share a commit. A rejected refresh does not affect the others.
#[tokio::test]
async fn rejected_refresh_does_not_affect_others_in_its_commit() {
    let server = TestServer::start().await;
    let disabled = server.sign_up("eve@example.test").await.tokens();
    server.database.execute("UPDATE account SET disabled_at = 1").await;
    let mut good = Vec::new();
    for index in 0..8 {
        good.push(server.sign_up(&format!("ada{index}@example.test")).await.tokens());
    }

    let tokens = good.iter().flat_map(|it| [&it.refresh_token, &disabled.refresh_token]);
    let answers = join_all(tokens.map(|token| server.refresh(token))).await;

    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 401].repeat(8));
}

/// RF-05: a refresh that times out is not applied later.
#[tokio::test]
async fn refresh_that_times_out_changes_nothing() {
    let server = TestServer::start().await;
    let first = server.sign_up("ada@example.test").await.tokens();

    let blocker = server.database.connect().await;
    // On SQLite this blocks all writes, on PostgreSQL all changes of the table.
    let lock = if server.database.is_postgres() {
        "LOCK TABLE session IN EXCLUSIVE MODE"
    } else {
        "UPDATE session SET scope = scope"
    };
    let transaction = blocker.begin().await.unwrap();
    transaction.execute_unprepared(lock).await.unwrap();
    let timed_out = server.refresh(&first.refresh_token).await;
    transaction.rollback().await.unwrap();
    server.advance_seconds(3600);
    let afterwards = server.refresh(&first.refresh_token).await;

    timed_out.expect_error(503, "SERVICE_UNAVAILABLE");
    afterwards.expect_status(200);
    assert_eq!(generations(&server).await, [1]);
}

/// RF-06: rotations and ends of sessions are stored in the database.
#[tokio::test]
async fn restart_neither_revives_nor_ends_sessions() {
    let server = TestServer::start().await;
    let logged_out = server.sign_up("ada@example.test").await.tokens();
    server.log_out(&logged_out.access_token).await.expect_status(200);
    let stolen = server.sign_up("bob@example.test").await.tokens();
    let second = server.refresh(&stolen.refresh_token).await.tokens();
    let third = server.refresh(&second.refresh_token).await.tokens();
    server.refresh(&stolen.refresh_token).await.expect_status(401);
    let spent = server.sign_up("cy@example.test").await.tokens();
    let newest = server.refresh(&spent.refresh_token).await.tokens();
    let current = server.refresh(&newest.refresh_token).await.tokens();

    let server = server.restart().await;

    server.me(&current.access_token).await.expect_status(200);
    server.me(&logged_out.access_token).await.expect_status(401);
    for invalid in [&logged_out, &stolen, &second, &third] {
        server.refresh(&invalid.refresh_token).await.expect_error(401, "INVALID_REFRESH_TOKEN");
    }
    let valid = server.refresh(&current.refresh_token).await.tokens();
    let server = server.restart().await;
    server.refresh(&spent.refresh_token).await.expect_status(401);
    server.refresh(&valid.refresh_token).await.expect_status(401);
}
