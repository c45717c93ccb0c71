//! Limits of requests and registrations that result from limits of browsers, databases and proxies.

use crate::harness::TestServer;
use crate::harness::oauth::{
    Browser, CALLBACK, WEB_CLIENT, authorization_query, flow, hidden_fields,
};

async fn server() -> TestServer {
    let server = TestServer::start().await;
    server.register_clients(WEB_CLIENT).await;
    server
}

/// Browsers normalise line breaks in posted forms, so these values could not be returned unchanged.
#[tokio::test]
async fn state_with_control_characters_is_rejected_and_not_returned() {
    let server = server().await;
    let mut browser = Browser::of(&server);

    for control in ["\r", "\n", "\r\n", "\t", "\u{1b}", "\u{7f}", "\u{85}"] {
        let bad = format!("a{control}b");
        for prompt in ["", "none"] {
            let answer = browser.authorize(&[("prompt", prompt), ("state", &bad)]).await;
            let sent = answer.sent_to(CALLBACK);
            assert_eq!(sent["error"], "invalid_request", "{bad:?}");
            assert!(!sent.contains_key("state"), "{bad:?}");
            let answer = browser.authorize(&[("prompt", prompt), ("nonce", &bad)]).await;
            let sent = answer.sent_to(CALLBACK);
            assert_eq!(
                (sent["error"].as_str(), sent["state"].as_str()),
                ("invalid_request", "af0ifjsldkj"),
                "{bad:?}"
            );
        }
        // An invalid hint is ignored, on both databases.
        let answer = browser.authorize(&[("login_hint", &bad)]).await;
        answer.expect_login_page();
    }
    let longest = "a".repeat(4096);
    let parameters = [("response_mode", "form_post"), ("prompt", "none"), ("state", &longest)];
    let fields = hidden_fields(&browser.authorize(&parameters).await);
    assert!(fields.contains(&("state".to_owned(), longest)));
}

/// The page contains the sealed request in a form field, so the size of the request is limited.
#[tokio::test]
async fn pending_request_size_is_limited() {
    let server = server().await;
    let mut browser = Browser::of(&server);
    browser.get("/login").await;
    let (long, longer) = ("ü".repeat(800), "a".repeat(5000));
    let hint = format!("{}@example.test", "a".repeat(307));

    for more in [
        vec![("login_hint", longer.as_str())],
        vec![("login_hint", &hint)],
        vec![("state", &long), ("nonce", &long), ("login_hint", &longer)],
    ] {
        let body = authorization_query(&more);
        let fields: Vec<_> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let page = browser.post("/oauth2/authorize", &fields).await;
        let sealed_length = flow(page.expect_login_page()).len();
        assert!(sealed_length < 6000, "{sealed_length}");
        assert_eq!(page.html().contains("@example.test"), more[0].1 == hint);
    }
    assert_eq!(server.database.count("pending_authorization").await, 0);
}

/// Some proxies reject responses with more than 4 KiB of headers.
#[tokio::test]
async fn page_headers_stay_small_for_large_registrations() {
    let server = server().await;
    let many: Vec<_> =
        (0..50).map(|n| format!("\"https://{}.{n}.example/cb\"", "a".repeat(60))).collect();
    let many = many.join(", ");
    server
        .register_clients(&format!(
            "[[client]]\nclient_id = \"many\"\nredirect_uris = [{many}]\n\
             post_logout_redirect_uris = [{}]\n",
            many.replace("/cb", "/bye").replace(".example", ".test")
        ))
        .await;
    let mut browser = Browser::of(&server);

    for n in [0, 20, 49] {
        let used = format!("https://{}.{n}.example", "a".repeat(60));
        let callback = format!("{used}/cb");
        let more = [("client_id", "many"), ("redirect_uri", callback.as_str())];
        let login = browser.authorize(&more).await;
        let signup = browser.open("/signup", &login).await;
        for answer in [login, signup] {
            let policy = answer.header("content-security-policy");
            assert!(policy.contains(&format!("form-action 'self' {used}")), "{policy}");
            let size: usize =
                answer.headers.iter().map(|(name, it)| name.as_str().len() + it.len() + 4).sum();
            assert!((2000..4096).contains(&size), "{size}");
        }
    }
}
