//! The policy for new passwords, and its error messages.

use serde_json::{Value, json};
use signet::config::PasswordPolicy;

use crate::harness::{PASSWORD, TestServer};

async fn sign_up(server: &TestServer, email: &str, password: &str) -> Value {
    let body = json!({ "email": email, "password": password });
    server.post("/api/auth/signup", &body).await.json()
}

/// All violations of the policy.
async fn problems(server: &TestServer, password: &str) -> Vec<String> {
    let answer = sign_up(server, "ada.lovelace@example.test", password).await;
    let fields = answer["error"]["fields"].as_array().cloned().unwrap_or_default();
    assert!(fields.iter().all(|field| field["name"] == "password"), "{answer}");
    fields.iter().map(|field| field["message"].as_str().unwrap().to_owned()).collect()
}

/// The default is the rule of the original application.
#[tokio::test]
async fn default_policy_requires_8_to_128_characters_of_three_classes() {
    let server = TestServer::start().await;

    for (password, expected) in [
        ("Aq3-vzk", "needs at least 8 characters"),
        (&format!("Aq3{}", "-".repeat(126)), "is longer than 128 characters"),
        ("aq3-vzkw", "needs an upper-case letter"),
        ("AQ3-VZKW", "needs a lower-case letter"),
        ("Aqx-vzkw", "needs a digit"),
    ] {
        assert_eq!(problems(&server, password).await, [expected], "{password}");
    }
    for (number, password) in
        ["Aq3-vzkw".to_owned(), format!("Aq3{}", "-".repeat(125))].iter().enumerate()
    {
        let answer = sign_up(&server, &format!("ada{number}@example.test"), password).await;
        assert!(answer["access_token"].is_string(), "{answer}");
    }
}

/// All problems are listed at once, per member, without repeating the input.
#[tokio::test]
async fn all_problems_of_all_members_are_listed_at_once() {
    let server = TestServer::start().await;

    let body = json!({ "email": "no address", "password": "s3c-" });
    let answer = server.post("/api/auth/signup", &body).await;

    let envelope = answer.expect_error(400, "VALIDATION_ERROR");
    let expected = [
        ("email", "must contain exactly one @"),
        ("password", "needs at least 8 characters"),
        ("password", "needs an upper-case letter"),
    ];
    let fields = envelope["error"]["fields"].as_array().unwrap().iter();
    let named: Vec<_> = fields.map(|it| (it["name"].as_str(), it["message"].as_str())).collect();
    assert_eq!(named, expected.map(|(name, message)| (Some(name), Some(message))));
    let details = expected.map(|(name, message)| format!("{name}: {message}")).join("; ");
    assert_eq!(envelope["error"]["details"], details);
    assert!(!envelope.to_string().contains("s3c-") && !envelope.to_string().contains("no address"));
}

/// PW-05: attackers know common passwords and their usual modifications.
#[tokio::test]
async fn common_passwords_are_rejected() {
    let server = TestServer::start().await;

    for password in ["Password1", "Passw0rd!", "Qwerty123", "Welcome2024!", "1Qaz2wsx", "Abcd1234"]
    {
        assert_eq!(problems(&server, password).await, ["is a common password"], "{password}");
    }
    assert_eq!(server.database.count("account").await, 0);
}

/// PW-05: passwords based on the account's address or the service's name are rejected.
#[tokio::test]
async fn passwords_based_on_the_address_or_service_name_are_rejected() {
    let server = TestServer::start().await;

    for password in [
        "Ada.Lovelace1",
        "Ada-Lovelace-1843",
        "ada.lovelace@example.test-A1",
        "ADA.lovelace@EXAMPLE.test9",
        "Signet-2026",
        "mySIGNET1",
    ] {
        let expected = ["contains your email address or this service's name"];
        assert_eq!(problems(&server, password).await, expected, "{password}");
    }
    assert_eq!(server.database.count("account").await, 0);
}

/// NIST SP 800-63B-4 §3.1.1.2, if configured: 15 characters of any kind.
#[tokio::test]
async fn nist_policy_checks_length_only() {
    let server =
        TestServer::with(|config| config.passwords.password_policy = PasswordPolicy::Nist).await;

    assert_eq!(problems(&server, PASSWORD).await, [""; 0]);
    assert_eq!(problems(&server, "Violet-Harp-14").await, ["needs at least 15 characters"]);
    assert_eq!(problems(&server, "qwerty123456789").await, ["is a common password"]);
    let answer = sign_up(&server, "bob@example.test", "violet harpoon drifts").await;
    assert!(answer["access_token"].is_string(), "{answer}");
}

/// The policy applies to new passwords only.
#[tokio::test]
async fn login_does_not_apply_the_policy() {
    let server = TestServer::start().await;
    sign_up(&server, "ada@example.test", "Aq3-vzkw").await;
    let mut config = server.config.clone();
    config.passwords.password_policy = PasswordPolicy::Nist;

    let stricter = server.another_instance_with(config).await;

    stricter.log_in("ada@example.test", "Aq3-vzkw").await.expect_status(200);
}
