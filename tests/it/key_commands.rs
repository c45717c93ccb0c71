//! `signet keys …`: revocation, import and re-encryption, and key schedules that are rejected.

use std::fs;
use std::path::Path;

use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::forge::{encode, parts};
use crate::harness::{Answer, PASSWORD, Program, TestServer, Tokens, eventually};

async fn server() -> TestServer {
    TestServer::with(|config| {
        config.keys.key_reload_seconds = 1;
        // Tests log in until a new key signs.
        config.limits.account_attempts_per_minute = 1_000;
    })
    .await
}

fn command_line(server: &TestServer) -> Program {
    Program::new(&server.database).with("SIGNET_KEY_RELOAD_SECONDS", "1")
}

/// Runs a command that must succeed; returns its output.
async fn run(server: &TestServer, arguments: &[&str]) -> String {
    let output = command_line(server).run(arguments).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that must fail without changes; returns its message.
async fn run_rejected(server: &TestServer, arguments: &[&str]) -> String {
    let before = server.database.dump().await;
    let output = command_line(server).run(arguments).await;
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && !message.contains("panicked"), "{message}");
    assert_eq!(server.database.dump().await, before);
    message
}

async fn kids(server: &TestServer) -> Vec<String> {
    let jwks = server.jwks().await;
    let keys = jwks["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn signer_of(tokens: &Tokens) -> String {
    parts(&tokens.access_token).0["kid"].as_str().unwrap().to_owned()
}

/// The events of a key, oldest first.
async fn events_of(server: &TestServer, kid: &str) -> Vec<String> {
    let sql = format!("SELECT type FROM auth_event WHERE reason = 'kid {kid}' ORDER BY at, id");
    server.database.column(&sql).await
}

/// KY-09: a revoked key is removed at once, on every instance, and its tokens are invalid.
#[tokio::test]
async fn key_revocation_takes_effect_at_once_and_a_new_key_signs() {
    let one = server().await;
    let other = one.another_instance().await;
    let stolen = one.sign_up("ada@example.test").await.tokens();
    let kid = kids(&one).await.remove(0);

    let message = run(&one, &["keys", "revoke", &kid, "--now"]).await;

    assert!(message.contains(&kid), "{message}");
    for server in [&one, &other] {
        eventually("the key is removed", async || !kids(server).await.contains(&kid)).await;
        server.me(&stolen.access_token).await.expect_error(401, "UNAUTHORIZED");
        assert_eq!(kids(server).await.len(), 1);
    }
    let new = kids(&one).await.remove(0);
    let tokens = one.refresh(&stolen.refresh_token).await.tokens();
    assert_eq!(signer_of(&tokens), new);
    other.me(&tokens.access_token).await.expect_status(200);
    assert_eq!(events_of(&one, &kid).await, ["key_created", "key_activated", "key_revoked"]);
    assert_eq!(events_of(&one, &new).await, ["key_created", "key_activated"]);
    // The key stays revoked after a restart, and cannot be revoked again.
    let restarted = one.restart().await;
    assert_eq!(kids(&restarted).await, [new]);
    run_rejected(&restarted, &["keys", "revoke", &kid, "--now"]).await;
}

/// KY-09: revocation is disruptive, so it needs an explicit option.
#[tokio::test]
async fn key_revocation_needs_an_explicit_option() {
    let server = server().await;
    let kid = kids(&server).await.remove(0);

    let without_now = run_rejected(&server, &["keys", "revoke", &kid]).await;
    let unknown = run_rejected(&server, &["keys", "revoke", "no-such-key", "--now"]).await;

    // Ids are base64url, so one in 64 starts like an option.
    for kid in ["-8kid", "-hkid", "-kid", "--kid"] {
        for arguments in [["keys", "revoke", kid, "--now"], ["keys", "revoke", "--now", kid]] {
            let message = run_rejected(&server, &arguments).await;
            assert!(message.contains(&format!("no key {kid},")), "{message}");
        }
    }
    assert!(without_now.contains("--now"), "{without_now}");
    assert!(unknown.contains("no-such-key"), "{unknown}");
    assert_eq!(kids(&server).await, [kid]);
}

/// A pending or retired key can be revoked without replacing the signing key.
#[tokio::test]
async fn pending_key_revocation_keeps_the_signing_key() {
    let server = server().await;
    let active = kids(&server).await.remove(0);
    run(&server, &["keys", "rotate"]).await;
    eventually("two are published", async || kids(&server).await.len() == 2).await;
    let pending = kids(&server).await.remove(1);

    run(&server, &["keys", "revoke", &pending, "--now"]).await;

    eventually("one is published", async || kids(&server).await == [active.clone()]).await;
    let tokens = server.sign_up("ada@example.test").await.tokens();
    assert_eq!(signer_of(&tokens), active);
    run(&server, &["keys", "rotate"]).await;
    eventually("another key can be created", async || kids(&server).await.len() == 2).await;
}

/// Writes the private key to a file in `directory`; returns its path.
fn write_pem(directory: &Path, rsa: &Rsa<openssl::pkey::Private>) -> String {
    let file = directory.join("brought.pem");
    let pkey = PKey::from_rsa(rsa.clone()).unwrap();
    fs::write(&file, pkey.private_key_to_pem_pkcs8().unwrap()).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Like any other key, an imported key is published before it signs.
#[tokio::test]
async fn imported_key_is_published_before_it_signs() {
    let server = server().await;
    let directory = TempDir::new().unwrap();
    let rsa = Rsa::generate(2048).unwrap();
    let file = write_pem(directory.path(), &rsa);
    let old = server.sign_up("ada@example.test").await.tokens();

    let message = run(&server, &["keys", "import", &file]).await;

    let kid = message.split(' ').next().unwrap().to_owned();
    eventually("it is published", async || kids(&server).await.contains(&kid)).await;
    let jwks = server.jwks().await;
    assert_eq!(jwks["keys"][1]["n"], encode(rsa.n().to_vec()));
    let again = run_rejected(&server, &["keys", "import", &file]).await;
    assert!(again.contains("pending"), "{again}");
    // The command used the real clock, which has advanced meanwhile.
    server.advance_seconds(365 + 60);
    let signer = async || signer_of(&server.log_in("ada@example.test", PASSWORD).await.tokens());
    eventually("the key signs", async || signer().await == kid).await;
    let tokens = server.log_in("ada@example.test", PASSWORD).await.tokens();
    server.me(&tokens.access_token).await.expect_status(200);
    server.me(&old.access_token).await.expect_status(200);
    assert_eq!(events_of(&server, &kid).await, ["key_created", "key_activated"]);
}

/// KY-10: the command checks the strength of keys. `domain::keys::key_pair` tests all kinds of weak
/// keys.
#[tokio::test]
async fn weak_key_is_rejected_at_import() {
    let server = server().await;
    let directory = TempDir::new().unwrap();
    let short = write_pem(directory.path(), &Rsa::generate(1024).unwrap());
    let short = run_rejected(&server, &["keys", "import", &short]).await;
    let missing = run_rejected(&server, &["keys", "import", "no-such-file.pem"]).await;
    let garbage = directory.path().join("garbage.pem");
    fs::write(&garbage, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
    let garbage = run_rejected(&server, &["keys", "import", garbage.to_str().unwrap()]).await;

    assert!(short.contains("1024 bits"), "{short}");
    assert!(missing.contains("no-such-file.pem"), "{missing}");
    assert!(garbage.contains("not an unencrypted RSA private key"), "{garbage}");
}

/// Before the first start there are no verifiers. So a key that is imported or generated then is
/// the first key, and signs at once.
#[tokio::test]
async fn key_imported_before_the_first_start_signs_at_once() {
    for by_rotation in [false, true] {
        let directory = TempDir::new().unwrap();
        let file = write_pem(directory.path(), &Rsa::generate(2048).unwrap());
        let database = crate::harness::TestDatabase::create().await;
        let program = Program::new(&database);
        let command: &[&str] =
            if by_rotation { &["keys", "rotate"] } else { &["keys", "import", &file] };

        let output = program.run(command).await;
        let serving = program.serve().await;

        assert!(output.status.success(), "{output:?}");
        let kid = String::from_utf8(output.stdout).unwrap();
        let kid = kid.split(' ').next().unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let jwks = Answer::of(http.get(serving.url("/.well-known/jwks.json"))).await.json();
        let published: Vec<_> = jwks["keys"].as_array().unwrap().iter().collect();
        assert_eq!(published.len(), 1);
        assert_eq!(published[0]["kid"], kid);
        serving.stop_with(Signal::TERM).await;
        assert_eq!(database.count("signing_key WHERE state = 'active'").await, 1);
    }
}

/// The master key is replaced in three steps: write the new key before the old one and restart, run
/// `signet keys reseal`, remove the old key and restart. Before these steps, a start with only the
/// new key fails; after them, one with only the old key.
#[tokio::test]
async fn master_key_is_replaced_by_re_encryption() {
    let mut server = server().await;
    let first = server.sign_up("ada@example.test").await.tokens();
    let jwks = server.jwks().await;
    server.stop();
    let file = server.database.master_key_file();
    let old = fs::read_to_string(&file).unwrap().trim().to_owned();
    let new = encode([9; 32]);

    fs::write(&file, &new).unwrap();
    let message = Program::new(&server.database).startup_error().await;
    assert!(message.contains("SIGNET_MASTER_KEY_FILE"), "{message}");
    run_rejected(&server, &["keys", "reseal"]).await;

    fs::write(&file, format!("{new}\n{old}\n")).unwrap();
    let mut server = server.restart().await;
    server.me(&first.access_token).await.expect_status(200);
    let second = server.refresh(&first.refresh_token).await.tokens();
    let message = run(&server, &["keys", "reseal"]).await;
    assert!(message.contains("1 keys"), "{message}");
    server.stop();

    fs::write(&file, format!("{new}\n")).unwrap();
    let server = server.restart().await;
    server.me(&first.access_token).await.expect_status(200);
    server.me(&second.access_token).await.expect_status(200);
    server.refresh(&second.refresh_token).await.expect_status(200);
    // This token was issued under the old master key, which has been removed. It is invalid, but
    // not reported as reuse.
    server.refresh(&first.refresh_token).await.expect_status(401);
    assert_eq!(server.database.count("auth_event WHERE type = 'token_reuse'").await, 0);
    assert_eq!(server.jwks().await, jwks);

    fs::write(&file, &old).unwrap();
    Program::new(&server.database).startup_error().await;
}

/// KY-03, KY-04: a schedule that would invalidate valid tokens prevents the start before any file
/// is created.
#[tokio::test]
async fn start_fails_if_the_key_schedule_would_invalidate_tokens() {
    let directory = TempDir::new().unwrap();
    let program = Program::without_settings(directory.path()).with("SIGNET_LISTEN", "127.0.0.1:0");

    for (variable, value, least) in [
        ("SIGNET_KEY_PUBLICATION_SECONDS", "374", "375"),
        ("SIGNET_KEY_PUBLICATION_SECONDS", "0", "375"),
        ("SIGNET_KEY_RETENTION_SECONDS", "86444", "86445"),
        ("SIGNET_KEY_ROTATION_SECONDS", "1199", "1200"),
    ] {
        let program = program.clone().with(variable, value);
        let message = program.startup_error().await;
        assert!(
            message.contains(variable) && message.contains(value) && message.contains(least),
            "{message}"
        );
        let rotated = program.run(&["keys", "rotate"]).await;
        assert!(!rotated.status.success());
        assert!(String::from_utf8_lossy(&rotated.stderr).contains(variable));
    }
    for (variable, value) in [
        ("SIGNET_KEY_RELOAD_SECONDS", "0"),
        ("SIGNET_CLOCK_SKEW_SECONDS", "601"),
        ("SIGNET_JWKS_MAX_AGE_SECONDS", "86401"),
    ] {
        let message = program.clone().with(variable, value).startup_error().await;
        assert!(message.contains(variable), "{message}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    let exact = program
        .with("SIGNET_KEY_PUBLICATION_SECONDS", "375")
        .with("SIGNET_KEY_RETENTION_SECONDS", "86445")
        .with("SIGNET_KEY_ROTATION_SECONDS", "375");
    exact.serve().await.stop_with(Signal::TERM).await;
}

/// If a raised setting breaks the schedule, the message names this setting and the setting that
/// depends on it.
#[tokio::test]
async fn key_schedule_is_checked_against_all_settings() {
    let directory = TempDir::new().unwrap();
    let program = Program::without_settings(directory.path())
        .with("SIGNET_LISTEN", "127.0.0.1:0")
        .with("SIGNET_KEY_PUBLICATION_SECONDS", "375")
        .with("SIGNET_KEY_RETENTION_SECONDS", "86445");

    for (raised, value, named) in [
        ("SIGNET_JWKS_MAX_AGE_SECONDS", "301", "SIGNET_KEY_PUBLICATION_SECONDS"),
        ("SIGNET_KEY_RELOAD_SECONDS", "6", "SIGNET_KEY_PUBLICATION_SECONDS"),
        ("SIGNET_CLOCK_SKEW_SECONDS", "31", "SIGNET_KEY_PUBLICATION_SECONDS"),
        ("SIGNET_ACCESS_TOKEN_SECONDS", "86401", "SIGNET_KEY_RETENTION_SECONDS"),
    ] {
        let message = program.clone().with(raised, value).startup_error().await;
        assert!(message.contains(named) && message.contains(raised), "{message}");
    }
}

#[tokio::test]
async fn commands_print_no_private_key() {
    let server = server().await;
    run(&server, &["keys", "rotate"]).await;

    let exported: Value =
        serde_json::from_str(&run(&server, &["keys", "export-public"]).await).unwrap();

    for key in exported["keys"].as_array().unwrap() {
        let mut members: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]);
    }
}
