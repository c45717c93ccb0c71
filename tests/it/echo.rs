//! Request parameters that are returned unchanged, with codes as with errors.

use crate::harness::TestServer;
use crate::harness::oauth::{Browser, CALLBACK};

const ADA: &str = "ada@example.test";

/// MUST-041, CO-10: the state of a successful request, without and with a login.
#[tokio::test]
async fn state_is_returned_with_a_code() {
    let server = TestServer::start().await;
    server.web().await;
    server.sign_up(ADA).await.expect_status(201);
    let mut browser = Browser::of(&server);
    let odd = ["&=%+ /?#\"'<>\\", "żółć \u{1f600}", " x ", "%41%0a", &"a".repeat(4096), "null"];

    // The login page carries the state.
    let asked = browser.authorize(&[("state", odd[0])]).await;
    let done = browser.log_in(&asked, ADA).await.sent_to(CALLBACK);
    assert!(done.contains_key("code") && done["state"] == odd[0], "{done:?}");
    for state in odd {
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

/// CO-10: each is limited to 4096 bytes; a longer one is an error.
#[tokio::test]
async fn overlong_state_and_nonce_are_rejected_with_an_error() {
    let server = TestServer::start().await;
    server.web().await;
    let mut browser = Browser::of(&server);
    let (longest, longer) = ("a".repeat(4096), "a".repeat(4097));

    for name in ["state", "nonce"] {
        let asked = browser.authorize(&[(name, &longest)]).await;
        asked.expect_login_page();
        let asked = browser.authorize(&[(name, &longer)]).await;
        assert_eq!(asked.sent_to(CALLBACK)["error"], "invalid_request", "{name}");
    }
}
