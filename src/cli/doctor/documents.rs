//! HTTP checks: the documents that verifiers depend on, and readiness.

use reqwest::header::HeaderMap;
use reqwest::{Client, header};
use serde_json::Value;
use signet_verifier::KeySet;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::cli::doctor::fetch::{fetch_json, max_age, text};
use crate::cli::doctor::proxy;
use crate::cli::doctor::report::Report;
use crate::cli::doctor::status_lists;
use crate::clock::Clock;
use crate::timestamp::Timestamp;

/// Maximum clock skew, in seconds. With a larger skew, verifiers refuse tokens as expired or not
/// yet valid.
const TOLERATED_SKEW_SECONDS: u64 = 30;

pub(super) async fn examine(http: &Client, issuer: &str, report: &mut Report) {
    let metadata_url = format!("{issuer}/.well-known/openid-configuration");
    let Some((metadata, headers)) = fetch_json(http, &metadata_url, report).await else { return };
    check_clock(&headers, report);
    let named = metadata.get("issuer").and_then(Value::as_str).unwrap_or("none");
    report.check(
        named == issuer,
        &format!("the metadata names the issuer {issuer:?}, byte for byte (found: {named:?})"),
        "set SIGNET_ISSUER to the URL that resource servers use, or configure them with the issuer in \
         the metadata",
    );
    match metadata.get("jwks_uri").and_then(Value::as_str) {
        Some(jwks_uri) => {
            if let Some(keys) = fetch_key_set(http, jwks_uri, report).await {
                status_lists::examine(http, issuer, &metadata, &keys, report).await;
            }
        }
        None => report.fault("the metadata has no jwks_uri", "does this URL belong to Signet?"),
    }
    check_readiness(http, issuer, report).await;
    proxy::examine(http, issuer, report).await;
}

fn check_clock(headers: &HeaderMap, report: &mut Report) {
    let date = text(headers, &header::DATE).replace("GMT", "+0000");
    let Ok(theirs) = OffsetDateTime::parse(&date, &Rfc2822) else {
        return report.note("the response has no Date header, so the clocks were not compared");
    };
    let (ours, theirs) = (Clock::System.now(), Timestamp::from(theirs));
    let skew = ours.since(theirs).max(theirs.since(ours)).as_secs();
    report.check(
        skew <= TOLERATED_SKEW_SECONDS,
        &format!(
            "the clocks of Signet and of this host differ by at most {TOLERATED_SKEW_SECONDS} s \
             (found: {skew} s)"
        ),
        "synchronise both with NTP",
    );
}

/// Fetches and checks the key set; `None` if it cannot be parsed.
async fn fetch_key_set(http: &Client, jwks_uri: &str, report: &mut Report) -> Option<KeySet> {
    let (jwks, headers) = fetch_json(http, jwks_uri, report).await?;
    let none = Vec::new();
    let keys = jwks.get("keys").and_then(Value::as_array).unwrap_or(&none);
    let private = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    report.check(
        keys.iter().all(|key| private.iter().all(|member| key.get(member).is_none())),
        "no key contains a private member",
        "REVOKE these keys now (signet keys revoke): anyone can forge your tokens",
    );
    report.check(
        !keys.is_empty() && keys.iter().all(|key| key.get("alg").is_some_and(|it| it == "RS256")),
        "every key is for RS256",
        "resource servers that expect RS256 ignore or refuse the others",
    );
    let set = KeySet::from_json(jwks.to_string().as_bytes()).ok();
    report.check(
        set.as_ref().map_or(0, KeySet::len) == keys.len(),
        &format!("all {} keys are long enough and distinct", keys.len()),
        "replace them (signet keys rotate, with SIGNET_RSA_BITS of 2048 or more)",
    );
    check_caching(http, jwks_uri, &headers, report).await;
    set
}

async fn check_caching(http: &Client, jwks_uri: &str, headers: &HeaderMap, report: &mut Report) {
    let cache_control = text(headers, &header::CACHE_CONTROL);
    report.check(
        max_age(headers) > 0 && !cache_control.contains("no-store"),
        &format!("the key set may be cached ({cache_control})"),
        "a proxy replaces Cache-Control, or this instance cannot reach its database",
    );
    report.check(
        text(headers, &header::ACCESS_CONTROL_ALLOW_ORIGIN) == "*",
        "the key set may be read from any origin",
        "a proxy removes Access-Control-Allow-Origin",
    );
    let etag = text(headers, &header::ETAG);
    let again = http.get(jwks_uri).header(header::IF_NONE_MATCH, &etag).send().await;
    report.check(
        !etag.is_empty() && again.is_ok_and(|answer| answer.status() == 304),
        "an unchanged key set gets 304 without a body",
        "a proxy removes ETag or If-None-Match",
    );
}

async fn check_readiness(http: &Client, issuer: &str, report: &mut Report) {
    let Ok(answer) = http.get(format!("{issuer}/readyz")).send().await else {
        return report.note("/readyz cannot be reached from here");
    };
    match answer.status().as_u16() {
        200 => report.fine("Signet is ready: database, schema and signing key"),
        503 => report.fault(
            "Signet is not ready: users cannot log in; resource servers continue to verify tokens",
            "the log of Signet says why (\"not ready\"); usually the database does not respond",
        ),
        _ => return report.note("/readyz cannot be reached from here"),
    }
    let body: Value = answer.json().await.unwrap_or_default();
    let lost = body.get("lost_log_lines").and_then(Value::as_u64).unwrap_or(0);
    if lost > 0 {
        report.note(format!(
            "Signet has lost {lost} log lines since its start: the reader of its standard output was \
             slow, stopped or gone, or a disk was full"
        ));
    }
}
