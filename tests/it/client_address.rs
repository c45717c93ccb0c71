//! Rate limits use a client address that the client cannot choose.

use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use crate::harness::{Answer, Program, TestDatabase, TestServer};

/// A server that permits `attempts` per minute and client address.
async fn server(attempts: u32) -> TestServer {
    TestServer::with(|config| {
        config.limits.attempts_per_minute = attempts;
        config.limits.account_attempts_per_minute = 1_000;
    })
    .await
}

/// HP-02: no proxy is trusted by default. `startup::invalid_setting_is_rejected_and_named` tests
/// that a setting that trusts all addresses is rejected.
#[test]
fn no_proxy_is_trusted_by_default() {
    #[derive(clap::Parser)]
    struct Settings {
        #[command(flatten)]
        config: signet::config::Config,
    }

    let settings = <Settings as clap::Parser>::parse_from(["signet"]);

    assert!(settings.config.service.trusted_proxies.is_empty());
}

/// The status of a login with a wrong password and these header fields.
async fn log_in_with_headers(server: &TestServer, fields: &[(&str, &str)]) -> u16 {
    let body = json!({ "email": "nobody@example.test", "password": "wrong" });
    let mut request = server.request(Method::POST, "/api/auth/login").json(&body);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    Answer::of(request).await.status
}

async fn log_in_with_chain(server: &TestServer, chain: &str) -> u16 {
    log_in_with_headers(server, &[("x-forwarded-for", chain)]).await
}

/// RL-03: only a trusted proxy can forward a client address.
#[tokio::test]
async fn forwarding_headers_of_untrusted_peers_are_ignored() {
    let server = TestServer::with(|config| {
        config.service.trusted_proxies.clear();
        config.limits.account_attempts_per_minute = 1_000;
    })
    .await;
    let spoofs: [&[(&str, &str)]; 8] = [
        &[("x-forwarded-for", "203.0.113.1")],
        &[("x-forwarded-for", "203.0.113.2"), ("x-forwarded-for", "203.0.113.3")],
        &[("forwarded", "for=203.0.113.4;proto=https")],
        &[("x-real-ip", "203.0.113.5")],
        &[("cf-connecting-ip", "203.0.113.6")],
        &[("true-client-ip", "203.0.113.7"), ("x-client-ip", "203.0.113.8")],
        &[("x-forwarded-for", "127.0.0.1, 203.0.113.9")],
        &[("x-forwarded-for", "garbage")],
    ];

    let mut statuses = Vec::new();
    for spoof in spoofs {
        statuses.push(log_in_with_headers(&server, spoof).await);
    }

    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
    let recorded = "auth_event WHERE type = 'login_failed' AND address = '127.0.0.1' \
                AND forwarded IS NULL";
    assert_eq!(server.database.count(recorded).await, 5);
}

/// RL-03: a proxy appends the address of its peer. The client may have forged the entries to the
/// left of it.
#[tokio::test]
async fn trusted_proxy_chain_is_read_from_the_right() {
    let server = server(3).await;
    let of_one_client: [&[(&str, &str)]; 4] = [
        &[("x-forwarded-for", "198.51.100.1, 203.0.113.9")],
        &[("x-forwarded-for", "198.51.100.2"), ("x-forwarded-for", "203.0.113.9")],
        &[("x-forwarded-for", "garbage, 203.0.113.9, 127.0.0.1")],
        &[("x-forwarded-for", "203.0.113.9:4711")],
    ];

    let mut statuses = Vec::new();
    for fields in of_one_client {
        statuses.push(log_in_with_headers(&server, fields).await);
    }

    assert_eq!(statuses, [401, 401, 401, 429]);
    assert_eq!(
        log_in_with_chain(&server, "203.0.113.9, 198.51.100.1").await,
        401,
        "another client"
    );
}

/// RL-03, HP-06: only the documented header of proxies is read. Variants of its name are ignored
/// like all other headers.
#[tokio::test]
async fn other_headers_are_ignored_even_from_a_trusted_proxy() {
    let server = server(1).await;
    let with = |name| [("x-forwarded-for", "203.0.113.9"), (name, "198.51.100.1")];

    let first = log_in_with_chain(&server, "203.0.113.9").await;
    let mut others = Vec::new();
    let variants = ["x_forwarded_for", "x-forwarded_for", "x_forwarded-for"];
    for name in ["forwarded", "x-real-ip", "cf-connecting-ip"].into_iter().chain(variants) {
        others.push(log_in_with_headers(&server, &with(name)).await);
    }

    assert_eq!((first, &others[..]), (401, &[429; 6][..]));
}

/// RL-04: clients without a readable address share one limit, and are never unlimited.
#[tokio::test]
async fn clients_without_a_readable_address_share_one_limit() {
    let server = server(3).await;
    let unreadable =
        ["unknown", "203.0.113.9, _hidden", "203.0.113.999", "203.0.113.9,", "[::1", "\u{e9}"];

    let mut statuses = Vec::new();
    for chain in unreadable {
        statuses.push(log_in_with_chain(&server, chain).await);
    }

    assert_eq!(statuses, [401, 401, 401, 429, 429, 429]);
    assert_eq!(server.database.count("auth_event WHERE address IS NOT NULL").await, 0);
    assert_eq!(
        log_in_with_chain(&server, "203.0.113.9").await,
        401,
        "a readable address is accepted"
    );
}

/// RL-04: without a forwarded address, the proxy's own address is limited.
#[tokio::test]
async fn proxy_address_is_limited_if_no_address_is_forwarded() {
    let server = server(1).await;

    assert_eq!(log_in_with_headers(&server, &[]).await, 401);
    assert_eq!(log_in_with_headers(&server, &[]).await, 429);
    assert_eq!(log_in_with_chain(&server, "127.0.0.1").await, 429, "the same address");
}

/// RL-05: the limit's key is the address, not its spelling.
#[tokio::test]
async fn spellings_of_an_address_share_one_limit() {
    let server = server(1).await;
    let clients = [
        ["203.0.113.9", "::ffff:203.0.113.9", "::FFFF:CB00:7109"],
        ["2001:db8::1", "2001:0DB8:0:0:0:0:0:1", "[2001:db8::1]:443"],
        ["198.51.100.7", "[::ffff:198.51.100.7]:80", " 198.51.100.7 "],
    ];

    for [first, second, third] in clients {
        assert_eq!(log_in_with_chain(&server, first).await, 401, "{first}");
        assert_eq!(log_in_with_chain(&server, second).await, 429, "{second}");
        assert_eq!(log_in_with_chain(&server, third).await, 429, "{third}");
    }
}

/// RL-05: one IPv6 client can use 2^64 addresses.
#[tokio::test]
async fn addresses_of_an_ipv6_64_share_one_limit() {
    let server = server(1).await;

    assert_eq!(log_in_with_chain(&server, "2001:db8:0:1::1").await, 401);
    assert_eq!(log_in_with_chain(&server, "2001:db8:0:1:ffff:ffff:ffff:ffff").await, 429);
    assert_eq!(log_in_with_chain(&server, "2001:db8:0:2::1").await, 401, "the next /64");
}

/// RL-05: a customer of a provider may have a whole /48, which has ten times the limit of one
/// address.
#[tokio::test]
async fn ipv6_48_has_ten_times_the_limit_of_one_address() {
    let server = server(1).await;

    let mut statuses = Vec::new();
    for network in 0..12 {
        statuses.push(log_in_with_chain(&server, &format!("2001:db8:7:{network:x}::1")).await);
    }

    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[10..], [429; 2]);
    assert_eq!(log_in_with_chain(&server, "2001:db8:8::1").await, 401, "the next /48");
}

/// RL-03: an ignored `X-Forwarded-For` is logged, because it may come from a proxy that the
/// operator forgot to configure as trusted. It is logged once per process, because clients can send
/// it, too.
#[tokio::test]
async fn ignored_forwarding_header_is_logged_once() {
    let database = TestDatabase::create().await;
    let server = Program::new(&database).serve().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for number in 1..=3 {
        let body = json!({ "email": format!("a{number}@example.test"), "password": "x" });
        let request = http.post(server.url("/api/auth/login")).json(&body);
        let response =
            request.header("x-forwarded-for", format!("203.0.113.{number}")).send().await;
        assert_eq!(response.unwrap().status(), 401);
    }

    let (_, log) = server.stop_with(Signal::TERM).await;

    assert_eq!(log.matches("X-Forwarded-For is ignored").count(), 1, "{log}");
    assert!(log.contains("SIGNET_TRUSTED_PROXIES") && log.contains("127.0.0.1"), "{log}");
    assert!(!log.contains("203.0.113"), "the header is not repeated: {log}");
}
