//! Thousands of live sessions of one account or client: all can be ended at once, within the
//! request timeout.

use futures_util::future::join_all;

use crate::harness::oauth::{Browser, CALLBACK, Rp, WEB_CLIENT};
use crate::harness::{PASSWORD, Program, TestServer};

const ADA: &str = "ada@example.test";
const LIVE: &str = "session WHERE ended_at IS NULL AND client_id";

/// Registers `web`, and logs in a user in a browser in which `web` opens a session.
async fn browser_with_client_session(server: &TestServer) -> (Rp, Browser<'_>) {
    let web = server.register_web_client().await;
    server.sign_up(ADA).await.expect_status(201);
    let mut browser = Browser::of(server);
    let code = browser.log_in_for_code(ADA, &[]).await;
    server.redeem(&web, &code).await.expect_status(200);
    (web, browser)
}

/// Copies the client's session `number` times. Creating thousands of sessions through the protocol
/// would take minutes.
async fn copy_client_session(server: &TestServer, number: u32) {
    let id = if server.database.is_postgres() { "gen_random_uuid()" } else { "randomblob(16)" };
    let columns = "account_id, client_id, scope, auth_time, generation, idle_expires_at, \
                   absolute_expires_at, browser_session_id, audience";
    let copies = format!(
        "INSERT INTO session (id, {columns}) \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) \
         SELECT {id}, {columns} FROM (SELECT * FROM session WHERE client_id = 'web' LIMIT 1) one, n"
    );
    server.database.execute(&copies).await;
}

/// A logout ends all sessions that were opened in the browser, regardless of their number.
#[tokio::test]
async fn logout_ends_thousands_of_client_sessions() {
    let server = TestServer::start().await;
    let (_, mut browser) = browser_with_client_session(&server).await;
    copy_client_session(&server, 3_000).await;

    let page = browser.get("/logout").await;
    browser.submit("/logout", &page, &[]).await.expect_status(303);

    assert_eq!(server.database.count(&format!("{LIVE} = 'web'")).await, 0);
}

/// An account has at most five hundred live sessions, not counting browser logins. If there are
/// more, the oldest sessions of the requesting client end. Sessions of other clients stay.
#[tokio::test]
async fn oldest_sessions_are_ended_beyond_the_limit() {
    let server = TestServer::start().await;
    let (web, mut browser) = browser_with_client_session(&server).await;
    let own = server.log_in(ADA, PASSWORD).await.tokens();
    copy_client_session(&server, 700).await;

    let redirect = browser.authorize(&[("prompt", "none")]).await;
    let tokens = server.redeem(&web, &redirect.sent_to(CALLBACK)["code"]).await;

    let live = "session WHERE ended_at IS NULL AND cookie_digest IS NULL";
    assert_eq!(server.database.count(live).await, 500);
    server.me(&own.access_token).await.expect_status(200);
    server.userinfo(&tokens.text("access_token")).await.expect_status(200);
    assert!(browser.authorize(&[("prompt", "none")]).await.sent_to(CALLBACK).contains_key("code"));
}

/// AZ-06: a client with thousands of sessions is removed, and none of the sessions stays live.
#[tokio::test]
async fn client_with_thousands_of_sessions_can_be_removed() {
    let server = TestServer::start().await;
    let (_, _browser) = browser_with_client_session(&server).await;
    copy_client_session(&server, 5_000).await;

    let output = Program::new(&server.database).run(&["client", "delete", "web"]).await;

    assert!(output.status.success(), "{output:?}");
    assert_eq!(server.database.count(&format!("{LIVE} = 'web'")).await, 0);
}

/// Codes exchanged while their client is removed yield no live session, and there is no deadlock.
#[tokio::test]
async fn sessions_opened_during_a_client_removal_end() {
    let server = TestServer::start().await;
    let (mut web, mut browser) = browser_with_client_session(&server).await;
    server.database.delay_after_inserts_into("session").await;
    for _ in 0..8 {
        let mut codes = Vec::new();
        for _ in 0..6 {
            let redirect = browser.authorize(&[("prompt", "none")]).await;
            codes.push(redirect.sent_to(CALLBACK)["code"].clone());
        }
        let program = Program::new(&server.database);
        let (answers, output) = tokio::join!(
            join_all(codes.iter().map(|code| server.redeem(&web, code))),
            program.run(&["client", "delete", "web"]),
        );

        // Exchanges of one account wait for each other. On a busy machine they may time out.
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        assert!(statuses.iter().all(|it| [200, 400, 401, 503].contains(it)), "{statuses:?}");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(server.database.count(&format!("{LIVE} = 'web'")).await, 0);
        web = server.register_clients(WEB_CLIENT).await.remove(0);
    }
}
