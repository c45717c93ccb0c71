//! Request line and header fields: size limits, syntax, and the request id.

use std::collections::HashSet;

use reqwest::Method;
use uuid::Uuid;

use crate::harness::{Answer, TestServer};

async fn get(server: &TestServer, path: &str, fields: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{fields}\r\n");
    server.raw(request.as_bytes()).await.answer
}

/// DS-02: larger targets get an error envelope. Targets beyond hyper's own limit get hyper's
/// response without a body.
#[tokio::test]
async fn request_target_of_more_than_8_kib_is_rejected() {
    let server = TestServer::start().await;
    let target = |length: usize| format!("/livez?{}", "x".repeat(length - "/livez?".len()));

    get(&server, &target(8_192), "").await.expect_status(200);
    get(&server, &target(8_193), "").await.expect_error(414, "URI_TOO_LONG");
    get(&server, &target(60_000), "").await.expect_error(414, "URI_TOO_LONG");
    get(&server, &target(70_000), "").await.expect_status(414);
}

/// DS-02: the limit applies to a few large fields and to many small ones.
#[tokio::test]
async fn header_fields_of_more_than_16_kib_are_rejected() {
    let server = TestServer::start().await;
    let fields = |count: usize, length: usize| {
        let fields = (0..count).map(|n| format!("x-{n}: {}\r\n", "x".repeat(length)));
        fields.collect::<Vec<_>>().concat()
    };

    get(&server, "/livez", &fields(1, 16_000)).await.expect_status(200);
    get(&server, "/livez", &fields(90, 100)).await.expect_status(200);
    for refused in [fields(1, 16_384), fields(80, 300), fields(1, 100_000)] {
        get(&server, "/livez", &refused).await.expect_error(431, "HEADERS_TOO_LARGE");
    }
    get(&server, "/livez", &fields(101, 1)).await.expect_status(431);
    get(&server, "/livez", &fields(1_000, 1)).await.expect_status(431);
}

/// DS-02: invalid HTTP affects only its own connection.
#[tokio::test]
async fn invalid_request_head_gets_a_400() {
    let server = TestServer::start().await;

    for request in [
        "GET / HTTP/1.1\r\nhost x\r\n\r\n",
        "GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: x\r\nhost: y\r\nconnection: close\r\n\r\n",
        "GET /livez HTTP/1.0\r\nhost: x\r\nhost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nx\0: y\r\n\r\n",
        "GET / HTTP/1.1\r\n folded: x\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GE\x07T / HTTP/1.1\r\n\r\n",
        "POST /api/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        "POST /api/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    ] {
        assert_eq!(server.raw(request.as_bytes()).await.answer.status, 400, "{request:?}");
    }
    server.get("/livez").await.expect_status(200);
}

/// HP-05: against request smuggling, the connection is closed after the response, so the remaining
/// bytes are not read as a request. (`tests/faults` sends only well-formed requests through nginx.)
#[tokio::test]
async fn request_of_ambiguous_length_gets_one_response() {
    let server = TestServer::start().await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let after_empty_chunk = format!("0\r\n\r\n{smuggled}");
    let inside_chunk = format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len());
    let length = after_empty_chunk.len();
    let answers = async |fields: &str, body: &str| {
        let head = "POST /oauth2/token HTTP/1.1\r\nhost: x\r\n\
                    content-type: application/x-www-form-urlencoded\r\n";
        let request = format!("{head}{fields}\r\n\r\n{body}");
        let first = server.raw(request.as_bytes()).await.answer;
        let rest = String::from_utf8_lossy(&first.body).into_owned();
        (first.status, 1 + rest.matches("HTTP/1.1 ").count())
    };

    // Control: with an unambiguous length, the server reads two requests.
    assert_eq!(answers("transfer-encoding: chunked", &after_empty_chunk).await, (401, 2));
    for (fields, body) in [
        (&*format!("content-length: {length}\r\ntransfer-encoding: chunked"), &*after_empty_chunk),
        (&*format!("transfer-encoding: chunked\r\ncontent-length: {length}"), &after_empty_chunk),
        ("transfer-encoding: chunked\r\ncontent-length: 4", &inside_chunk),
        ("transfer-encoding: xchunked\r\ncontent-length: 0", smuggled),
        ("transfer-encoding : chunked\r\ncontent-length: 5", &after_empty_chunk),
        ("transfer-encoding: identity\r\ncontent-length: 0", smuggled),
        ("transfer-encoding: chunked, identity", &after_empty_chunk),
        ("transfer-encoding: chunked\r\ntransfer-encoding: identity", &after_empty_chunk),
        ("transfer-encoding: \x0bchunked", &after_empty_chunk),
        ("transfer-encoding:\r\n chunked\r\ncontent-length: 0", smuggled),
        ("content-length: +0", smuggled),
        ("content-length: 0, 0", smuggled),
        ("content-length: 0x0", smuggled),
        ("content-length : 0", smuggled),
        ("transfer-encoding: chunked", &format!("0;\n{smuggled}")),
        ("transfer-encoding: chunked", &format!("-1\r\n{smuggled}")),
        ("transfer-encoding: chunked", &format!("10000000000000000\r\n{smuggled}")),
    ] {
        let (status, count) = answers(fields, body).await;
        assert!(matches!(status, 400 | 401) && count == 1, "{fields:?} {body:?}: {status}");
    }
    server.get("/livez").await.expect_status(200);
}

/// N-86: responses that the middleware sends have one, too.
#[tokio::test]
async fn every_response_has_a_unique_request_id() {
    let server = TestServer::start().await;
    let etag = server.get("/.well-known/jwks.json").await.header("etag").to_owned();
    let request = |method, path: &str| server.request(method, path);
    let preflight = request(Method::OPTIONS, "/api/auth/login")
        .header("origin", "http://localhost:3000")
        .header("access-control-request-method", "POST");

    let answers = [
        (200, server.get("/livez").await),
        (200, server.get("/readyz").await),
        (200, server.get("/.well-known/jwks.json").await),
        (200, server.get("/docs").await),
        (
            304,
            Answer::of(
                request(Method::GET, "/.well-known/jwks.json").header("if-none-match", etag),
            )
            .await,
        ),
        (204, Answer::of(preflight).await),
        (400, Answer::of(request(Method::POST, "/api/auth/login").json(&())).await),
        (401, server.get("/api/auth/me").await),
        (404, server.get("/nothing").await),
        (404, server.get("/api/auth/nothing").await),
        (405, Answer::of(request(Method::PUT, "/api/auth/login")).await),
        (414, get(&server, &format!("/{}", "x".repeat(9_000)), "").await),
        (415, Answer::of(request(Method::POST, "/api/auth/login").body("x")).await),
        (431, get(&server, "/", &format!("x: {}\r\n", "x".repeat(17_000))).await),
    ];

    let mut ids = HashSet::new();
    for (status, answer) in answers {
        answer.expect_status(status);
        let id: Uuid = answer.header("x-request-id").parse().unwrap();
        assert_eq!(id.get_version_num(), 7, "generated by the server");
        assert!(ids.insert(id), "{status}");
    }
}

/// A caller can correlate logs by its own request id, which must be a UUID.
#[tokio::test]
async fn request_id_of_the_caller_is_used() {
    let server = TestServer::start().await;
    let id = "9b2f6d6e-0c5b-4f7e-9a51-3d1c2b7a8e90";

    for sent in [id, "9B2F6D6E-0C5B-4F7E-9A51-3D1C2B7A8E90"] {
        let field = format!("x-request-id: {sent}\r\n");
        let alive = get(&server, "/livez", &field).await;
        let refused = get(&server, "/api/auth/me", &field).await;
        let missing = get(&server, "/nothing", &field).await;

        assert_eq!(alive.expect_status(200).header("x-request-id"), id);
        let envelope = refused.expect_error(401, "UNAUTHORIZED");
        assert_eq!(envelope["meta"]["request_id"], id);
        let envelope = missing.expect_error(404, "NOT_FOUND");
        assert_eq!(envelope["meta"]["request_id"], id);
    }
}

/// IJ-02: otherwise a caller could inject text into logs and headers.
#[tokio::test]
async fn request_id_that_is_no_uuid_is_replaced() {
    let server = TestServer::start().await;
    let long = "9".repeat(5_000);

    for sent in [
        "",
        "1",
        "request 7",
        "9b2f6d6e0c5b4f7e9a513d1c2b7a8e90",
        "{9b2f6d6e-0c5b-4f7e-9a51-3d1c2b7a8e90}",
        "urn:uuid:9b2f6d6e-0c5b-4f7e-9a51-3d1c2b7a8e90",
        "9b2f6d6e-0c5b-4f7e-9a51-3d1c2b7a8eXX",
        "\u{1f511}",
        "\" level=error",
        &long,
    ] {
        let answer = get(&server, "/nothing", &format!("x-request-id: {sent}\r\n")).await;
        let envelope = answer.expect_error(404, "NOT_FOUND");
        let id: Uuid = answer.header("x-request-id").parse().unwrap();
        assert_eq!(id.get_version_num(), 7, "{sent:?}");
        assert!(sent.len() < 10 || !envelope.to_string().contains(sent));
    }
}
