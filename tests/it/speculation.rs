//! B10: browsers prefetch pages speculatively. These requests must not change anything.

use reqwest::Method;

use crate::harness::TestServer;
use crate::harness::oauth::{Browser, CALLBACK, authorization_query};

const ADA: &str = "ada@example.test";

#[tokio::test]
async fn prefetch_does_not_log_out_and_issues_no_code() {
    let server = TestServer::start().await;
    let web = server.register_web_client().await;
    server.sign_up(ADA).await.expect_status(201);
    let mut browser = Browser::of(&server);
    let code = browser.log_in_for_code(ADA, &[]).await;
    let id_token = server.redeem(&web, &code).await.text("id_token");
    let codes = server.database.count("authorization_code").await;
    let log_out = format!("/oauth2/logout?id_token_hint={id_token}");
    let authorize = format!("/oauth2/authorize?{}", authorization_query(&[]));

    for (name, value) in [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("purpose", "prefetch"),
        ("x-moz", "prefetch"),
    ] {
        for path in [&log_out, &authorize] {
            let prefetch = browser.request(Method::GET, path).header(name, value);
            let answer = browser.send(prefetch).await;

            assert_eq!(answer.status, 503, "{name}: {value}");
            assert_eq!(answer.header("cache-control"), "no-store");
        }
    }

    assert_eq!(server.database.count("authorization_code").await, codes);
    assert_eq!(server.database.count("auth_event WHERE type = 'logout'").await, 0);
    let sent = browser.get(&authorize).await.sent_to(CALLBACK);
    assert!(sent.contains_key("code"), "{sent:?}");
    browser.get(&log_out).await;
    assert_eq!(server.database.count("auth_event WHERE type = 'logout'").await, 1);
}
