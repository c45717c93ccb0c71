//! HTTP checks: whether logouts reach resource servers.

use reqwest::{Client, header};
use serde_json::Value;
use signet_verifier::{KeySet, Verifier};

use crate::cli::doctor::fetch::{fetch_json, max_age, text};
use crate::cli::doctor::report::Report;
use crate::clock::Clock;

/// Maximum `max-age` of a list, in seconds. A cache delays logouts by the `max-age`.
const TOLERATED_MAX_AGE: u64 = 5;

/// Fetches every status list from the aggregation endpoint and verifies it.
pub(super) async fn examine(
    http: &Client,
    issuer: &str,
    metadata: &Value,
    keys: &KeySet,
    report: &mut Report,
) {
    let endpoint = metadata.get("status_list_aggregation_endpoint").and_then(Value::as_str);
    let Some(endpoint) = endpoint else {
        return report.fault(
            "the metadata names no status lists, so resource servers do not notice logouts",
            "is this an older version of Signet?",
        );
    };
    let Some((aggregation, _)) = fetch_json(http, endpoint, report).await else { return };
    let uris = aggregation.get("status_lists").and_then(Value::as_array);
    let uris: Vec<_> = uris.into_iter().flatten().filter_map(Value::as_str).collect();
    report.check(
        !uris.is_empty(),
        "there is a status list",
        "the log of Signet says why there is none",
    );
    for uri in uris {
        check_list(http, issuer, uri, keys, report).await;
    }
}

async fn check_list(http: &Client, issuer: &str, uri: &str, keys: &KeySet, report: &mut Report) {
    let answer = http.get(uri).header(header::ACCEPT, "application/statuslist+jwt").send().await;
    let Ok(answer) = answer.and_then(reqwest::Response::error_for_status) else {
        return report.fault(
            format!("{uri} does not answer"),
            "does the proxy in front of Signet pass /status on?",
        );
    };
    let cache_control = text(answer.headers(), &header::CACHE_CONTROL);
    report.check(
        max_age(answer.headers()) <= TOLERATED_MAX_AGE,
        &format!("caches do not delay logouts ({cache_control})"),
        "stop the proxy from replacing Cache-Control: each second of max-age delays logouts by a second",
    );
    let token = answer.text().await.unwrap_or_default();
    let now = Clock::System.now().as_seconds();
    match Verifier::new(issuer, issuer).verify_status_list(keys, uri, &token, now) {
        Ok(list) => report.fine(format!(
            "{uri} verifies: room for {} sessions, to be fetched every {} s",
            list.len(),
            list.ttl().unwrap_or_default().as_secs()
        )),
        Err(error) => report.fault(
            format!("{uri} does not verify: {error}"),
            "resource servers refuse every token that references it: check the log and the clocks",
        ),
    }
}
