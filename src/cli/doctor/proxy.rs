//! HTTP checks: a proxy in front of Signet must forward the client address and accept long URLs.

use std::net::IpAddr;

use reqwest::{Client, Response, header};
use serde_json::Value;

use crate::cli::doctor::fetch::text;
use crate::cli::doctor::report::Report;

/// The length of the `state` that the check sends, in characters. Each character takes six bytes in
/// a URL.
const LONG_STATE: usize = 1_000;

pub(super) async fn examine(http: &Client, issuer: &str, report: &mut Report) {
    check_client_address(http, issuer, report).await;
    check_long_redirects(http, issuer, report).await;
}

/// Checks that the proxy forwards the client address, on which rate limits depend.
async fn check_client_address(http: &Client, issuer: &str, report: &mut Report) {
    let answer = http.get(format!("{issuer}/client-address")).send().await;
    let Ok(answer) = answer.and_then(Response::error_for_status) else {
        return report.note("/client-address cannot be reached from here");
    };
    let seen: Value = answer.json().await.unwrap_or_default();
    let is_set = |name| seen.get(name).and_then(Value::as_bool).unwrap_or(false);
    let address = seen.get("address").and_then(Value::as_str).unwrap_or("none");
    let is_private = address.parse::<IpAddr>().is_ok_and(is_private);
    if is_set("ignored_forwarding") {
        report.fault(
            format!("Signet ignores X-Forwarded-For of the proxy at {address}"),
            "name the proxy in SIGNET_TRUSTED_PROXIES; until then all clients share one limit",
        );
    } else if is_set("forwarded") && address == "none" {
        report.fault(
            "Signet cannot read the X-Forwarded-For that the proxy sends",
            "configure the proxy to send only addresses; until then all its clients share one limit",
        );
    } else if issuer.starts_with("https:") && is_private && !is_set("forwarded") {
        report.fault(
            format!("Signet sees this client as {address}, which is the proxy's address"),
            "name the proxy in SIGNET_TRUSTED_PROXIES and configure it to send X-Forwarded-For; until \
             then all clients share one limit",
        );
    } else {
        report.note(format!("Signet sees this client as {address}"));
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// Checks that the proxy accepts redirects with a long `state`: a redirect to a client repeats the
/// `state` of the client's request. The check sends a logout request without a cookie. The redirect
/// in its response repeats the `state`, too, and the request changes nothing.
async fn check_long_redirects(http: &Client, issuer: &str, report: &mut Report) {
    let state = "%C3%A9".repeat(LONG_STATE);
    let form = http.post(format!("{issuer}/oauth2/logout")).body(format!("state={state}"));
    let form = form.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let what = format!("a redirect with a state of {LONG_STATE} characters passes the proxy");
    let remedy = "let the proxy accept 16 KiB of header fields (nginx: proxy_buffer_size and \
                  large_client_header_buffers, as in deploy/nginx.conf)";
    let location = match form.send().await {
        Ok(answer) if answer.status() == 303 => text(answer.headers(), &header::LOCATION),
        Ok(answer) if answer.status() == 429 => {
            return report.note("long responses were not tested");
        }
        _ => String::new(),
    };
    let query = location.split_once('?').map_or("", |(_, query)| query);
    let again = http.get(format!("{issuer}/oauth2/logout?{query}")).send();
    let passes =
        query.ends_with(&state) && again.await.is_ok_and(|answer| answer.status().as_u16() < 400);
    report.check(passes, &what, remedy);
}
