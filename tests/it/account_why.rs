//! `signet account why`: how the next login to an account would end.

use serde_json::{Value, json};

use crate::harness::{PASSWORD, Program, TestServer};

const ADA: &str = "ada@example.test";

/// The JSON of `account why --json`.
async fn why(server: &TestServer, address: &str) -> Value {
    let printed = server.account_command(&["why", address, "--json"]).await;
    assert_eq!(printed.lines().count(), 1, "{printed}");
    serde_json::from_str(&printed).unwrap()
}

async fn outcome(server: &TestServer, address: &str) -> Value {
    why(server, address).await["next_login"]["outcome"].clone()
}

/// D2: each cause of a refused login is named, and the login is refused for this cause.
#[tokio::test]
async fn account_why_names_the_cause_of_a_refused_login() {
    let server = TestServer::start().await;
    server.sign_up(ADA).await.expect_status(201);
    assert_eq!(outcome(&server, ADA).await, "succeeds");
    server.log_in(ADA, PASSWORD).await.expect_status(200);

    assert_eq!(outcome(&server, "nobody@example.test").await, "no_account");

    server.account_command(&["disable", ADA]).await;
    assert_eq!(outcome(&server, ADA).await, "disabled");
    server.log_in(ADA, PASSWORD).await.expect_error(401, "AUTH_FAILED");
    server.account_command(&["enable", ADA]).await;

    for hash in ["NULL", "'$1$unknown'"] {
        server.database.execute(&format!("UPDATE account SET password_hash = {hash}")).await;
        assert_eq!(outcome(&server, ADA).await, "no_password", "{hash}");
        server.log_in(ADA, PASSWORD).await.expect_error(401, "AUTH_FAILED");
    }
    let text = server.account_command(&["why", ADA]).await;
    assert!(text.contains("password    not a supported kind of password hash\n"), "{text}");
    assert!(text.contains("signet account reset-password"), "{text}");
}

/// D2: while the attempt window of an account is full, the report says until when. Other email
/// addresses are not affected.
#[tokio::test]
async fn account_why_says_until_when_an_account_is_limited() {
    let server = TestServer::start().await;
    server.sign_up(ADA).await.expect_status(201);
    for _ in 0..10 {
        server.log_in(ADA, "Wrong-password-1").await.expect_status(401);
    }

    let report = why(&server, ADA).await;

    assert_eq!(report["next_login"]["outcome"], "limited");
    let until = report["limited_until"].as_str().unwrap();
    let message = report["next_login"]["message"].as_str().unwrap();
    assert!(message.contains(until) && message.contains("limits of their own"), "{message}");
    server.log_in(ADA, PASSWORD).await.expect_status(429);
    assert_eq!(outcome(&server, "bob@example.test").await, "no_account");
}

/// D2: the command is not an attempt, and writes nothing.
#[tokio::test]
async fn account_why_costs_no_attempt_and_changes_nothing() {
    let server = TestServer::start().await;
    server.sign_up(ADA).await.expect_status(201);
    for _ in 0..9 {
        server.log_in(ADA, "Wrong-password-1").await.expect_status(401);
    }
    let rows = async || {
        let events = server.database.count("auth_event").await;
        (events, server.database.column::<i64>("SELECT max(expires_at) FROM attempt").await)
    };
    let before = rows().await;

    for _ in 0..15 {
        server.account_command(&["why", ADA]).await;
    }

    assert_eq!(rows().await, before);
    server.log_in(ADA, PASSWORD).await.expect_status(200);
}

/// D2: the last five events, newest first, with time, type, reason and network address.
#[tokio::test]
async fn account_why_lists_the_last_five_events() {
    let server = TestServer::start().await;
    server.log_in_from("203.0.113.8", ADA, PASSWORD).await.expect_status(401);
    server.sign_up(ADA).await.expect_status(201);
    server.advance_seconds(1);
    for n in 0..3 {
        let client = format!("203.0.113.{n}");
        server.log_in_from(&client, ADA, "Wrong-password-1").await.expect_status(401);
    }
    server.log_in_from("203.0.113.9", ADA, PASSWORD).await.expect_status(200);

    let report = why(&server, ADA).await;

    let events = report["events"].as_array().unwrap();
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let failed = "login_failed";
    assert_eq!(types, ["login", failed, failed, failed, "signup"], "{report}");
    assert_eq!(events[0]["address"], "203.0.113.9");
    assert_eq!(events[1]["reason"], "wrong_password");
    assert!(events[1]["at"].as_str().unwrap().starts_with("20"));
    // Without an account, the failures at the address are found by its digest.
    server.log_in_from("203.0.113.7", "eve@example.test", PASSWORD).await.expect_status(401);
    let report = why(&server, "eve@example.test").await;
    assert_eq!(report["events"][0]["reason"], "unknown_account", "{report}");
    assert_eq!(report["events"].as_array().unwrap().len(), 1);
}

/// D2: another spelling of an address finds its account. For an address without an account, similar
/// ones are listed: look-alikes and typing errors.
#[tokio::test]
async fn account_why_finds_other_spellings_and_similar_addresses() {
    let server = TestServer::start().await;
    for address in ["stra\u{df}e@example.test", "paypal@example.test", "someone.else@shop.test"] {
        server.sign_up(address).await.expect_status(201);
    }

    let spelled = server.account_command(&["why", "STRASSE@Example.test"]).await;
    // The first letter is Cyrillic.
    let look_alike = why(&server, "\u{440}aypal@example.test").await;
    let mistyped = why(&server, "payapl@exmple.test").await;
    let unlike = why(&server, "ada@example.test").await;

    assert!(spelled.contains("another spelling: stra\u{df}e@example.test\n"), "{spelled}");
    for report in [&look_alike, &mistyped] {
        assert_eq!(report["account"], Value::Null);
        assert_eq!(report["similar"], json!(["paypal@example.test"]), "{report}");
    }
    assert_eq!(unlike["similar"], json!([]));
}

/// D2: the class of the hash is shown, and no secret.
#[tokio::test]
async fn account_why_prints_the_class_of_the_hash_and_no_secret() {
    let server = TestServer::start().await;
    let id = server.sign_up(ADA).await.tokens().user_id.to_string();

    let text = server.account_command(&["why", &id]).await;
    let report = why(&server, ADA).await;

    assert!(text.contains("password    argon2id v=19 m=19456 t=2 p=1\n"), "{text}");
    assert!(text.contains("verified    no\n") && text.contains("disabled    no\n"), "{text}");
    assert_eq!(report["account"]["id"], id);
    assert_eq!(report["account"]["password"], "argon2id v=19 m=19456 t=2 p=1");
    let hash: String = server.database.column("SELECT password_hash FROM account").await.remove(0);
    let secret = hash.rsplit('$').next().unwrap();
    assert!(!text.contains(secret) && !report.to_string().contains(secret));
    let output = Program::new(&server.database).run(&["account", "why", "nobody"]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}
