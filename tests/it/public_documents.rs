//! The key set and the metadata are cacheable documents. They are identical for all callers, and
//! available during database outages.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, PASSWORD, TestServer, eventually};

const JWKS: &str = "/.well-known/jwks.json";
const METADATA: [&str; 2] =
    ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];

/// The paths of all documents.
fn paths() -> impl Iterator<Item = &'static str> {
    [JWKS].into_iter().chain(METADATA)
}

/// MUST-002, MUST-011, MUST-015: the issuer is exactly as configured, and both metadata documents
/// are identical.
#[tokio::test]
async fn discovery_documents_contain_the_configured_issuer() {
    let issuer = "https://ID.Example.test:8443/tenant%2Fone";
    let server = TestServer::with(|config| config.service.issuer = Some(issuer.to_owned())).await;

    let [openid, oauth] = [server.get(METADATA[0]).await, server.get(METADATA[1]).await];

    assert_eq!(openid.body, oauth.body);
    let metadata = openid.json();
    assert_eq!(metadata["issuer"], issuer);
    assert_eq!(metadata["jwks_uri"], format!("{issuer}{JWKS}"));
    let tokens = server.sign_up("ada@example.test").await.tokens();
    assert_eq!(TestServer::claims(&tokens.access_token)["iss"], issuer);
}

/// KY-05: the setting is `jwks_max_age_seconds`.
#[tokio::test]
async fn documents_have_type_etag_and_configured_max_age() {
    let server = TestServer::with(|config| config.keys.jwks_max_age_seconds = 77).await;

    for path in paths() {
        let answer = server.get(path).await;

        answer.expect_status(200);
        let media_type = if path == JWKS { "application/jwk-set+json" } else { "application/json" };
        assert_eq!(answer.header("content-type"), media_type);
        assert_eq!(answer.header("cache-control"), "public, max-age=77");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        let etag = answer.header("etag");
        assert!(etag.len() > 20 && etag.starts_with('"') && etag.ends_with('"'), "{etag}");
        assert!(answer.headers.get("set-cookie").is_none());
    }
}

/// RFC 9110 §13.1.2: with any other `If-None-Match`, the response contains the document.
#[tokio::test]
async fn matching_if_none_match_gets_a_304() {
    let server = TestServer::start().await;
    let conditional = |path, if_none_match: String| {
        Answer::of(server.request(Method::GET, path).header("if-none-match", if_none_match))
    };

    for path in paths() {
        let full = server.get(path).await;
        let etag = full.header("etag");
        for if_none_match in [
            etag.to_owned(),
            format!("W/{etag}"),
            format!("\"other\", {etag}"),
            format!("\"other\",W/{etag} , \"third\""),
            "*".to_owned(),
        ] {
            let answer = conditional(path, if_none_match).await;

            answer.expect_status(304);
            assert!(answer.body.is_empty());
            let names = ["etag", "cache-control", "access-control-allow-origin"];
            assert_eq!(names.map(|name| answer.header(name)), names.map(|name| full.header(name)));
        }
        for if_none_match in ["\"other\"", "", "\"\"", etag.trim_matches('"'), &etag[..9], "W/*"] {
            let answer = conditional(path, if_none_match.to_owned()).await;

            answer.expect_status(200);
            assert_eq!(answer.body, full.body);
        }
    }
}

/// RFC 9110 §9.3.2: the response to HEAD has the headers of GET.
#[tokio::test]
async fn documents_support_get_and_head_only() {
    let server = TestServer::start().await;

    for path in paths() {
        let get = server.get(path).await;
        let head = Answer::of(server.request(Method::HEAD, path)).await;
        head.expect_status(200);
        assert!(head.body.is_empty());
        for name in ["etag", "content-type", "cache-control"] {
            assert_eq!(head.header(name), get.header(name));
        }
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::TRACE] {
            let answer = Answer::of(server.request(method, path)).await;
            answer.expect_error(405, "METHOD_NOT_ALLOWED");
            assert_eq!(answer.header("allow"), "GET, HEAD");
        }
    }
}

/// F6: resource servers can still verify tokens while the database is unavailable.
#[tokio::test]
async fn documents_and_liveness_work_without_the_database() {
    let server = TestServer::start().await;
    let tokens = server.sign_up("ada@example.test").await.tokens();
    server.get("/readyz").await.expect_status(200);
    let jwks = server.get(JWKS).await;

    server.database.make_unavailable().await;

    let is_unready = async || server.get("/readyz").await.status == 503;
    eventually("the server is not ready", is_unready).await;
    let unready = server.get("/readyz").await;
    assert_eq!(
        (unready.status, unready.json()),
        (503, json!({ "status": "unavailable", "lost_log_lines": 0 }))
    );
    server.get("/livez").await.expect_status(200);
    assert_eq!(server.get(JWKS).await.body, jwks.body);
    for path in METADATA.into_iter().chain(["/docs", "/openapi.json"]) {
        server.get(path).await.expect_status(200);
    }
    for answer in [
        server.log_in("ada@example.test", PASSWORD).await,
        server.sign_up("bob@example.test").await,
        server.refresh(&tokens.refresh_token).await,
        server.me(&tokens.access_token).await,
        server.log_out(&tokens.access_token).await,
    ] {
        answer.expect_error(503, "SERVICE_UNAVAILABLE");
        assert_eq!(answer.header("retry-after"), "1");
    }
    let forged = server.me("a.b.c").await;
    forged.expect_error(401, "UNAUTHORIZED");
}
