//! Concurrent refreshes, logouts and sign-ups, at one or several instances.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::{join, join_all};
use sea_orm::{ConnectionTrait, TransactionTrait};

use crate::harness::{Answer, PASSWORD, TestServer, Tokens};

const CONCURRENT_REQUESTS: usize = 64;

/// Presents the same token many times concurrently, to `servers` in turn.
async fn refresh_concurrently(servers: &[&TestServer], tokens: &Tokens) -> Vec<Answer> {
    let turns = servers.iter().cycle().take(CONCURRENT_REQUESTS);
    join_all(turns.map(|server| server.refresh(&tokens.refresh_token))).await
}

async fn generations(server: &TestServer) -> Vec<i64> {
    server.database.column("SELECT generation FROM session ORDER BY id").await
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    statuses
}

async fn assert_one_successor(servers: &[&TestServer]) {
    let server = servers[0];
    let first = server.sign_up("ada@example.test").await.tokens();

    let answers = refresh_concurrently(servers, &first).await;

    assert_eq!(statuses(&answers), [200; CONCURRENT_REQUESTS]);
    let tokens: Vec<_> = answers.iter().map(Answer::tokens).collect();
    let successors: BTreeSet<_> = tokens.iter().map(|it| &it.refresh_token).collect();
    let access_tokens: BTreeSet<_> = tokens.iter().map(|it| &it.access_token).collect();
    assert_eq!((successors.len(), access_tokens.len()), (1, CONCURRENT_REQUESTS));
    assert_eq!(generations(server).await, [1]);
    let advances = "auth_event WHERE type = 'token_refreshed' AND reason IS NULL";
    assert_eq!(server.database.count(advances).await, 1);
    for server in servers {
        server.me(&tokens[0].access_token).await.expect_status(200);
    }
    server.refresh(successors.first().unwrap()).await.expect_status(200);
}

/// AT-01: all responses contain the same refresh token.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_refreshes_create_one_successor() {
    let server = TestServer::start().await;

    assert_one_successor(&[&server]).await;
}

/// AT-01
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_refreshes_at_two_instances_create_one_successor() {
    let server = TestServer::start().await;
    let other = server.another_instance().await;

    assert_one_successor(&[&server, &other]).await;
}

/// AT-01
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_refreshes_at_four_instances_create_one_successor() {
    let one = TestServer::start().await;
    let (two, three, four) =
        (one.another_instance().await, one.another_instance().await, one.another_instance().await);

    assert_one_successor(&[&one, &two, &three, &four]).await;
}

/// AT-01, RF-04: without a retry window one refresh succeeds. All later refreshes with the same
/// token count as reuse.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_refreshes_without_a_retry_window_are_reuse() {
    let server = TestServer::with(|config| config.tokens.refresh_retry_seconds = 0).await;
    let other = server.another_instance().await;
    let first = server.sign_up("ada@example.test").await.tokens();

    let answers = refresh_concurrently(&[&server, &other], &first).await;

    let mut expected = vec![200];
    expected.resize(CONCURRENT_REQUESTS, 401);
    assert_eq!(statuses(&answers), expected);
    let winner = answers.iter().find(|answer| answer.status == 200).unwrap().tokens();
    server.refresh(&winner.refresh_token).await.expect_status(401);
    other.me(&winner.access_token).await.expect_status(401);
    assert_eq!(generations(&server).await, [1]);
    assert_eq!(server.database.count("auth_event WHERE type = 'token_reuse'").await, 1);
}

/// AT-09: no refresh succeeds after the response to a logout.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_refresh_succeeds_after_the_logout_response() {
    let server = TestServer::start().await;
    let other = server.another_instance().await;
    let servers = [&server, &other];
    for round in 0..6 {
        let first = server.sign_up(&format!("ada{round}@example.test")).await.tokens();
        let chosen = &servers[..=round % 2];
        let newest = if round % 3 == 0 {
            first.clone()
        } else {
            server.refresh(&first.refresh_token).await.tokens()
        };

        let logout = async {
            tokio::time::sleep(Duration::from_millis(5 * u64::try_from(round).unwrap())).await;
            other.log_out(&first.access_token).await.expect_status(200);
            refresh_concurrently(chosen, &newest).await
        };
        let (raced, after) = join(refresh_concurrently(chosen, &first), logout).await;

        assert_eq!(statuses(&after), [401; CONCURRENT_REQUESTS]);
        let granted = raced.iter().filter(|answer| answer.status == 200).map(Answer::tokens);
        let successors: BTreeSet<_> = granted.map(|it| it.refresh_token).collect();
        for successor in successors {
            server.refresh(&successor).await.expect_status(401);
        }
        let events = events_of(&server, &first).await;
        assert_eq!(events.last().map(String::as_str), Some("logout"), "{events:?}");
        assert_eq!(events.iter().filter(|event| *event == "logout").count(), 1);
    }
}

/// AT-09: the retry starts first, but the logout finishes first.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn refresh_retry_overtaken_by_a_logout_fails() {
    let server = TestServer::start().await;
    if !server.database.is_postgres() {
        return; // SQLite runs one transaction at a time.
    }
    let first = server.sign_up("ada@example.test").await.tokens();
    server.refresh(&first.refresh_token).await.expect_status(200);
    let blocker = server.database.connect().await.begin().await.unwrap();
    blocker.execute_unprepared("LOCK TABLE account IN ACCESS EXCLUSIVE MODE").await.unwrap();

    let retry = server.refresh(&first.refresh_token);
    let logout = async {
        wait_for_blocked(&server, 1).await;
        let log_out = server.log_out(&first.access_token);
        let release = async {
            // Either the logout has finished, or it waits for the retry.
            let waited = wait_for_blocked(&server, 2);
            let _ = tokio::time::timeout(Duration::from_millis(500), waited).await;
            blocker.commit().await.unwrap();
        };
        join(log_out, release).await.0
    };
    let (_, logged_out) = join(retry, logout).await;

    logged_out.expect_status(200);
    let events = events_of(&server, &first).await;
    assert_eq!(events.last().map(String::as_str), Some("logout"), "{events:?}");
}

/// Concurrent sign-ups may share a commit, but each has its own result.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_sign_ups_all_succeed() {
    let server = TestServer::with(|config| config.passwords.hash_backlog_seconds = 60).await;
    let emails: Vec<_> = (0..64).map(|index| format!("ada{index}@example.test")).collect();

    let answers = join_all(emails.iter().map(|email| server.sign_up(email))).await;

    for (answer, email) in answers.iter().zip(&emails) {
        answer.expect_status(201);
        assert_eq!(answer.json()["email"], *email);
        server.me(&answer.tokens().access_token).await.expect_status(200);
    }
    for rows in ["account", "session", "auth_event WHERE type = 'signup'"] {
        assert_eq!(server.database.count(rows).await, 64);
    }
}

/// The events of a session, in the order of writing.
async fn events_of(server: &TestServer, tokens: &Tokens) -> Vec<String> {
    let claims = TestServer::claims(&tokens.access_token);
    let session = claims["sid"].as_str().unwrap();
    let session = if server.database.is_postgres() {
        format!("'{session}'")
    } else {
        format!("x'{}'", session.replace('-', ""))
    };
    let sql = format!("SELECT type FROM auth_event WHERE session_id = {session} ORDER BY id");
    server.database.column(&sql).await
}

/// Waits until at least `count` connections to the database wait for a lock.
async fn wait_for_blocked(server: &TestServer, count: i64) {
    let waiting = "pg_stat_activity WHERE wait_event_type = 'Lock' \
                   AND datname = current_database()";
    while server.database.count(waiting).await < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The database's default isolation level has no effect. At a stricter one, most of these requests
/// would get 503 for serialization failures.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn logins_and_refreshes_succeed_in_a_database_that_is_serializable_by_default() {
    let server = TestServer::with(|config| config.limits.account_attempts_per_minute = 1_000).await;
    if !server.database.is_postgres() {
        return;
    }
    let first = server.sign_up("ada@example.test").await.tokens();
    let sql = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation \
               = serializable', current_database()); END $$";
    server.database.execute(sql).await;
    let server = server.restart().await;

    let logins = join_all((0..40).map(|_| server.log_in("ada@example.test", PASSWORD)));
    let (answers, refreshed) = join(logins, async {
        let mut tokens = first;
        let mut refreshed = Vec::new();
        for _ in 0..40 {
            let answer = server.refresh(&tokens.refresh_token).await;
            refreshed.push(answer.status);
            tokens = answer.tokens();
        }
        refreshed
    })
    .await;

    assert_eq!(statuses(&answers), [200; 40]);
    assert_eq!(refreshed, [200; 40]);
}
