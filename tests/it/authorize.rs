//! `/oauth2/authorize`: validation of requests, and where errors may be sent.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;

use crate::harness::oauth::{Browser, CALLBACK, CHALLENGE, WEB_CLIENT, authorization_query};
use crate::harness::{Answer, TestServer};

/// A native client, a confidential client without PKCE, and a client without the code flow.
const OTHER_CLIENTS: &str = r#"
[[client]]
client_id = "native"
application_type = "native"
token_endpoint_auth_method = "none"
redirect_uris = ["http://127.0.0.1/cb", "com.example.app:/cb"]

[[client]]
client_id = "lax"
redirect_uris = ["https://rp.example/cb", "https://rp.example/other?a=b"]
require_pkce = false
consent = "skip"

[[client]]
client_id = "job"
grant_types = ["client_credentials"]
"#;

/// RU-01: URIs that resemble `https://rp.example/cb` but differ from it.
const NOT_REGISTERED: &[&str] = &[
    "-",
    "",
    "https://rp.example/cb/",
    "https://rp.example/CB",
    "https://RP.example/cb",
    "HTTPS://rp.example/cb",
    "http://rp.example/cb",
    "https://rp.example",
    "https://rp.example/",
    "https://rp.example//cb",
    "https://rp.example/./cb",
    "https://rp.example/x/../cb",
    "https://rp.example/cb/..",
    "https://rp.example/cb/../cb",
    "https://rp.example/cb/.",
    "https://rp.example/x/..;/cb",
    "https://rp.example/cb;x",
    "https://rp.example/%63b",
    "https://rp.example/%2e%2e/cb",
    "https://rp.example%2fcb",
    "https://rp.example/cb%00",
    "https://rp.example/cb%0d%0aLocation:%20https://evil.example",
    "https://rp.example/cb\t",
    "https://rp.example/cb\r\n",
    "https://rp.example/cb ",
    " https://rp.example/cb",
    "https://rp.example\\cb",
    "https:\\\\rp.example/cb",
    "https://rp.example/cb\\",
    "https://rp.example/cb#",
    "https://rp.example/cb#x",
    "https://rp.example/cb?",
    "https://rp.example/cb?x=y",
    "https://rp.example/cb&x=y",
    "https://rp.example:443/cb",
    "https://rp.example:8443/cb",
    "https://rp.example:/cb",
    "https://user@rp.example/cb",
    "https://rp.example@evil.example/cb",
    "https://rp.example:x@evil.example/cb",
    "https://evil.example@rp.example/cb",
    "https://rp.example.evil.example/cb",
    "https://evil-rp.example/cb",
    "https://rp.example.",
    "https://rp.example./cb",
    "https://rp.examp\u{13a}e/cb",
    "https://xn--rp-example/cb",
    "https:rp.example/cb",
    "https:/rp.example/cb",
    "https:///rp.example/cb",
    "//rp.example/cb",
    "/cb",
    "rp.example/cb",
    "https://2130706433/cb",
    "https://0177.0.0.1/cb",
    "https://[::1]/cb",
    "https://[::ffff:127.0.0.1]/cb",
    "javascript:alert(1)",
    "data:text/html,x",
    "about:blank",
    "https://evil.example/cb",
    "https://rp.example/cb,https://evil.example/cb",
    "null",
];

/// Parameters for which a value with forbidden characters is an error that is sent to the client.
const REJECTED_WITH_PROBE: [&str; 14] = [
    "nonce",
    "scope",
    "claims",
    "prompt",
    "max_age",
    "response_mode",
    "response_type",
    "code_challenge",
    "code_challenge_method",
    "resource",
    "id_token_hint",
    "request",
    "request_uri",
    "registration",
];

async fn server() -> TestServer {
    let server = TestServer::start().await;
    server.register_clients(&[WEB_CLIENT, OTHER_CLIENTS].concat()).await;
    server
}

/// Asserts an error page without links to other sites.
#[track_caller]
fn expect_error_page(answer: &Answer, what: &str) {
    answer.expect_status(400);
    assert!(!answer.headers.contains_key("location"), "{what}: {answer:?}");
    assert!(answer.header("content-type").starts_with("text/html"), "{what}");
    let html = String::from_utf8(answer.body.clone()).unwrap();
    assert!(!html.contains("http://") && !html.contains("evil"), "{what}: {html}");
    assert!(!html.contains("<script>"), "{what}: {html}");
}

/// RU-01, RU-02, MUST-033, MUST-034, MUST-040, MUST-058: redirect URIs are compared exactly.
/// Nothing is sent to an unregistered URI, even if the request has further errors.
#[tokio::test]
async fn unregistered_redirect_uri_never_gets_a_redirect() {
    let server = server().await;
    let mut browser = Browser::of(&server);

    for &uri in NOT_REGISTERED {
        for more in
            [&[][..], &[("response_type", "token")], &[("scope", "\"")], &[("prompt", "none")]]
        {
            let more = [&[("redirect_uri", uri)], more].concat();
            expect_error_page(&browser.authorize(&more).await, uri);
        }
    }
    for client_id in ["-", "", "nobody", "web ", "WEB", "<script>"] {
        expect_error_page(&browser.authorize(&[("client_id", client_id)]).await, client_id);
    }
    for twice in [
        format!("client_id=web&{}", authorization_query(&[])),
        format!("redirect_uri=x&{}", authorization_query(&[])),
    ] {
        expect_error_page(&browser.get(&format!("/oauth2/authorize?{twice}")).await, &twice);
    }
    assert_eq!(server.database.count("pending_authorization").await, 0);
}

/// MUST-035, MUST-036: a native client's loopback redirect URI may have any port. Its other parts
/// must not differ.
#[tokio::test]
async fn loopback_redirect_uri_of_a_native_client_may_have_any_port() {
    let server = server().await;
    let mut browser = Browser::of(&server);
    let parameters = [("client_id", "native"), ("scope", "openid")];

    for uri in ["http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", "com.example.app:/cb"] {
        let answer = browser.authorize(&[&parameters[..], &[("redirect_uri", uri)]].concat()).await;
        answer.expect_login_page();
    }
    for uri in [
        "http://127.0.0.1:51004/cb/",
        "http://localhost:51004/cb",
        "http://[::1]:51004/cb",
        "https://127.0.0.1:51004/cb",
        "http://127.0.0.1:51004/cb?x=y",
        "com.example.app:/CB",
    ] {
        let answer = browser.authorize(&[&parameters[..], &[("redirect_uri", uri)]].concat()).await;
        expect_error_page(&answer, uri);
    }
}

/// MUST-030..032, MUST-041, MUST-044..049, MUST-061, MUST-084, MUST-085, MUST-111, CO-01, CO-08,
/// CO-09, RU-08: errors are sent to the client with `state` and `iss`, and no page is shown. A
/// client that has a redirect URI but may not use this flow is not tested: it cannot be registered
/// (`unsafe_registrations_are_rejected`).
#[tokio::test]
async fn request_errors_are_sent_to_the_client() {
    let server = server().await;
    let mut browser = Browser::of(&server);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let request_uri = format!("http://{}/request.jwt", listener.local_addr().unwrap());

    for (error, more) in [
        ("invalid_request", vec![("response_type", "-")]),
        ("invalid_request", vec![("response_type", "")]),
        ("unsupported_response_type", vec![("response_type", "token")]),
        ("unsupported_response_type", vec![("response_type", "id_token")]),
        ("unsupported_response_type", vec![("response_type", "code token")]),
        ("unsupported_response_type", vec![("response_type", "foo")]),
        ("invalid_request", vec![("response_mode", "fragment")]),
        ("invalid_request", vec![("response_mode", "web_message")]),
        (
            "invalid_request",
            vec![("code_challenge", "-"), ("code_challenge_method", "-"), ("nonce", "-")],
        ),
        ("invalid_request", vec![("code_challenge", "")]),
        ("invalid_request", vec![("code_challenge_method", "-")]),
        ("invalid_request", vec![("code_challenge_method", "plain")]),
        ("invalid_request", vec![("code_challenge_method", "s256")]),
        ("invalid_request", vec![("code_challenge_method", "S512")]),
        ("invalid_request", vec![("code_challenge", "short")]),
        ("invalid_scope", vec![("scope", "unknown")]),
        ("invalid_scope", vec![("scope", "open\"id")]),
        ("invalid_target", vec![("resource", "https://other.example")]),
        ("invalid_target", vec![("resource", "relative")]),
        ("invalid_request", vec![("prompt", "none login")]),
        ("invalid_request", vec![("prompt", "register")]),
        ("invalid_request", vec![("prompt", "none create")]),
        ("invalid_request", vec![("max_age", "soon")]),
        ("invalid_request", vec![("max_age", "-1")]),
        ("invalid_request", vec![("id_token_hint", "a.b.c")]),
        ("request_not_supported", vec![("request", "eyJhbGciOiJub25lIn0.e30.")]),
        ("request_uri_not_supported", vec![("request_uri", request_uri.as_str())]),
        ("registration_not_supported", vec![("registration", "{}")]),
        ("login_required", vec![("prompt", "none")]),
    ] {
        let answer = browser.authorize(&more).await;
        let sent = answer.sent_to(CALLBACK);
        assert_eq!(
            (sent["error"].as_str(), sent["state"].as_str()),
            (error, "af0ifjsldkj"),
            "{more:?}"
        );
        let known = ["error", "error_description", "state", "iss"];
        assert!(sent.keys().all(|name| known.contains(&name.as_str())), "{sent:?}");
    }
    let twice = format!("/oauth2/authorize?{}&scope=openid", authorization_query(&[]));
    assert_eq!(browser.get(&twice).await.sent_to(CALLBACK)["error"], "invalid_request");
    // MUST-049: the request URI has not been fetched.
    let fetch = tokio::time::timeout(Duration::from_millis(300), listener.accept()).await;
    assert!(fetch.is_err());
    // RU-08: no client has been registered.
    assert_eq!(server.database.count("client").await, 4);
}

/// G5: if an unsigned request object contains all parameters, the error is sent with the state and
/// the response mode of the object.
#[tokio::test]
async fn request_object_error_uses_its_state_and_response_mode() {
    let server = server().await;
    let mut browser = Browser::of(&server);
    let object = |alg: &str, members: serde_json::Value| {
        let header = serde_json::json!({ "alg": alg }).to_string();
        let [header, payload] =
            [header, members.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part));
        format!("{header}.{payload}.")
    };
    let members = serde_json::json!({ "state": "inside", "response_mode": "form_post" });
    let (unsigned, signed) = (object("none", members.clone()), object("RS256", members));
    let long = object("none", serde_json::json!({ "state": "a".repeat(4_097) }));

    let posted = browser.authorize(&[("state", "-"), ("request", &unsigned)]).await;
    let page = posted.expect_status(200).html();
    assert!(page.contains("value=\"inside\"") && page.contains("request_not_supported"), "{page}");
    for object in [signed, long] {
        let sent = browser.authorize(&[("state", "-"), ("request", &object)]).await;
        let sent = sent.sent_to(CALLBACK);
        assert_eq!((sent["error"].as_str(), sent.get("state")), ("request_not_supported", None));
    }
    let both = browser.authorize(&[("response_mode", "query"), ("request", &unsigned)]).await;
    assert_eq!(
        both.sent_to(CALLBACK)["state"],
        "af0ifjsldkj",
        "the parameters outside the request object take precedence"
    );
}

/// MUST-041, MUST-042, CO-10: the state is returned unchanged, and no other parameter is returned.
#[tokio::test]
async fn state_is_returned_byte_for_byte_and_no_other_parameter_is() {
    let server = server().await;
    let mut browser = Browser::of(&server);

    for state in
        ["a".repeat(2000).as_str(), "&=%+ /?#\"'<>\\", "żółć \u{1f600}", "\u{2028}", "%41%00"]
    {
        let answer = browser.authorize(&[("prompt", "none"), ("state", state)]).await;
        assert_eq!(answer.sent_to(CALLBACK)["state"], state);
    }
    for absent in ["-", ""] {
        let answer = browser.authorize(&[("prompt", "none"), ("state", absent)]).await;
        assert!(!answer.sent_to(CALLBACK).contains_key("state"));
    }
    // Each request has one invalid parameter, so that each parameter is evaluated. `sent_to` checks
    // that errors have only permitted characters.
    let probe = "\"\\\r\n\tü<script>alert(1)</script>";
    for name in REJECTED_WITH_PROBE {
        let answer = browser.authorize(&[("state", "-"), (name, probe)]).await;
        // The error for an unknown response mode is sent in the default mode.
        assert!(answer.sent_to(CALLBACK).contains_key("error"), "{name}");
        let location = answer.location();
        assert!(!location.contains("alert") && !location.contains("%22"), "{name}: {location}");
    }
    for name in ["login_hint", "ui_locales", "acr_values", "display", "x"] {
        let page = browser.authorize(&[("state", "-"), (name, probe)]).await;
        let html = page.expect_login_page().html();
        assert!(name == "login_hint" || !html.contains("alert"), "{name}: {html}");
        assert!(!html.contains("<script>") && !html.contains("%22"), "{name}: {html}");
    }
    let page = browser.authorize(&[("client_id", probe)]).await;
    assert!(!page.html().contains("alert"), "{page:?}");
    expect_error_page(&page, "client_id");
}

/// MUST-027, MUST-028, MUST-029, MUST-046, MUST-047, MUST-050, MUST-051: parameters and values that
/// a server must ignore.
#[tokio::test]
async fn unknown_parameters_and_values_are_ignored() {
    let server = server().await;
    let mut browser = Browser::of(&server);

    for more in [
        vec![("extra", "foobar")],
        vec![("nonce", ""), ("max_age", ""), ("prompt", ""), ("scope", "")],
        vec![("scope", "-")],
        vec![("scope", "email unknown openid https://x.example/y")],
        vec![("display", "popup"), ("ui_locales", "se xx"), ("claims_locales", "se")],
        vec![("display", "hologram"), ("acr_values", "1 2"), ("login_hint", "buffy@host")],
        vec![("display", "page"), ("claims_locales", "\u{1f600} not-a-language --")],
        vec![("display", "touch"), ("ui_locales", ", ;q=1")],
        vec![("display", "wap"), ("acr_values", "\u{1f600}")],
        vec![("claims", r#"{"userinfo":{"name":{"essential":true}}}"#)],
        vec![("claims", r#"{"userinfo":{"shoe_size":9},"id_token":null,"x":[]}"#)],
    ] {
        let answer = browser.authorize(&more).await;
        answer.expect_login_page();
    }
    let fields: Vec<(String, String)> =
        url::form_urlencoded::parse(authorization_query(&[]).as_bytes()).into_owned().collect();
    let fields: Vec<_> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // A form with the cookie gets the page directly. A form without it is redirected to a GET,
    // which browsers send with the cookie.
    let answer = browser.post("/oauth2/authorize", &fields).await;
    answer.expect_login_page();
    let mut without_cookie = Browser::of(&server);
    let redirect = without_cookie.post("/oauth2/authorize", &fields).await.location();
    without_cookie.get(&redirect).await.expect_login_page();
    let mixed = browser.post("/oauth2/authorize?scope=openid", &fields).await;
    expect_error_page(&mixed, "query and body");
}

/// MUST-039: the query of a registered URI is preserved, and parameters are appended.
#[tokio::test]
async fn query_of_a_registered_redirect_uri_is_preserved() {
    let server = server().await;
    let uri = "https://rp.example/other?a=b";

    let parameters =
        [("client_id", "lax"), ("redirect_uri", uri), ("prompt", "none"), ("scope", "openid")];
    let answer = Browser::of(&server).authorize(&parameters).await;

    let sent = answer.sent_to("https://rp.example/other?a=b&");
    assert_eq!((sent["a"].as_str(), sent["error"].as_str()), ("b", "login_required"));
}

/// MUST-083, MUST-092, CO-01: PKCE may be optional for a confidential client, and never for a
/// public client.
#[tokio::test]
async fn pkce_is_optional_for_confidential_clients_only() {
    let server = server().await;
    let without = [("code_challenge", "-"), ("code_challenge_method", "-"), ("scope", "openid")];

    let lax = [&without[..], &[("client_id", "lax")]].concat();
    Browser::of(&server).authorize(&lax).await.expect_login_page();
    let native = [("client_id", "native"), ("redirect_uri", "http://127.0.0.1:5/cb")];
    let answer = Browser::of(&server).authorize(&[&without[..], &native].concat()).await;
    assert_eq!(answer.sent_to("http://127.0.0.1:5/cb")["error"], "invalid_request");
    assert_eq!(CHALLENGE.len(), 43);
}

/// MUST-052, MUST-054, MUST-056, SS-06: the security headers of the endpoint and its pages.
#[tokio::test]
async fn pages_cannot_be_framed_cached_or_scripted() {
    let server = server().await;
    let mut browser = Browser::of(&server);
    let login = format!("/oauth2/authorize?{}", authorization_query(&[]));

    for path in [
        login.as_str(),
        "/login",
        "/signup",
        "/logout",
        "/oauth2/authorize",
        "/oauth2/logout?client_id=a&client_id=b",
    ] {
        let page = browser.get(path).await;
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(page.header("x-frame-options"), "DENY");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("cross-origin-opener-policy"), "same-origin");
        assert!(page.header("strict-transport-security").contains("max-age=31536000"));
        assert!(!page.headers.contains_key("access-control-allow-origin"));
        let html = String::from_utf8(page.body.clone()).unwrap();
        assert!(!html.contains("<style") && !html.contains(" style="));
        assert_eq!(html.matches("<script").count(), html.matches("assets/page.js").count());
    }
    // Chromium also applies `form-action` to redirects after the form.
    let page = browser.get(&login).await;
    assert!(
        page.header("content-security-policy").contains("form-action 'self' https://rp.example;")
    );
    for method in [Method::PUT, Method::DELETE, Method::TRACE] {
        Answer::of(server.request(method, "/oauth2/authorize")).await.expect_status(405);
    }
    // MUST-052: no CORS headers, not even for origins that other endpoints allow.
    let path = format!("/oauth2/authorize?{}", authorization_query(&[]));
    for origin in ["http://localhost:3000", "https://evil.example", "null"] {
        for (method, status) in [(Method::GET, 200), (Method::POST, 400), (Method::OPTIONS, 405)] {
            let cors_request = browser.request(method, &path).header("origin", origin);
            let cors_request = cors_request.header("access-control-request-method", "GET");
            let answer = browser.send(cors_request).await;
            let mut names = answer.headers.keys().map(reqwest::header::HeaderName::as_str);
            assert!(!names.any(|name| name.starts_with("access-control-")), "{answer:?}");
            answer.expect_status(status);
        }
    }
}
