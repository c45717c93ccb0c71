//! The parameter `state`, which is returned unchanged with a code, and the maximum length of
//! `state` and `nonce`.

use crate::harness::TestServer;
use crate::harness::oauth::{Browser, CALLBACK};

const ADA: &str = "ada@example.test";

/// MUST-041, CO-10: the state of a successful request, with and without a login.
#[tokio::test]
async fn state_is_returned_with_a_code() {
    let server = TestServer::start().await;
    server.register_web_client().await;
    server.sign_up(ADA).await.expect_status(201);
    let mut browser = Browser::of(&server);
    let states = ["&=%+ /?#\"'<>\\", "żółć \u{1f600}", " x ", "%41%0a", &"a".repeat(4096), "null"];

    // The login page carries the state.
    let page = browser.authorize(&[("state", states[0])]).await;
    let redirect = browser.log_in(&page, ADA).await.sent_to(CALLBACK);
    assert!(redirect.contains_key("code") && redirect["state"] == states[0], "{redirect:?}");
    for state in states {
        let sent = browser.authorize(&[("state", state)]).await.sent_to(CALLBACK);
        assert!(sent.contains_key("code") && sent["state"] == state, "{sent:?}");
        let known = ["code", "state", "iss"];
        assert!(sent.keys().all(|name| known.contains(&name.as_str())), "{sent:?}");
    }
    for absent in ["-", ""] {
        let sent = browser.authorize(&[("state", absent)]).await.sent_to(CALLBACK);
        assert!(sent.contains_key("code") && !sent.contains_key("state"), "{sent:?}");
    }
}

/// CO-10: `state` and `nonce` are limited to 4096 bytes. A longer value is an error.
#[tokio::test]
async fn overlong_state_and_nonce_are_rejected_with_an_error() {
    let server = TestServer::start().await;
    server.register_web_client().await;
    let mut browser = Browser::of(&server);
    let (longest, too_long) = ("a".repeat(4096), "a".repeat(4097));

    for name in ["state", "nonce"] {
        let response = browser.authorize(&[(name, &longest)]).await;
        response.expect_login_page();
        let response = browser.authorize(&[(name, &too_long)]).await;
        assert_eq!(response.sent_to(CALLBACK)["error"], "invalid_request", "{name}");
    }
}
