//! W3: a kill switch ends all sessions of an account at once, regardless of their number; the
//! remaining work is done in portions.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::harness::oauth::{Browser, CALLBACK, Rp, hidden};
use crate::harness::{Answer, PASSWORD, Program, TestServer, Tokens, eventually};

const ADA: &str = "ada@example.test";
const NEW_PASSWORD: &str = "Difference-Engine-1822";
const OFFLINE: [(&str, &str); 1] = [("scope", "openid offline_access")];

/// The kill switches of an account; those of the API keep the requesting session.
const SWITCHES: [&str; 5] = ["password", "others", "reset", "everywhere", "deletion"];

/// A user with a session that triggers the kill switch, and everything that is to end.
struct Stage<'s> {
    server: &'s TestServer,
    web: &'s Rp,
    own: Tokens,
    other: Tokens,
    browser: Browser<'s>,
    held: Answer,
    code: String,
    reset: String,
}

impl<'s> Stage<'s> {
    async fn of(server: &'s TestServer, web: &'s Rp) -> Self {
        let own = server.sign_up(ADA).await.tokens();
        let other = server.log_in(ADA, PASSWORD).await.tokens();
        let mut browser = Browser::of(server);
        let code = browser.code(ADA, &OFFLINE).await;
        let held = server.redeem(web, &code).await;
        let code = browser.authorize(&OFFLINE).await.sent_to(CALLBACK)["code"].clone();
        let reset = server.reset_token(ADA).await;
        Self { server, web, own, other, browser, held, code, reset }
    }

    async fn end_all(&mut self, switch: &str) {
        let (server, token) = (self.server, &self.own.access_token);
        let status = match switch {
            "password" => server.change_password(token, PASSWORD, NEW_PASSWORD).await.status,
            "others" => server.end_other_sessions(token).await.status,
            "deletion" => server.delete_me(token, PASSWORD).await.status,
            "reset" => {
                let body = json!({ "token": self.reset, "new_password": NEW_PASSWORD });
                server.post("/api/auth/password/reset", &body).await.status
            }
            _ => {
                let mut same = Browser::of(server);
                same.cookie.clone_from(&self.browser.cookie);
                let csrf = hidden(&same.get("/account").await)[0].1.clone();
                same.post("/account", &[("csrf", &csrf), ("end", "all")]).await.status
            }
        };
        assert!([204, 303].contains(&status), "{switch}: {status}");
    }

    /// Grants, tokens and the cookie are rejected everywhere.
    async fn assert_nothing_works(&mut self) {
        let Self { server, web, other, browser, held, code, .. } = self;
        server.me(&other.access_token).await.expect_error(401, "UNAUTHORIZED");
        server.sessions(&other.access_token).await.expect_error(401, "UNAUTHORIZED");
        let refused = server.refresh(&other.refresh_token).await;
        refused.expect_error(401, "INVALID_REFRESH_TOKEN");
        let access_token = held.text("access_token");
        server.userinfo(&access_token).await.expect_oauth_error(401, "invalid_token");
        for token in [&access_token, &held.text("refresh_token")] {
            assert_eq!(server.introspect(web, token).await, json!({ "active": false }));
        }
        let refresh_token = held.text("refresh_token");
        let fields = [("grant_type", "refresh_token"), ("refresh_token", &*refresh_token)];
        server.token(web, &fields).await.expect_oauth_error(400, "invalid_grant");
        server.redeem(web, code).await.expect_oauth_error(400, "invalid_grant");
        let silent = browser.authorize(&[("prompt", "none")]).await;
        assert_eq!(silent.sent_to(CALLBACK)["error"], "login_required");
    }
}

impl TestServer {
    /// Copies the sessions that meet a condition; creating thousands through the protocol would
    /// take minutes.
    async fn multiply(&self, which: &str, number: u32) {
        let (id, digest) = if self.database.is_postgres() {
            ("gen_random_uuid()", "sha256(gen_random_uuid()::text::bytea)")
        } else {
            ("randomblob(16)", "randomblob(32)")
        };
        let columns = "account_id, client_id, scope, auth_time, generation, idle_expires_at, \
                       absolute_expires_at, audience, epoch";
        let copies = format!(
            "INSERT INTO session (id, {columns}, cookie_digest, status_list, status_index) \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) \
             SELECT {id}, {columns}, \
               CASE WHEN cookie_digest IS NOT NULL THEN {digest} END, 1, 900000 - i \
             FROM (SELECT * FROM session WHERE {which} LIMIT 1) one, n \
             WHERE 900000 - i NOT IN (SELECT status_index FROM session)"
        );
        self.database.execute(&copies).await;
        if self.database.is_postgres() {
            // As autovacuum would for that many rows.
            self.database.execute("ANALYZE session").await;
        }
    }

    /// Makes updates that mark a session row as ended fail.
    async fn block_row_updates(&self) {
        let sql = if self.database.is_postgres() {
            "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql \
             AS 'BEGIN RAISE EXCEPTION ''kept''; END'; \
             CREATE TRIGGER keep BEFORE UPDATE OF ended_at ON session \
             FOR EACH ROW EXECUTE FUNCTION keep()"
        } else {
            "CREATE TRIGGER keep BEFORE UPDATE OF ended_at ON session \
             BEGIN SELECT RAISE(ABORT, 'kept'); END"
        };
        self.database.execute(sql).await;
    }

    async fn unblock_row_updates(&self) {
        let on = if self.database.is_postgres() { " ON session" } else { "" };
        self.database.execute(&format!("DROP TRIGGER keep{on}")).await;
    }

    async fn expect_rows_updated(&self, live: i64) {
        // A failed portion is retried after a back-off.
        self.advance_seconds(6);
        let rest = async || self.database.count("outbox").await == 0;
        eventually("the remaining rows are updated", rest).await;
        assert_eq!(self.database.count("session WHERE ended_at IS NULL").await, live);
    }
}

/// W3: each works without a write to any session row, and so at constant cost; rows and status
/// lists follow.
#[tokio::test]
async fn kill_switch_takes_effect_before_session_rows_are_updated() {
    for switch in SWITCHES {
        let server = TestServer::start().await;
        let web = server.web().await;
        let mut stage = Stage::of(&server, &web).await;
        server.multiply("client_id = 'web'", 1_200).await;
        server.block_row_updates().await;

        stage.end_all(switch).await;

        stage.assert_nothing_works().await;
        let goes_on = ["password", "others"].contains(&switch);
        let own = &stage.own;
        assert_eq!(server.me(&own.access_token).await.status == 200, goes_on, "{switch}");
        assert_eq!(server.refresh(&own.refresh_token).await.status == 200, goes_on, "{switch}");
        if switch == "deletion" {
            // The address is available at once.
            server.sign_up(ADA).await.expect_status(201);
            assert_eq!(server.account_command(&["list"]).await.lines().count(), 1);
        }
        server.unblock_row_updates().await;
        server.expect_rows_updated(i64::from(goes_on || switch == "deletion")).await;
        server.expect_published_end_of(&stage.held.text("access_token")).await;
        if switch == "deletion" {
            assert_eq!(server.database.count("account").await, 1);
            assert_eq!(server.database.count("session").await, 1);
        }
    }
}

/// W3, SS-12: the same with commands, which wait for the remaining work and print the number of
/// sessions.
#[tokio::test]
async fn commands_end_thousands_of_sessions() {
    let server = TestServer::with(|config| config.limits.account_attempts_per_minute = 1_000).await;
    let web = server.web().await;
    for command in ["disable", "end-sessions", "delete"] {
        let mut stage = Stage::of(&server, &web).await;
        server.multiply("client_id = 'web' AND ended_at IS NULL", 1_200).await;

        let printed = server.account_command(&[command, ADA]).await;

        stage.assert_nothing_works().await;
        server.me(&stage.own.access_token).await.expect_error(401, "UNAUTHORIZED");
        assert_eq!(server.database.count("session WHERE ended_at IS NULL").await, 0);
        assert!(command == "delete" || printed.contains("1204 sessions ended"), "{printed}");
        server.expect_published_end_of(&stage.held.text("access_token")).await;
        if command == "disable" {
            server.account_command(&["enable", ADA]).await;
            stage.assert_nothing_works().await;
        }
        if command != "delete" {
            server.account_command(&["delete", ADA]).await;
        }
        assert_eq!(server.database.count("session").await, 0);
    }
}

/// One command ends the sessions of all accounts.
#[tokio::test]
async fn one_command_ends_the_sessions_of_all_accounts() {
    let server = TestServer::start().await;
    let mut tokens = Vec::new();
    for n in 0..60 {
        tokens.push(server.sign_up(&format!("ada{n}@example.test")).await.tokens());
    }

    let printed = server.account_command(&["end-sessions", "--all"]).await;

    assert_eq!(printed, "60 sessions ended\n");
    for tokens in &tokens {
        server.me(&tokens.access_token).await.expect_error(401, "UNAUTHORIZED");
        server.refresh(&tokens.refresh_token).await.expect_error(401, "INVALID_REFRESH_TOKEN");
    }
    assert_eq!(server.database.count("auth_event WHERE type = 'session_revoked'").await, 60);
    server.log_in("ada0@example.test", PASSWORD).await.expect_status(200);
    assert_eq!(
        server.account_command(&["end-sessions", "--all"]).await,
        "1 session ended\n",
        "repeated"
    );
}

/// W3: a hundred thousand live sessions of one account end in the time of one; their rows follow.
#[tokio::test]
async fn kill_switch_time_is_independent_of_the_session_count() {
    let server = TestServer::with(|config| config.limits.account_attempts_per_minute = 1_000).await;
    let web = server.web().await;
    let bob = server.sign_up("bob@example.test").await.tokens();
    let mut of_one = Vec::new();
    for _ in 0..5 {
        server.log_in("bob@example.test", PASSWORD).await.expect_status(200);
        let begun = Instant::now();
        server.end_other_sessions(&bob.access_token).await.expect_status(204);
        of_one.push(begun.elapsed());
    }
    let mut stage = Stage::of(&server, &web).await;
    server.multiply("cookie_digest IS NOT NULL", 100_000).await;

    let begun = Instant::now();
    stage.end_all("others").await;
    let switched = begun.elapsed();

    of_one.sort();
    // At least a tenth of a second: the machine is busy with other tests.
    let most = 3 * of_one[2].max(Duration::from_millis(100));
    assert!(switched < most, "{switched:?} for all, {of_one:?} for one");
    stage.assert_nothing_works().await;
    let begun = Instant::now();
    // The two requesting sessions.
    let rows = async || server.database.count("session WHERE ended_at IS NULL").await == 2;
    while !rows().await {
        assert!(begun.elapsed() < Duration::from_mins(5), "the rows are not updated in time");
        tokio::time::sleep(Duration::from_millis(500)).await;
        // On a busy machine, a failed portion is retried later.
        server.advance_millis(500);
    }
    server.expect_published_end_of(&stage.held.text("access_token")).await;
    server.expect_rows_updated(2).await;
}

/// W3: portions resume after an instance was killed.
#[tokio::test]
async fn batches_resume_after_a_crash() {
    let mut server = TestServer::start().await;
    let web = server.web().await;
    let mut stage = Stage::of(&server, &web).await;
    server.multiply("client_id = 'web'", 30_000).await;
    server.block_row_updates().await;
    stage.end_all("password").await;
    drop(stage);
    server.stop();
    server.database.execute("UPDATE outbox SET due_at = 0").await;
    server.unblock_row_updates().await;
    let live = "session WHERE ended_at IS NULL";
    let program = Program::new(&server.database);

    let killed = program.serve().await;
    eventually("some are marked", async || server.database.count(live).await < 29_000).await;
    killed.end(Signal::KILL).await;

    let left = server.database.count(live).await;
    assert!(left > 1, "all batches were done before the kill");
    let _serving = program.serve().await;
    eventually("all are marked", async || server.database.count(live).await == 1).await;
    let ended = server.database.count("session WHERE ended_at IS NOT NULL").await;
    assert_eq!(server.database.count("invalid_status").await, ended);
}

/// W3: beyond the limit of browser logins per account, the oldest end.
#[tokio::test]
async fn oldest_browser_logins_are_ended_beyond_the_limit() {
    let server = TestServer::start().await;
    let web = server.web().await;
    let mut stage = Stage::of(&server, &web).await;
    server.multiply("cookie_digest IS NOT NULL", 560).await;
    let mut newest = Browser::of(&server);

    newest.code(ADA, &[]).await;

    let live = "session WHERE cookie_digest IS NOT NULL AND ended_at IS NULL";
    assert!(server.database.count(live).await <= 100);
    let silent = newest.authorize(&[("prompt", "none")]).await;
    assert!(silent.sent_to(CALLBACK).contains_key("code"));
    server.userinfo(&stage.held.text("access_token")).await.expect_status(200);
    stage.browser.get("/account").await;
}

/// Rolling upgrade: a session from an instance of the previous version has no epoch. It is live
/// while its row says so, and ends in the transaction of the kill switch.
#[tokio::test]
async fn sessions_of_the_previous_version_work_and_can_be_ended() {
    for switch in SWITCHES {
        let server = TestServer::start().await;
        let web = server.web().await;
        let mut stage = Stage::of(&server, &web).await;
        server.end_other_sessions(&stage.own.access_token).await.expect_status(204);
        server.expect_rows_updated(1).await;
        stage.other = server.log_in(ADA, PASSWORD).await.tokens();
        server.database.execute("UPDATE session SET epoch = NULL").await;
        server.me(&stage.other.access_token).await.expect_status(200);
        stage.other = server.refresh(&stage.other.refresh_token).await.tokens();
        stage.reset = server.reset_token(ADA).await;
        stage.browser = Browser::of(&server);
        stage.browser.log_in_alone(ADA).await;
        server.database.execute("UPDATE session SET epoch = NULL").await;

        stage.end_all(switch).await;

        let goes_on = ["password", "others"].contains(&switch);
        if switch != "deletion" {
            let live = "session WHERE ended_at IS NULL";
            assert_eq!(server.database.count(live).await, i64::from(goes_on), "{switch}");
        }
        assert_eq!(server.me(&stage.own.access_token).await.status == 200, goes_on);
        stage.assert_nothing_works().await;
    }
}

/// A downgrade would revive sessions whose rows do not say yet that they have ended.
#[tokio::test]
async fn schema_downgrade_is_refused_while_sessions_wait_to_be_ended() {
    let mut server = TestServer::start().await;
    let web = server.web().await;
    let mut stage = Stage::of(&server, &web).await;
    server.block_row_updates().await;
    stage.end_all("password").await;
    drop(stage);
    server.stop();
    let program = Program::new(&server.database);

    let output = program.run(&["migrate", "down", "--steps", "9"]).await;

    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("wait for their end"), "{said}");
    assert_eq!(server.database.count("outbox").await, 1);
}
