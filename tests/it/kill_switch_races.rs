//! W3: on two instances, refreshes and code exchanges are in progress while all sessions of their
//! account end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};

use crate::harness::{Answer, PASSWORD, Program, TestServer, Tokens};

const ADA: &str = "ada@example.test";
const NEW_PASSWORD: &str = "Difference-Engine-1822";

impl TestServer {
    /// On PostgreSQL: delays inserts of events of this type, within their transaction.
    async fn delay_events(&self, kind: &str, seconds: f64) {
        if self.database.is_postgres() {
            let sql = format!(
                "CREATE OR REPLACE FUNCTION delay_{kind}() RETURNS trigger LANGUAGE plpgsql \
                 AS 'BEGIN PERFORM pg_sleep({seconds}); RETURN NEW; END'; \
                 CREATE TRIGGER delay_{kind} BEFORE INSERT ON auth_event FOR EACH ROW \
                 WHEN (NEW.type = '{kind}') EXECUTE FUNCTION delay_{kind}()"
            );
            self.database.execute(&sql).await;
        }
    }
}

async fn two_instances() -> (TestServer, TestServer) {
    let one = TestServer::with(|config| config.limits.account_attempts_per_minute = 1_000).await;
    let other = one.another_instance().await;
    (one, other)
}

/// The tokens of `number` sessions of one account: a sign-up and further logins.
async fn logins(server: &TestServer, number: usize) -> Vec<Tokens> {
    let mut logins = vec![server.sign_up(ADA).await.tokens()];
    while logins.len() < number {
        logins.push(server.log_in(ADA, PASSWORD).await.tokens());
    }
    logins
}

/// A refresh that started before the kill switch does not commit after the response of the kill
/// switch.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kill_switch_waits_for_refreshes_in_flight() {
    let (one, other) = two_instances().await;
    let tokens = logins(&one, 2).await;
    one.delay_events("token_refreshed", 0.4).await;

    let refresh = async { (one.refresh(&tokens[1].refresh_token).await, Instant::now()) };
    let switch = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let own = &tokens[0].access_token;
        (other.change_password(own, PASSWORD, NEW_PASSWORD).await, Instant::now())
    };
    let ((refreshed, at), (switched, switched_at)) = join(refresh, switch).await;

    switched.expect_status(204);
    if refreshed.status == 200 {
        assert!(at < switched_at, "{:?} after the switch", at.duration_since(switched_at));
        let events = one.database.events().await;
        let at = |kind| events.iter().position(|it| it == kind).unwrap();
        assert!(at("token_refreshed") < at("password_changed"), "{events:?}");
        let successor = refreshed.tokens().refresh_token;
        one.refresh(&successor).await.expect_error(401, "INVALID_REFRESH_TOKEN");
    }
}

/// A refresh or a retry that starts during a kill switch waits for it and is rejected.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn refresh_waits_for_a_kill_switch_in_flight() {
    let (one, other) = two_instances().await;
    let tokens = logins(&one, 3).await;
    one.refresh(&tokens[2].refresh_token).await.expect_status(200);
    one.delay_events("password_changed", 0.4).await;

    let switch = async {
        let own = &tokens[0].access_token;
        other.change_password(own, PASSWORD, NEW_PASSWORD).await
    };
    let refreshes = async {
        if one.database.is_postgres() {
            one.database.wait_for_connections(1, "wait_event = 'PgSleep'").await;
        } else {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        join(one.refresh(&tokens[1].refresh_token), one.refresh(&tokens[2].refresh_token)).await
    };
    let (switched, (first, again)) = join(switch, refreshes).await;

    switched.expect_status(204);
    first.expect_error(401, "INVALID_REFRESH_TOKEN");
    again.expect_error(401, "INVALID_REFRESH_TOKEN");
    one.refresh(&tokens[0].refresh_token).await.expect_status(200);
}

/// 64 sessions refresh continuously at two instances, so that a refresh is always in progress. The
/// kill switch still completes, and afterwards no token is valid.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kill_switch_is_not_starved_by_refreshes() {
    let (one, other) = two_instances().await;
    let tokens = logins(&one, 65).await;
    let is_over = AtomicBool::new(false);
    one.delay_events("token_refreshed", 0.03).await;
    let servers = [&one, &other];

    let refreshing = tokens[1..].iter().zip(servers.iter().cycle()).map(async |(first, server)| {
        let mut newest = first.clone();
        while !is_over.load(Ordering::SeqCst) {
            let answer = server.refresh(&newest.refresh_token).await;
            match answer.status {
                200 => newest = answer.tokens(),
                503 => tokio::time::sleep(Duration::from_millis(5)).await,
                _ => break,
            }
        }
        newest
    });
    let switch = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let own = &tokens[0].access_token;
        let switched = change_password_with_retries(&other, own).await;
        let after = async |tokens: &Tokens| one.refresh(&tokens.refresh_token).await;
        let after = join_all(tokens[1..].iter().map(after)).await;
        is_over.store(true, Ordering::SeqCst);
        (switched, after)
    };
    let (newest, (switched, after)) = join(join_all(refreshing), switch).await;

    switched.expect_status(204);
    assert!(after.iter().all(|answer| [401, 503].contains(&answer.status)), "{after:?}");
    for tokens in &newest {
        other.me(&tokens.access_token).await.expect_error(401, "UNAUTHORIZED");
        let refused = other.refresh(&tokens.refresh_token).await;
        refused.expect_error(401, "INVALID_REFRESH_TOKEN");
    }
    one.me(&tokens[0].access_token).await.expect_status(200);
}

/// On a busy machine, the connection pool may be exhausted briefly.
async fn change_password_with_retries(server: &TestServer, access_token: &str) -> Answer {
    let mut answer = server.change_password(access_token, PASSWORD, NEW_PASSWORD).await;
    for _ in 0..3 {
        if answer.status != 503 {
            break;
        }
        answer = server.change_password(access_token, PASSWORD, NEW_PASSWORD).await;
    }
    answer
}

/// Logs in repeatedly, for the last time after `is_over` was set. Returns the status of that login.
async fn log_in_until(server: &TestServer, is_over: &AtomicBool) -> u16 {
    loop {
        let is_last = is_over.load(Ordering::Acquire);
        let status = server.log_in(ADA, PASSWORD).await.status;
        if is_last {
            return status;
        }
    }
}

/// A login whose password is checked while an operator changes the email address begins no session.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn login_with_the_previous_address_begins_no_session_after_its_change() {
    let server = TestServer::with(|config| config.limits.account_attempts_per_minute = 1_000).await;
    server.sign_up(ADA).await.expect_status(201);
    let program = Program::new(&server.database);

    let is_changed = AtomicBool::new(false);
    let logins = (0..32).map(|_| log_in_until(&server, &is_changed));
    let change = async {
        let output = program.run(&["account", "set-email", ADA, "new@example.test"]).await;
        is_changed.store(true, Ordering::Release);
        output
    };
    let (statuses, change) = join(join_all(logins), change).await;

    assert!(change.status.success(), "{change:?}");
    assert_eq!(statuses, [401; 32]);
    assert_eq!(server.database.count("session WHERE ended_at IS NULL").await, 0);
}
