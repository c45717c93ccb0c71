//! Deletion of expired data, also with a wrong clock.

use std::time::Duration;

use crate::harness::{PASSWORD, Program, TestServer, eventually};
use signet::timestamp::Timestamp;

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

impl TestServer {
    /// Sets the wall clock ahead without advancing the uptime.
    fn advance_wall_clock(&self, seconds: u64) {
        self.clock.set(self.clock.now().plus(Duration::from_secs(seconds)));
    }

    /// Restarts the server, and waits until its first purge has finished.
    async fn restart_and_purge(self) -> Self {
        let digest = if self.database.is_postgres() { "sha256('x')" } else { "randomblob(32)" };
        let server = self.restart().await;
        let canary = format!("INSERT INTO used_assertion VALUES ({digest}, 1)");
        server.database.execute(&canary).await;
        let server = server.restart().await;
        eventually("expired rows are deleted", async || {
            server.database.count("used_assertion").await == 0
        })
        .await;
        // The purge then continues with other tables.
        tokio::time::sleep(Duration::from_secs(1)).await;
        server
    }

    async fn retention(&self) -> Timestamp {
        let at = self.database.column("SELECT retention_at FROM database_state").await;
        Timestamp::from_micros(at[0])
    }
}

/// W10: if the clock is ahead for three seconds, even during a start, all logouts and keys remain,
/// and no rotation is scheduled.
#[tokio::test]
async fn clock_briefly_ahead_deletes_nothing() {
    for ahead in [40 * DAY, 10 * 365 * DAY] {
        let server = TestServer::with(|config| config.keys.key_reload_seconds = 1).await;
        let [ada, bob] = [
            server.sign_up("ada@example.test").await.tokens(),
            server.sign_up("bob@example.test").await.tokens(),
        ];
        server.log_out(&ada.access_token).await.expect_status(200);
        server.wait_until_listed_as_ended(&ada.access_token).await;
        let (now, keys) = (server.clock.now(), server.jwks().await);
        let windows = server.database.count("attempt").await;

        server.advance_wall_clock(ahead);
        let server = Box::pin(server.restart_and_purge()).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        server.clock.set(now.plus(Duration::from_secs(3)));
        let server = server.restart().await;

        server.wait_until_listed_as_ended(&ada.access_token).await;
        assert!(server.lists_as_ended(&ada.access_token).await);
        assert!(!server.lists_as_ended(&bob.access_token).await);
        server.me(&bob.access_token).await.expect_status(200);
        server.refresh(&bob.refresh_token).await.expect_status(200);
        assert_eq!(server.jwks().await, keys, "the key set is unchanged");
        assert_eq!(server.database.count("session").await, 2);
        assert!(server.database.count("attempt").await >= windows);
    }
}

/// W10: an instance whose clock was ahead took the lease.
#[tokio::test]
async fn lease_from_the_future_does_not_block() {
    let server = TestServer::with(|config| {
        config.keys.key_reload_seconds = 1;
        config.keys.jwks_max_age_seconds = 60;
    })
    .await;
    let far = server.clock.now().plus(Duration::from_secs(10 * 365 * DAY)).as_micros();
    let holder = if server.database.is_postgres() { "gen_random_uuid()" } else { "randomblob(16)" };
    let take = format!("UPDATE lease SET holder = {holder}, expires_at = {far}");
    server.database.execute(&take).await;
    let program = Program::new(&server.database)
        .with("SIGNET_KEY_RELOAD_SECONDS", "1")
        .with("SIGNET_JWKS_MAX_AGE_SECONDS", "60");
    assert!(program.run(&["keys", "rotate"]).await.status.success());

    server.advance_seconds(HOUR);

    eventually("the new key signs", async || {
        server.database.count("signing_key WHERE state = 'retiring'").await == 1
    })
    .await;
}

/// W10: the retention time advances with the uptime. For the pause between two runs of the server,
/// it advances by at most one day, and only if the earlier run lasted for an hour.
#[tokio::test]
async fn retention_time_counts_uptime_and_a_day_per_pause() {
    let server = TestServer::start().await;
    let begin = server.clock.now();
    let after = |seconds| begin.plus(Duration::from_secs(seconds));

    server.advance_seconds(HOUR - 1);
    let server = server.restart().await;
    assert_eq!(server.retention().await, after(HOUR - 1));
    server.advance_wall_clock(40 * DAY);
    let server = server.restart().await;
    assert_eq!(server.retention().await, after(HOUR - 1), "the uptime was less than an hour");

    server.advance_seconds(1);
    let server = server.restart().await;
    assert_eq!(server.retention().await, after(HOUR + DAY));
    let server = server.restart().await;
    assert_eq!(
        server.retention().await,
        after(HOUR + DAY),
        "the uptime since the last restart was less than an hour"
    );

    // After the clock was set back, the retention time advances only once the clock has passed it.
    server.clock.set(after(HOUR));
    server.advance_seconds(2 * HOUR);
    let server = server.restart().await;
    assert_eq!(server.retention().await, after(HOUR + DAY));
    server.advance_seconds(2 * DAY);
    let server = server.restart().await;
    assert_eq!(server.retention().await, server.clock.now());
}

/// W10: the uptimes of two instances are not added up.
#[tokio::test]
async fn instances_share_one_retention_time() {
    let mut one = TestServer::start().await;
    let begin = one.clock.now();
    let mut other = one.another_instance().await;
    one.advance_wall_clock(40 * DAY);
    one.advance_seconds(100);

    one.stop_cleanly().await;
    other.stop_cleanly().await;

    assert_eq!(one.retention().await, begin.plus(Duration::from_secs(100)));
}

/// W14: the data of an ended session is deleted after the configured time. Its credentials stay
/// invalid.
#[tokio::test]
async fn ended_sessions_are_deleted_after_their_retention() {
    for days in [30, 1] {
        Box::pin(sessions_are_deleted_after(days)).await;
    }
}

async fn sessions_are_deleted_after(days: u64) {
    let server = TestServer::with(|config| config.tokens.ended_session_days = days).await;
    let sign_up = async |name: &str| server.sign_up(&format!("{name}@example.test")).await.tokens();
    let logged_out = [sign_up("long").await, sign_up("short").await];
    for tokens in &logged_out {
        server.log_out(&tokens.access_token).await.expect_status(200);
        server.wait_until_listed_as_ended(&tokens.access_token).await;
    }
    for name in ["expired", "lately", "live"] {
        sign_up(name).await;
    }
    let ago = |hours: u64| server.clock.now().minus(Duration::from_secs(hours * HOUR)).as_micros();
    let (too_old, recent) = (ago(days * 24 + 1), ago(days * 24 - 1));
    for (column, at, name) in [
        ("ended_at", too_old, "long"),
        ("ended_at", recent, "short"),
        ("absolute_expires_at", too_old, "expired"),
        ("absolute_expires_at", recent, "lately"),
        // The login has been idle too long, but its client sessions may still be active.
        ("idle_expires_at", too_old, "live"),
    ] {
        let sql = format!(
            "UPDATE session SET {column} = {at} WHERE account_id = \
             (SELECT id FROM account WHERE email = '{name}@example.test')"
        );
        server.database.execute(&sql).await;
    }

    let server = server.restart().await;
    let is_done = async || server.database.count("session").await == 3;
    eventually("ended sessions are deleted", is_done).await;
    let remaining =
        "SELECT email FROM account WHERE id IN (SELECT account_id FROM session) ORDER BY 1";
    let remaining: Vec<String> = server.database.column(remaining).await;

    assert_eq!(remaining, ["lately@example.test", "live@example.test", "short@example.test"]);
    for tokens in &logged_out {
        assert!(server.lists_as_ended(&tokens.access_token).await);
        server.me(&tokens.access_token).await.expect_error(401, "UNAUTHORIZED");
        let refused = server.refresh(&tokens.refresh_token).await;
        refused.expect_error(401, "INVALID_REFRESH_TOKEN");
    }
    assert_eq!(server.database.count("account").await, 5);
    server.log_in("long@example.test", PASSWORD).await.expect_status(200);
}
