//! Rate limits of endpoints with client authentication: per client if the authentication succeeds,
//! per address if it fails.

use std::time::Instant;

use futures_util::future::join_all;

use crate::harness::oauth::Rp;
use crate::harness::{Answer, TestServer};

const CLIENTS: &str = r#"
[[client]]
client_id = "tasks-api"
grant_types = []
introspects = ["https://api.example.test"]

[[client]]
client_id = "job"
grant_types = ["client_credentials"]
scope = "tasks:read"

[[client]]
client_id = "app"
application_type = "native"
token_endpoint_auth_method = "none"
redirect_uris = ["http://127.0.0.1/cb"]
"#;

const ADDRESS: &str = "203.0.113.9";

/// POSTs a form of a client from [`ADDRESS`].
async fn post_form(server: &TestServer, rp: &Rp, path: &str, fields: &[(&str, &str)]) -> Answer {
    let request = server.form(path, fields).header("x-forwarded-for", ADDRESS);
    Answer::of(request.basic_auth(&rp.id, rp.secret.as_ref())).await
}

async fn introspect(server: &TestServer, rp: &Rp) -> Answer {
    post_form(server, rp, "/oauth2/introspect", &[("token", "x")]).await
}

async fn token(server: &TestServer, rp: &Rp) -> Answer {
    post_form(server, rp, "/oauth2/token", &[("grant_type", "client_credentials")]).await
}

/// W13: a client with the correct secret can send more than a hundred introspections per second
/// from one address, even if guesses from the same address fail.
#[tokio::test]
async fn authenticated_client_is_not_limited_by_address() {
    let server = TestServer::start().await;
    let clients = server.register_clients(CLIENTS).await;
    let api = &clients[0];
    let wrong = Rp { secret: Some("sgs_wrong".to_owned()), ..api.clone() };
    for _ in 0..25 {
        introspect(&server, &wrong).await;
    }
    introspect(&server, &wrong).await.expect_status(429);

    let started = Instant::now();
    for _ in 0..30 {
        let answers = join_all((0..50).map(|_| introspect(&server, api))).await;
        assert!(answers.iter().all(|answer| answer.status == 200));
    }
    // 1,500 requests within a minute exceed the limit of an address, which is 600.
    assert!(started.elapsed().as_secs() < 60);
    token(&server, &clients[1]).await.expect_status(200);
}

/// W13, C15: each client has its own limits, and a separate limit for introspection.
#[tokio::test]
async fn rate_limits_are_per_client_and_separate_for_introspection() {
    let server = TestServer::with(|config| config.limits.client_requests_per_minute = 3).await;
    let clients = server.register_clients(CLIENTS).await;
    let (api, job) = (&clients[0], &clients[1]);
    for _ in 0..3 {
        introspect(&server, api).await.expect_status(200);
        introspect(&server, job).await.expect_status(200);
        token(&server, job).await.expect_status(200);
    }

    for refused in [introspect(&server, api).await, introspect(&server, job).await] {
        refused.expect_oauth_error(429, "temporarily_unavailable");
        let seconds: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=20).contains(&seconds), "three a minute: one every 20 s, not {seconds}");
    }
    token(&server, job).await.expect_status(429);
    post_form(&server, job, "/oauth2/revoke", &[("token", "x")]).await.expect_status(429);
    // A wrong secret does not count against the client.
    let wrong = Rp { secret: Some("sgs_wrong".to_owned()), ..job.clone() };
    token(&server, &wrong).await.expect_status(401);
}

/// Unauthenticated requests are limited by address, as at the JSON API.
#[tokio::test]
async fn public_client_is_limited_by_address() {
    let server = TestServer::with(|config| config.limits.refreshes_per_minute = 3).await;
    server.register_clients(CLIENTS).await;
    let fields = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", "app")];
    let from = async |address: &str| {
        Answer::of(server.form("/oauth2/token", &fields).header("x-forwarded-for", address)).await
    };
    for _ in 0..3 {
        from(ADDRESS).await.expect_oauth_error(400, "unauthorized_client");
    }
    from(ADDRESS).await.expect_status(429);
    from("203.0.113.10").await.expect_oauth_error(400, "unauthorized_client");
}
