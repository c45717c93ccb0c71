//! EN-04: response times do not disclose which accounts exist.
//!
//! Requests of two kinds alternate, so that a busy machine delays both alike, and the medians of
//! their times are compared. If the medians differ, the comparison is repeated: a difference that
//! other programs cause does not last, but a difference that the server causes does.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use signet::config::VerifyEmail;

use crate::harness::mailed::mail_without_server;
use crate::harness::oauth::Browser;
use crate::harness::{Answer, PASSWORD, TestServer, Tokens, eventually};

const ADA: &str = "ada@example.test";
const WRONG: &str = "Difference-Engine-1822";

/// Number of requests of each kind in one comparison.
const PAIRS: usize = 24;

/// A test fails if the medians differ in this number of comparisons.
const REPETITIONS: usize = 8;

/// The longer median may exceed the shorter one by this factor. If one kind of request skipped its
/// hash or its transaction, the factor would be 1.4 or more.
const FACTOR: f64 = 1.25;

/// A server whose limits never apply, and whose mails wait, because no SMTP server listens at the
/// configured port.
async fn server(hash: Hash) -> TestServer {
    let server = TestServer::with(|config| {
        if hash == Hash::Cheap {
            (config.passwords.argon2_memory_kib, config.passwords.argon2_iterations) = (8, 1);
        }
        mail_without_server(config);
        config.mail.mails_per_hour = 100_000;
        config.mail.mails_per_day = 100_000;
        config.limits.account_attempts_per_minute = 100_000;
        config.signup.verify_email = VerifyEmail::Ask;
    })
    .await;
    for account in ["ada", "off", "nopassword", "verified"] {
        server.sign_up(&format!("{account}@example.test")).await.expect_status(201);
    }
    for (account, change) in [
        ("off", "disabled_at = 1"),
        ("nopassword", "password_hash = NULL"),
        ("verified", "email_verified_at = 1"),
    ] {
        let sql = format!("UPDATE account SET {change} WHERE email = '{account}@example.test'");
        server.database.execute(&sql).await;
    }
    server
}

/// The cost of a password hash.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hash {
    Default,
    /// The least cost. Used where both kinds of requests hash a password, so that the time of the
    /// hash does not hide a difference in the rest of the request.
    Cheap,
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Fails if the responses to two kinds of requests take different times, or have another status than
/// `status`. The argument of a request is a number that no other request of its kind has.
async fn assert_same_time(
    (what, status): (&str, u16),
    one: impl AsyncFn(usize) -> Answer,
    other: impl AsyncFn(usize) -> Answer,
) {
    let mut medians = Vec::new();
    for repetition in 0..REPETITIONS {
        let (mut of_one, mut of_other) = (Vec::new(), Vec::new());
        for pair in 0..PAIRS {
            let number = repetition * PAIRS + pair;
            // Work after a response delays the next request, so the order of the kinds alternates.
            if pair % 2 == 0 {
                of_one.push(time_of(status, async || one(number).await).await);
                of_other.push(time_of(status, async || other(number).await).await);
            } else {
                of_other.push(time_of(status, async || other(number).await).await);
                of_one.push(time_of(status, async || one(number).await).await);
            }
        }
        let pair = [median(of_one), median(of_other)];
        let ratio = pair[0].as_secs_f64() / pair[1].as_secs_f64();
        if (1.0 / FACTOR..FACTOR).contains(&ratio) {
            return;
        }
        medians.push(pair);
    }
    panic!("{what}: the medians differ each time: {medians:?}");
}

async fn time_of(status: u16, request: impl AsyncFn() -> Answer) -> Duration {
    let answer = served(request).await;
    answer.expect_status(status);
    answer.took
}

/// The response to a request, repeated while the server is too busy.
async fn served(request: impl AsyncFn() -> Answer) -> Answer {
    for _ in 0..20 {
        let answer = request().await;
        if answer.status != 503 {
            return answer;
        }
    }
    panic!("the server is too busy");
}

async fn log_in(server: &TestServer, email: &str) -> Answer {
    server.log_in(email, WRONG).await
}

/// Logins to accounts with a wrong password, to disabled accounts, to accounts without a password,
/// and to unknown addresses, at the API and on the page.
#[tokio::test]
async fn rejected_logins_take_the_same_time() {
    let server = server(Hash::Default).await;
    for account in ["ada", "off", "nopassword"] {
        let known = format!("{account}@example.test");
        assert_same_time(
            (account, 401),
            async |_| log_in(&server, &known).await,
            async |n| log_in(&server, &format!("nobody{n}@example.test")).await,
        )
        .await;
    }
    let page = Browser::of(&server).get("/login").await;
    let on_the_page = async |email: &str| {
        let mut browser = Browser::of(&server);
        browser.cookie = cookie_of(&page);
        let typed = [("username", email), ("password", WRONG)];
        browser.submit("/login", &page, &typed).await
    };
    assert_same_time(
        ("on the page", 400),
        async |_| on_the_page(ADA).await,
        async |n| on_the_page(&format!("nobody{n}@example.test")).await,
    )
    .await;
}

fn cookie_of(page: &Answer) -> Option<String> {
    page.header("set-cookie").split(';').next().map(str::to_owned)
}

async fn forget(server: &TestServer, email: &str) -> Answer {
    server.post("/api/auth/password/forgotten", &json!({ "email": email })).await
}

/// Requests for a mail with a reset link, also beyond the limit of mails, and the use of its code.
#[tokio::test]
async fn forgotten_passwords_take_the_same_time() {
    let server = server(Hash::Default).await;
    for account in ["ada", "off", "nopassword"] {
        let known = format!("{account}@example.test");
        assert_same_time(
            (account, 202),
            async |_| forget(&server, &known).await,
            async |_| forget(&server, "nobody@example.test").await,
        )
        .await;
    }
    let page = Browser::of(&server).get("/forgot-password").await;
    let on_the_page = async |email: &str| {
        let mut browser = Browser::of(&server);
        browser.cookie = cookie_of(&page);
        browser.submit("/forgot-password", &page, &[("username", email)]).await
    };
    assert_same_time(
        ("on the page", 303),
        async |_| on_the_page(ADA).await,
        async |_| on_the_page("nobody@example.test").await,
    )
    .await;

    let use_code = async |email: &str| {
        let handle = served(async || forget(&server, email).await).await.text("handle");
        let body = json!({ "handle": handle, "code": "0000-0000", "new_password": WRONG });
        server.post("/api/auth/password/reset/code", &body).await
    };
    assert_same_time(
        ("wrong code", 400),
        async |_| use_code(ADA).await,
        async |_| use_code("nobody@example.test").await,
    )
    .await;

    let mut config = server.config.clone();
    config.mail.mails_per_hour = 1;
    let limited = server.another_instance_with(config).await;
    assert_same_time(
        ("beyond the limit", 202),
        async |_| forget(&limited, ADA).await,
        async |_| forget(&limited, "nobody@example.test").await,
    )
    .await;
}

async fn ask_to_verify(server: &TestServer, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password });
    server.post("/api/auth/email/verify/request", &body).await
}

/// Requests for a mail that verifies the address, and the use of its code.
#[tokio::test]
async fn requests_for_a_verification_mail_take_the_same_time() {
    let server = server(Hash::Cheap).await;
    for (account, password) in
        [("ada", PASSWORD), ("ada", WRONG), ("off", PASSWORD), ("verified", PASSWORD)]
    {
        let known = format!("{account}@example.test");
        assert_same_time(
            (account, 202),
            async |_| ask_to_verify(&server, &known, password).await,
            async |n| ask_to_verify(&server, &format!("nobody{n}@example.test"), password).await,
        )
        .await;
    }
    let use_code = async |email: &str| {
        let asked = served(async || ask_to_verify(&server, email, PASSWORD).await).await;
        let handle = asked.text("handle");
        let body = json!({ "handle": handle, "code": "0000-0000" });
        server.post("/api/auth/email/verify/code", &body).await
    };
    assert_same_time(
        ("wrong code", 400),
        async |_| use_code(ADA).await,
        async |n| use_code(&format!("nobody{n}@example.test")).await,
    )
    .await;
}

async fn change_address(server: &TestServer, tokens: &Tokens, email: &str) -> Answer {
    let request = server.as_user(Method::POST, "/api/auth/email", &tokens.access_token);
    Answer::of(request.json(&json!({ "email": email, "password": PASSWORD }))).await
}

/// A change to an address that another account has writes as many rows as a change to a free
/// address. The rows are counted because the statements take too little of the request's time to be
/// measured.
#[tokio::test]
async fn changes_to_taken_and_free_addresses_write_as_many_rows() {
    let server = server(Hash::Cheap).await;
    let tokens = server.log_in(ADA, PASSWORD).await.tokens();
    let rows = async || {
        let mut rows = Vec::new();
        for table in ["outbox", "email_challenge", "auth_event"] {
            rows.push(server.database.count(table).await);
        }
        rows
    };
    let rows_of = async |email: &str| {
        let before = rows().await;
        change_address(&server, &tokens, email).await.expect_status(202);
        let after = rows().await;
        before.iter().zip(&after).map(|(before, after)| after - before).collect::<Vec<_>>()
    };
    // After the first failure, no mail is tried for a while, so the outbox does not shrink
    // meanwhile.
    let due = format!("outbox WHERE due_at <= {}", server.clock.now().as_micros());
    eventually("mail pauses", async || server.database.count(&due).await == 0).await;
    rows_of("first@example.test").await;

    let free = rows_of("nobody@example.test").await;
    let taken = rows_of("verified@example.test").await;

    assert_eq!(taken, free);
    assert_eq!(free[0], 1, "{free:?}");
}
