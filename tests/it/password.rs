//! Password hashes: storage, comparison, and limits of the hashing pool.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{Answer, PASSWORD, TestServer, eventually};

const ADA: &str = "ada@example.test";
const CURRENT_PREFIX: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

/// The password of [`FOREIGN_HASHES`].
const IMPORTED_PASSWORD: &str = "Correct-Horse7-Battery";

/// Hashes made by libargon2 and libxcrypt: Argon2 with other parameters, versions and variants, and
/// bcrypt with each prefix.
const FOREIGN_HASHES: [&str; 7] = [
    "$argon2id$v=19$m=256,t=2,p=2$c2l4dGVlbiBieXRlcyBvaw$AuQWTH3SLGo9bOUwqrcvyx3euegWJTZJSmZHILRq8QM",
    "$argon2id$v=19$m=65536,t=3,p=4$c2l4dGVlbiBieXRlcyBvaw$oyfCe3dt63NH7sY/rdCcGo3GEL1jdQl0lJunDT6xA7E",
    "$argon2i$m=256,t=2,p=2$c2l4dGVlbiBieXRlcyBvaw$SakDjO7JM+sdZ2C54gVgD4BI8FYg0EtrWvFgEmCZ0RQ",
    "$argon2d$v=19$m=256,t=2,p=2$c2l4dGVlbiBieXRlcyBvaw$aqQsy260w1ql66iBzfAYVVuH0p/M3lKQLel3MS98NFA",
    "$2a$05$abcdefghijklmnopqrstuuCrFm/7NsPCOWJ7h5LJAU.gwZDtudXHi",
    "$2b$05$abcdefghijklmnopqrstuuCrFm/7NsPCOWJ7h5LJAU.gwZDtudXHi",
    "$2y$05$abcdefghijklmnopqrstuuCrFm/7NsPCOWJ7h5LJAU.gwZDtudXHi",
];

async fn sign_up(server: &TestServer, email: &str, password: &str) -> Answer {
    server.post("/api/auth/signup", &json!({ "email": email, "password": password })).await
}

async fn stored_hash(server: &TestServer) -> String {
    server.database.column("SELECT password_hash FROM account").await.remove(0)
}

async fn store_hash(server: &TestServer, hash: &str) {
    server.database.execute(&format!("UPDATE account SET password_hash = {hash}")).await;
}

/// PW-01: passwords are stored as Argon2id at the configured cost.
#[tokio::test]
async fn password_is_stored_as_argon2id_with_its_parameters() {
    let server = TestServer::start().await;

    server.sign_up(ADA).await.expect_status(201);

    let hash = stored_hash(&server).await;
    assert!(hash.starts_with(CURRENT_PREFIX), "{hash}");
    assert!(!hash.contains(PASSWORD));
}

/// PW-01: a login with an old or imported hash succeeds and replaces the hash.
#[tokio::test]
async fn login_replaces_an_old_or_imported_hash() {
    let server = TestServer::with(|config| config.limits.account_attempts_per_minute = 1_000).await;
    server.sign_up(ADA).await.expect_status(201);

    for hash in FOREIGN_HASHES {
        store_hash(&server, &format!("'{hash}'")).await;

        server.log_in(ADA, "Correct-Horse7-battery").await.expect_error(401, "AUTH_FAILED");
        assert_eq!(stored_hash(&server).await, hash, "a wrong password replaces nothing");
        server.log_in(ADA, IMPORTED_PASSWORD).await.expect_status(200);
        let upgraded = stored_hash(&server).await;
        server.log_in(ADA, IMPORTED_PASSWORD).await.expect_status(200);
        server.log_in(ADA, "Correct-Horse7-battery").await.expect_error(401, "AUTH_FAILED");

        assert!(upgraded.starts_with(CURRENT_PREFIX), "{hash} became {upgraded}");
        assert_eq!(stored_hash(&server).await, upgraded, "a current hash is not replaced");
    }
}

/// PW-01: the cost is a setting, and logins update the hashes.
#[tokio::test]
async fn login_rehashes_at_the_configured_cost() {
    let server = TestServer::with(|config| config.passwords.argon2_iterations = 3).await;
    sign_up(&server, ADA, IMPORTED_PASSWORD).await.expect_status(201);
    assert!(stored_hash(&server).await.starts_with("$argon2id$v=19$m=19456,t=3,p=1$"));

    store_hash(&server, &format!("'{}'", FOREIGN_HASHES[0])).await;
    server.log_in(ADA, IMPORTED_PASSWORD).await.expect_status(200);

    assert!(stored_hash(&server).await.starts_with("$argon2id$v=19$m=19456,t=3,p=1$"));
}

/// PW-02: long passwords, spaces and all of Unicode are accepted unchanged.
#[tokio::test]
async fn long_and_unicode_passwords_are_not_truncated() {
    let server = TestServer::start().await;
    let seventy_two = format!("Aa3{}", "x".repeat(69));
    // Pairs of a password and a similar, different one.
    let passwords = [
        (format!("{seventy_two}1"), format!("{seventy_two}2")),
        (format!("{seventy_two}1"), seventy_two.clone()),
        (format!("Aa3{}", "y".repeat(125)), format!("Aa3{}", "y".repeat(124))),
        ("Seven violet harpoons 7 ".to_owned(), "Seven violet harpoons 7".to_owned()),
        (" Harpoon\u{a0}7 violet".to_owned(), "Harpoon\u{a0}7 violet".to_owned()),
        ("Żółć-ω-日本語-🔑-٤".to_owned(), "Żółć-ω-日本語-🔒-٤".to_owned()),
        (format!("Aa3{}", "🔑".repeat(125)), format!("Aa3{}", "🔑".repeat(124))),
        ("Ｈarpoon-7-violet".to_owned(), "Harpoon-7-violet".to_owned()),
    ];

    for (number, (chosen, other)) in passwords.iter().enumerate() {
        let email = format!("ada{number}@example.test");
        sign_up(&server, &email, chosen).await.expect_status(201);
        server.log_in(&email, chosen).await.expect_status(200);
        server.log_in(&email, other).await.expect_error(401, "AUTH_FAILED");
        server.log_in(&email, &chosen.to_uppercase()).await.expect_error(401, "AUTH_FAILED");
    }
}

/// PW-02: keyboards differ in how they compose characters.
#[tokio::test]
async fn composed_and_decomposed_passwords_are_equal() {
    let server = TestServer::start().await;
    let (composed, decomposed) = ("Café-Ångström-7", "Cafe\u{301}-A\u{30a}ngstro\u{308}m-7");

    sign_up(&server, ADA, decomposed).await.expect_status(201);
    sign_up(&server, "bob@example.test", composed).await.expect_status(201);

    server.log_in(ADA, composed).await.expect_status(200);
    server.log_in("bob@example.test", decomposed).await.expect_status(200);
}

/// PW-03: a longer password does not cost more hashing time.
#[tokio::test]
async fn overlong_password_is_rejected_before_hashing() {
    let server = TestServer::start().await;
    server.sign_up(ADA).await.expect_status(201);

    for (length, status, code) in
        [(1_000_000, 413, "PAYLOAD_TOO_LARGE"), (1_025, 400, "VALIDATION_ERROR")]
    {
        let password = format!("Aa3{}", "x".repeat(length - 3));
        let login = server.log_in(ADA, &password).await;
        let signup = sign_up(&server, "bob@example.test", &password).await;
        for answer in [login, signup] {
            answer.expect_error(status, code);
            assert!(answer.took < Duration::from_secs(1), "{:?}", answer.took);
        }
    }
    let longest = server.log_in(ADA, &"🔑".repeat(256)).await;

    longest.expect_error(401, "AUTH_FAILED");
    assert_eq!(server.database.events().await, ["signup", "login_failed"]);
    assert_eq!(server.database.count("account").await, 1);
}

/// PW-04, DS-11, A5: requests beyond the hashing backlog get a 503 with `Retry-After`. Admitted
/// requests succeed.
#[tokio::test]
async fn burst_beyond_the_hashing_backlog_gets_503() {
    let server = TestServer::with(|config| {
        config.limits.account_attempts_per_minute = 1_000;
        config.passwords.hash_threads = 1;
        config.passwords.hash_backlog_seconds = 1;
        // Slow enough that a burst exceeds one second of hashing.
        config.passwords.argon2_iterations = 16;
    })
    .await;
    server.sign_up(ADA).await.expect_status(201);

    let burst = join_all((0..64).map(|_| server.log_in(ADA, PASSWORD))).await;
    let afterwards = server.log_in(ADA, PASSWORD).await;

    let (admitted, refused): (Vec<_>, Vec<_>) =
        burst.into_iter().partition(|answer| answer.status == 200);
    // On a very busy machine, a single hash may fill the backlog, so no exact number is asserted.
    assert!(!admitted.is_empty() && !refused.is_empty());
    for answer in refused {
        answer.expect_error(503, "SERVICE_UNAVAILABLE");
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    }
    afterwards.expect_status(200);
    let logins = i64::try_from(admitted.len()).unwrap() + 1;
    assert_eq!(server.database.count("auth_event WHERE type = 'login'").await, logins);
}

/// W17: a login with an unknown address takes as long as a login with an imported hash.
#[tokio::test]
async fn unknown_account_takes_as_long_as_an_imported_one() {
    let server =
        TestServer::with(|config| config.limits.account_attempts_per_minute = 10_000).await;
    server.sign_up(ADA).await.expect_status(201);
    // About half a second, a hundred times as long as a hash at the default cost.
    store_hash(&server, "'$2b$13$abcdefghijklmnopqrstuuCrFm/7NsPCOWJ7h5LJAU.gwZDtudXHi'").await;
    let server = server.restart().await;
    let quickest = async |emails: [&str; 3]| {
        let mut least = Duration::MAX;
        for email in emails {
            let answer = server.log_in(email, PASSWORD).await;
            answer.expect_error(401, "AUTH_FAILED");
            least = least.min(answer.took);
        }
        least
    };

    let known = quickest([ADA; 3]).await;

    eventually("the imported hashes have been counted", async || {
        let unknown = ["x@example.test", "y@example.test", "z@example.test"];
        quickest(unknown).await > known / 4
    })
    .await;
}

/// PW-06: no password matches an account without a usable hash.
#[tokio::test]
async fn account_without_a_password_cannot_log_in() {
    let server = TestServer::with(|config| {
        config.limits.account_attempts_per_minute = 1_000;
    })
    .await;
    server.sign_up(ADA).await.expect_status(201);

    for stored in ["NULL", "''", "'null'", "'undefined'", "'!'", &format!("'{PASSWORD}'")] {
        store_hash(&server, stored).await;
        for typed in ["", "null", "undefined", "NULL", "!", PASSWORD] {
            server.log_in(ADA, typed).await.expect_error(401, "AUTH_FAILED");
        }
        for body in [json!({ "email": ADA }), json!({ "email": ADA, "password": null })] {
            let answer = server.post("/api/auth/login", &body).await;
            answer.expect_error(400, "VALIDATION_ERROR");
        }
    }
    assert_eq!(server.database.count("session").await, 1);
}
