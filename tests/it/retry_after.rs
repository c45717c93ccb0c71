//! Temporary refusals at the protocol endpoints and pages have a `Retry-After`, as at the JSON API.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use url::form_urlencoded;

use crate::harness::oauth::{Browser, PAGES, Rp, authorization_query, hidden_fields};
use crate::harness::{Answer, TestServer};

const CLIENT: &str = "203.0.113.9";
const ADA: &str = "ada@example.test";

async fn server() -> (TestServer, Rp) {
    let server = TestServer::with(|config| {
        config.limits.refreshes_per_minute = 2;
        config.limits.requests_per_minute = 2;
        config.limits.client_requests_per_minute = 2;
    })
    .await;
    let web = server.register_web_client().await;
    server.sign_up(ADA).await.expect_status(201);
    (server, web)
}

/// An authorization request that is answered without a redirect.
fn authorization_page() -> String {
    let query = authorization_query(&[("prompt", "none"), ("response_mode", "form_post")]);
    format!("/oauth2/authorize?{query}")
}

fn post(server: &TestServer, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = server.request(Method::POST, path).body(body);
    request.header("content-type", "application/x-www-form-urlencoded")
}

/// A request to each protocol endpoint with client authentication, with the client's secret.
fn authenticated_requests(server: &TestServer, web: &Rp) -> [RequestBuilder; 3] {
    let requests = [
        post(server, "/oauth2/token", &[("grant_type", "client_credentials")]),
        post(server, "/oauth2/introspect", &[("token", "x")]),
        post(server, "/oauth2/revoke", &[("token", "x")]),
    ];
    requests.map(|request| request.basic_auth(&web.id, web.secret.as_ref()))
}

/// RL-05
#[tokio::test]
async fn protocol_endpoints_send_retry_after() {
    let (server, web) = server().await;
    let get = |path: &str| server.request(Method::GET, path);
    let from = |request: RequestBuilder| Answer::of(request.header("x-forwarded-for", CLIENT));
    for _ in 0..2 {
        from(get(&authorization_page())).await.expect_status(200);
        from(get("/oauth2/userinfo")).await.expect_status(401);
        // Authenticated requests are limited per client. Introspection has a separate limit.
        let [token_request, introspection, _] = authenticated_requests(&server, &web);
        from(token_request).await.expect_status(400);
        from(introspection).await.expect_status(200);
    }

    let refused = [get(&authorization_page()), get("/oauth2/userinfo").bearer_auth("x")];
    for request in refused.into_iter().chain(authenticated_requests(&server, &web)) {
        let answer = from(request).await;
        answer.expect_status(429);
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=30).contains(&wait), "{answer:?}");
    }
}

/// RL-05: the value is the exact remaining time.
#[tokio::test]
async fn pages_send_retry_after() {
    let (server, _) = server().await;
    let typed = [("username", ADA), ("password", "Wrong-Engine-1843")];
    for path in ["/login", "/signup"] {
        let mut browser = Browser::of(&server);
        let page = browser.get(path).await;
        let cookie = browser.cookie.clone().unwrap();
        let fields = hidden_fields(&page);
        let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let fields: Vec<_> = fields.chain(typed).collect();
        let submit = || {
            let request = post(&server, path, &fields).header("x-forwarded-for", CLIENT);
            Answer::of(request.header("cookie", &cookie))
        };
        for _ in 0..5 {
            assert_ne!(submit().await.status, 429);
        }
        server.advance_seconds(20);

        let refused = submit().await;

        refused.expect_status(429);
        assert_eq!(refused.header("retry-after"), "40", "{path}");
    }
}

#[tokio::test]
async fn database_outage_responses_have_retry_after() {
    let (server, web) = server().await;
    let cookie = format!("__Host-signet={}", "a".repeat(43));
    let mut requests = Vec::from(authenticated_requests(&server, &web));
    requests.push(server.request(Method::GET, &authorization_page()));
    requests.extend(PAGES.map(|page| server.request(Method::GET, page).header("cookie", &cookie)));
    server.clock.advance(Duration::from_mins(2));
    server.database.make_unavailable().await;

    for request in requests {
        let answer =
            Answer::of(request.header("x-forwarded-for", server.new_client_address())).await;
        answer.expect_status(503);
        assert_eq!(answer.header("retry-after"), "1", "{answer:?}");
    }
}
