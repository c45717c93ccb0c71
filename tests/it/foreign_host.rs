//! Host headers of requests are not trusted.

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use crate::harness::oauth::{Browser, CALLBACK, authorization_query, flow, hidden_fields};
use crate::harness::{Answer, PASSWORD, TestServer};

const ADA: &str = "ada@example.test";

const DOCUMENTS: [&str; 3] = [
    "/.well-known/jwks.json",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
];

/// Headers from which proxies or frameworks read a host, a scheme or a path. Some names have a `_`,
/// which some gateways treat as `-` (HP-06).
const SPOOFED_HEADERS: [(&str, &str); 22] = [
    ("host", "evil.example"),
    ("host", "id.example.test@evil.example"),
    ("host", "evil.example:443"),
    ("x-forwarded-host", "evil.example"),
    ("x_forwarded_host", "evil.example"),
    ("x-forwarded-server", "evil.example"),
    ("x-host", "evil.example"),
    ("x-original-host", "evil.example"),
    ("x-http-host-override", "evil.example"),
    ("x-forwarded-proto", "http"),
    ("x_forwarded_proto", "http"),
    ("x-forwarded-scheme", "http"),
    ("x-forwarded-ssl", "off"),
    ("x-url-scheme", "http"),
    ("front-end-https", "off"),
    ("x-forwarded-port", "1"),
    ("x-forwarded-prefix", "/evil"),
    ("x-original-url", "/evil"),
    ("x-rewrite-url", "/evil"),
    ("forwarded", "for=1.1.1.1;host=evil.example;proto=http"),
    ("origin", "https://evil.example"),
    ("referer", "https://evil.example/"),
];

fn spoofed_headers() -> impl Iterator<Item = (String, HeaderMap)> {
    SPOOFED_HEADERS.into_iter().map(|(name, value)| {
        let header = (HeaderName::from_static(name), HeaderValue::from_static(value));
        (format!("{name}: {value}"), HeaderMap::from_iter([header]))
    })
}

/// Asserts that neither the headers nor the body of the response contain the spoofed value.
#[track_caller]
fn assert_not_reflected(answer: &Answer, what: &str) {
    assert!(!format!("{answer:?}").contains("evil"), "{what}: {answer:?}");
}

/// HP-01, MUST-015: no effect on documents and tokens.
#[tokio::test]
async fn spoofed_host_headers_do_not_change_documents_or_tokens() {
    let server = TestServer::start().await;
    let tokens = server.sign_up(ADA).await.tokens();
    let claims = TestServer::claims(&tokens.access_token);

    for (what, headers) in spoofed_headers() {
        for path in DOCUMENTS {
            let plain = server.get(path).await;
            let spoofed = server.request(Method::GET, path).headers(headers.clone());
            let spoofed = Answer::of(spoofed).await;
            assert_eq!((spoofed.status, spoofed.body), (200, plain.body), "{what}");
        }
        let body = json!({ "email": ADA, "password": PASSWORD });
        let log_in = server.request(Method::POST, "/api/auth/login").json(&body).headers(headers);
        let client = server.new_client_address();
        let answer = Answer::of(log_in.header("x-forwarded-for", client)).await;
        server.advance_seconds(61);
        let spoofed = TestServer::claims(&answer.tokens().access_token);
        for claim in ["iss", "aud", "sub"] {
            assert_eq!(spoofed[claim], claims[claim], "{what}");
        }
        assert_not_reflected(&answer, &what);
    }
}

/// HP-01, MUST-015, MUST-059: no effect on pages, redirects and the cookie.
#[tokio::test]
async fn spoofed_host_headers_do_not_change_pages_redirects_or_cookies() {
    let server = TestServer::start().await;
    server.register_web_client().await;
    server.sign_up(ADA).await.expect_status(201);
    let authorize = format!("/oauth2/authorize?{}", authorization_query(&[]));

    for (what, headers) in spoofed_headers() {
        let mut browser = Browser::of(&server);
        let login_request = browser.request(Method::GET, &authorize).headers(headers.clone());
        let login_page = browser.send(login_request).await;
        login_page.expect_login_page();
        assert_not_reflected(&login_page, &what);
        // `Browser::send` checks the attributes: no domain, and always secure.
        assert!(browser.cookie.is_some(), "{what}");

        let page = browser.request(Method::GET, &authorize).headers(headers.clone());
        let page = browser.send(page).await;
        let plain = browser.get(&authorize).await;
        let shown = |page: &Answer| page.html().replace(&flow(page), "?");
        assert_eq!(shown(&page), shown(&plain), "{what}");

        let mut fields = hidden_fields(&page);
        fields.extend(
            [("username", ADA), ("password", PASSWORD)]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let form = browser.request(Method::POST, "/login").headers(headers.clone()).body(body);
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        let redirect = browser.send(form).await;
        assert!(redirect.sent_to(CALLBACK).contains_key("code"), "{what}");
        assert_not_reflected(&redirect, &what);

        let silent = format!("/oauth2/authorize?{}", authorization_query(&[("prompt", "none")]));
        let silent = browser.request(Method::GET, &silent).headers(headers);
        // `sent_to` checks `iss`.
        assert!(browser.send(silent).await.sent_to(CALLBACK).contains_key("code"), "{what}");
        server.advance_seconds(61);
    }
}
