//! SS-07: the origins whose scripts may read responses of the JSON API.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, TestServer};

const ME: &str = "/api/auth/me";
const LOG_IN: &str = "/api/auth/login";

async fn with_origin(server: &TestServer, method: Method, path: &str, origin: &str) -> Answer {
    Answer::of(server.request(method, path).header("origin", origin)).await
}

async fn preflight(server: &TestServer, path: &str, origin: &str) -> Answer {
    let request = server
        .request(Method::OPTIONS, path)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type");
    Answer::of(request).await
}

fn allowed_origin(answer: &Answer) -> Option<&str> {
    let fields: Vec<_> = answer.headers.get_all("access-control-allow-origin").iter().collect();
    assert!(fields.len() <= 1, "{fields:?}");
    assert!(answer.headers.get("access-control-allow-credentials").is_none());
    let varies = answer.headers.get_all("vary").iter().any(|it| it == "Origin");
    assert!(varies, "a cache must not serve the headers of another origin: {answer:?}");
    fields.first().map(|origin| origin.to_str().unwrap())
}

/// Origins other than the allowed `https://app.example.test`, most of them similar to it.
const OTHER_ORIGINS: [&str; 14] = [
    "null",
    "*",
    "",
    "http://app.example.test",
    "https://app.example.test/",
    "https://app.example.test:443",
    "https://app.example.test:8443",
    "https://APP.example.test",
    "https://app.example.test.evil.example",
    "https://evil.example/https://app.example.test",
    "https://evilapp.example.test",
    "https://sub.app.example.test",
    "https://app.example.test, https://evil.example",
    "https://app.example.test https://evil.example",
];

/// SS-07: the default is the origin of the original application's front end.
#[tokio::test]
async fn default_allowed_origin_is_the_original_front_end() {
    let server = TestServer::start().await;

    let local = with_origin(&server, Method::GET, ME, "http://localhost:3000").await;
    let other = with_origin(&server, Method::GET, ME, "http://localhost:3001").await;

    assert_eq!(allowed_origin(&local), Some("http://localhost:3000"));
    assert_eq!(allowed_origin(&other), None);
    for answer in [local, other] {
        answer.expect_error(401, "UNAUTHORIZED");
    }
}

/// SS-07: origins are compared exactly with a fixed list. Credentials are never allowed.
#[tokio::test]
async fn only_listed_origins_are_allowed() {
    let listed = ["https://app.example.test", "http://127.0.0.1:8081", "https://b.example.test"];
    let server = TestServer::with(|config| {
        config.service.cors_origins = listed.map(str::to_owned).to_vec();
    })
    .await;

    for origin in listed {
        assert_eq!(allowed_origin(&preflight(&server, LOG_IN, origin).await), Some(origin));
        let answer = with_origin(&server, Method::GET, ME, origin).await;
        assert_eq!(allowed_origin(&answer), Some(origin));
        let exposed = answer.header("access-control-expose-headers");
        for name in ["x-request-id", "retry-after", "ratelimit"] {
            assert!(exposed.contains(name), "{exposed}");
        }
    }
    for origin in OTHER_ORIGINS.into_iter().chain(["http://localhost:3000"]) {
        for answer in [
            preflight(&server, LOG_IN, origin).await,
            with_origin(&server, Method::GET, ME, origin).await,
            with_origin(&server, Method::GET, "/api/nothing", origin).await,
        ] {
            assert_eq!(allowed_origin(&answer), None, "{origin}");
            let others = answer.headers.keys().filter(|it| it.as_str().starts_with("access-"));
            assert_eq!(others.count(), 0, "{answer:?}");
        }
    }
    assert_eq!(allowed_origin(&server.get(ME).await), None);
}

/// SS-07: a preflight does not count against the rate limit.
#[tokio::test]
async fn preflight_of_a_listed_origin_is_not_rate_limited() {
    let server = TestServer::start().await;

    let answer = preflight(&server, LOG_IN, "http://localhost:3000").await;

    assert_eq!((answer.status, answer.body.len()), (204, 0));
    let methods = answer.header("access-control-allow-methods");
    for method in ["GET", "POST", "PATCH", "DELETE"] {
        assert!(methods.split(", ").any(|it| it == method), "{methods}");
    }
    let headers = answer.header("access-control-allow-headers");
    for name in ["authorization", "content-type"] {
        assert!(headers.split(", ").any(|it| it == name), "{headers}");
    }
    assert!(answer.header("access-control-max-age").parse::<u32>().unwrap() <= 7200);
    assert_eq!(server.database.count("attempt").await, 0);
}

/// SS-07: a front end can read error responses.
#[tokio::test]
async fn error_responses_have_cors_headers() {
    let server = TestServer::start().await;
    let origin = "http://localhost:3000";
    let post = |path: &str, body: serde_json::Value| {
        let request = server.request(Method::POST, path).header("origin", origin);
        Answer::of(request.json(&body))
    };

    for (answer, status) in [
        (post(LOG_IN, json!({})).await, 400),
        (post(LOG_IN, json!({ "email": "a@b.example", "password": "x" })).await, 401),
        (post("/api/auth/nothing", json!({})).await, 404),
        (post(ME, json!({})).await, 405),
        (post(LOG_IN, json!({ "email": "x".repeat(20_000) })).await, 413),
        (with_origin(&server, Method::POST, LOG_IN, origin).await, 415),
    ] {
        answer.expect_status(status);
        assert_eq!(allowed_origin(&answer), Some(origin), "{status}");
    }
}

/// SS-07: any origin may read public documents; the header is the same for all, so that caches can
/// share them.
#[tokio::test]
async fn public_documents_allow_any_origin() {
    let server = TestServer::start().await;

    for path in [
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/openapi.json",
    ] {
        for origin in OTHER_ORIGINS {
            let answer = with_origin(&server, Method::GET, path, origin).await;

            assert_eq!(answer.header("access-control-allow-origin"), "*");
            assert!(answer.headers.get("access-control-allow-credentials").is_none());
            assert!(answer.headers.get("vary").is_none());
        }
    }
}
