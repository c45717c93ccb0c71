//! All spellings of an email address belong to one account, in all scripts, even if earlier
//! versions have created the rows.

use reqwest::Method;
use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::harness::oauth::{Browser, WEB_CLIENT};
use crate::harness::{Answer, PASSWORD, Program, TestServer};

/// Inserts an account as the previous version did, with the test password.
async fn insert_as_previous_version(server: &TestServer, email: &str, canonical: &str) {
    if server.database.count("account WHERE email_canonical = 'seed@example.test'").await == 0 {
        server.sign_up("seed@example.test").await.expect_status(201);
    }
    let id = if server.database.is_postgres() { "gen_random_uuid()" } else { "randomblob(16)" };
    server
        .database
        .execute(&format!(
            "INSERT INTO account (id, email, email_canonical, password_hash, email_verified_at, \
             created_at) SELECT {id}, '{email}', '{canonical}', password_hash, 1, 1 FROM account \
             WHERE email_canonical = 'seed@example.test'"
        ))
        .await;
}

/// A stopped server. The background tasks of a running server could fold one row before the test
/// has inserted the next.
async fn stopped_server() -> TestServer {
    let mut server = TestServer::with(|config| config.service.issuer = None).await;
    server.sign_up("seed@example.test").await.expect_status(201);
    server.stop_cleanly().await;
    server
}

/// W11: addresses that are equal after full case folding are one account, on two instances.
#[tokio::test]
async fn addresses_equal_after_case_folding_are_one_account() {
    let server = TestServer::start().await;
    let other = server.another_instance().await;
    for (typed, others) in [
        ("νίκος.p@example.test", ["ΝΊΚΟΣ.P@example.test", "Νίκοσ.P@Example.test"]),
        ("Straße@example.test", ["STRASSE@example.test", "straSSe@example.test"]),
        ("\u{fb00}@example.test", ["FF@example.test", "ff@example.test"]),
    ] {
        let tokens = server.sign_up(typed).await.expect_status(201).tokens();
        for spelling in others {
            other.sign_up(spelling).await.expect_error(409, "EMAIL_EXISTS");
            let logged_in = other.log_in(spelling, PASSWORD).await;
            assert_eq!(logged_in.tokens().user_id, tokens.user_id, "{spelling}");
            assert_eq!(logged_in.json()["email"], typed.to_lowercase());
        }
    }
}

/// W11: attempts at all spellings count for the same account.
#[tokio::test]
async fn spellings_of_an_address_share_the_account_limit() {
    let server = TestServer::start().await;
    server.sign_up("straße@example.test").await.expect_status(201);
    let spellings = ["straße@example.test", "strasse@example.test"];
    for n in 0..10 {
        server.log_in(spellings[n % 2], "Wrong-Password-1").await.expect_status(401);
    }
    for spelling in spellings {
        server.log_in(spelling, PASSWORD).await.expect_status(429);
    }
}

/// W11: addresses that differ only in invisible characters cannot become different accounts.
#[tokio::test]
async fn addresses_with_invisible_characters_are_rejected() {
    let server = TestServer::start().await;
    for invisible in [
        '\u{3164}',
        '\u{115f}',
        '\u{1160}',
        '\u{ffa0}',
        '\u{345}',
        '\u{34f}',
        '\u{ad}',
        '\u{180b}',
        '\u{fe0f}',
        '\u{200b}',
        '\u{200c}',
        '\u{200d}',
        '\u{2060}',
        '\u{feff}',
        '\u{e0041}',
    ] {
        let email = format!("ali{invisible}ce@example.test");
        let answer = server.sign_up(&email).await;
        assert_eq!(answer.status, 400, "U+{:04X}", u32::from(invisible));
        answer.expect_error(400, "VALIDATION_ERROR");
    }
    assert_eq!(server.database.count("account").await, 0);
}

/// B1: addresses in any script can sign up and log in. The local part is displayed as typed, and an
/// internationalized domain in its ASCII form.
#[tokio::test]
async fn addresses_in_any_script_can_sign_up() {
    let server = TestServer::start().await;
    for (email, shown) in [
        ("संपर्क@डाटामेल.भारत", "संपर्क@xn--c2bd4bq1db8d.xn--h2brj9c"),
        ("ผู้ใช้@example.com", "ผู้ใช้@example.com"),
        ("தமிழ்@example.com", "தமிழ்@example.com"),
        ("می\u{200c}خواهم@example.com", "می\u{200c}خواهم@example.com"),
    ] {
        let answer = server.sign_up(email).await;
        answer.expect_status(201);
        assert_eq!(answer.json()["email"], shown);
        server.log_in(email, PASSWORD).await.expect_status(200);
    }
}

/// W11: responses and claims that contain `email` also contain `email_verified`.
#[tokio::test]
async fn email_is_always_accompanied_by_email_verified() {
    let server = TestServer::start().await;
    let web = server.register_clients(WEB_CLIENT).await.remove(0);
    let signed_up = server.sign_up("Ada@Example.Test").await;
    let tokens = signed_up.tokens();
    let me = server.me(&tokens.access_token).await;
    let refreshed = server.refresh(&tokens.refresh_token).await;
    let claims = json!({ "id_token": { "email": null } }).to_string();
    let more = [("scope", "openid email offline_access"), ("claims", claims.as_str())];
    let code = Browser::of(&server).log_in_for_code("ada@example.test", &more).await;
    let granted = server.redeem(&web, &code).await;
    let userinfo = server.userinfo(&granted.text("access_token")).await;

    for object in [
        signed_up.json(),
        refreshed.json(),
        me.json(),
        TestServer::claims(&tokens.access_token),
        TestServer::claims(&refreshed.tokens().access_token),
        TestServer::claims(&granted.text("access_token")),
        TestServer::claims(&granted.text("id_token")),
        userinfo.json(),
    ] {
        assert_eq!(object["email"], "ada@example.test", "{object}");
        assert_eq!(object["email_verified"], false, "{object}");
    }
    // Introspection does not return the email address.
    let state = server.introspect(&web, &granted.text("access_token")).await;
    assert!(state.get("email").is_none() && state.get("email_verified").is_none(), "{state}");

    // Once the address is verified, later responses say so.
    server.database.execute("UPDATE account SET email_verified_at = 1").await;
    let refreshed = server.refresh(&refreshed.tokens().refresh_token).await;
    assert_eq!(refreshed.json()["email_verified"], true);
    let again = server.log_in("ada@example.test", PASSWORD).await.tokens().access_token;
    assert_eq!(TestServer::claims(&again)["email_verified"], true);
}

/// W11: after a start has folded the addresses of the previous version, all spellings find their
/// accounts.
#[tokio::test]
async fn account_of_an_earlier_version_is_found_by_its_folded_address() {
    let server = TestServer::start().await;
    insert_as_previous_version(&server, "Νίκος.P@example.test", "νίκος.p@example.test").await;
    insert_as_previous_version(&server, "Ёлка@example.test", "ёлка@example.test").await;

    // An instance of this version that runs beside the previous version finds the accounts by their
    // own spelling before they are folded.
    server.log_in("νίκος.p@example.test", PASSWORD).await.expect_status(200);
    let server = server.restart().await;

    for spelling in ["νίκος.p@example.test", "ΝΊΚΟΣ.P@example.test", "ЁЛКА@example.test"]
    {
        server.log_in(spelling, PASSWORD).await.expect_status(200);
        server.sign_up(spelling).await.expect_error(409, "EMAIL_EXISTS");
    }
    let shown = server.log_in("ΝΊΚΟΣ.P@example.test", PASSWORD).await.json();
    assert_eq!(
        (&shown["email"], &shown["email_verified"]),
        (&json!("νίκος.p@example.test"), &json!(true))
    );
    assert_eq!(server.database.count("account WHERE email_ambiguous").await, 0);
    assert_eq!(server.database.count("account WHERE email_folded IS NULL").await, 0);
}

/// W11: the unique index rejects addresses that the previous version would have accepted.
#[tokio::test]
async fn unique_index_rejects_folded_duplicates_from_the_previous_version() {
    let server = TestServer::start().await;
    server.sign_up("straße@example.test").await.expect_status(201);
    let id = if server.database.is_postgres() { "gen_random_uuid()" } else { "randomblob(16)" };
    let insert = format!(
        "INSERT INTO account (id, email, email_canonical, created_at) \
         VALUES ({id}, 'strasse@example.test', 'strasse@example.test', 0)"
    );

    let taken = server.database.connect().await.execute_unprepared(&insert).await;

    assert!(taken.unwrap_err().to_string().to_lowercase().contains("unique"));
}

/// W11: old rows with the same folded address stay separate accounts. Each is found only by its own
/// spelling, is displayed as stored, and is never verified. `signet doctor` lists them. The last
/// remaining one becomes an ordinary account.
#[tokio::test]
async fn old_rows_with_equal_folded_addresses_stay_separate() {
    let server = stopped_server().await;
    for (email, canonical) in [
        ("Straße@example.test", "straße@example.test"),
        ("Strasse@example.test", "strasse@example.test"),
        ("\u{fb01}ß@example.test", "\u{fb01}ß@example.test"),
        ("fiß@example.test", "fiß@example.test"),
        ("Al\u{3164}ice@example.test", "al\u{3164}ice@example.test"),
    ] {
        insert_as_previous_version(&server, email, canonical).await;
    }
    let server = server.restart().await;
    assert_eq!(server.database.count("account WHERE email_ambiguous").await, 5);

    let mut user_ids = Vec::new();
    for (typed, stored) in [
        ("straße@example.test", "Straße@example.test"),
        ("STRASSE@example.test", "Strasse@example.test"),
        ("\u{fb01}ß@example.test", "\u{fb01}ß@example.test"),
        ("fiß@example.test", "fiß@example.test"),
        ("al\u{3164}ice@example.test", "Al\u{3164}ice@example.test"),
    ] {
        let answer = server.log_in(typed, PASSWORD).await;
        answer.expect_status(200);
        let me = server.me(&answer.tokens().access_token).await.json();
        let refreshed = server.refresh(&answer.tokens().refresh_token).await;
        for response in [answer.json(), me, refreshed.json()] {
            assert_eq!(response["email"], stored);
            assert_eq!(response["email_verified"], false);
        }
        user_ids.push(answer.tokens().user_id);
    }
    user_ids.dedup();
    assert_eq!(user_ids.len(), 5);
    // A third spelling matches no account and cannot sign up.
    for third in ["fiss@example.test", "FISS@example.test"] {
        server.log_in(third, PASSWORD).await.expect_error(401, "AUTH_FAILED");
        server.sign_up(third).await.expect_error(409, "EMAIL_EXISTS");
    }
    server.sign_up("straSSE@example.test").await.expect_error(409, "EMAIL_EXISTS");

    let issuer = format!("http://localhost:{}", server.address.port());
    let program = Program::new(&server.database);
    let output = program.run(&["doctor", &issuer]).await;
    assert!(output.status.success(), "{output:?}");
    let report = String::from_utf8(output.stdout).unwrap();
    assert_eq!(report.matches("looks like another one").count(), 5, "{report}");

    // A password reset does not verify an ambiguous address.
    let token = server.reset_token("straße@example.test").await;
    let body = json!({ "token": token, "new_password": "Another-Engine-1844" });
    server.post("/api/auth/password/reset", &body).await.expect_status(204);
    let answer = server.log_in("straße@example.test", "Another-Engine-1844").await;
    assert_eq!(answer.json()["email_verified"], false);

    // When one of two accounts is deleted, the other becomes ordinary at the next start.
    for (deleted, password) in
        [("strasse@example.test", PASSWORD), ("\u{fb01}ß@example.test", PASSWORD)]
    {
        let token = server.log_in(deleted, password).await.tokens().access_token;
        let request = server.request(Method::DELETE, "/api/auth/me").bearer_auth(token);
        Answer::of(request.json(&json!({ "password": password }))).await.expect_status(204);
    }
    let server = server.restart().await;
    assert_eq!(server.database.count("account WHERE email_ambiguous").await, 1);
    server.log_in("FISS@example.test", PASSWORD).await.expect_status(200);
    let answer = server.log_in("STRASSE@example.test", "Another-Engine-1844").await;
    assert_eq!(answer.json()["email"], "straße@example.test");
}

/// W11: commands find an old row whose address can no longer sign up.
#[tokio::test]
async fn account_commands_find_old_rows() {
    let server = TestServer::start().await;
    insert_as_previous_version(&server, "al\u{3164}ice@example.test", "al\u{3164}ice@example.test")
        .await;
    let server = server.restart().await;

    let program = Program::new(&server.database);
    let shown = program.run(&["account", "show", "al\u{3164}ice@example.test"]).await;

    assert!(shown.status.success(), "{shown:?}");
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("verified    no"), "{shown}");
}
