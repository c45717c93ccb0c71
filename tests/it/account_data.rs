//! Users download the data of their account.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::oauth::{Browser, ISSUER};
use crate::harness::{Answer, PASSWORD, TestServer, Tokens};
use crate::profile::all_claims;

const ADA: &str = "ada@example.test";
const BOB: &str = "bob@example.test";

/// A client that requires consent.
const CONSENT_CLIENT: &str = r#"
[[client]]
client_id = "asking"
client_name = "Asking"
redirect_uris = ["https://rp.example/cb"]
scope = "openid email"
"#;

async fn log_in(server: &TestServer) -> Browser<'_> {
    let mut browser = Browser::of(server);
    let page = browser.get("/login").await;
    let typed = [("username", ADA), ("password", PASSWORD)];
    browser.submit("/login", &page, &typed).await.expect_status(303);
    browser
}

async fn download(server: &TestServer, tokens: &Tokens) -> Value {
    let answer = server.download_data(&tokens.access_token, PASSWORD).await;
    assert_is_file(&answer);
    answer.json()
}

#[track_caller]
fn assert_is_file(answer: &Answer) {
    answer.expect_status(200);
    for (name, value) in [
        ("content-type", "application/json"),
        ("content-disposition", "attachment; filename=\"account-data.json\""),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
}

fn names(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

fn array<'v>(object: &'v Value, name: &str) -> &'v Vec<Value> {
    object[name].as_array().unwrap()
}

/// Asserts that the data has all audit events of Ada's account.
async fn assert_lists_events(server: &TestServer, data: &Value) {
    let stored = "SELECT type FROM auth_event WHERE account_id IN \
                  (SELECT id FROM account WHERE email_canonical = 'ada@example.test') ORDER BY id";
    let types: Vec<String> = server.database.column(stored).await;
    let listed: Vec<_> = array(data, "events").iter().map(|event| &event["type"]).collect();
    assert_eq!(listed, types.iter().collect::<Vec<_>>());
    for kind in ["signup", "login_failed", "profile_changed", "consent_granted", "data_downloaded"]
    {
        assert!(types.iter().any(|it| it == kind), "{kind}: {types:?}");
    }
    let known = [
        "address",
        "at",
        "client_id",
        "id",
        "outcome",
        "reason",
        "request_id",
        "session_id",
        "type",
        "user_agent",
    ];
    for event in array(data, "events") {
        assert!(names(event).is_subset(&BTreeSet::from(known)), "{event}");
    }
}

/// Asserts that the data has Ada's live sessions as the API lists them, and the ended one.
async fn assert_lists_sessions(server: &TestServer, data: &Value, ada: &Tokens, ended: &Tokens) {
    let live = server.sessions(&ada.access_token).await.json();
    let sessions = array(data, "sessions");
    assert_eq!(sessions.len(), 3);
    for shown in array(&live, "sessions") {
        let session = sessions.iter().find(|it| it["id"] == shown["id"]).unwrap();
        for name in ["client_id", "authenticated_at", "last_used_at", "expires_at", "address"] {
            assert_eq!(session[name], shown[name], "{name}");
        }
        assert_eq!(session["live"], true);
    }
    let ended_id = TestServer::session_id(&ended.access_token);
    let ended_session = sessions.iter().find(|it| it["id"] == ended_id).unwrap();
    assert_eq!(ended_session["live"], false);
    assert_eq!(ended_session["end_reason"], "logout");
}

/// AP-04: the data has everything that the API shows of the account, ended sessions and all audit
/// events. It has no secret, and nothing of other accounts.
#[tokio::test]
async fn data_has_everything_about_the_account_but_no_secret() {
    let server = TestServer::start().await;
    server.register_clients(CONSENT_CLIENT).await;
    let ada = server.sign_up("Ada@Example.test").await.tokens();
    let bob = server.sign_up(BOB).await.tokens();
    server.account_command(&["verify-email", ADA]).await;
    server.patch_me(&ada.access_token, &all_claims()).await.expect_status(200);
    let ended = server.log_in(ADA, PASSWORD).await.tokens();
    server.log_out(&ended.access_token).await.expect_status(200);
    server.log_in(ADA, "Wrong-password-1").await.expect_status(401);
    let mut browser = log_in(&server).await;
    let request = [("client_id", "asking"), ("scope", "openid")];
    let redirect = browser.authorize(&request).await;
    browser.grant_consent(&redirect).await;
    server.refresh(&ada.refresh_token).await.expect_status(200);

    let data = download(&server, &ada).await;

    let members = [
        "account",
        "consents",
        "created_at",
        "email_as_typed",
        "email_verified_at",
        "events",
        "issuer",
        "last_login_at",
        "sessions",
    ];
    assert_eq!(names(&data), BTreeSet::from(members));
    assert_eq!(data["issuer"], ISSUER);
    assert_eq!(data["email_as_typed"], "Ada@example.test");
    assert!(data["email_verified_at"].is_string());
    assert_eq!(data["account"], server.me(&ada.access_token).await.json());
    assert_eq!(data["consents"], server.consents(&ada.access_token).await.json()["consents"]);
    assert_eq!(array(&data, "consents").len(), 1);
    assert_lists_events(&server, &data).await;
    assert_lists_sessions(&server, &data, &ada, &ended).await;

    let text = data.to_string();
    let cookie = browser.cookie.clone().unwrap();
    let hash: Vec<String> = server.database.column("SELECT password_hash FROM account").await;
    let secrets = [PASSWORD, &ada.refresh_token, &ada.access_token, &cookie, &hash[0], "$argon2"];
    for absent in secrets.into_iter().chain([BOB, &bob.user_id.to_string()]) {
        assert!(!text.contains(absent), "{absent}");
    }
}

/// AP-04: the page asks for the password, too, and its file has the same data. Only events that
/// were recorded in the meantime are added.
#[tokio::test]
async fn page_downloads_the_same_data() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();
    server.patch_me(&ada.access_token, &json!({ "name": "Ada" })).await.expect_status(200);
    let mut browser = log_in(&server).await;
    let page = browser.get("/download-data").await;
    assert!(page.expect_status(200).html().contains("Download your data"));
    let by_api = download(&server, &ada).await;

    for _ in 0..2 {
        let file = browser.submit("/download-data", &page, &[("password", PASSWORD)]).await;

        assert_is_file(&file);
        let by_page = file.json();
        assert_eq!(names(&by_page), names(&by_api));
        for name in ["account", "consents", "sessions", "issuer"] {
            assert_eq!(by_page[name], by_api[name], "{name}");
        }
        let (longer, shorter) = (array(&by_page, "events"), array(&by_api, "events"));
        assert_eq!(&longer[..shorter.len()], &shorter[..]);
    }
    browser.get("/account").await.expect_status(200);
}

/// AP-04, RL-02: a wrong password counts like a failed login, at the API and on the page.
#[tokio::test]
async fn data_needs_the_password() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();
    let mut browser = log_in(&server).await;
    let page = browser.get("/download-data").await;
    let api = |password| server.download_data(&ada.access_token, password);

    api("Wrong-password-1").await.expect_error(401, "AUTH_FAILED");
    let no_password = server.as_user(reqwest::Method::POST, "/api/auth/me/data", &ada.access_token);
    Answer::of(no_password.json(&json!({}))).await.expect_error(400, "VALIDATION_ERROR");
    for wrong in ["", "Wrong-password-1"] {
        let refused = browser.submit("/download-data", &page, &[("password", wrong)]).await;
        let html = refused.expect_status(400).html();
        assert!(html.contains("<title>Error: Download your data"), "{html}");
        assert!(html.contains("This is not your password.") && !html.contains("Wrong"), "{html}");
        assert!(!refused.headers.contains_key("content-disposition"));
    }

    let failures = "auth_event WHERE reason = 'wrong_password_for_data_download'";
    assert_eq!(server.database.count(failures).await, 3);
    assert_eq!(server.database.count("auth_event WHERE type = 'data_downloaded'").await, 0);
    for _ in 0..7 {
        api("Wrong-password-1").await;
    }
    api(PASSWORD).await.expect_error(429, "RATE_LIMIT_EXCEEDED");
    let limited = browser.submit("/download-data", &page, &[("password", PASSWORD)]).await;
    assert!(limited.expect_status(429).html().contains("Too many attempts"));
    server.advance_seconds(61);
    api(PASSWORD).await.expect_status(200);
}

/// AT-10: a session that has ended downloads nothing, although its page is still open.
#[tokio::test]
async fn ended_session_downloads_nothing() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();
    let mut browser = log_in(&server).await;
    let page = browser.get("/download-data").await;
    let other = server.log_in(ADA, PASSWORD).await.tokens();
    server.end_other_sessions(&other.access_token).await.expect_status(204);

    let by_api = server.download_data(&ada.access_token, PASSWORD).await;
    let by_page = browser.submit("/download-data", &page, &[("password", PASSWORD)]).await;

    by_api.expect_error(401, "UNAUTHORIZED");
    assert_eq!(by_page.location(), format!("{ISSUER}/login?then=download-data"));
    assert_eq!(server.database.count("auth_event WHERE type = 'data_downloaded'").await, 0);
}

/// AP-05: sessions and events are read in portions, and none is lost or sent twice.
#[tokio::test]
async fn thousands_of_sessions_and_events_are_downloaded_completely() {
    const SESSIONS: usize = 1_203;
    const EVENTS: usize = 2_500;

    let server = TestServer::start().await;
    let bob = server.sign_up(BOB).await.tokens();
    let ada = server.sign_up(ADA).await.tokens();
    let id = if server.database.is_postgres() { "gen_random_uuid()" } else { "randomblob(16)" };
    let copy = async |table: &str, columns: &str, number: usize| {
        let own = format!(
            "SELECT * FROM {table} WHERE account_id IN \
             (SELECT id FROM account WHERE email = '{ADA}') LIMIT 1"
        );
        let copies = format!(
            "INSERT INTO {table} (id, {columns}) \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) \
             SELECT {id}, {columns} FROM ({own}) one, n"
        );
        server.database.execute(&copies).await;
    };
    let session = "account_id, client_id, scope, auth_time, generation, idle_expires_at, \
                   absolute_expires_at, epoch";
    copy("session", session, SESSIONS - 1).await;
    // The sign-up and the download are events, too.
    copy("auth_event", "at, type, outcome, account_id", EVENTS - 2).await;

    let data = download(&server, &ada).await;

    for (name, number) in [("sessions", SESSIONS), ("events", EVENTS)] {
        let ids: Vec<_> = array(&data, name).iter().map(|it| it["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), number, "{name}");
        assert!(ids.is_sorted_by(|a, b| a < b), "{name}");
    }
    let of_bob = download(&server, &bob).await;
    assert_eq!((array(&of_bob, "sessions").len(), array(&of_bob, "events").len()), (1, 2));
}
