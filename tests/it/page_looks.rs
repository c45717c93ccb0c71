//! The layout of the hosted pages: headers and branding.

use signet::config::Logo;

use crate::harness::oauth::{Browser, ISSUER, hidden_fields};
use crate::harness::{PASSWORD, Program, TestDatabase, TestServer};

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const LOGO: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\"/>";

async fn with_logo(logo: &str) -> TestServer {
    TestServer::with(|config| {
        "Ada & <Sons>".clone_into(&mut config.pages.service_name);
        config.pages.logo = Some(logo.parse().unwrap());
    })
    .await
}

/// SS-06: all pages, error pages included, forbid framing, caching, referrers and openers.
#[tokio::test]
async fn every_page_has_the_security_headers() {
    let server = TestServer::start().await;
    let mut browser = Browser::of(&server);
    let login = browser.get("/login").await;
    let refused = browser.submit("/login", &login, &[("username", "x"), ("password", "y")]).await;
    let typed = [("username", "ada@example.test"), ("password", PASSWORD)];
    server.sign_up("ada@example.test").await.expect_status(201);
    let mut pages = vec![login.clone(), refused];
    for path in ["/signup", "/logout", "/consent?flow=x", "/login?flow=%ff", "/oauth2/authorize"] {
        pages.push(browser.get(path).await);
    }
    pages.push(browser.post("/login", &[("csrf", "x")]).await);
    browser.submit("/login", &login, &typed).await.expect_status(303);
    let account_pages =
        ["/edit-profile", "/change-password", "/download-data", "/delete-account", "/account"];
    let logout_pages = ["/logout", "/oauth2/logout", "/oauth2/logout?id_token_hint=x"];
    for path in account_pages.into_iter().chain(logout_pages) {
        pages.push(browser.get(path).await);
    }
    let put = server.request(reqwest::Method::PUT, "/login");
    pages.push(crate::harness::Answer::of(put).await);

    for page in pages {
        assert!(page.status == 200 || page.status >= 400, "{page:?}");
        for (name, value) in [
            ("content-security-policy", POLICY),
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cache-control", "no-store"),
            ("strict-transport-security", "max-age=31536000"),
            ("content-type", "text/html; charset=utf-8"),
        ] {
            assert_eq!(page.header(name), value, "{name}: {page:?}");
        }
        let html = String::from_utf8(page.body).unwrap();
        assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"), "{html}");
        for inline in ["<script>", "<style", " style=", " onclick=", "javascript:"] {
            assert!(!html.contains(inline), "{inline}: {html}");
        }
    }
}

/// RFC 6797 §7.2: no HSTS without https.
#[tokio::test]
async fn service_without_tls_sends_no_hsts() {
    let issuer = Some("http://localhost:8080".to_owned());
    let server = TestServer::with(|config| config.service.issuer = issuer).await;

    let page = server.get("/login").await;

    assert!(!page.headers.contains_key("strict-transport-security"));
}

#[tokio::test]
async fn style_sheet_is_cached_until_it_changes() {
    let server = TestServer::start().await;
    let style = server.get("/assets/style.css").await;
    style.expect_status(200);
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(style.header("cache-control"), "public, max-age=300");
    let etag = style.header("etag").to_owned();

    let request = server.request(reqwest::Method::GET, "/oauth2/assets/style.css");
    let again = crate::harness::Answer::of(request.header("if-none-match", &etag)).await;
    again.expect_status(304);
    let other = TestServer::with(|config| {
        config.pages.accent_color = "#ffe600".parse().unwrap();
    });
    assert_ne!(other.await.get("/assets/style.css").await.header("etag"), etag);
}

/// WCAG 2.2, 1.4.3 and 1.4.11: sufficient contrast of text and buttons for every accent colour.
#[tokio::test]
async fn text_on_the_accent_colour_has_sufficient_contrast() {
    for (accent, on_accent, by_day, by_night) in [
        ("#276A5C", "#ffffff", "var(--accent)", "var(--edge)"),
        ("#ffe600", "#000000", "var(--edge)", "var(--accent)"),
        ("#000000", "#ffffff", "var(--accent)", "var(--edge)"),
        ("#ffffff", "#000000", "var(--edge)", "var(--accent)"),
        // The two grays between which the text colour changes.
        ("#757575", "#ffffff", "var(--accent)", "var(--accent)"),
        ("#767676", "#000000", "var(--accent)", "var(--accent)"),
    ] {
        let color = accent.parse().unwrap();
        let server = TestServer::with(|config| config.pages.accent_color = color).await;
        let style = server.get("/assets/style.css").await;
        let style = String::from_utf8(style.body).unwrap();
        let expected = format!(
            ":root {{ --accent: {}; --on-accent: {on_accent}; --outline-by-day: {by_day}; \
             --outline-by-night: {by_night}; }}",
            accent.to_lowercase()
        );
        assert_eq!(style.lines().next(), Some(expected.as_str()));
    }
}

/// A logo from a file is served, and must not run scripts when it is opened as a page.
#[tokio::test]
async fn logo_file_is_served_without_scripts() {
    let database = TestDatabase::create().await;
    let file = database.directory().join("logo.SVG");
    std::fs::write(&file, LOGO).unwrap();
    let server = with_logo(file.to_str().unwrap()).await;

    for (page, logo) in [("/login", "/assets/logo"), ("/oauth2/authorize", "/oauth2/assets/logo")] {
        let page = server.get(page).await;
        assert!(page.header("content-security-policy").contains("; img-src 'self';"));
        let html = String::from_utf8(page.body).unwrap();
        assert!(html.contains("<img class=\"logo\" src=\"assets/logo\" alt=\"\">"), "{html}");
        assert!(html.contains("Ada &#38; &#60;Sons&#62;</span>") && !html.contains("<Sons>"));
        let logo = server.get(logo).await;
        logo.expect_status(200);
        assert_eq!(logo.body, LOGO.as_bytes());
        assert_eq!(logo.header("content-type"), "image/svg+xml");
        assert_eq!(logo.header("x-content-type-options"), "nosniff");
        assert!(logo.header("content-security-policy").contains("sandbox"));
    }
    TestServer::start().await.get("/assets/logo").await.expect_status(404);
}

/// A remote logo is the only external address in the policy.
#[tokio::test]
async fn remote_logo_is_listed_in_the_csp() {
    let server = with_logo("https://cdn.example/a/logo.png").await;

    let page = server.get("/login").await;

    let policy = page.header("content-security-policy").to_owned();
    assert!(policy.contains("; img-src https://cdn.example/a/logo.png;"), "{policy}");
    let html = String::from_utf8(page.body).unwrap();
    assert!(html.contains("src=\"https://cdn.example/a/logo.png\""), "{html}");
    server.get("/assets/logo").await.expect_status(404);
}

/// Branding that cannot be displayed, or would add more than one address to the policy, prevents
/// the start.
#[tokio::test]
async fn invalid_branding_prevents_the_start() {
    for logo in [
        "",
        "http://cdn.example/logo.png",
        "https://cdn.example/logo.png?x=1",
        "https://cdn.example/a;script-src *",
        "https://cdn.example/a,b",
        "https://ada@cdn.example/logo.png",
        "data://image/png",
    ] {
        assert!(logo.parse::<Logo>().is_err(), "{logo}");
    }
    let database = TestDatabase::create().await;
    let file = |name: &str, bytes: usize| {
        let path = database.directory().join(name);
        std::fs::write(&path, vec![b' '; bytes]).unwrap();
        path.to_str().unwrap().to_owned()
    };
    for (variable, value) in [
        ("SIGNET_ACCENT_COLOR", "red"),
        ("SIGNET_ACCENT_COLOR", "#12345"),
        ("SIGNET_ACCENT_COLOR", "#+12345"),
        ("SIGNET_ACCENT_COLOR", "#123456; }"),
        ("SIGNET_SERVICE_NAME", " "),
        ("SIGNET_SERVICE_NAME", &"x".repeat(41)),
        ("SIGNET_LOGO", "nothing-there.svg"),
        ("SIGNET_LOGO", &file("logo.html", 1)),
        ("SIGNET_LOGO", &file("large.png", 256 * 1024 + 1)),
    ] {
        let message = Program::new(&database).with(variable, value).startup_error().await;
        let flag = format!("--{}", variable[7..].to_lowercase().replace('_', "-"));
        assert!(
            message.contains(variable) || message.contains(&flag),
            "{variable}={value}: {message}"
        );
    }
}

/// SS-12: logging out everywhere also ends the sessions of the JSON API, but none of another
/// account.
#[tokio::test]
async fn logout_everywhere_ends_every_session_of_this_account_only() {
    let server = TestServer::start().await;
    for email in ["ada@example.test", "bob@example.test"] {
        server.sign_up(email).await.expect_status(201);
    }
    let mut browser = Browser::of(&server);
    let login = browser.get("/login").await;
    let typed = [("username", "ada@example.test"), ("password", PASSWORD)];
    browser.submit("/login", &login, &typed).await.expect_status(303);
    let mine = server.log_in("ada@example.test", PASSWORD).await.tokens();
    let bobs = server.log_in("bob@example.test", PASSWORD).await.tokens();
    let page = browser.get("/account").await;

    let csrf = hidden_fields(&page)[0].1.clone();
    let done = browser.post("/account", &[("csrf", &csrf), ("end", "all")]).await;

    assert_eq!(done.location(), format!("{ISSUER}/logout"));
    assert_eq!(browser.cookie, None);
    server.me(&mine.access_token).await.expect_error(401, "UNAUTHORIZED");
    server.me(&bobs.access_token).await.expect_status(200);
    let event = "auth_event WHERE type = 'logout' AND reason = 'everywhere'";
    assert_eq!(server.database.count(event).await, 1);
}
