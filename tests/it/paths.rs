//! Unknown paths, and methods that a path does not support.

use std::collections::BTreeSet;

use reqwest::Method;

use crate::harness::{Answer, TestServer};

/// IJ-04: unknown paths, including other spellings of existing paths.
#[tokio::test]
async fn unknown_path_gets_a_404_error_envelope() {
    let server = TestServer::start().await;
    let paths = [
        "//api/auth/me",
        "/api",
        "/api/",
        "/api/auth",
        "/api/auth/nothing",
        "/api/auth/me/",
        "/api/auth/ME",
        "/API/auth/me",
        "/api/auth/./me",
        "/api/x/../auth/me",
        "/api/auth/%2e%2e/auth/me",
        "/api/auth/me%00",
        "/.well-known/nothing",
        "/livez/x",
        "/favicon.ico",
        "/.env",
    ];

    for path in paths {
        for method in ["GET", "POST", "DELETE"] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            );
            let raw = server.raw(request.as_bytes()).await;
            raw.answer.expect_error(404, "NOT_FOUND");
            assert!(!String::from_utf8_lossy(&raw.answer.body).contains(path));
        }
    }
    let invalid_utf8 = b"GET /api/auth/%ff HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    server.raw(invalid_utf8).await.answer.expect_error(400, "VALIDATION_ERROR");
}

/// HP-07, RFC 9110 §15.5.6: `Allow` lists exactly the methods that the path supports.
#[tokio::test]
async fn unsupported_method_gets_a_405_with_allow() {
    let server = TestServer::start().await;
    // HEAD is not tested here, because its refusals have no body to check. It works where GET does.
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"];
    let operations = server.operations().await;
    let documents = ["/.well-known/jwks.json", "/openapi.json", "/docs", "/livez", "/readyz"];
    let paths: BTreeSet<&str> =
        operations.iter().map(|it| it.path.as_str()).chain(documents).collect();

    for path in paths {
        let mut answers = Vec::new();
        for name in methods {
            let method = Method::from_bytes(name.as_bytes()).unwrap();
            answers.push((name, Answer::of(server.request(method, path)).await));
        }
        let answered: BTreeSet<_> =
            answers.iter().filter(|(_, it)| it.status != 405).map(|(name, _)| *name).collect();
        for (_, answer) in answers.iter().filter(|(name, _)| !answered.contains(name)) {
            answer.expect_error(405, "METHOD_NOT_ALLOWED");
            let allowed = answer.header("allow").split(", ").filter(|name| *name != "HEAD");
            assert_eq!(allowed.collect::<BTreeSet<_>>(), answered, "{path}");
        }
    }
}

/// RFC 9110 §9.3.2: HEAD is GET without the body, and `Allow` lists it where it works.
#[tokio::test]
async fn head_works_where_get_does() {
    let server = TestServer::start().await;
    let token = server.sign_up("ada@example.test").await.tokens().access_token;

    for (path, methods) in [
        ("/.well-known/jwks.json", "GET, HEAD"),
        ("/openapi.json", "GET, HEAD"),
        ("/docs", "GET, HEAD"),
        ("/livez", "GET, HEAD"),
        ("/api/auth/me", "GET, PATCH, DELETE, HEAD"),
    ] {
        let head = Answer::of(server.request(Method::HEAD, path).bearer_auth(&token)).await;
        let post = Answer::of(server.request(Method::POST, path).bearer_auth(&token)).await;

        assert!(head.expect_status(200).body.is_empty(), "{path}");
        assert_eq!(post.expect_status(405).header("allow"), methods, "{path}");
    }
    let post_only = Answer::of(server.request(Method::HEAD, "/api/auth/login")).await;
    assert_eq!(post_only.expect_status(405).header("allow"), "POST");
}
