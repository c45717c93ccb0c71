//! Changes and removals of clients run concurrently with each other and with logins and logouts.
//! All transactions take their locks in the same order.
//!
//! PostgreSQL only: SQLite runs one transaction at a time.

use futures_util::future::join;
use sea_orm::{ConnectionTrait, TransactionTrait};

use crate::harness::oauth::{Browser, CALLBACK, Rp, WEB_CLIENT};
use crate::harness::{Program, TestServer};

/// The SQL condition for a connection that waits for a lock.
const LOCKED: &str = "wait_event_type = 'Lock'";

/// A client with back-channel logout, and an account.
async fn client_with_backchannel_logout(server: &TestServer) -> Rp {
    let receiver = "backchannel_logout_uri = \"https://web.example/logged-out\"\n";
    let web = server.register_clients(&format!("{WEB_CLIENT}{receiver}")).await.remove(0);
    server.sign_up("ada@example.test").await.expect_status(201);
    web
}

/// A removal locks the client and then its sessions. So a logout, which ends a session and writes a
/// notice for the client, must lock the client before the session. Here both run concurrently.
#[tokio::test]
async fn logout_and_client_removal_lock_the_client_first() {
    let server = TestServer::start().await;
    if !server.database.is_postgres() {
        return;
    }
    let web = client_with_backchannel_logout(&server).await;
    let mut browser = Browser::of(&server);
    let first = browser.log_in_for_code("ada@example.test", &[]).await;
    server.redeem(&web, &first).await.expect_status(200);
    let delay = "CREATE FUNCTION slow_down() RETURNS trigger LANGUAGE plpgsql \
                  AS 'BEGIN PERFORM pg_sleep(0.4); RETURN NULL; END'; \
                  CREATE TRIGGER slow_down BEFORE INSERT ON outbox \
                  FOR EACH STATEMENT EXECUTE FUNCTION slow_down()";
    server.database.execute(delay).await;
    let blocker = server.database.connect().await.begin().await.unwrap();
    blocker
        .execute_unprepared("SELECT 1 FROM client WHERE id = 'web' FOR KEY SHARE")
        .await
        .unwrap();

    let program = Program::new(&server.database);
    let removal = program.run(&["client", "delete", "web"]);
    let logout = async {
        server.database.wait_for_connections(1, LOCKED).await;
        let code = browser.authorize(&[("prompt", "none")]).await.sent_to(CALLBACK)["code"].clone();
        let token = server.redeem(&web, &code).await.text("access_token");
        let release = async {
            server.database.wait_for_connections(1, "wait_event = 'PgSleep'").await;
            blocker.commit().await.unwrap();
        };
        join(server.as_client(&web, "/oauth2/revoke", &[("token", &token)]), release).await.0
    };
    let (output, answer) = join(removal, logout).await;

    answer.expect_status(200);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        server.database.count("session WHERE client_id = 'web' AND ended_at IS NULL").await,
        0
    );
}

/// Files that name the same clients in different orders are applied concurrently.
#[tokio::test]
async fn concurrent_applies_lock_clients_in_the_same_order() {
    let server = TestServer::start().await;
    if !server.database.is_postgres() {
        return;
    }
    let client = |id: &str, name: &str| {
        format!(
            "[[client]]\nclient_id = \"{id}\"\nclient_name = \"{name}\"\n\
             redirect_uris = [\"https://rp.example/cb\"]\n"
        )
    };
    let file = |name: &str, ids: [&str; 2]| {
        let file = server.database.directory().join(format!("{name}.toml"));
        std::fs::write(&file, ids.map(|id| client(id, name)).concat()).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (first, one, other) =
        (file("First", ["a", "z"]), file("One", ["a", "z"]), file("Other", ["z", "a"]));
    let program = Program::new(&server.database);
    let output = program.run(&["client", "apply", &first]).await;
    assert!(output.status.success(), "{output:?}");
    let delay = "CREATE FUNCTION slow_down() RETURNS trigger LANGUAGE plpgsql \
                  AS 'BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END'; \
                  CREATE TRIGGER slow_down AFTER UPDATE ON client \
                  FOR EACH STATEMENT EXECUTE FUNCTION slow_down()";
    server.database.execute(delay).await;

    let (one, other) =
        join(program.run(&["client", "apply", &one]), program.run(&["client", "apply", &other]))
            .await;

    for output in [&one, &other] {
        assert!(output.status.success(), "{output:?}");
    }
    let printed = String::from_utf8(other.stdout).unwrap();
    let ids: Vec<_> = printed.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(ids, ["z", "a"], "the output has the order of the file");
}

/// Refresh token reuse ends the session and notifies the client: the client is locked first.
#[tokio::test]
async fn reuse_detection_locks_the_client_first() {
    let server = TestServer::start().await;
    if !server.database.is_postgres() {
        return;
    }
    let web = client_with_backchannel_logout(&server).await;
    let mut browser = Browser::of(&server);
    let code =
        browser.log_in_for_code("ada@example.test", &[("scope", "openid offline_access")]).await;
    let stolen = server.redeem(&web, &code).await.text("refresh_token");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", &stolen)];
    let next = server.token(&web, &fields).await.text("refresh_token");
    let used = [("grant_type", "refresh_token"), ("refresh_token", &next)];
    server.token(&web, &used).await.expect_status(200);
    let removal = server.database.connect().await.begin().await.unwrap();
    removal.execute_unprepared("SELECT 1 FROM client WHERE id = 'web' FOR UPDATE").await.unwrap();

    let reuse = server.token(&web, &fields);
    let try_lock = async {
        server.database.wait_for_connections(1, LOCKED).await;
        let sessions = "SELECT 1 FROM session WHERE client_id = 'web' FOR UPDATE NOWAIT";
        let session_lock = removal.execute_unprepared(sessions).await;
        removal.rollback().await.unwrap();
        session_lock
    };
    let (reuse, session_lock) = join(reuse, try_lock).await;

    session_lock.expect("the session is not locked while the transaction waits for the client");
    reuse.expect_oauth_error(400, "invalid_grant");
    assert_eq!(server.database.count("session WHERE end_reason = 'token_reuse'").await, 1);
}

/// A client that is removed just before its pending authorization is stored is reported as unknown.
#[tokio::test]
async fn request_of_a_concurrently_removed_client_is_rejected() {
    let server = TestServer::start().await;
    if !server.database.is_postgres() {
        return;
    }
    server.register_web_client().await;
    server.sign_up("ada@example.test").await.expect_status(201);
    let mut browser = Browser::of(&server);
    browser.log_in_without_request("ada@example.test").await;
    let removal = server.database.connect().await.begin().await.unwrap();
    removal.execute_unprepared("SELECT 1 FROM client WHERE id = 'web' FOR UPDATE").await.unwrap();

    let remove = async {
        server.database.wait_for_connections(1, LOCKED).await;
        removal.execute_unprepared("DELETE FROM client WHERE id = 'web'").await.unwrap();
        removal.commit().await.unwrap();
    };
    let (answer, ()) = join(browser.authorize(&[("prompt", "consent")]), remove).await;

    answer.expect_status(400);
    assert!(answer.html().contains("the client is not known"), "{}", answer.html());
}
