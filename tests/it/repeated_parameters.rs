//! Duplicate parameters of an authorization request.

use crate::harness::TestServer;
use crate::harness::oauth::{Browser, CALLBACK, CHALLENGE, authorization_query};

/// MUST-030, CO-07: duplicates with equal values are rejected, too. Only `resource` (RFC 8707 §2)
/// and unknown parameters may occur more than once.
#[tokio::test]
async fn duplicate_parameter_is_rejected() {
    let server = TestServer::start().await;
    server.register_web_client().await;
    let mut browser = Browser::of(&server);
    let authorize_path = |fields: &[(&str, &str)], more: &str| {
        format!("/oauth2/authorize?{}&{more}", authorization_query(fields))
    };

    for (name, value) in [
        ("state", "af0ifjsldkj"),
        ("response_type", "code"),
        ("scope", "openid"),
        ("nonce", "n-0S6_WzA2Mj"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("prompt", "login"),
        ("max_age", "1"),
        ("login_hint", "ada"),
        ("response_mode", "query"),
    ] {
        for twice in [format!("{name}={value}"), format!("{name}=x"), format!("{name}=")] {
            let answer = browser.get(&authorize_path(&[(name, value)], &twice)).await;
            let sent = answer.sent_to(CALLBACK);
            assert_eq!(sent["error"], "invalid_request", "{twice}");
            // With two states, neither is returned.
            assert_eq!(sent.contains_key("state"), name != "state", "{twice}");
        }
    }
    let resource = "resource=https%3A%2F%2Fapi.example.test";
    let answer = browser.get(&authorize_path(&[], &format!("{resource}&{resource}"))).await;
    answer.expect_login_page();
}
