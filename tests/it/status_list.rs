//! The status list: a signed document that tells verifiers which sessions have ended.

use std::collections::BTreeSet;
use std::io::Read;

use flate2::read::GzDecoder;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use signet_verifier::KeySet;

use crate::harness::{
    Answer, PASSWORD, Program, StatusList, StatusReference, TestServer, eventually,
};

const ENTRIES: usize = 1 << 20;

async fn with_header(server: &TestServer, path: &str, name: &str, value: &str) -> Answer {
    Answer::of(server.request(Method::GET, path).header(name, value)).await
}

/// MUST-181, MUST-182, MUST-184, MUST-186, MUST-191: media type, header, times, caching, CORS.
#[tokio::test]
async fn status_list_of_a_token_is_typed_signed_dated_and_allows_any_origin() {
    let server = TestServer::start().await;
    let tokens = server.sign_up("ada@example.test").await.tokens();
    let now = server.clock.now().as_seconds();

    let list = server.status_list(&tokens.access_token).await;

    assert_eq!(list.answer.header("content-type"), "application/statuslist+jwt");
    assert_eq!(list.answer.header("access-control-allow-origin"), "*");
    assert_eq!(list.answer.header("cache-control"), "public, max-age=1");
    assert_eq!(list.answer.header("vary"), "accept-encoding");
    let kid = &server.jwks().await["keys"][0]["kid"];
    assert_eq!(list.header, json!({ "alg": "RS256", "typ": "statuslist+jwt", "kid": kid }));
    // MUST-183: exactly the URI in the token, and no unnecessary claims.
    let uri = StatusReference::of(&tokens.access_token).uri;
    assert_eq!(uri, "https://id.example.test/status/1");
    assert_eq!(
        list.claims,
        json!({
            "sub": uri,
            "iat": now,
            "exp": now + 3600,
            "ttl": 10,
            "status_list": { "bits": 1, "lst": list.claims["status_list"]["lst"] },
        })
    );
    // MUST-185, MUST-189: all possible entries, all of them valid.
    assert_eq!(list.bytes, vec![0; ENTRIES / 8]);
}

/// MUST-182: a key of the published set verifies the signature.
#[tokio::test]
async fn status_list_verifies_with_the_key_set() {
    let server = TestServer::start().await;
    let tokens = server.sign_up("ada@example.test").await.tokens();
    let keys = KeySet::from_json(&server.get("/.well-known/jwks.json").await.body).unwrap();
    let reference = StatusReference::of(&tokens.access_token);
    let list = server.status_list(&tokens.access_token).await;
    let token = String::from_utf8(list.answer.body).unwrap();
    let now = server.clock.now().as_seconds();

    let verifier = signet_verifier::Verifier::new("https://id.example.test", "anything");
    let read = verifier.verify_status_list(&keys, &reference.uri, &token, now).unwrap();

    let index = u64::try_from(reference.index).unwrap();
    assert_eq!(read.status(index), Some(signet_verifier::Status::Valid));
    assert_eq!(read.status(u64::try_from(ENTRIES).unwrap()), None);
    assert_eq!(read.ttl(), Some(std::time::Duration::from_secs(10)));
}

/// MUST-187
#[tokio::test]
async fn logout_sets_only_the_entry_of_its_session() {
    let server = TestServer::start().await;
    let [ada, bob] = [
        server.sign_up("ada@example.test").await.tokens(),
        server.sign_up("bob@example.test").await.tokens(),
    ];
    let again = server.log_in("ada@example.test", PASSWORD).await.tokens();

    server.log_out(&ada.access_token).await.expect_status(200);
    server.wait_until_listed_as_ended(&ada.access_token).await;

    let list = server.status_list(&bob.access_token).await;
    assert_eq!(list.invalid(), [StatusReference::of(&ada.access_token).index]);
    server.log_out(&again.access_token).await.expect_status(200);
    server.wait_until_listed_as_ended(&again.access_token).await;
    let list = server.status_list(&bob.access_token).await;
    assert_eq!(list.invalid().len(), 2);
    assert!(!list.is_set(StatusReference::of(&bob.access_token).index));
}

/// All tokens of a session have the same entry.
#[tokio::test]
async fn refreshed_token_has_the_entry_of_its_session() {
    let server = TestServer::start().await;
    let first = server.sign_up("ada@example.test").await.tokens();

    let second = server.refresh(&first.refresh_token).await.tokens();
    let retried = server.refresh(&first.refresh_token).await.tokens();

    let entry = StatusReference::of(&first.access_token);
    assert_eq!(entry, StatusReference::of(&second.access_token));
    assert_eq!(entry, StatusReference::of(&retried.access_token));
}

/// MUST-193: the end of a session is published as well when token reuse or a password reset ends
/// it.
#[tokio::test]
async fn reuse_and_password_reset_set_the_entry() {
    let server = TestServer::start().await;
    let stolen = server.sign_up("ada@example.test").await.tokens();
    let other_sessions = [
        server.log_in("ada@example.test", PASSWORD).await.tokens(),
        server.log_in("ada@example.test", PASSWORD).await.tokens(),
    ];
    let bob = server.sign_up("bob@example.test").await.tokens();

    server.refresh(&stolen.refresh_token).await.expect_status(200);
    server.advance_seconds(11);
    server.refresh(&stolen.refresh_token).await.expect_status(401);
    server.wait_until_listed_as_ended(&stolen.access_token).await;
    let list = server.status_list(&bob.access_token).await;
    assert_eq!(list.invalid(), [StatusReference::of(&stolen.access_token).index]);

    let reset = server.reset_token("ada@example.test").await;
    let body = json!({ "token": reset, "new_password": "Difference-Engine-1822" });
    server.post("/api/auth/password/reset", &body).await.expect_status(204);
    for other in &other_sessions {
        server.wait_until_listed_as_ended(&other.access_token).await;
    }
    let list = server.status_list(&bob.access_token).await;
    assert_eq!(list.invalid().len(), 3);
    assert!(!list.is_set(StatusReference::of(&bob.access_token).index));
}

/// An expired session needs no entry: its tokens have expired, too.
#[tokio::test]
async fn session_expiry_sets_no_entry() {
    let server = TestServer::with(|config| config.tokens.refresh_token_seconds = 60).await;
    let ada = server.sign_up("ada@example.test").await.tokens();

    server.advance_seconds(61);
    server.log_out(&ada.access_token).await.expect_status(401);

    assert_eq!(server.database.count("invalid_status").await, 0);
}

/// F2
#[tokio::test]
async fn rolled_back_logout_sets_no_entry() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada@example.test").await.tokens();
    server.database.execute("ALTER TABLE auth_event RENAME TO no_auth_event").await;

    server.log_out(&ada.access_token).await.expect_error(503, "SERVICE_UNAVAILABLE");

    assert_eq!(server.database.count("invalid_status").await, 0);
    server.database.execute("ALTER TABLE no_auth_event RENAME TO auth_event").await;
    server.me(&ada.access_token).await.expect_status(200);
}

/// An access token that is valid for longer than its session could not be revoked at the end of the
/// session.
#[tokio::test]
async fn access_token_does_not_outlive_its_session() {
    let server = TestServer::with(|config| config.tokens.session_seconds = 100).await;
    let first = server.sign_up("ada@example.test").await;
    let exp = |token: &str| TestServer::claims(token)["exp"].as_u64().unwrap();
    let end = server.clock.now().as_seconds() + 100;

    assert_eq!(first.json()["expires_in"], 100);
    assert_eq!(exp(&first.tokens().access_token), end);
    server.advance_seconds(60);
    let second = server.refresh(&first.tokens().refresh_token).await;

    assert_eq!(second.json()["expires_in"], 40);
    assert_eq!(exp(&second.tokens().access_token), end);
}

/// The list is read in batches, and none of the entries may be omitted.
#[tokio::test]
async fn status_list_with_many_ended_sessions_is_complete() {
    let server = TestServer::start().await;
    let now = server.clock.now().as_micros();
    let entries = format!(
        "INSERT INTO invalid_status (list_id, idx, since) \
         WITH RECURSIVE n(i) AS (SELECT 7 UNION ALL SELECT i + 20 FROM n WHERE i < 1000007) \
         SELECT 1, i, {now} FROM n"
    );
    server.database.execute(&entries).await;

    let server = server.restart().await;

    let invalid = StatusList::of(server.get("/status/1").await).invalid();
    assert_eq!(invalid, (7..=1_000_007).step_by(20).collect::<Vec<_>>());
}

#[tokio::test]
async fn every_instance_publishes_sessions_ended_by_any_instance() {
    let one = TestServer::start().await;
    let other = one.another_instance().await;
    let ada = one.sign_up("ada@example.test").await.tokens();
    let bob = other.sign_up("bob@example.test").await.tokens();

    one.log_out(&ada.access_token).await.expect_status(200);
    other.log_out(&bob.access_token).await.expect_status(200);

    for server in [&one, &other] {
        server.wait_until_listed_as_ended(&ada.access_token).await;
        server.wait_until_listed_as_ended(&bob.access_token).await;
        assert_eq!(server.status_list(&ada.access_token).await.invalid().len(), 2);
    }
    let restarted = one.restart().await;
    assert_eq!(restarted.status_list(&ada.access_token).await.invalid().len(), 2);
}

/// MUST-188, MUST-189: sessions that begin concurrently, on several instances and across a restart,
/// have different entries in random order.
#[tokio::test]
async fn status_list_entries_are_unique_and_random() {
    let one = TestServer::start().await;
    let other = one.another_instance().await;
    let sign_up = async |server: &TestServer, number: usize| {
        let answer = server.sign_up(&format!("user{number}@example.test")).await;
        StatusReference::of(&answer.tokens().access_token)
    };

    let numbers: Vec<_> = (0..40).collect();
    let entries = join_all(numbers.iter().map(|number| {
        let server = if number % 2 == 0 { &one } else { &other };
        sign_up(server, *number)
    }));
    let mut entries = entries.await;
    let restarted = one.restart().await;
    for number in 40..50 {
        entries.push(sign_up(&restarted, number).await);
    }

    assert_eq!(entries.iter().collect::<BTreeSet<_>>().len(), 50);
    assert!(entries.iter().all(|entry| entry.index < ENTRIES));
    let steps: BTreeSet<_> =
        entries.windows(2).map(|pair| pair[0].index.abs_diff(pair[1].index)).collect();
    assert!(steps.len() > 30, "few different distances: {steps:?}");
    let rises = entries.windows(2).filter(|pair| pair[0].index < pair[1].index).count();
    assert!((8..42).contains(&rises), "sorted: {entries:?}");
    // Each of the three instances has claimed a block of 512 of the 1,048,576 entries, at a random
    // position.
    assert_eq!(one_number(&restarted, "SELECT free_blocks FROM status_list").await, 2045);
}

async fn one_number(server: &TestServer, sql: &str) -> i32 {
    server.database.column::<i32>(sql).await[0]
}

/// MUST-190: the metadata refers to a document with the URIs of all lists.
#[tokio::test]
async fn status_list_aggregation_names_every_list() {
    let server = TestServer::start().await;
    let second = "INSERT INTO status_list (id, claimed, free_blocks, created_at) \
                  SELECT 2, claimed, free_blocks, created_at FROM status_list";
    server.database.execute(second).await;
    let server = server.restart().await;

    let metadata = server.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["status_list_aggregation_endpoint"], "https://id.example.test/status");
    let aggregation = server.get("/status").await;

    let uris = ["https://id.example.test/status/1", "https://id.example.test/status/2"];
    assert_eq!(aggregation.json(), json!({ "status_lists": uris }));
    assert_eq!(aggregation.header("content-type"), "application/json");
    assert_eq!(aggregation.header("access-control-allow-origin"), "*");
    for (uri, path) in uris.iter().zip(["/status/1", "/status/2"]) {
        assert_eq!(StatusList::of(server.get(path).await).claims["sub"], *uri);
    }
}

/// MUST-191: the list is compressed with gzip if the client accepts it. It is the same for every
/// `Accept`.
#[tokio::test]
async fn status_list_is_compressed_on_request_and_revalidated() {
    let server = TestServer::start().await;

    let plain = server.get("/status/1").await;
    let zipped = with_header(&server, "/status/1", "accept-encoding", "br, gzip").await;

    assert!(plain.headers.get("content-encoding").is_none());
    assert_eq!(zipped.header("content-encoding"), "gzip");
    let mut unzipped = Vec::new();
    GzDecoder::new(&*zipped.body).read_to_end(&mut unzipped).unwrap();
    assert_eq!(unzipped, plain.body);
    assert!(zipped.body.len() < plain.body.len());
    assert_ne!(zipped.header("etag"), plain.header("etag"));
    for accepted in ["application/statuslist+jwt", "application/statuslist+cwt", "text/html"] {
        let answer = with_header(&server, "/status/1", "accept", accepted).await;
        assert_eq!((answer.status, &answer.body), (200, &plain.body), "{accepted}");
    }
    let etag = plain.header("etag");
    let again = with_header(&server, "/status/1", "if-none-match", etag).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), etag);
}

/// MUST-192: lists of past times are not supported.
#[tokio::test]
async fn past_time_gets_a_501_and_unknown_list_a_404() {
    let server = TestServer::start().await;

    for past in ["/status/1?time=1686925000", "/status/1?time=", "/status/9?a=1&%74ime=0"] {
        assert_eq!(server.get(past).await.status, 501, "{past}");
    }
    server.get("/status/1?timeout=1").await.expect_status(200);
    for path in [
        "/status/2",
        "/status/0",
        "/status/01",
        "/status/+1",
        "/status/-1",
        "/status/1.0",
        "/status/99999999999999999999",
        "/status/%31%00",
        "/status/1/",
        "/status/1/1",
        "/status/",
    ] {
        server.get(path).await.expect_error(404, "NOT_FOUND");
    }
    let posted = Answer::of(server.request(Method::POST, "/status/1")).await;
    posted.expect_error(405, "METHOD_NOT_ALLOWED");
    assert_eq!(posted.header("allow"), "GET, HEAD");
}

/// The list is signed again early. So verifiers keep a valid list during an outage of almost the
/// whole lifetime of a list, whenever the outage begins.
#[tokio::test]
async fn status_list_is_re_signed_long_before_it_expires() {
    let server = TestServer::start().await;
    let iat =
        async || StatusList::of(server.get("/status/1").await).claims["iat"].as_u64().unwrap();
    let before = iat().await;

    server.advance_seconds(299);
    tokio::time::sleep(std::time::Duration::from_millis(2_200)).await;
    assert_eq!(iat().await, before, "an unchanged list is not signed again immediately");
    server.advance_seconds(1);

    eventually("the list is signed again", async || iat().await == before + 300).await;
}

/// A list signed with the current key stays valid when the previous key is removed.
#[tokio::test]
async fn status_list_is_signed_with_the_current_key() {
    let server = TestServer::with(|config| config.keys.key_reload_seconds = 1).await;
    let list = StatusList::of(server.get("/status/1").await);
    let kid = list.header["kid"].as_str().unwrap().to_owned();

    let program = Program::new(&server.database).with("SIGNET_KEY_RELOAD_SECONDS", "1");
    let revoked = program.run(&["keys", "revoke", &kid, "--now"]).await;
    assert!(revoked.status.success(), "{revoked:?}");

    eventually("the list is signed with the new key", async || {
        let list = StatusList::of(server.get("/status/1").await);
        let keys = server.jwks().await;
        list.header["kid"] != kid.as_str() && list.header["kid"] == keys["keys"][0]["kid"]
    })
    .await;
}

/// F6: while the database is unavailable, the last signed list is served.
#[tokio::test]
async fn status_list_is_served_without_the_database() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada@example.test").await.tokens();
    server.log_out(&ada.access_token).await.expect_status(200);
    server.wait_until_listed_as_ended(&ada.access_token).await;

    server.database.make_unavailable().await;
    server.advance_seconds(3000);
    tokio::time::sleep(std::time::Duration::from_millis(2_200)).await;

    let list = server.status_list(&ada.access_token).await;
    assert_eq!(list.invalid(), [StatusReference::of(&ada.access_token).index]);
    // The list is not signed again, because more sessions may have ended.
    assert!(list.claims["exp"].as_u64().unwrap() < server.clock.now().as_seconds() + 3600);
}

/// Sessions that were created before status lists existed continue. Their tokens refer to no list.
#[tokio::test]
async fn session_without_an_entry_can_be_refreshed_and_ended() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada@example.test").await.tokens();
    server.database.execute("UPDATE session SET status_list = NULL, status_index = NULL").await;

    let refreshed = server.refresh(&ada.refresh_token).await.tokens();

    assert!(TestServer::claims(&refreshed.access_token).get("status").is_none());
    server.log_out(&refreshed.access_token).await.expect_status(200);
    assert_eq!(server.database.count("invalid_status").await, 0);
}

/// The next list is created long before the current one is full.
#[tokio::test]
async fn next_status_list_is_created_at_half_capacity_and_used_when_full() {
    let server = TestServer::start().await;
    server.database.execute("UPDATE status_list SET free_blocks = 1025").await;
    let first = server.sign_up("ada@example.test").await.tokens();
    assert_eq!(StatusReference::of(&first.access_token).path(), "/status/1");
    assert_eq!(server.database.count("status_list").await, 2);

    server.database.execute("UPDATE status_list SET free_blocks = 0 WHERE id = 1").await;
    let server = server.restart().await;
    let second = server.sign_up("bob@example.test").await.tokens();

    assert_eq!(StatusReference::of(&second.access_token).path(), "/status/2");
    server.log_out(&second.access_token).await.expect_status(200);
    server.wait_until_listed_as_ended(&second.access_token).await;
    assert_eq!(server.status_list(&first.access_token).await.invalid(), [] as [usize; 0]);
}

#[tokio::test]
async fn status_entries_and_lists_are_deleted_when_no_token_can_refer_to_them() {
    let server = TestServer::start().await;
    let [ada, bob] = [
        server.sign_up("ada@example.test").await.tokens(),
        server.sign_up("bob@example.test").await.tokens(),
    ];
    for tokens in [&ada, &bob] {
        server.log_out(&tokens.access_token).await.expect_status(200);
    }
    let day = 24 * 60 * 60;
    // One session ended 29 days ago, and one 31 days ago. The full list is not deleted yet.
    let now = server.clock.now().as_seconds();
    let since = |days: u64| (now - days * day) * 1_000_000;
    for (token, days) in [(&ada, 29), (&bob, 31)] {
        let index = StatusReference::of(&token.access_token).index;
        let age = since(days);
        let sql = format!("UPDATE invalid_status SET since = {age} WHERE idx = {index}");
        server.database.execute(&sql).await;
    }
    server.database.execute("UPDATE status_list SET free_blocks = 0").await;
    let copy = "INSERT INTO status_list (id, claimed, free_blocks, created_at) \
                SELECT 2, claimed, 2048, created_at FROM status_list";
    server.database.execute(copy).await;

    let server = server.restart().await;
    eventually("the older entry is deleted", async || {
        server.database.count("invalid_status").await == 1
    })
    .await;
    assert_eq!(server.database.count("status_list").await, 2);

    // The sessions and the last entry are older than any token lifetime.
    let ended = format!("UPDATE session SET absolute_expires_at = {}", since(31));
    server.database.execute(&ended).await;
    server.database.execute(&format!("UPDATE invalid_status SET since = {}", since(31))).await;
    let server = server.restart().await;

    eventually("the list is deleted", async || server.database.count("status_list").await == 1)
        .await;
    server.advance_seconds(61);
    eventually("the list is withdrawn", async || server.get("/status/1").await.status == 404).await;
    server.get("/status/2").await.expect_status(200);
}

/// MUST-193: the user or an operator may end a session, from another session or by a command.
#[tokio::test]
async fn sessions_ended_from_elsewhere_are_published_and_active_ones_are_not() {
    let server = TestServer::start().await;
    let methods = ["one", "others", "password", "delete_me", "disable", "end-sessions", "delete"];
    for (n, method) in methods.into_iter().enumerate() {
        let email = format!("ada{n}@example.test");
        let mine = server.sign_up(&email).await.tokens();
        let other = server.log_in(&email, PASSWORD).await.tokens();
        let (token, id) = (&mine.access_token, TestServer::session_id(&other.access_token));

        let answer = match method {
            "one" => Some(server.end_session(token, &id).await),
            "others" => Some(server.end_other_sessions(token).await),
            "password" => Some(server.change_password(token, PASSWORD, "Jacquard-Loom-1804").await),
            "delete_me" => Some(server.delete_me(token, PASSWORD).await),
            command => {
                server.account_command(&[command, &email]).await;
                None
            }
        };

        if let Some(answer) = answer {
            answer.expect_status(204);
        }
        server.wait_until_listed_as_ended(&other.access_token).await;
        if matches!(method, "one" | "others" | "password") {
            assert!(!server.lists_as_ended(token).await, "{method}");
        } else {
            server.wait_until_listed_as_ended(token).await;
        }
    }
}
