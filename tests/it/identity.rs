//! One email address is one account, and only the server sets an account's properties.

use futures_util::future::join_all;
use reqwest::Method;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::harness::{PASSWORD, TestServer};

const CONCURRENT_SIGN_UPS: usize = 64;

/// Spellings of josé@bücher.example.
const SPELLINGS: [&str; 8] = [
    "josé@bücher.example",
    "JOSÉ@BÜCHER.EXAMPLE",
    "jose\u{301}@bu\u{308}cher.example",
    "josé@bücher.example.",
    "  josé@bücher.example\t",
    "josé@xn--bcher-kva.example",
    "José@XN--BCHER-KVA.example.",
    "JOSE\u{301}@bücher.example\u{a0}",
];

async fn server_with_long_hash_backlog() -> TestServer {
    TestServer::with(|config| config.passwords.hash_backlog_seconds = 60).await
}

/// Signs up all spellings concurrently at the instances; returns the sorted statuses.
async fn sign_up_concurrently(instances: &[&TestServer]) -> Vec<u16> {
    let sign_ups = instances.iter().cycle().zip(SPELLINGS.iter().cycle()).take(CONCURRENT_SIGN_UPS);
    let answers = join_all(sign_ups.map(|(instance, email)| instance.sign_up(email))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    statuses
}

async fn assert_one_account(server: &TestServer, statuses: &[u16]) {
    assert_eq!(statuses, [&[201][..], &[409; CONCURRENT_SIGN_UPS - 1]].concat());
    assert_eq!(server.database.count("account").await, 1);
    assert_eq!(server.database.count("session").await, 1);
    let refused = ["signup_failed"; CONCURRENT_SIGN_UPS - 1];
    assert_eq!(server.database.events().await, [&["signup"][..], &refused].concat());
}

/// AT-04: one instance.
#[tokio::test]
async fn concurrent_sign_ups_with_one_address_succeed_once() {
    let server = server_with_long_hash_backlog().await;

    let statuses = sign_up_concurrently(&[&server]).await;

    assert_one_account(&server, &statuses).await;
}

/// AT-04: two instances that share only the database.
#[tokio::test]
async fn concurrent_sign_ups_at_two_instances_succeed_once() {
    let server = server_with_long_hash_backlog().await;
    let other = server.another_instance().await;

    let statuses = sign_up_concurrently(&[&server, &other]).await;

    assert_one_account(&server, &statuses).await;
}

/// AT-04: the unique index rejects duplicates even if the code does not detect them.
#[tokio::test]
async fn unique_index_rejects_a_second_account_with_an_address() {
    let server = TestServer::start().await;
    server.sign_up("ada@example.test").await.expect_status(201);
    let db = server.database.connect().await;
    let id = if server.database.is_postgres() { "gen_random_uuid()" } else { "randomblob(16)" };
    let insert = |canonical: &str| {
        format!(
            "INSERT INTO account (id, email, email_canonical, created_at) \
             VALUES ({id}, 'x', '{canonical}', 0)"
        )
    };

    let again = db.execute_unprepared(&insert("ada@example.test")).await;
    let another = db.execute_unprepared(&insert("bob@example.test")).await;

    assert!(again.unwrap_err().to_string().to_lowercase().contains("unique"));
    assert_eq!(another.unwrap().rows_affected(), 1);
}

/// ID-01
#[tokio::test]
async fn every_spelling_of_an_address_logs_in_to_the_same_account() {
    let server = TestServer::start().await;
    let signed_up = server.sign_up(SPELLINGS[1]).await;

    for spelling in SPELLINGS {
        let logged_in = server.log_in(spelling, PASSWORD).await;
        assert_eq!(logged_in.tokens().user_id, signed_up.tokens().user_id, "{spelling:?}");
        server.sign_up(spelling).await.expect_error(409, "EMAIL_EXISTS");
    }
    assert_eq!(signed_up.json()["email"], "josé@xn--bcher-kva.example");
    let canonical: Vec<String> =
        server.database.column("SELECT email_canonical FROM account").await;
    assert_eq!(canonical, ["josé@xn--bcher-kva.example"]);
}

/// ID-02: invalid and confusable addresses are rejected at the sign-up and at the login.
#[tokio::test]
async fn invalid_addresses_are_rejected() {
    let server = TestServer::start().await;
    let refused = [
        "",
        "ada",
        "ada@localhost",
        "ada@b@example.test",
        "ada@example.test@example.test",
        "ada\u{ff20}example.test",
        "ada\u{fe6b}example.test",
        "ada\u{202e}@example.test",
        "ada@exa\u{202e}mple.test",
        "ada\u{200b}@example.test",
        "ada@example.test\r\nBcc: eve@example.test",
        "ada\r\n@example.test",
        "ada\u{0}@example.test",
        "ada\u{7f}@example.test",
        "<ada@example.test>",
        "\"ada\"@example.test",
        "ada@127.0.0.1",
        "ada@[127.0.0.1]",
        "ada@exa_mple..test",
    ];

    for email in refused {
        for path in ["/api/auth/signup", "/api/auth/login"] {
            let body = json!({ "email": email, "password": PASSWORD });
            let answer = server.post(path, &body).await;
            let envelope = answer.expect_error(400, "VALIDATION_ERROR");
            assert_eq!(envelope["error"]["fields"][0]["name"], "email", "{email:?}");
        }
    }
    assert_eq!(server.database.count("account").await, 0);
}

/// ID-02: the limits are 254 bytes after normalisation and 255 characters before it.
#[tokio::test]
async fn addresses_of_more_than_254_bytes_are_rejected() {
    let server = TestServer::start().await;
    let domain = format!("{}.{}.{}.test", "a".repeat(63), "b".repeat(63), "c".repeat(56));
    let longest = format!("{}@{domain}", "x".repeat(254 - 1 - domain.len()));

    server.sign_up(&longest).await.expect_status(201);
    server.sign_up(&format!("  {longest}  ")).await.expect_error(409, "EMAIL_EXISTS");
    for too_long in [format!("x{longest}"), format!("{}@example.test", "é".repeat(200))] {
        server.sign_up(&too_long).await.expect_error(400, "VALIDATION_ERROR");
    }
}

/// ID-03: sign-up does not verify the address, and responses say so.
#[tokio::test]
async fn sign_up_does_not_verify_the_address() {
    let server = TestServer::start().await;
    let tokens = server.sign_up("ada@example.test").await.tokens();

    let me = server.me(&tokens.access_token).await;
    let claims = TestServer::claims(&tokens.access_token);

    assert_eq!(me.expect_status(200).json()["email_verified"], false);
    assert_eq!(claims["email_verified"], false, "{claims}");
    let unverified = "account WHERE email_verified_at IS NULL";
    assert_eq!(server.database.count(unverified).await, 1);
}

/// ID-04: a client cannot set members that only the server may set.
#[tokio::test]
async fn unknown_members_are_rejected() {
    let server = TestServer::start().await;
    let token = server.sign_up("ada@example.test").await.tokens().access_token;
    let unknown_members = [
        ("role", json!("admin")),
        ("roles", json!(["admin"])),
        ("is_admin", json!(true)),
        ("email_verified", json!(true)),
        ("email_verified_at", json!(1)),
        ("id", json!("00000000-0000-0000-0000-000000000001")),
        ("user_id", json!("00000000-0000-0000-0000-000000000001")),
        ("created_at", json!("2020-01-01T00:00:00Z")),
        ("token_version", json!(7)),
        ("password_hash", json!("$2b$05$abcdefghijklmnopqrstuuCrFm/7NsPCOWJ7h5LJAU.gwZDtudXHi")),
        ("__proto__", json!({ "is_admin": true })),
        ("Email", json!("eve@example.test")),
        ("", json!(null)),
    ];

    for (operation, body) in server.operations_with_body().await {
        for (name, value) in &unknown_members {
            let mut body = body.clone();
            body.insert((*name).to_owned(), value.clone());
            let answer = server.call(&operation, &token, Value::Object(body).to_string()).await;
            answer.expect_error(400, "VALIDATION_ERROR");
        }
    }
    assert_eq!(server.database.count("account").await, 1);
}

/// ID-07: a member of a wrong type is rejected, for every operation and member.
#[tokio::test]
async fn members_of_a_wrong_type_are_rejected() {
    let server = TestServer::start().await;
    let token = server.sign_up("ada@example.test").await.tokens().access_token;
    let wrong_values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1.5),
        json!(1e300),
        json!([]),
        json!(["somebody@example.test"]),
        json!({}),
        json!({ "$ne": "" }),
    ];

    let operations = server.operations_with_body().await.into_iter();
    // `null` is valid in a merge patch. `profile` tests these members.
    for (operation, example) in operations.filter(|(it, _)| it.method != Method::PATCH) {
        let each = |name| wrong_values.iter().map(move |wrong_value| (name, wrong_value));
        for (name, wrong_value) in example.keys().flat_map(each) {
            let mut body = example.clone();
            body.insert(name.clone(), wrong_value.clone());
            let answer = server.call(&operation, &token, Value::Object(body).to_string()).await;
            let envelope = answer.expect_error(400, "VALIDATION_ERROR");
            assert_eq!(envelope["error"]["fields"][0]["name"], name.as_str(), "{wrong_value}");
        }
    }
    assert_eq!(server.database.events().await, ["signup"]);
}
