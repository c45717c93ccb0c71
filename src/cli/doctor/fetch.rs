//! Fetches JSON documents.

use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Client, header};
use serde_json::Value;

use crate::cli::doctor::report::Report;

/// Fetches a JSON document with its response headers; records a fault if that fails.
pub(super) async fn fetch_json(
    http: &Client,
    url: &str,
    report: &mut Report,
) -> Option<(Value, HeaderMap)> {
    let remedy = "is Signet running, and does the proxy in front of it pass this path on?";
    let response = match http.get(url).send().await {
        Ok(response) if response.status() == 200 => response,
        Ok(response) => {
            report.fault(format!("{url} answers {}", response.status()), remedy);
            return None;
        }
        Err(error) => {
            let is_url = url.starts_with("http://") || url.starts_with("https://");
            let remedy = if is_url { remedy } else { "begin the issuer with http:// or https://" };
            report.fault(format!("{url} does not answer: {}", error.without_url()), remedy);
            return None;
        }
    };
    let headers = response.headers().clone();
    let Ok(json) = response.json().await else {
        report.fault(format!("{url} is not JSON"), remedy);
        return None;
    };
    report.fine(format!("{url} answers"));
    Some((json, headers))
}

/// The `max-age` of `Cache-Control`, in seconds; 0 if there is none.
pub(super) fn max_age(headers: &HeaderMap) -> u64 {
    let cache_control = text(headers, &header::CACHE_CONTROL);
    let max_age = cache_control.split(',').find_map(|part| part.trim().strip_prefix("max-age="));
    max_age.and_then(|seconds| seconds.parse().ok()).unwrap_or(0)
}

/// The value of a header; empty if absent.
pub(super) fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
