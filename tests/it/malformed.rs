//! Malformed bodies: each operation responds with the error envelope, and none with a 5xx.

use reqwest::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use crate::harness::{Answer, Operation, TestServer};

async fn server_with_token() -> (TestServer, String) {
    let server = TestServer::start().await;
    let token = server.sign_up("ada@example.test").await.tokens().access_token;
    (server, token)
}

/// The JSON text of an object, which may contain duplicate members.
fn object(members: &[(&String, Vec<u8>)]) -> Vec<u8> {
    let members =
        members.iter().map(|(name, value)| [format!("{name:?}:").as_bytes(), value].concat());
    [b"{", &members.collect::<Vec<_>>().join(&b","[..])[..], b"}"].concat()
}

/// `example` with the JSON text of one member replaced.
fn with_member(example: &Map<String, Value>, name: &str, text: &[u8]) -> Vec<u8> {
    let members = example.iter().map(|(key, value)| {
        (key, if key == name { text.to_vec() } else { value.to_string().into_bytes() })
    });
    object(&members.collect::<Vec<_>>())
}

/// SS-05: another site can make a browser send text and forms, so these types are rejected.
#[tokio::test]
async fn body_of_another_content_type_is_rejected() {
    let (server, token) = server_with_token().await;
    let types = [
        "text/plain",
        "text/plain;application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "application/problem+json",
        "application",
        "",
    ];

    for (operation, body) in server.operations_with_body().await {
        let body = Value::Object(body).to_string();
        let request = || {
            let request = server.request(operation.method.clone(), &operation.path);
            request.bearer_auth(&token).body(body.clone())
        };
        for content_type in types {
            let answer = Answer::of(request().header(CONTENT_TYPE, content_type)).await;
            answer.expect_error(415, "UNSUPPORTED_MEDIA_TYPE");
        }
        Answer::of(request()).await.expect_error(415, "UNSUPPORTED_MEDIA_TYPE");
        for content_type in ["application/json; charset=utf-8", "Application/JSON"] {
            let answer = Answer::of(request().header(CONTENT_TYPE, content_type)).await;
            assert_ne!(answer.status, 415, "{content_type}");
        }
    }
}

/// IJ-04, F21: bodies that are not JSON objects, and an empty object.
#[tokio::test]
async fn body_that_is_not_a_json_object_is_rejected() {
    let (server, token) = server_with_token().await;
    let bodies: [&[u8]; 24] = [
        b"",
        b" ",
        b"{",
        b"}",
        b"{}",
        b"[]",
        b"[{}]",
        b"[\"somebody@example.test\",\"Analytical-Engine-1843\"]",
        b"\"text\"",
        b"null",
        b"true",
        b"-1e309",
        b"NaN",
        b"{\"email\"}",
        b"{\"email\":}",
        b"{'email':'a'}",
        b"{\"email\":\"a\",}",
        b"{/**/}",
        b"{}{}",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00",
        b"{\"\xff\":\"\"}",
        b"\0",
        b"email=a&password=b",
    ];

    for (operation, _) in server.operations_with_body().await {
        for body in bodies {
            let answer = server.call(&operation, &token, body).await;
            answer.expect_error(400, "VALIDATION_ERROR");
        }
    }
}

/// F21: invalid strings.
#[tokio::test]
async fn invalid_strings_are_rejected() {
    let (server, token) = server_with_token().await;
    let texts: [&[u8]; 8] = [
        b"\"\\ud800\"",
        b"\"\\udc00x\"",
        b"\"\\u00\"",
        b"\"\n\"",
        b"\"\0\"",
        b"\"\\x41\"",
        b"\"\xff\"",
        b"\"a",
    ];

    for (operation, example) in server.operations_with_body().await {
        let each = |name| texts.iter().map(move |text| (name, *text));
        for (name, text) in example.keys().flat_map(each) {
            let body = with_member(&example, name, text);
            let answer = server.call(&operation, &token, body).await;
            answer.expect_error(400, "VALIDATION_ERROR");
        }
    }
}

/// F21: valid strings that PostgreSQL cannot store. Passwords are hashed, not stored, so they may
/// contain these characters.
#[tokio::test]
async fn members_with_u_0000_and_noncharacters_do_not_reach_the_database() {
    let (server, token) = server_with_token().await;
    let texts: [&[u8]; 4] = [
        br#""\u0000""#,
        br#""a\u0000@example.test""#,
        br#""Analytical-Engine-1843\u0000""#,
        br#""\ufffe\uffff""#,
    ];

    for (operation, example) in server.operations_with_body().await {
        let each = |name| texts.iter().map(move |text| (name, *text));
        let names = example.keys().filter(|name| !name.contains("password"));
        for (name, text) in names.flat_map(each) {
            let body = with_member(&example, name, text);
            let answer = server.call(&operation, &token, body).await;
            assert!((400..500).contains(&answer.status), "{name}: {answer:?}");
            let code = answer.json()["error"]["code"].as_str().unwrap().to_owned();
            answer.expect_error(answer.status, &code);
        }
    }
    assert_eq!(server.database.count("account").await, 1);
}

/// DS-06: parsers disagree on which duplicate member counts.
#[tokio::test]
async fn duplicate_member_is_rejected() {
    let (server, token) = server_with_token().await;

    for (operation, example) in server.operations_with_body().await {
        for (name, value) in &example {
            let bytes = |value: &Value| value.to_string().into_bytes();
            let all = example.iter().map(|(name, value)| (name, bytes(value)));
            let twice: Vec<_> = all.chain([(name, bytes(value))]).collect();
            let answer = server.call(&operation, &token, object(&twice)).await;
            let envelope = answer.expect_error(400, "VALIDATION_ERROR");
            assert_eq!(envelope["error"]["fields"][0]["name"], name.as_str());
        }
    }
}

/// DS-06: deep nesting overflows neither the stack nor the process.
#[tokio::test]
async fn deeply_nested_json_is_rejected() {
    let (server, token) = server_with_token().await;

    for (operation, example) in server.operations_with_body().await {
        let name = example.keys().next().unwrap();
        for opening in ["[", "{\"a\":"] {
            let deep = opening.repeat(15_000 / opening.len());
            let body = with_member(&example, name, deep.as_bytes());
            let answer = server.call(&operation, &token, body).await;
            answer.expect_error(400, "VALIDATION_ERROR");
            let answer = server.call(&operation, &token, opening.repeat(100_000)).await;
            answer.expect_error(413, "PAYLOAD_TOO_LARGE");
        }
    }
}

/// DS-01: at most 16 KiB, whether or not the length is declared.
#[tokio::test]
async fn body_of_more_than_16_kib_is_rejected() {
    let (server, token) = server_with_token().await;
    let head = |operation: &Operation, framing: &str| {
        format!(
            "{} {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\n{framing}\r\n\r\n",
            operation.method, operation.path
        )
    };

    for (operation, example) in server.operations_with_body().await {
        let body = Value::Object(example).to_string();
        let padded = |length: usize| format!("{body}{}", " ".repeat(length - body.len()));
        let with_length = |length: usize| {
            head(&operation, &format!("content-length: {length}")) + &padded(length)
        };
        let chunked = |length: usize| {
            let body = padded(length);
            let chunks = body.as_bytes().chunks(1_000).map(|it| String::from_utf8_lossy(it));
            let chunks = chunks.map(|it| format!("{:x}\r\n{it}\r\n", it.len()));
            let chunks = chunks.collect::<Vec<_>>().concat();
            head(&operation, "transfer-encoding: chunked") + &chunks + "0\r\n\r\n"
        };
        for request in [with_length(20_000), with_length(16_385), chunked(20_000), chunked(16_385)]
        {
            let raw = server.raw(request.as_bytes()).await;
            raw.answer.expect_error(413, "PAYLOAD_TOO_LARGE");
        }
        // Only the length is sent. The response does not wait for a gigabyte.
        let length_only = head(&operation, "content-length: 1000000000");
        server.raw(length_only.as_bytes()).await.answer.expect_error(413, "PAYLOAD_TOO_LARGE");
        for request in [with_length(16_384), chunked(16_384)] {
            assert_ne!(server.raw(request.as_bytes()).await.answer.status, 413);
        }
    }
}
