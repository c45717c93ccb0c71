//! W9: restoring an older backup. The server refuses to start until `signet restored` was run,
//! which invalidates all earlier credentials.

use std::fs::{read_to_string, remove_file, write};
use std::os::unix::fs::PermissionsExt;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use crate::harness::oauth::{Browser, WEB_CLIENT};
use crate::harness::{
    Answer, PASSWORD, Program, StatusList, StatusReference, TestDatabase, TestServer, Tokens,
    eventually,
};

const NEW_PASSWORD: &str = "Flow-Matic-1955-Cobol";

async fn run(database: &TestDatabase, arguments: &[&str]) -> String {
    let output = Program::new(database).run(arguments).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A server with one account and a backup, started again after the backup.
async fn server_with_backup() -> (TestServer, Tokens) {
    let mut server = TestServer::start().await;
    let ada = server.sign_up("ada@example.test").await.tokens();
    server.stop_cleanly().await;
    server.database.back_up().await;
    (server.restart().await, ada)
}

async fn restore_backup(server: &mut TestServer) {
    server.stop_cleanly().await;
    server.database.restore().await;
}

/// Credentials issued before and after the backup, whether or not they are still valid.
#[derive(Default)]
struct Credentials {
    refresh_tokens: Vec<String>,
    client_tokens: Vec<String>,
    access_tokens: Vec<String>,
    cookies: Vec<Option<String>>,
    codes: Vec<String>,
    reset_tokens: Vec<String>,
}

impl Credentials {
    fn add_tokens(&mut self, tokens: &Tokens) {
        self.refresh_tokens.push(tokens.refresh_token.clone());
        self.access_tokens.push(tokens.access_token.clone());
    }

    fn add_client_tokens(&mut self, answer: &Answer) {
        answer.expect_status(200);
        self.client_tokens.push(answer.text("refresh_token"));
        self.access_tokens.push(answer.text("access_token"));
    }
}

const OFFLINE: &[(&str, &str)] = &[("scope", "openid email offline_access")];

#[tokio::test]
async fn earlier_credentials_are_invalid_after_a_restore() {
    let mut server = TestServer::start().await;
    let mut issued = Credentials::default();
    let web = server.register_clients(WEB_CLIENT).await.remove(0);
    for email in ["ada@example.test", "bob@example.test", "cleo@example.test"] {
        issued.add_tokens(&server.sign_up(email).await.tokens());
    }
    let spent_later = server.log_in("ada@example.test", PASSWORD).await.tokens();
    let logged_out_later = server.log_in("ada@example.test", PASSWORD).await.tokens();
    issued.add_tokens(&spent_later);
    issued.add_tokens(&logged_out_later);
    let mut browser = Browser::of(&server);
    let code = browser.log_in_for_code("ada@example.test", OFFLINE).await;
    let client = server.redeem(&web, &code).await;
    issued.add_client_tokens(&client);
    issued
        .codes
        .push(browser.authorize(OFFLINE).await.sent_to("https://rp.example/cb")["code"].clone());
    issued.cookies.push(browser.cookie.clone());
    issued.reset_tokens.push(server.reset_token("cleo@example.test").await);
    server.stop_cleanly().await;
    server.database.back_up().await;

    server = server.restart().await;
    server.log_out(&logged_out_later.access_token).await.expect_status(200);
    issued.add_tokens(&server.refresh(&spent_later.refresh_token).await.tokens());
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", issued.client_tokens[0].as_str())];
    let rotated = server.token(&web, &fields).await;
    issued.add_client_tokens(&rotated);
    issued.add_tokens(&server.sign_up("dora@example.test").await.tokens());
    issued.add_tokens(&server.log_in("bob@example.test", PASSWORD).await.tokens());
    server.redeem(&web, &issued.codes[0]).await.expect_status(200);
    let mut browser = Browser::of(&server);
    issued.codes.push(browser.log_in_for_code("ada@example.test", OFFLINE).await);
    issued.cookies.push(browser.cookie.clone());
    let body = json!({ "token": issued.reset_tokens[0], "new_password": NEW_PASSWORD });
    server.post("/api/auth/password/reset", &body).await.expect_status(204);
    issued.reset_tokens.push(server.reset_token("ada@example.test").await);
    run(&server.database, &["account", "disable", "bob@example.test"]).await;
    let old_keys = server.jwks().await.to_string();
    let jwks_before: serde_json::Value = serde_json::from_str(&old_keys).unwrap();
    restore_backup(&mut server).await;

    let refusal = Program::new(&server.database).startup_error().await;
    assert!(refusal.contains("signet restored"), "{refusal}");
    let printed = run(&server.database, &["restored"]).await;
    for text in ["disabled", "old passwords", "client secrets", "created since"] {
        assert!(printed.contains(text), "{text}: {printed}");
    }
    // The command may be run again, for example after an interruption.
    run(&server.database, &["restored"]).await;
    server = server.restart().await;

    assert_all_invalid(&server, &web, &issued, &jwks_before).await;
    assert_new_logins_work(&server, &issued).await;
}

async fn assert_all_invalid(
    server: &TestServer,
    web: &crate::harness::oauth::Rp,
    issued: &Credentials,
    keys_before: &serde_json::Value,
) {
    for token in &issued.refresh_tokens {
        server.refresh(token).await.expect_error(401, "INVALID_REFRESH_TOKEN");
    }
    for token in &issued.client_tokens {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        server.token(web, &fields).await.expect_oauth_error(400, "invalid_grant");
    }
    for token in &issued.access_tokens {
        server.me(token).await.expect_status(401);
        server.userinfo(token).await.expect_status(401);
        assert!(server.lists_as_ended(token).await, "the status list shows the end");
    }
    for cookie in &issued.cookies {
        let mut browser = Browser::of(server);
        browser.cookie.clone_from(cookie);
        assert!(cookie.is_some());
        let page = browser.get("/account").await;
        assert!(page.status == 303 && page.location().contains("login"), "{page:?}");
    }
    for code in &issued.codes {
        server.redeem(web, code).await.expect_oauth_error(400, "invalid_grant");
    }
    for token in &issued.reset_tokens {
        let body = json!({ "token": token, "new_password": "Another-One-2001-Odyssey" });
        let answer = server.post("/api/auth/password/reset", &body).await;
        assert!((400..500).contains(&answer.status), "{answer:?}");
    }
    let keys = server.jwks().await;
    for key in keys_before["keys"].as_array().unwrap() {
        assert!(!keys.to_string().contains(key["kid"].as_str().unwrap()), "{keys}");
    }
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "{keys}");
    let events = server.database.events().await;
    assert!(!events.contains(&"token_reuse".to_owned()), "no reuse is detected: {events:?}");
    assert_eq!(events.iter().filter(|event| *event == "database_restored").count(), 2);
}

async fn assert_new_logins_work(server: &TestServer, issued: &Credentials) {
    let new = server.log_in("ada@example.test", PASSWORD).await.tokens();
    server.me(&new.access_token).await.expect_status(200);
    let newer = server.refresh(&new.refresh_token).await.tokens();
    server.me(&newer.access_token).await.expect_status(200);
    let list = StatusReference::of(&new.access_token);
    assert!(issued.access_tokens.iter().all(|old| StatusReference::of(old).uri != list.uri));
    assert!(!server.lists_as_ended(&new.access_token).await);
    server.log_out(&newer.access_token).await.expect_status(200);
    server.wait_until_listed_as_ended(&new.access_token).await;
    // Status lists that are missing in the backup are closed, too.
    for unknown in ["/status/2", "/status/3"] {
        let list = StatusList::of(server.get(unknown).await);
        assert!(list.bytes.iter().all(|byte| *byte == 0xff));
    }
}

/// A backup from before the run of `signet restored` is detected as older when it is restored
/// again. This works even if the state file was deleted before that run, and after a downgrade of
/// the schema.
#[tokio::test]
async fn restored_backup_is_refused_again() {
    let (mut server, _) = Box::pin(server_with_backup()).await;
    restore_backup(&mut server).await;
    remove_file(server.database.state_file()).unwrap();
    run(&server.database, &["restored"]).await;
    server = server.restart().await;

    restore_backup(&mut server).await;
    let program = Program::new(&server.database);
    assert!(program.startup_error().await.contains("signet restored"));
    run(&server.database, &["migrate", "down"]).await;
    assert!(program.startup_error().await.contains("signet restored"));
    run(&server.database, &["restored"]).await;
    program.serve().await.stop_with(Signal::TERM).await;
}

/// The server detects an older backup by its count of commits. Commands do not increase this count.
#[tokio::test]
async fn commands_do_not_make_an_older_backup_look_newer() {
    let (mut server, ada) = Box::pin(server_with_backup()).await;
    server.refresh(&ada.refresh_token).await.expect_status(200);
    restore_backup(&mut server).await;

    for _ in 0..5 {
        for command in ["disable", "enable"] {
            run(&server.database, &["account", command, "ada@example.test"]).await;
        }
    }

    let refusal = Program::new(&server.database).startup_error().await;
    assert!(refusal.contains("signet restored"), "{refusal}");
}

/// A run of `signet restored` on a copy, as in a rehearsal, must not prevent the server from
/// starting with the original database.
#[tokio::test]
async fn restore_rehearsal_on_a_copy_is_reported_and_can_be_undone() {
    let (one, copy) = (TestDatabase::create().await, TestDatabase::create().await);
    if one.is_postgres() {
        return; // Copying a SQLite file suffices for this test.
    }
    let serving = Program::new(&one).serve().await;
    one.execute(&format!("VACUUM INTO '{}'", copy.directory().join("copy.db").display())).await;
    let file = copy.directory().join("copy.db");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let shared = one.state_file().display().to_string();
    let rehearsal = Program::new(&one)
        .with("SIGNET_DATABASE_URL", &format!("sqlite:{}", file.display()))
        .with("SIGNET_STATE_FILE", &shared)
        .run(&["restored"])
        .await;
    assert!(rehearsal.status.success(), "{rehearsal:?}");

    let text = read_to_string(&shared).unwrap();
    let is_replaced = |text: &str| text.contains(&i64::MAX.to_string());
    assert!(is_replaced(&text), "{text}");
    eventually("the server restores its line", async || {
        !is_replaced(&read_to_string(&shared).unwrap())
    })
    .await;
    let (_, printed) = serving.stop_with(Signal::TERM).await;

    assert_eq!(printed.matches("was run on a copy of this database").count(), 1, "{printed}");
    Program::new(&one).serve().await.stop_with(Signal::TERM).await;
}

/// A server that still has the replaced SQLite file open would overwrite the restored file when it
/// stops.
#[tokio::test]
async fn restored_is_refused_while_a_server_uses_the_sqlite_file() {
    let database = TestDatabase::create().await;
    if database.is_postgres() {
        return;
    }
    let program = Program::new(&database);
    let serving = program.serve().await;

    let output = program.run(&["restored"]).await;

    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{stderr}");
    assert!(stderr.contains("stop it, restore the backup again"), "{stderr}");
    let (status, printed) = serving.stop_with(Signal::TERM).await;
    assert_eq!(status.code(), Some(0), "{printed}");
    run(&database, &["restored"]).await;
    program.serve().await.stop_with(Signal::TERM).await;
}

/// A start without a state file is accepted with a warning, because a new container may have none.
/// A start with the state file of the previous run logs no warning, whether that run stopped
/// cleanly or was killed.
#[tokio::test]
async fn database_unknown_to_the_state_file_is_accepted_with_a_warning() {
    let database = TestDatabase::create().await;
    let program = Program::new(&database);
    let (_, printed) = program.serve().await.stop_with(Signal::TERM).await;
    assert!(!printed.contains("state file"), "{printed}");
    let file = database.state_file();
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let (_, printed) = program.serve().await.stop_with(Signal::KILL).await;
    assert!(!printed.contains("state file"), "{printed}");

    remove_file(&file).unwrap();
    let (_, printed) = program.serve().await.stop_with(Signal::TERM).await;
    assert!(printed.contains("does not record this database"), "{printed}");
    write(&file, "not a state file\n").unwrap();
    let (_, printed) = program.serve().await.stop_with(Signal::TERM).await;
    assert!(printed.contains("cannot be read"), "{printed}");
    let (_, printed) = program.serve().await.stop_with(Signal::TERM).await;
    assert!(!printed.contains("state file"), "{printed}");
}

/// Databases may share a state file. The server must not mistake another database for an older
/// backup.
#[tokio::test]
async fn state_file_distinguishes_several_databases() {
    let (one, other) = (TestDatabase::create().await, TestDatabase::create().await);
    let shared = one.state_file().display().to_string();
    let of = |database| Program::new(database).with("SIGNET_STATE_FILE", &shared);
    for _ in 0..3 {
        of(&one).serve().await.stop_with(Signal::TERM).await;
    }
    let before = read_to_string(&shared).unwrap();

    assert!(of(&other).run(&["database", "create"]).await.status.success());
    of(&other).serve().await.stop_with(Signal::TERM).await;
    of(&other).serve().await.stop_with(Signal::TERM).await;

    let after = read_to_string(&shared).unwrap();
    for line in before.lines() {
        assert!(after.contains(line), "{line}: {after}");
    }
    assert_eq!(after.lines().count(), before.lines().count() + 1, "{after}");
}

#[tokio::test]
async fn unwritable_state_file_is_reported_at_each_start_and_by_the_doctor() {
    let database = TestDatabase::create().await;
    let missing = database.directory().join("missing/signet.state").display().to_string();
    let program = Program::new(&database).with("SIGNET_STATE_FILE", &missing);

    for _ in 0..2 {
        let (status, printed) = program.serve().await.stop_with(Signal::TERM).await;
        assert_eq!(status.code(), Some(0), "{printed}");
        assert_eq!(printed.matches("cannot be written").count(), 1, "{printed}");
    }
    let doctor = async |program: &Program| {
        let output = program.run(&["doctor", "http://127.0.0.1:1"]).await;
        String::from_utf8(output.stdout).unwrap()
    };
    let report = doctor(&program).await;
    assert!(report.contains("FAULT  the state file"), "{report}");
    assert!(report.contains("cannot be written"), "{report}");

    let program = Program::new(&database);
    program.serve().await.stop_with(Signal::TERM).await;
    let report = doctor(&program).await;
    assert!(report.contains("records the database"), "{report}");
    assert!(!report.contains("FAULT  the state"), "{report}");
    if !database.is_postgres() {
        let beside = database.directory().join("signet.state").display().to_string();
        let program = program.with("SIGNET_STATE_FILE", &beside);
        let (_, printed) = program.serve().await.stop_with(Signal::TERM).await;
        assert!(printed.contains("in the folder of the database"), "{printed}");
        assert!(doctor(&program).await.contains("in the folder of the database"));
    }
}

#[tokio::test]
async fn doctor_reports_an_older_backup() {
    let (mut server, _) = Box::pin(server_with_backup()).await;
    restore_backup(&mut server).await;
    let doctor = async || {
        let output = Program::new(&server.database).run(&["doctor", "http://127.0.0.1:1"]).await;
        String::from_utf8(output.stdout).unwrap()
    };

    let older = doctor().await;
    run(&server.database, &["restored"]).await;
    let restored = doctor().await;

    assert!(
        older.contains("an older backup was restored") && older.contains("→ run `signet restored`"),
        "{older}"
    );
    assert!(restored.contains("records the database"), "{restored}");
    assert!(restored.contains("`signet restored` was last run at"), "{restored}");
}

/// On PostgreSQL, `signet restored` may be run while instances are running. They stop, and all
/// credentials that they issued until then are invalid.
#[tokio::test]
async fn instances_running_during_a_restore_stop() {
    let database = TestDatabase::create().await;
    if !database.is_postgres() {
        return;
    }
    let program = Program::new(&database);
    let serving = program.serve().await;

    run(&database, &["restored"]).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    eventually("the server stops", async || {
        http.request(Method::GET, serving.url("/livez")).send().await.is_err()
    })
    .await;
    // The server stops by itself: `CONT` has no effect.
    let (status, printed) = serving.stop_with(Signal::CONT).await;

    assert_eq!(status.code(), Some(1), "{printed}");
    assert!(printed.contains("`signet restored` was run"), "{printed}");
    program.serve().await.stop_with(Signal::TERM).await;
}

/// After a fail-over to a lagging replica, the server logs one error, records an outage, and
/// continues.
#[tokio::test]
async fn database_rollback_under_a_running_server_is_logged() {
    let database = TestDatabase::create().await;
    if !database.is_postgres() {
        return;
    }
    let serving = Program::new(&database).serve().await;
    let outages = database.count("outage").await;

    database.execute("UPDATE database_state SET commits = commits - 3").await;
    eventually("an outage is recorded", async || database.count("outage").await > outages).await;
    let ready = reqwest::get(serving.url("/readyz")).await.unwrap().status();
    let (_, printed) = serving.stop_with(Signal::TERM).await;

    assert_eq!(ready, 200);
    assert_eq!(printed.matches("ERROR").count(), 1, "{printed}");
    assert!(printed.contains("the database has gone back"), "{printed}");
}
