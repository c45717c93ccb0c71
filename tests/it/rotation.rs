//! Key rotation: a new key is published first. It signs once every cached key set contains it. It
//! is removed when its last token has expired. Every instance follows this schedule, whether a
//! command or a task started the rotation.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use crate::harness::forge::parts;
use crate::harness::{Program, TestServer, eventually};

const RELOAD: Duration = Duration::from_secs(1);
/// 300 s of caching, three reloads, and twice 30 s of clock skew.
const PUBLICATION: u64 = 363;
/// A token lifetime of a day, three reloads, and 30 s of clock skew.
const RETENTION: u64 = 86_400 + 33;

/// A server that reloads its keys every second, with the shortest permitted schedule.
async fn server() -> TestServer {
    TestServer::with(|config| config.keys.key_reload_seconds = 1).await
}

/// The command line on the server's database, with its schedule.
fn command_line(server: &TestServer) -> Program {
    Program::new(&server.database).with("SIGNET_KEY_RELOAD_SECONDS", "1")
}

/// Runs `signet keys …`, which must succeed, and returns its output.
async fn keys(server: &TestServer, arguments: &[&str]) -> String {
    let output = command_line(server).run(&[&["keys"], arguments].concat()).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Publishes a new key on all `servers`, and returns its id.
async fn rotate(servers: &[&TestServer]) -> String {
    let printed = keys(servers[0], &["rotate"]).await;
    let kid = printed.split(' ').next().unwrap().to_owned();
    for server in servers {
        eventually("the new key is published", async || kids(server).await.contains(&kid)).await;
    }
    kid
}

/// The ids of the published keys, oldest first.
async fn kids(server: &TestServer) -> Vec<String> {
    let jwks = server.jwks().await;
    let keys = jwks["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// The id of the key that signs new tokens.
async fn signer(server: &TestServer) -> String {
    let tokens = server.log_in("ada@example.test", crate::harness::PASSWORD).await.tokens();
    signer_of(&tokens.access_token)
}

fn signer_of(token: &str) -> String {
    parts(token).0["kid"].as_str().unwrap().to_owned()
}

/// A time of the key's schedule, in microseconds.
async fn time_of(server: &TestServer, column: &str, kid: &str) -> i64 {
    let sql = format!("SELECT {column} FROM signing_key WHERE kid = '{kid}'");
    server.database.column(&sql).await[0]
}

/// Sets the clock to `micros`, and waits until every instance has reloaded.
async fn advance_to(server: &TestServer, micros: i64) {
    let ahead = u64::try_from(micros - server.clock.now().as_micros()).unwrap();
    server.clock.advance(Duration::from_micros(ahead));
    two_reloads().await;
}

/// Waits until every instance has reloaded its keys. Reloads use the real clock.
async fn two_reloads() {
    tokio::time::sleep(RELOAD * 2 + Duration::from_millis(300)).await;
}

/// The events of keys, oldest first: type and reason.
async fn key_events(server: &TestServer) -> Vec<(String, String)> {
    let column = |name: &str| {
        format!("SELECT {name} FROM auth_event WHERE type LIKE 'key_%' ORDER BY at, id")
    };
    let types = server.database.column(&column("type")).await;
    let reasons = server.database.column(&column("reason")).await;
    types.into_iter().zip(reasons).collect()
}

fn event(step: &str, kid: &str) -> (String, String) {
    (format!("key_{step}"), format!("kid {kid}"))
}

/// KY-03, KY-04, KY-05: the whole schedule of two keys on two instances, exact to the microsecond.
/// One of the instances performs each step, and performs it once.
#[tokio::test]
async fn rotated_key_is_published_then_signs_and_its_predecessor_is_removed() {
    let one = server().await;
    let other = one.another_instance().await;
    let servers = [&one, &other];
    let first = one.sign_up("ada@example.test").await.tokens();
    let old = kids(&one).await.remove(0);

    let new = rotate(&servers).await;

    let (created, due) =
        (time_of(&one, "created_at", &new).await, time_of(&one, "activate_at", &new).await);
    assert_eq!(due - created, i64::try_from(PUBLICATION).unwrap() * 1_000_000);
    advance_to(&one, due - 1).await;
    for server in servers {
        assert_eq!(kids(server).await, [old.as_str(), &new]);
        assert_eq!(signer(server).await, old, "a microsecond too early");
    }
    let last = one.refresh(&first.refresh_token).await.tokens();
    assert_eq!(signer_of(&last.access_token), old);

    advance_to(&one, due).await;
    for server in servers {
        assert_eq!(signer(server).await, new);
        assert_eq!(kids(server).await, [old.as_str(), &new]);
        server.me(&last.access_token).await.expect_status(200);
    }
    let removal = time_of(&one, "remove_at", &old).await;
    assert_eq!(removal - due, i64::try_from(RETENTION).unwrap() * 1_000_000);
    advance_to(&one, due - 1 + 86_400_000_000 - 1_000_000).await;
    for server in servers {
        server.me(&last.access_token).await.expect_status(200);
    }
    advance_to(&one, removal - 1).await;
    assert_eq!(kids(&other).await, [old.as_str(), &new]);
    advance_to(&one, removal).await;
    for server in servers {
        assert_eq!(kids(server).await, [new.as_str()]);
        assert_eq!(signer(server).await, new);
        server.me(&last.access_token).await.expect_status(401);
    }

    let expected = [
        event("created", &old),
        event("activated", &old),
        event("created", &new),
        event("retired", &old),
        event("activated", &new),
    ];
    assert_eq!(key_events(&one).await, expected);
}

/// KY-05: the `Cache-Control` of the key set matches the schedule.
#[tokio::test]
async fn jwks_max_age_matches_the_rotation_schedule() {
    let server = TestServer::with(|config| {
        config.keys.key_reload_seconds = 1;
        config.keys.jwks_max_age_seconds = 77;
        config.keys.clock_skew_seconds = 11;
        config.keys.key_rotation_seconds = 1000;
    })
    .await;

    let answer = server.get("/.well-known/jwks.json").await;
    server.advance_seconds(1000);
    eventually("there is a second key", async || kids(&server).await.len() == 2).await;

    assert_eq!(answer.header("cache-control"), "public, max-age=77");
    let new = kids(&server).await.remove(1);
    let (created, due) =
        (time_of(&server, "created_at", &new).await, time_of(&server, "activate_at", &new).await);
    assert_eq!(due - created, (77 + 3 + 2 * 11) * 1_000_000);
    let later = server.get("/.well-known/jwks.json").await;
    assert_eq!(later.header("cache-control"), "public, max-age=77");
}

#[tokio::test]
async fn jwks_etag_changes_with_the_key_set_only() {
    let server = server().await;
    let status_with_etag = async |etag: &str| {
        let request = server.request(reqwest::Method::GET, "/.well-known/jwks.json");
        request.header("if-none-match", etag).send().await.unwrap().status().as_u16()
    };
    let before = server.get("/.well-known/jwks.json").await.header("etag").to_owned();
    two_reloads().await;
    assert_eq!(status_with_etag(&before).await, 304);

    rotate(&[&server]).await;
    let pending = server.get("/.well-known/jwks.json").await.header("etag").to_owned();

    assert_ne!(before, pending);
    assert_eq!((status_with_etag(&before).await, status_with_etag(&pending).await), (200, 304));
}

/// KY-03, AT-07: two instances together create one key, not two.
#[tokio::test]
async fn automatic_rotation_creates_one_key() {
    let one = TestServer::with(|config| {
        config.keys.key_reload_seconds = 1;
        config.keys.key_rotation_seconds = 1000;
    })
    .await;
    let other = one.another_instance().await;
    one.sign_up("ada@example.test").await.expect_status(201);
    let begin = one.clock.now().as_micros();
    let first = kids(&one).await.remove(0);

    advance_to(&one, begin + 999_999_999).await;
    assert_eq!(kids(&one).await, [first.as_str()]);
    advance_to(&one, begin + 1_000_000_000).await;
    let both = kids(&one).await;
    assert_eq!((both.len(), kids(&other).await), (2, both.clone()));
    advance_to(&one, begin + (1000 + i64::try_from(PUBLICATION).unwrap()) * 1_000_000).await;
    assert_eq!((signer(&one).await, signer(&other).await), (both[1].clone(), both[1].clone()));
    // The interval until the third key starts when the second key begins to sign.
    advance_to(&one, begin + (2000 + i64::try_from(PUBLICATION).unwrap()) * 1_000_000 - 1).await;
    assert_eq!(kids(&other).await, both);
    one.clock.advance(Duration::from_micros(1));
    eventually("there is a third key", async || kids(&other).await.len() == 3).await;

    let third = kids(&other).await.remove(2);
    let expected = [
        event("created", &first),
        event("activated", &first),
        event("created", &both[1]),
        event("retired", &first),
        event("activated", &both[1]),
        event("created", &third),
    ];
    assert_eq!(key_events(&one).await, expected);
}

/// AT-07: even an overdue step waits until the lease is free.
#[tokio::test]
async fn instance_without_the_lease_performs_no_rotation_step() {
    let server = server().await;
    let old = kids(&server).await.remove(0);
    let new = rotate(&[&server]).await;
    let due = time_of(&server, "activate_at", &new).await;
    server.sign_up("ada@example.test").await.expect_status(201);
    // Another instance has the lease, and is slow.
    let holder = if server.database.is_postgres() {
        "'0199b0c0-0000-7000-8000-000000000000'"
    } else {
        "x'0199b0c0000070008000000000000000'"
    };
    let until = due + 1_000_000_000;
    let take = format!("UPDATE lease SET holder = {holder}, expires_at = {until}");
    server.database.execute(&take).await;

    advance_to(&server, until - 1).await;
    assert_eq!(signer(&server).await, old, "another instance has the lease");
    advance_to(&server, until).await;

    assert_eq!(signer(&server).await, new);
    let foreign_lease = format!("lease WHERE holder = {holder}");
    assert_eq!(
        server.database.count(&foreign_lease).await,
        0,
        "only the instance with the lease performs steps"
    );
    assert_eq!(time_of(&server, "activated_at", &new).await, until);
}

#[tokio::test]
async fn rotation_interval_of_zero_disables_automatic_rotation() {
    let server = TestServer::with(|config| {
        config.keys.key_reload_seconds = 1;
        config.keys.key_rotation_seconds = 0;
    })
    .await;

    server.advance_seconds(10 * 365 * 24 * 60 * 60);
    two_reloads().await;

    assert_eq!(kids(&server).await.len(), 1);
}

/// AT-07: one of the commands creates a key. The other commands fail and name that key.
#[tokio::test]
async fn concurrent_rotation_commands_create_one_key() {
    let one = server().await;
    let other = one.another_instance().await;
    let program = command_line(&one);

    let outputs = join_all((0..6).map(|_| program.run(&["keys", "rotate"]))).await;

    let succeeded: Vec<_> = outputs.iter().filter(|output| output.status.success()).collect();
    assert_eq!(succeeded.len(), 1, "{outputs:?}");
    let printed = String::from_utf8_lossy(&succeeded[0].stdout).into_owned();
    let kid = printed.split(' ').next().unwrap();
    for refused in outputs.iter().filter(|output| !output.status.success()) {
        let message = String::from_utf8_lossy(&refused.stderr);
        assert!(message.contains(kid) && message.contains("pending"), "{message}");
    }
    for server in [&one, &other] {
        eventually("the new key is published", async || kids(server).await.len() == 2).await;
    }
    assert_eq!(one.database.count("signing_key WHERE state = 'pending'").await, 1);
    assert_eq!(one.database.count("auth_event WHERE type = 'key_created'").await, 2);
}

/// If several steps are due after a restart, the instance performs all of them.
#[tokio::test]
async fn rotation_continues_after_a_restart() {
    let mut one = server().await;
    one.sign_up("ada@example.test").await.expect_status(201);
    let old = kids(&one).await.remove(0);
    let new = rotate(&[&one]).await;
    one.stop();

    one.advance_seconds(PUBLICATION + 5);
    let one = one.restart().await;
    eventually("the new key signs", async || signer(&one).await == new).await;
    one.advance_seconds(RETENTION);
    eventually("the old key is removed", async || kids(&one).await == [new.clone()]).await;

    let kinds: Vec<_> = key_events(&one).await.into_iter().map(|event| event.0).collect();
    let expected = ["key_created", "key_activated", "key_created", "key_retired", "key_activated"];
    assert_eq!(kinds, expected);
    assert_eq!(one.database.count(&format!("signing_key WHERE kid = '{old}'")).await, 1);
}

/// An instance that cannot reload its keys still serves the last key set, with caching disabled.
#[tokio::test]
async fn stale_key_set_is_served_without_caching() {
    let server = server().await;
    let before = server.get("/.well-known/jwks.json").await;

    server.database.make_unavailable().await;
    let cache_control = async || {
        let answer = server.get("/.well-known/jwks.json").await;
        assert_eq!((answer.status, &answer.body), (200, &before.body));
        answer.header("cache-control").to_owned()
    };
    eventually("the key set becomes stale", async || cache_control().await == "no-cache").await;

    server.get("/readyz").await.expect_status(503);
    server.get("/livez").await.expect_status(200);
}

/// `export-public` prints the published key set, and `list` prints the state of each key.
#[tokio::test]
async fn exported_keys_match_the_published_key_set() {
    let server = server().await;
    rotate(&[&server]).await;

    let exported: Value = serde_json::from_str(&keys(&server, &["export-public"]).await).unwrap();
    let listed = keys(&server, &["list"]).await;

    assert_eq!(exported, server.jwks().await);
    let lines: Vec<_> = listed.lines().collect();
    let kids = kids(&server).await;
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with(&kids[0]) && lines[0].contains("active since"), "{listed}");
    assert!(lines[1].starts_with(&kids[1]) && lines[1].contains("pending since"), "{listed}");
    assert!(lines[1].contains("signs from"), "{listed}");
}

/// C10: PEM is for programs that do not read JWK sets. They ignore text outside the PEM blocks.
#[tokio::test]
async fn keys_are_exported_as_pem() {
    let server = server().await;
    rotate(&[&server]).await;

    let pem = keys(&server, &["export-public", "--pem"]).await;

    let blocks: Vec<_> = pem.trim_end().split_inclusive("-----END PUBLIC KEY-----").collect();
    let jwks = server.jwks().await;
    let published = jwks["keys"].as_array().unwrap();
    for (key, block) in published.iter().zip(&blocks) {
        assert!(block.contains(key["kid"].as_str().unwrap()), "{block}");
        let read = openssl::rsa::Rsa::public_key_from_pem(block.as_bytes()).unwrap();
        assert_eq!(crate::harness::forge::encode(read.n().to_vec()), key["n"].as_str().unwrap());
    }
    assert_eq!((blocks.len(), published.len()), (2, 2), "{pem}");
}
