//! Clients are changed and removed while others are at it, and while people come and go: whoever holds
//! two things takes them in the order of everybody else.
//!
//! Of PostgreSQL only: SQLite runs one transaction at a time.

use std::time::Duration;

use futures_util::future::join;
use sea_orm::{ConnectionTrait, TransactionTrait};

use crate::harness::oauth::{Browser, CALLBACK, WEB};
use crate::harness::{Program, TestDatabase, TestServer};

/// Returns once one connection of the database waits like this.
async fn somebody(database: &TestDatabase, waits: &str) {
    let waiting = format!("pg_stat_activity WHERE datname = current_database() AND {waits}");
    let wait = async {
        while database.count(&waiting).await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap();
}

/// A logout writes a notice for the client, and holds its session by then; the removal holds the client
/// and goes on to its sessions. The logout is under way when the removal gets the client.
#[tokio::test]
async fn a_logout_and_the_removal_of_its_client_take_the_client_first() {
    let server = TestServer::start().await;
    if !server.database.is_postgres() {
        return;
    }
    let receiver = "backchannel_logout_uri = \"https://web.example/logged-out\"\n";
    let web = server.apply(&format!("{WEB}{receiver}")).await.remove(0);
    server.sign_up("ada@example.test").await.expect_status(201);
    let mut browser = Browser::of(&server);
    let first = browser.code("ada@example.test", &[]).await;
    server.redeem(&web, &first).await.expect_status(200);
    let slowly = "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql \
                  AS 'BEGIN PERFORM pg_sleep(0.4); RETURN NULL; END'; \
                  CREATE TRIGGER slowly BEFORE INSERT ON logout_notice \
                  FOR EACH STATEMENT EXECUTE FUNCTION slowly()";
    server.database.execute(slowly).await;
    let gate = server.database.connect().await.begin().await.unwrap();
    gate.execute_unprepared("SELECT 1 FROM client WHERE id = 'web' FOR KEY SHARE").await.unwrap();

    let program = Program::new(&server.database);
    let removal = program.run(&["client", "delete", "web"]);
    let logout = async {
        somebody(&server.database, "wait_event_type = 'Lock'").await;
        let code = browser.authorize(&[("prompt", "none")]).await.sent_to(CALLBACK)["code"].clone();
        let token = server.redeem(&web, &code).await.text("access_token");
        let open = async {
            somebody(&server.database, "wait_event = 'PgSleep'").await;
            gate.commit().await.unwrap();
        };
        join(server.as_client(&web, "/oauth2/revoke", &[("token", &token)]), open).await.0
    };
    let (output, answer) = join(removal, logout).await;

    answer.expect_status(200);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        server.database.count("session WHERE client_id = 'web' AND ended_at IS NULL").await,
        0
    );
}

/// Files that name the same clients in different orders are applied at the same time.
#[tokio::test]
async fn two_files_take_their_clients_in_one_order() {
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
    let slowly = "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql \
                  AS 'BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END'; \
                  CREATE TRIGGER slowly AFTER UPDATE ON client \
                  FOR EACH STATEMENT EXECUTE FUNCTION slowly()";
    server.database.execute(slowly).await;

    let (one, other) =
        join(program.run(&["client", "apply", &one]), program.run(&["client", "apply", &other]))
            .await;

    for output in [&one, &other] {
        assert!(output.status.success(), "{output:?}");
    }
    let printed = String::from_utf8(other.stdout).unwrap();
    let ids: Vec<_> = printed.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(ids, ["z", "a"], "in the order of the file");
}
