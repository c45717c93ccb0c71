//! Every operation requires a token, except those on a list.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, TestServer};
use crate::openapi::{committed, operations};

/// Operations without a token. They are needed to get a token, so the list should not grow.
const UNAUTHENTICATED: [(&str, &str); 9] = [
    ("post", "/api/auth/email/verify"),
    ("post", "/api/auth/email/verify/code"),
    ("post", "/api/auth/email/verify/request"),
    ("post", "/api/auth/login"),
    ("post", "/api/auth/password/forgotten"),
    ("post", "/api/auth/password/reset"),
    ("post", "/api/auth/password/reset/code"),
    ("post", "/api/auth/refresh"),
    ("post", "/api/auth/signup"),
];

/// Read-only paths outside the OpenAPI document: documents and probes.
const DOCUMENTS: [&str; 7] = [
    "/.well-known/jwks.json",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/openapi.json",
    "/docs",
    "/livez",
    "/readyz",
];

/// AZ-02: a new operation requires a token, unless its author adds it to the list.
#[test]
fn operations_without_a_token_are_exactly_the_listed_ones() {
    let document = committed();

    let mut open: Vec<_> = operations(&document)
        .into_iter()
        .filter(|(_, _, operation)| operation["security"] == json!([]))
        .map(|(path, method, _)| (method, path))
        .collect();
    open.sort_unstable();

    assert_eq!(open, UNAUTHENTICATED);
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    assert_eq!(schemes.len(), 1);
    let scheme = schemes.values().next().unwrap();
    assert_eq!((&scheme["type"], &scheme["scheme"]), (&json!("http"), &json!("bearer")));
}

/// AZ-02, RFC 6750 §3: operations that require a token reject requests without one.
#[tokio::test]
async fn operations_with_a_token_reject_missing_and_invalid_tokens() {
    let server = TestServer::start().await;
    let document = committed();
    let mut seen = 0;

    for (path, method, operation) in operations(&document) {
        if operation["security"] == json!([]) {
            continue;
        }
        let method: Method = method.to_uppercase().parse().unwrap();
        let path = path.replace(['{', '}'], "");
        let request = || server.request(method.clone(), &path).json(&json!({}));
        let without = Answer::of(request()).await;
        without.expect_error(401, "UNAUTHORIZED");
        assert_eq!(without.header("www-authenticate"), "Bearer", "{method} {path}");
        for token in ["garbage", "a.b.c", "null", "undefined"] {
            let refused = Answer::of(request().bearer_auth(token)).await;
            refused.expect_error(401, "UNAUTHORIZED");
            let challenge = refused.header("www-authenticate");
            assert_eq!(challenge, "Bearer error=\"invalid_token\"", "{method} {path}");
        }
        seen += 1;
    }

    assert!(seen >= 2, "the document lists the operations that need a token");
}

/// HP-07
#[tokio::test]
async fn undocumented_methods_are_rejected() {
    let server = TestServer::start().await;
    let document = committed();
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"];

    for (path, item) in document["paths"].as_object().unwrap() {
        let known: Vec<_> = item.as_object().unwrap().keys().map(|it| it.to_uppercase()).collect();
        for method in methods.iter().filter(|method| !known.contains(&(**method).to_owned())) {
            let method: Method = method.parse().unwrap();
            let answer = Answer::of(server.request(method.clone(), path)).await;

            answer.expect_error(405, "METHOD_NOT_ALLOWED");
            let allowed: Vec<_> = answer.header("allow").split(", ").collect();
            assert!(known.iter().all(|it| allowed.contains(&it.as_str())), "{method} {path}");
        }
    }
}

/// OP-03
#[tokio::test]
async fn undocumented_paths_do_not_exist() {
    let server = TestServer::start().await;

    for path in DOCUMENTS {
        server.get(path).await.expect_status(200);
    }
    for path in [
        "/api",
        "/api/auth",
        "/api/auth/me/",
        "/api/auth//me",
        "/API/auth/me",
        "/api/auth/me/..",
        "/api/auth/%6De",
        "/debug",
        "/debug/pprof",
        "/metrics",
        "/actuator",
        "/.env",
        "/.git/config",
        "/.well-known",
        "/.well-known/jwks.json/",
        "/.well-known/../openapi",
        "/swagger",
    ] {
        let answer = server.get(path).await;
        let found: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        assert_eq!(found["error"]["code"], "NOT_FOUND", "{path}: {}", answer.status);
        answer.expect_error(404, "NOT_FOUND");
    }
}
