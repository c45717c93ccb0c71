//! The OpenAPI document and the lists of settings are generated from the code, and compared with
//! the committed files.

use std::path::Path;

use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::harness::{Program, TestServer};

/// The committed OpenAPI document.
pub fn committed() -> Value {
    serde_json::from_str(&file("openapi/openapi.json")).unwrap()
}

/// Each operation with its path and method.
pub fn operations(document: &Value) -> Vec<(&str, &str, &Map<String, Value>)> {
    let items = document["paths"].as_object().unwrap().iter();
    items
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter();
            methods
                .map(move |(method, it)| (path.as_str(), method.as_str(), it.as_object().unwrap()))
        })
        .collect()
}

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The output of a command without any settings.
async fn printed(arguments: &[&str]) -> String {
    let directory = TempDir::new().unwrap();
    let output = Program::without_settings(directory.path()).run(arguments).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// All values below `json`, including itself.
fn walk(json: &Value) -> Vec<&Value> {
    let below: Vec<&Value> = match json {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => members.values().collect(),
        _ => Vec::new(),
    };
    std::iter::once(json).chain(below.into_iter().flat_map(walk)).collect()
}

/// The committed file makes every change of the API visible in review.
#[tokio::test]
async fn committed_openapi_document_matches_the_printed_and_served_one() {
    let server = TestServer::start().await;

    let answer = server.get("/openapi.json").await;
    let printed = printed(&["openapi"]).await;

    assert_eq!(answer.header("content-type"), "application/json");
    let hint = "run: cargo run -- openapi > openapi/openapi.json";
    assert!(file("openapi/openapi.json") == printed, "{hint}");
    assert!(String::from_utf8(answer.body).unwrap() == printed, "{hint}");
}

/// C7: behind a proxy with a path prefix, "Try it out" calls URLs below that prefix.
#[tokio::test]
async fn openapi_server_url_has_the_path_of_the_issuer() {
    for (issuer, url) in [
        ("https://id.example.test", "/"),
        ("https://example.test/auth", "/auth"),
        ("https://example.test/a/b", "/a/b"),
    ] {
        let server =
            TestServer::with(|config| config.service.issuer = Some(issuer.to_owned())).await;

        let document = server.get("/openapi.json").await.json();

        assert_eq!(document["servers"], serde_json::json!([{ "url": url }]), "{issuer}");
        let page = server.get("/docs").await;
        let page = String::from_utf8(page.body).unwrap();
        assert!(page.contains(&format!("\"url\": \"{url}\"")), "{issuer}");
    }
}

/// The committed files make a new setting or a changed default visible in review.
#[tokio::test]
async fn committed_settings_match_the_printed_ones() {
    let env_example = printed(&["config", "env-example"]).await;
    let markdown = printed(&["config", "markdown"]).await;

    let hint = "run: cargo run -- config env-example > .env.example";
    assert!(file(".env.example") == env_example, "{hint}");
    let hint = "run: cargo run -- config markdown > docs/configuration.md";
    assert!(file("docs/configuration.md") == markdown, "{hint}");
}

/// Every audit event must be documented.
#[tokio::test]
async fn committed_audit_event_page_matches_the_printed_one() {
    let printed = printed(&["config", "audit-events"]).await;

    let hint = "run: cargo run -- config audit-events > docs/audit-events.md";
    assert!(file("docs/audit-events.md") == printed, "{hint}");
}

/// Client generators name functions after operation ids, and logs identify requests by them.
#[test]
fn operation_ids_are_unique() {
    let document = committed();

    let operations = operations(&document);
    let mut ids: Vec<_> =
        operations.iter().map(|(_, _, it)| it["operationId"].as_str().unwrap()).collect();

    assert!(ids.iter().all(|id| id.chars().all(char::is_alphanumeric)), "{ids:?}");
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), count), (operations.len(), operations.len()));
}

/// Alternatives make generated clients in typed languages unusable, and the API needs none.
#[test]
fn schemas_have_no_alternatives() {
    let document = committed();

    for value in walk(&document).into_iter().filter_map(Value::as_object) {
        for word in ["oneOf", "anyOf", "not"] {
            assert!(!value.contains_key(word), "{value:?}");
        }
        // `allOf` with one schema is no alternative: OpenAPI 3.0 has no other way to make a
        // reference nullable.
        let parts = value.get("allOf").and_then(Value::as_array);
        assert!(parts.is_none_or(|parts| parts.len() == 1), "{value:?}");
    }
}

/// The document lists errors of the middleware, too.
#[test]
fn every_operation_documents_its_errors() {
    let document = committed();

    for (path, method, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        let mut statuses = vec!["500"];
        if operation.contains_key("requestBody") {
            statuses.extend(["400", "413", "415"]);
        }
        if operation["security"] != Value::Array(Vec::new()) {
            statuses.push("401");
        }
        for status in statuses {
            assert!(responses.contains_key(status), "{method} {path} does not document {status}");
        }
        for (status, response) in responses.iter().filter(|(status, _)| status.as_str() >= "400") {
            let schema = &response["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/ErrorEnvelope", "{method} {path} {status}");
        }
    }
}

/// ID-04: the document states that a body with an unknown member is rejected.
#[test]
fn request_schemas_forbid_additional_properties() {
    let document = committed();

    for (path, method, operation) in operations(&document) {
        let Some(body) = operation.get("requestBody") else { continue };
        let reference = body["content"]["application/json"]["schema"]["$ref"].as_str().unwrap();
        let schema = document.pointer(&reference[1..]).unwrap();
        assert_eq!(schema["additionalProperties"], false, "{method} {path}");
        assert_eq!(body["required"], true, "{method} {path}");
    }
}

/// The page works offline, and injected markup cannot load resources.
#[tokio::test]
async fn documentation_page_loads_no_external_resources() {
    let server = TestServer::start().await;

    let page = server.get("/docs").await;

    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"));
    assert!(!policy.contains("http") && !policy.contains('*') && !policy.contains("unsafe-eval"));
    let html = String::from_utf8(page.body.clone()).unwrap();
    for url in loaded_urls(&html) {
        assert!(!url.contains("//") || url.starts_with("data:"), "{url}");
    }
    // `loaded_urls` itself works: it finds these URLs.
    let loads = r#"<img src="https://a.example"><link href='//b.example'>@import url(http://c)"#;
    assert_eq!(loaded_urls(loads), ["//b.example", "https://a.example", "http://c"]);
}

/// The URLs that a browser loads for a page, from attributes of elements and from style sheets.
fn loaded_urls(html: &str) -> Vec<&str> {
    let mut urls = Vec::new();
    for element in ["<script", "<link", "<img", "<iframe", "<embed", "<object", "<source", "<base"]
    {
        for tag in html.split(element).skip(1) {
            let tag = tag.split('>').next().unwrap();
            for attribute in ["src=", "href=", "srcset=", "data="] {
                let values = tag.split(attribute).skip(1);
                urls.extend(
                    values
                        .map(|it| it.trim_start_matches(['"', '\'']))
                        .map(|it| it.split(['"', '\'', ' ']).next().unwrap()),
                );
            }
        }
    }
    for start in ["url(", "@import \"", "@import '"] {
        let values = html.split(start).skip(1).map(|it| it.trim_start_matches(['"', '\'', '\\']));
        let values = values.map(|it| it.split([')', '"', '\'', '\\']).next().unwrap());
        urls.extend(values.filter(|it| !it.contains(['(', '$', '+'])));
    }
    urls
}
