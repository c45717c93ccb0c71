//! The right password is never refused as wrong, although the stored hash changes during its check.

use std::time::Duration;

use futures_util::future::{join, join_all};
use sea_orm::ConnectionTrait;

use crate::harness::oauth::Browser;
use crate::harness::{PASSWORD, TestServer};

const ADA: &str = "ada@example.test";
const CLIENT: &str = "203.0.113.9";

/// The hash of `OLD_PASSWORD` as another system stored it.
const OLD_HASH: &str = "$2b$05$abcdefghijklmnopqrstuuCrFm/7NsPCOWJ7h5LJAU.gwZDtudXHi";
const OLD_PASSWORD: &str = "Correct-Horse7-Battery";

/// Of concurrent logins, the first replaces the imported hash. During an upgrade, the instances may
/// have different settings, so that each replaces the hashes of the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn logins_that_replace_a_hash_do_not_refuse_each_other() {
    let server = TestServer::with(|config| {
        config.limits.account_attempts_per_minute = 1_000;
        config.passwords.argon2_iterations = 2;
    })
    .await;
    let mut config = server.config.clone();
    config.service.listen.set_port(0);
    config.passwords.argon2_iterations = 3;
    let other = server.another_instance_with(config).await;
    server.sign_up(ADA).await.expect_status(201);

    for round in 0..3 {
        server.database.execute(&format!("UPDATE account SET password_hash = '{OLD_HASH}'")).await;
        let at_the_api = (0..8).flat_map(|_| [&server, &other]).map(log_in);
        let on_the_page = (0..2).flat_map(|_| [&server, &other]).map(log_in_on_the_page);
        let (mut statuses, on_the_page) = join(join_all(at_the_api), join_all(on_the_page)).await;
        statuses.extend(on_the_page);

        assert!(statuses.iter().all(|status| [200, 303].contains(status)), "{round}: {statuses:?}");
    }
    assert_eq!(server.database.count("auth_event WHERE type = 'login_failed'").await, 0);
    let hashes: Vec<String> = server.database.column("SELECT password_hash FROM account").await;
    assert!(hashes[0].starts_with("$argon2id$"), "{hashes:?}");
}

async fn log_in(server: &TestServer) -> u16 {
    server.log_in(ADA, OLD_PASSWORD).await.status
}

async fn log_in_on_the_page(server: &TestServer) -> u16 {
    let mut browser = Browser::of(server);
    let page = browser.get("/login").await;
    let typed = [("username", ADA), ("password", OLD_PASSWORD)];
    browser.submit("/login", &page, &typed).await.status
}

/// If the hash changes during each check, the response is 503, and does not say that the password
/// is wrong. The attempts count neither for the client address nor for the account.
#[tokio::test]
async fn login_during_which_the_hash_keeps_changing_gets_503_and_costs_no_attempt() {
    let server = TestServer::start().await;
    server.sign_up(ADA).await.expect_status(201);
    // The update of a login changes no row, as if another login had just replaced the hash.
    let (begin, end) = if server.database.is_postgres() {
        (
            "CREATE FUNCTION no_row() RETURNS trigger LANGUAGE plpgsql \
             AS 'BEGIN RETURN NULL; END'; \
             CREATE TRIGGER no_row BEFORE UPDATE OF last_login_at ON account \
             FOR EACH ROW EXECUTE FUNCTION no_row()",
            "DROP TRIGGER no_row ON account",
        )
    } else {
        (
            "CREATE TRIGGER no_row BEFORE UPDATE OF last_login_at ON account \
             BEGIN SELECT RAISE(IGNORE); END",
            "DROP TRIGGER no_row",
        )
    };
    server.database.execute(begin).await;

    for _ in 0..12 {
        let busy = server.log_in_from(CLIENT, ADA, PASSWORD).await;
        busy.expect_error(503, "SERVICE_UNAVAILABLE");
        assert_eq!(busy.header("retry-after"), "1");
    }
    let mut browser = Browser::of(&server);
    let page = browser.get("/login").await;
    let typed = [("username", ADA), ("password", PASSWORD)];
    let busy = browser.submit("/login", &page, &typed).await;
    busy.expect_status(503);
    assert_eq!(busy.header("retry-after"), "1");

    server.database.execute(end).await;
    assert_eq!(server.database.count("auth_event WHERE type = 'login_failed'").await, 0);
    // The wrong password is one of ten attempts at the account, and of five from the client address.
    server.log_in_from(CLIENT, ADA, OLD_PASSWORD).await.expect_error(401, "AUTH_FAILED");
    for _ in 0..9 {
        server.log_in_from(CLIENT, ADA, PASSWORD).await.expect_status(200);
    }
    server.log_in(ADA, PASSWORD).await.expect_error(429, "RATE_LIMIT_EXCEEDED");
}

/// If the hash changes during a reauthentication, the response is 200 or 503, and never says that
/// the password is wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reauthentication_is_not_refused_while_the_hash_changes() {
    let server = TestServer::with(|config| {
        config.limits.account_attempts_per_minute = 1_000;
        config.passwords.argon2_iterations = 8;
    })
    .await;
    let tokens = server.sign_up(ADA).await.tokens();
    let hashes: Vec<String> = server.database.column("SELECT password_hash FROM account").await;
    let db = server.database.connect().await;
    let changing = tokio::spawn(async move {
        // Each of these is a hash of the same password.
        for number in 0_u64.. {
            let hash = hashes[0].replacen("p=1$", &format!("p=1,keyid={number:08}$"), 1);
            let update = format!("UPDATE account SET password_hash = '{hash}'");
            db.execute_unprepared(&update).await.unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });

    let mut statuses = Vec::new();
    for _ in 0..12 {
        let answer = server.download_data(&tokens.access_token, PASSWORD).await;
        statuses.push(answer.status);
    }
    changing.abort();

    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&503), "{statuses:?}");
    assert_eq!(server.database.count("auth_event WHERE type = 'login_failed'").await, 0);
}
