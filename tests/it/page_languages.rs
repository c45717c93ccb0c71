//! The languages of the hosted pages.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;
use signet::config::{SignUpMode, VerifyEmail};

use crate::harness::mailed::{mail, secrets};
use crate::harness::oauth::{Browser, CALLBACK, ISSUER, authorization_query, csrf, hidden_fields};
use crate::harness::smtp::SmtpServer;
use crate::harness::{Answer, PASSWORD, TestServer, eventually};

const WRONG: &str = "Wrong-horse-7";
const NEW_PASSWORD: &str = "Difference-Engine-1822";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// A client that requires consent, for a resource server of its own.
const CLIENT: &str = r#"
[[client]]
client_id = "web"
client_name = "Asking"
redirect_uris = ["https://rp.example/cb"]
post_logout_redirect_uris = ["https://rp.example/bye"]
scope = "openid profile email address phone offline_access tasks:read"
audiences = ["https://api.example.test", "https://two.example.test"]
"#;

/// The texts that are the same in both languages: names, and a few words.
const SAME: [&str; 12] = [
    "Signet",
    "S",
    "Asking",
    "Ada",
    "English",
    "Deutsch",
    "Code",
    "Name",
    "Website",
    "rp.example",
    "api.example.test",
    "two.example.test",
];

/// A server that sends mail, and has a client.
async fn start() -> (SmtpServer, TestServer) {
    let smtp = SmtpServer::start().await;
    let url = smtp.url();
    let server = TestServer::with(|config| {
        config.mail.mail = url.parse().unwrap();
        config.mail.mail_from = Some("id@example.test".to_owned());
        config.passwords.hash_backlog_seconds = 60;
        config.limits.account_attempts_per_minute = 1_000;
    })
    .await;
    server.register_clients(CLIENT).await;
    (smtp, server)
}

fn browser<'s>(server: &'s TestServer, languages: &'static str) -> Browser<'s> {
    let mut browser = Browser::of(server);
    browser.languages = languages;
    browser
}

async fn log_in(browser: &mut Browser<'_>, email: &str) {
    let page = browser.get("/login").await;
    let typed = [("username", email), ("password", PASSWORD)];
    browser.submit("/login", &page, &typed).await.expect_status(303);
}

/// Sets the claim `locale` of an account.
async fn set_locale(server: &TestServer, email: &str, locale: &str) {
    let tokens = server.log_in(email, PASSWORD).await.tokens();
    let patch = json!({ "locale": locale });
    server.patch_me(&tokens.access_token, &patch).await.expect_status(200);
}

/// The language that the page and its header state, which must agree.
#[track_caller]
fn language_of(page: &Answer) -> String {
    let html = page.html();
    let (_, rest) = html.split_once("<html lang=\"").unwrap();
    let language = rest.split('"').next().unwrap();
    assert_eq!(page.header("content-language"), language);
    assert_eq!(page.header("vary"), "accept-language");
    language.to_owned()
}

/// The texts of a page, with `0` for each digit. Texts for developers, which are marked as English,
/// are left out, and so are those without letters.
fn texts_of(page: &Answer) -> BTreeSet<String> {
    let html = page.html();
    let without_details = match html.split_once("<p class=\"details\" lang=\"en\">") {
        Some((before, rest)) => format!("{before}{}", rest.split_once("</p>").unwrap().1),
        None => html,
    };
    let nodes = without_details.split('<').filter_map(|part| Some(part.split_once('>')?.1));
    let attributes = without_details.split(" data-").filter_map(|part| {
        let (name, rest) = part.split_once("=\"")?;
        let is_text = name.starts_with("show") || name.starts_with("hide");
        is_text.then(|| rest.split('"').next().unwrap())
    });
    nodes
        .chain(attributes)
        .map(|text| text.trim().replace(|c: char| c.is_ascii_digit(), "0"))
        .filter(|text| text.contains(char::is_alphabetic))
        .collect()
}

/// Pages by name, in one language.
type Pages = Vec<(&'static str, Answer)>;

/// The pages for a user who is not logged in.
async fn login_pages(browser: &mut Browser<'_>, email: &str, pages: &mut Pages) {
    let login = browser.get("/login").await;
    let typed = [("username", email), ("password", WRONG)];
    pages.push(("login refused", browser.submit("/login", &login, &typed).await));
    let csrf_of_another = [("csrf", "x"), ("username", email), ("password", PASSWORD)];
    let old = browser.form("/login", &csrf_of_another).header("sec-fetch-site", "same-origin");
    pages.push(("login out of date", browser.send(old).await));
    let signup = browser.get("/signup").await;
    for (name, username, password) in [
        ("sign-up refused", "nobody", "short"),
        ("sign-up with an invalid part", "@example.test", "SHORT"),
        ("sign-up with an invalid domain", "new@nowhere", "Password1"),
        ("sign-up with a long address", "long@example.test", "a\u{7}"),
        ("sign-up with an existing address", email, PASSWORD),
    ] {
        let long = format!("{}@example.test", "x".repeat(300));
        let username = if username.starts_with("long") { long.as_str() } else { username };
        let typed = [("username", username), ("password", password)];
        pages.push((name, browser.submit("/signup", &signup, &typed).await));
    }
    for password in ["x".repeat(2_000), "Aa1".repeat(60)] {
        let typed = [("username", "new@example.test"), ("password", password.as_str())];
        pages.push(("long password", browser.submit("/signup", &signup, &typed).await));
    }
    let typed = [("username", "grace@example.test"), ("password", "Grace@example.test1")];
    pages.push(("own address as password", browser.submit("/signup", &signup, &typed).await));
    pages.extend([("login", login), ("sign-up", signup)]);
    let forgotten = browser.get("/forgot-password").await;
    let typed = [("username", "nobody")];
    let refused = browser.submit("/forgot-password", &forgotten, &typed).await;
    pages.extend([("forgotten password", forgotten), ("forgotten password, refused", refused)]);
    let reset = browser.get("/reset-password").await;
    let typed = [("code", "0000-0000"), ("new_password", NEW_PASSWORD)];
    pages.push(("wrong code", browser.submit("/reset-password", &reset, &typed).await));
    let link = browser.get("/reset-password?token=sgp_x").await;
    let typed = [("new_password", NEW_PASSWORD)];
    pages.push(("invalid link", browser.submit("/reset-password", &link, &typed).await));
    pages.extend([("reset", reset), ("reset by link", link)]);
    pages.push(("reset done", browser.get("/reset-password?done=reset").await));
}

/// The pages of an authorization request, up to the consent.
async fn client_pages(browser: &mut Browser<'_>, email: &str, pages: &mut Pages) {
    let silent = [("prompt", "none"), ("response_mode", "form_post")];
    pages.push(("form post", browser.authorize(&silent).await));
    let scope = ("scope", "openid profile email address phone offline_access tasks:read");
    let claims = r#"{"userinfo":{"birthdate":null,"zoneinfo":null,"phone_number_verified":null}}"#;
    let login = browser.authorize(&[scope, ("claims", claims)]).await;
    pages.push(("sign-up for a client", browser.open("/signup", &login).await));
    let consent = browser.log_in(&login, email).await.location();
    pages.push(("login for a client", login));
    pages.push(("consent", browser.get(&consent).await));
    let only_claims = browser.authorize(&[("scope", "openid"), ("claims", claims)]).await;
    let page = browser.get(&only_claims.location()).await;
    browser.submit("/consent", &page, &[("decision", "allow")]).await.expect_status(303);
    let page = browser.get(&consent).await;
    browser.submit("/consent", &page, &[("decision", "allow")]).await.expect_status(303);
}

/// The pages for a logged-in user, who is deleted at the end.
async fn account_pages(browser: &mut Browser<'_>, email: &str, pages: &mut Pages) {
    for done in ["profile", "password", "end", "others", "withdraw"] {
        let page = browser.get(&format!("/account?done={done}")).await;
        pages.push((done, page));
    }
    let account = browser.get("/account").await;
    browser.submit("/account", &account, &[("withdraw", "web")]).await.expect_status(303);
    pages.push(("account", account));
    pages.push(("account without consents", browser.get("/account").await));
    let profile = browser.get("/edit-profile").await;
    let long = "x".repeat(300);
    let typed = [
        ("name", "\u{7}"),
        ("nickname", long.as_str()),
        ("gender", "\u{202e}"),
        ("locale", "e"),
        ("zoneinfo", "+"),
        ("birthdate", "x"),
        ("website", "x"),
        ("phone_number", "x"),
    ];
    pages.push(("profile refused", browser.submit("/edit-profile", &profile, &typed).await));
    browser.submit("/edit-profile", &profile, &[("name", "Ada")]).await.expect_status(303);
    pages.push(("profile", profile));
    pages.push(("account with a profile", browser.get("/account").await));
    let change = browser.get("/change-password").await;
    let typed = [("current_password", WRONG), ("new_password", "short")];
    pages.push(("change refused", browser.submit("/change-password", &change, &typed).await));
    pages.push(("change of password", change));
    let download = browser.get("/download-data").await;
    let typed = [("password", WRONG)];
    pages.push(("download refused", browser.submit("/download-data", &download, &typed).await));
    pages.push(("download", download));
    let deletion = browser.get("/delete-account").await;
    let typed = [("password", WRONG)];
    pages.push(("deletion refused", browser.submit("/delete-account", &deletion, &typed).await));
    pages.push(("log out", browser.get("/logout").await));
    pages.push(("stale form", browser.post("/delete-account", &[("csrf", "x")]).await));
    let stale_login = [("csrf", "x"), ("username", "bob@example.test")];
    pages.push(("other account", browser.post("/login", &stale_login).await));
    let typed = [("username", email), ("password", PASSWORD)];
    browser.submit("/delete-account", &deletion, &typed).await.expect_status(303);
    pages.push(("deletion", deletion));
    pages.push(("deleted", browser.get("/delete-account?done=deletion").await));
    pages.push(("logged out", browser.get("/logout").await));
}

/// The error pages.
async fn error_pages(browser: &mut Browser<'_>, pages: &mut Pages) {
    pages.push(("client error", browser.get("/oauth2/authorize").await));
    pages.push(("expired request", browser.get("/consent?flow=x").await));
    let html = |path: &str| browser.request(Method::GET, path).header("accept", "text/html");
    let long = format!("/login?{}", "x".repeat(9 * 1024));
    let cookies = format!("a={}", "x".repeat(20 * 1024));
    let requests = [
        ("not found", html("/no/such/page")),
        ("too long", html(&long)),
        ("too many cookies", html("/account").header("cookie", cookies)),
        ("method not allowed", browser.request(Method::PUT, "/login")),
        ("unreadable", browser.request(Method::POST, "/login").body("x")),
    ];
    for (name, request) in requests {
        pages.push((name, browser.send(request).await));
    }
}

/// Too many attempts from one address.
async fn limited_pages(server: &TestServer, languages: &'static str, pages: &mut Pages) {
    let address = format!("203.0.113.{}", languages.len());
    for _ in 0..6 {
        let mut browser = browser(server, languages);
        let page = browser.get("/login").await;
        let csrf = csrf(&page);
        let fields = [("csrf", csrf.as_str()), ("username", "x@example.test"), ("password", WRONG)];
        let request = browser.form("/login", &fields).header("x-forwarded-for", &address);
        let request = request.header("accept-language", languages);
        let answer = Answer::of(request.header("cookie", browser.cookie.unwrap())).await;
        if answer.status == 429 {
            pages.push(("limited", answer));
        }
    }
}

/// All pages and their messages, as a user of this language sees them.
async fn all_pages(server: &TestServer, languages: &'static str, email: &str) -> Pages {
    let mut pages = Pages::new();
    let mut browser = browser(server, languages);
    server.sign_up(email).await.expect_status(201);
    let credentials = json!({ "email": email, "password": PASSWORD });
    for _ in 0..6 {
        let request = server.request(Method::POST, "/api/auth/login").json(&credentials);
        let request = request.header("x-forwarded-for", server.new_client_address());
        Answer::of(request.header("user-agent", FIREFOX)).await.expect_status(200);
    }
    Box::pin(login_pages(&mut browser, email, &mut pages)).await;
    Box::pin(client_pages(&mut browser, email, &mut pages)).await;
    Box::pin(account_pages(&mut browser, email, &mut pages)).await;
    error_pages(&mut browser, &mut pages).await;
    limited_pages(server, languages, &mut pages).await;
    pages
}

/// Asserts that no text is the same in both languages, except for names.
#[track_caller]
fn assert_translated(english: &Pages, german: &Pages) {
    let names = |pages: &Pages| pages.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    assert_eq!(names(english), names(german));
    let mut same = Vec::new();
    for ((name, english), (_, german)) in english.iter().zip(german) {
        assert_eq!(english.status, german.status, "{name}");
        assert_eq!(
            (language_of(english), language_of(german)),
            ("en".into(), "de".into()),
            "{name}"
        );
        let (english, german) = (texts_of(english), texts_of(german));
        let untranslated = english.intersection(&german).filter(|it| !SAME.contains(&it.as_str()));
        same.extend(untranslated.map(|text| format!("{name}: {text}")));
    }
    assert!(same.is_empty(), "{same:#?}");
}

/// All pages and messages are in English and in German. No text is the same in both languages.
#[tokio::test]
async fn every_page_is_in_english_and_german() {
    let (_smtp, server) = start().await;
    server.sign_up("bob@example.test").await.expect_status(201);

    let english = Box::pin(all_pages(&server, "en", "ada@example.test")).await;
    let german = Box::pin(all_pages(&server, "de-AT,en;q=0.5", "eve@example.test")).await;

    assert!(german.len() > 45, "{}", german.len());
    assert!(german.iter().any(|(name, _)| *name == "limited"));
    assert_translated(&english, &german);
    let text = |name: &str| {
        let (_, page) = german.iter().find(|(known, _)| *known == name).unwrap();
        page.html()
    };
    assert!(text("login").contains("<title>Anmelden · Signet</title>"));
    assert!(text("login refused").contains("<title>Fehler: Anmelden · Signet</title>"));
    assert!(text("account").contains("<strong>Firefox unter Linux</strong>"));
    assert!(text("account").contains("<p class=\"hint\">Angemeldet am <time"));
    assert!(text("account").contains(" Uhr (UTC)</time>"));
    let rules = "Das Passwort braucht mindestens 8 Zeichen, einen Großbuchstaben und eine Ziffer.";
    assert!(text("sign-up refused").contains(rules), "{}", text("sign-up refused"));
}

/// The pages of a server on which not everyone may sign up, and of one without mail.
#[tokio::test]
async fn pages_of_closed_sign_up_are_in_english_and_german() {
    let open = TestServer::start().await;
    for (mode, path, status) in [
        (SignUpMode::Closed, "/signup", 403),
        (SignUpMode::Invite, "/signup", 403),
        (SignUpMode::Invite, "/signup?invite=sgi_x", 403),
        (SignUpMode::Open, "/signup?invite=sgi_x", 403),
        (SignUpMode::Open, "/forgot-password", 404),
        (SignUpMode::Open, "/verify-email", 404),
    ] {
        let mut config = open.config.clone();
        config.signup.signup = mode;
        let server = open.another_instance_with(config).await;
        let english = browser(&server, "en").get(path).await;
        let german = browser(&server, "de").get(path).await;
        english.expect_status(status);
        assert_translated(&vec![(path, english)], &vec![(path, german)]);
    }
    let mut config = open.config.clone();
    config.signup.signup_domains = vec!["example.test".to_owned()];
    let server = open.another_instance_with(config).await;
    let mut pages = Vec::new();
    for languages in ["en", "de"] {
        let mut browser = browser(&server, languages);
        let form = browser.get("/signup").await;
        let typed = [("username", "ada@other.test"), ("password", PASSWORD)];
        pages.push(vec![("other domain", browser.submit("/signup", &form, &typed).await)]);
    }
    assert_translated(&pages[0], &pages[1]);
}

/// A server that requires verified addresses.
async fn start_with_verification() -> (SmtpServer, TestServer) {
    let smtp = SmtpServer::start().await;
    let url = smtp.url();
    let server = TestServer::with(|config| {
        config.mail.mail = url.parse().unwrap();
        config.mail.mail_from = Some("id@example.test".to_owned());
        config.signup.verify_email = VerifyEmail::Require;
    })
    .await;
    server.register_web_client().await;
    (smtp, server)
}

/// The pages on which a user verifies the address.
async fn verification_pages(languages: &'static str, email: &str) -> Pages {
    let (smtp, server) = start_with_verification().await;
    let mut pages = Pages::new();
    let mut elsewhere = browser(&server, languages);
    let mut browser = browser(&server, languages);
    let signup = browser.get("/signup").await;
    let typed = [("username", email), ("password", PASSWORD)];
    let code_page = browser.submit("/signup", &signup, &typed).await.location();
    let code_page = browser.get(&code_page).await;
    let wrong = [("code", "0000-0000")];
    pages.push(("wrong code", browser.submit("/verify-email", &code_page, &wrong).await));
    pages.push(("code", code_page));
    let login = browser.get("/login").await;
    let refused = browser.submit("/login", &login, &typed).await;
    refused.expect_status(403);
    pages.push(("login refused", refused));
    let (link, code) = secrets(&mail(&smtp, 1).await);
    let link = link.strip_prefix(ISSUER).unwrap();
    pages.push(("link", browser.get(link).await));
    let foreign = elsewhere.get(link).await;
    for typed in [("password", WRONG), ("new_password", "short")] {
        pages.push((typed.0, elsewhere.submit("/verify-email", &foreign, &[typed]).await));
    }
    pages.push(("link elsewhere", foreign));
    let mut config = server.config.clone();
    config.signup.verify_email = VerifyEmail::Ask;
    let asking = server.another_instance_with(config).await;
    let mut logged_in = self::browser(&asking, languages);
    log_in(&mut logged_in, email).await;
    pages.push(("account", logged_in.get("/account").await));
    pages.push(("code, logged in", logged_in.get("/verify-email").await));
    let code_page = browser.get("/verify-email").await;
    let typed = [("code", code.as_str())];
    let done = browser.submit("/verify-email", &code_page, &typed).await.location();
    pages.push(("verified", browser.get(&done).await));
    pages.push(("verified, logged in", logged_in.get(&done).await));
    pages.push(("invalid link", elsewhere.get(link).await));
    pages
}

/// The pages on which a user verifies the address, and the notice on the account page.
#[tokio::test]
async fn verification_is_in_english_and_german() {
    let english = Box::pin(verification_pages("en", "ada@example.test")).await;
    let german = Box::pin(verification_pages("de", "eve@example.test")).await;

    assert_translated(&english, &german);
}

/// The pages on which a user confirms a sign-up that does not reveal accounts.
async fn sign_up_pages(languages: &'static str, email: &str) -> Pages {
    let (smtp, open) = start().await;
    let mut config = open.config.clone();
    config.signup.signup_reveals_existing = false;
    let server = open.another_instance_with(config).await;
    let mut pages = Pages::new();
    let mut elsewhere = browser(&server, languages);
    let mut browser = browser(&server, languages);
    let signup = browser.get("/signup").await;
    let typed = [("username", email), ("password", PASSWORD)];
    browser.submit("/signup", &signup, &typed).await.expect_status(303);
    pages.push(("code", browser.get("/verify-email").await));
    let login = browser.get("/login").await;
    pages.push(("login refused", browser.submit("/login", &login, &typed).await));
    let sent = mail(&smtp, 1).await;
    assert_eq!(sent.header("Content-Language"), languages);
    let (link, _) = secrets(&sent);
    let link = link.strip_prefix(ISSUER).unwrap();
    pages.push(("link", browser.get(link).await));
    let foreign = elsewhere.get(link).await;
    for typed in [("password", WRONG), ("new_password", "short")] {
        pages.push((typed.0, elsewhere.submit("/verify-email", &foreign, &[typed]).await));
    }
    let chosen = [("new_password", NEW_PASSWORD)];
    let done = elsewhere.submit("/verify-email", &foreign, &chosen).await.location();
    pages.push(("link elsewhere", foreign));
    pages.push(("created", elsewhere.get(&done).await));
    pages.push(("invalid link", elsewhere.get(link).await));
    pages
}

/// The pages on which a user confirms a sign-up that does not reveal accounts.
#[tokio::test]
async fn confirmation_of_a_sign_up_is_in_english_and_german() {
    let english = Box::pin(sign_up_pages("en", "ada@example.test")).await;
    let german = Box::pin(sign_up_pages("de", "eve@example.test")).await;

    assert_translated(&english, &german);
}

/// The pages on which the owner of an account changes the address. The last is that of a server
/// without mail.
async fn email_change_pages(languages: &'static str, emails: [&'static str; 2]) -> Pages {
    let (smtp, server) = start().await;
    let [old, new] = emails;
    let mut pages = Pages::new();
    let mut elsewhere = browser(&server, languages);
    let mut browser = browser(&server, languages);
    server.sign_up(old).await.expect_status(201);
    log_in(&mut browser, old).await;
    let change = browser.get("/change-email").await;
    for (name, email, password) in [
        ("invalid address", "x", PASSWORD),
        ("same address", old, PASSWORD),
        ("wrong password", new, WRONG),
    ] {
        let typed = [("email", email), ("password", password)];
        let refused = browser.submit("/change-email", &change, &typed).await;
        refused.expect_status(400);
        pages.push((name, refused));
    }
    let typed = [("email", new), ("password", PASSWORD)];
    let sent = browser.submit("/change-email", &change, &typed).await.location();
    pages.push(("change", change));
    pages.push(("code", browser.get(&sent).await));
    eventually("the mail arrives", async || !smtp.mails_to(new).is_empty()).await;
    let (link, _) = secrets(&smtp.mails_to(new).remove(0));
    let link = link.strip_prefix(ISSUER).unwrap();
    let page = browser.get(link).await;
    pages.push(("link elsewhere", elsewhere.get(link).await));
    let done = browser.submit("/verify-email", &page, &[]).await.location();
    pages.push(("link", page));
    pages.push(("changed", browser.get(&done).await));
    pages.push(("account", browser.get("/account").await));
    let mut config = server.config.clone();
    config.mail.mail = "off".parse().unwrap();
    let silent = server.another_instance_with(config).await;
    let mut browser = self::browser(&silent, languages);
    log_in(&mut browser, new).await;
    let off = browser.get("/change-email").await;
    off.expect_status(404);
    pages.push(("without mail", off));
    pages
}

/// The pages on which the owner of an account changes the address.
#[tokio::test]
async fn change_of_the_address_is_in_english_and_german() {
    let english = ["ada@example.test", "lovelace@example.test"];
    let english = Box::pin(email_change_pages("en", english)).await;
    let german = ["eve@example.test", "eva@example.test"];
    let german = Box::pin(email_change_pages("de", german)).await;

    assert_translated(&english, &german);
}

/// The page after the form of a new address keeps the language of the account.
#[tokio::test]
async fn change_of_the_address_keeps_the_language_of_the_account() {
    let (_smtp, server) = start().await;
    server.sign_up("ada@example.test").await.expect_status(201);
    set_locale(&server, "ada@example.test", "de").await;
    let mut browser = browser(&server, "en");
    log_in(&mut browser, "ada@example.test").await;
    let change = browser.get("/change-email").await;
    assert_eq!(language_of(&change), "de");
    let typed = [("email", "lovelace@example.test"), ("password", PASSWORD)];

    let sent = browser.submit("/change-email", &change, &typed).await.location();

    assert_eq!(sent, format!("{ISSUER}/verify-email?ui_locales=de"));
    assert_eq!(language_of(&browser.get(&sent).await), "de");
}

/// A user who verifies the address keeps the language of the flow.
#[tokio::test]
async fn verification_keeps_the_language_of_the_flow() {
    let (smtp, server) = start_with_verification().await;
    let mut browser = browser(&server, "en");
    let signup = browser.get("/signup?ui_locales=de").await;
    let typed = [("username", "ada@example.test"), ("password", PASSWORD)];

    let sent = browser.submit("/signup", &signup, &typed).await.location();

    assert_eq!(sent, format!("{ISSUER}/verify-email?ui_locales=de"));
    let code_page = browser.get(&sent).await;
    assert_eq!(language_of(&code_page), "de");
    assert!(code_page.html().contains("href=\"login?ui_locales=de\""), "{}", code_page.html());
    let wrong = browser.submit("/verify-email", &code_page, &[("code", "0000-0000")]).await;
    assert_eq!(language_of(&wrong), "de");
    let (_, code) = secrets(&mail(&smtp, 1).await);
    let done = browser.submit("/verify-email", &code_page, &[("code", &code)]).await.location();
    assert_eq!(done, format!("{ISSUER}/verify-email?done=verified&ui_locales=de"));
    let done = browser.get(&done).await;
    assert!(done.html().contains("href=\"login?ui_locales=de\""), "{}", done.html());

    let login = browser.authorize(&[("ui_locales", "de")]).await;
    let signup = browser.open("/signup", &login).await;
    let typed = [("username", "bob@example.test"), ("password", PASSWORD)];
    let code_page = browser.submit("/signup", &signup, &typed).await;
    assert_eq!(language_of(&code_page), "de");
    let (link, code) = secrets(&mail(&smtp, 2).await);
    let link = format!("{}&ui_locales=de", link.strip_prefix(ISSUER).unwrap());
    assert_eq!(language_of(&browser.get(&link).await), "de");
    let login = browser.submit("/verify-email", &code_page, &[("code", &code)]).await;
    assert_eq!(language_of(&login), "de");
    assert!(login.html().contains("id=\"login-submit\""), "{}", login.html());
}

/// RFC 9110 §12.5.4: the browser's languages have weights. The default is English.
#[tokio::test]
async fn accept_language_decides_the_language() {
    let server = TestServer::start().await;
    for (languages, expected) in [
        ("", "en"),
        ("de", "de"),
        ("de-CH,de;q=0.9,en;q=0.8", "de"),
        ("fr, de;q=0.3, en;q=0.7", "en"),
        ("fr", "en"),
        ("*", "en"),
        ("en;q=0, de;q=0.1", "de"),
        ("de;q=\u{1f4a5}", "en"),
    ] {
        let page = browser(&server, languages).get("/login").await;
        assert_eq!(language_of(&page), expected, "{languages}");
    }
}

/// OpenID Connect Core 1.0 §3.1.2.1: `ui_locales` takes precedence over the browser and the account,
/// on all pages of the flow, and it causes no error. MUST-050.
#[tokio::test]
async fn ui_locales_decides_the_language_of_the_whole_flow() {
    let (_smtp, server) = start().await;
    server.sign_up("ada@example.test").await.expect_status(201);
    set_locale(&server, "ada@example.test", "en-GB").await;
    let mut browser = browser(&server, "en");

    let login = browser.authorize(&[("ui_locales", "fr de-CH en")]).await;

    assert_eq!(language_of(&login), "de");
    let typed = [("username", "ada@example.test"), ("password", WRONG)];
    let refused = browser.submit("/login", &login, &typed).await;
    assert_eq!(language_of(&refused), "de");
    let signup = browser.open("/signup", &refused).await;
    assert_eq!(language_of(&signup), "de");
    let old = [hidden_fields(&login)[1].clone(), ("csrf".to_owned(), "x".to_owned())];
    let old: Vec<_> = old.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let old = browser.form("/login", &old).header("sec-fetch-site", "same-origin");
    assert_eq!(language_of(&browser.send(old).await), "de");
    let consent = browser.log_in(&login, "ada@example.test").await;
    let consent = browser.get(&consent.location()).await;
    assert_eq!(language_of(&consent), "de");
    let stale = browser.submit("/consent", &consent, &[("decision", "perhaps")]).await;
    assert_eq!(language_of(&stale), "de");
    browser.submit("/consent", &consent, &[("decision", "deny")]).await.sent_to(CALLBACK);
    let posted = [("ui_locales", "de"), ("prompt", "none"), ("response_mode", "form_post")];
    assert_eq!(language_of(&browser.authorize(&posted).await), "de");
    for ignored in ["fr", "xx-", "\u{1f4a5}", "de en de en"] {
        let page = browser.authorize(&[("ui_locales", ignored), ("prompt", "login")]).await;
        let expected = if ignored.starts_with("de") { "de" } else { "en" };
        assert_eq!(language_of(&page), expected, "{ignored}");
    }
    let error = browser.authorize(&[("ui_locales", "de"), ("client_id", "nobody")]).await;
    assert_eq!(language_of(&error), "de");
}

/// A user who has forgotten the password leaves the flow of the client, and keeps its language.
#[tokio::test]
async fn reset_of_a_password_keeps_the_language_of_the_flow() {
    let (_smtp, server) = start().await;
    let mut browser = browser(&server, "en");
    let login = browser.authorize(&[("ui_locales", "de")]).await;
    assert!(login.html().contains("href=\"../forgot-password?ui_locales=de\""), "{}", login.html());

    let forgotten = browser.get("/forgot-password?ui_locales=de").await;
    assert_eq!(language_of(&forgotten), "de");
    assert!(forgotten.html().contains("href=\"login?ui_locales=de\""), "{}", forgotten.html());
    let refused = browser.submit("/forgot-password", &forgotten, &[("username", "x")]).await;
    assert_eq!(language_of(&refused), "de");
    let typed = [("username", "ada@example.test")];
    let sent = browser.submit("/forgot-password", &forgotten, &typed).await.location();
    assert_eq!(sent, format!("{ISSUER}/reset-password?ui_locales=de"));
    let reset = browser.get(&sent).await;
    assert_eq!(language_of(&reset), "de");
    let typed = [("code", "0000-0000"), ("new_password", NEW_PASSWORD)];
    let wrong = browser.submit("/reset-password", &reset, &typed).await;
    assert_eq!(language_of(&wrong), "de");
    assert!(wrong.html().contains("href=\"forgot-password?ui_locales=de\""), "{}", wrong.html());
    let login = browser.get("/login?ui_locales=de").await;
    assert!(login.html().contains("href=\"signup?ui_locales=de\""), "{}", login.html());
    let typed = [("username", "ada@example.test"), ("password", WRONG)];
    assert_eq!(language_of(&browser.submit("/login", &login, &typed).await), "de");
}

/// The claim `locale` of the logged-in account takes precedence over the browser, also on the page
/// after a logout.
#[tokio::test]
async fn locale_of_the_account_takes_precedence_over_the_browser() {
    let server = TestServer::start().await;
    server.sign_up("ada@example.test").await.expect_status(201);
    let mut browser = browser(&server, "en");
    log_in(&mut browser, "ada@example.test").await;
    assert_eq!(language_of(&browser.get("/account").await), "en");

    set_locale(&server, "ada@example.test", "de-AT").await;

    for path in [
        "/account",
        "/edit-profile",
        "/download-data",
        "/change-password",
        "/delete-account",
        "/consent?flow=x",
    ] {
        assert_eq!(language_of(&browser.get(path).await), "de", "{path}");
    }
    let logout = browser.get("/logout").await;
    assert_eq!(language_of(&logout), "de");
    let done = browser.submit("/logout", &logout, &[]).await.location();
    assert_eq!(done, format!("{ISSUER}/logout?ui_locales=de"));
    assert_eq!(language_of(&browser.get(&done).await), "de");
    assert_eq!(language_of(&browser.get("/login").await), "en");
    log_in(&mut browser, "ada@example.test").await;
    set_locale(&server, "ada@example.test", "fr").await;
    assert_eq!(language_of(&browser.get("/account").await), "en");
}

/// The language that a user chooses in the profile applies from the next page on.
#[tokio::test]
async fn language_chosen_in_the_profile_applies_at_once() {
    let server = TestServer::start().await;
    server.sign_up("ada@example.test").await.expect_status(201);
    let mut browser = browser(&server, "en");
    log_in(&mut browser, "ada@example.test").await;
    for (language, notice) in
        [("de", "Ihr Profil wurde gespeichert."), ("en", "Your profile is saved.")]
    {
        let form = browser.get("/edit-profile").await;

        let saved = browser.submit("/edit-profile", &form, &[("locale", language)]).await;

        let account = browser.get(&saved.location()).await;
        assert_eq!(language_of(&account), language);
        assert!(account.html().contains(notice), "{}", account.html());
    }
}

/// OpenID Connect RP-Initiated Logout 1.0 §2: `ui_locales` of a logout request.
#[tokio::test]
async fn ui_locales_decides_the_language_of_a_logout() {
    let server = TestServer::start().await;
    server.sign_up("ada@example.test").await.expect_status(201);
    let mut browser = browser(&server, "en");
    log_in(&mut browser, "ada@example.test").await;

    let page = browser.get("/oauth2/logout?ui_locales=de").await;

    assert_eq!(language_of(&page), "de");
    let done = browser.submit("/logout", &page, &[]).await.location();
    assert_eq!(done, format!("{ISSUER}/logout?ui_locales=de"));
    assert_eq!(language_of(&browser.get(&done).await), "de");
    // A form that another site posts arrives without the cookie.
    browser.cookie = None;
    let foreign = browser.post("/oauth2/logout", &[("ui_locales", "de")]).await.location();
    assert_eq!(foreign, format!("{ISSUER}/oauth2/logout?ui_locales=de"));
}

/// OpenID Connect Discovery 1.0 §3.
#[tokio::test]
async fn metadata_lists_the_languages() {
    let server = TestServer::start().await;

    let metadata = server.get("/.well-known/openid-configuration").await.json();

    assert_eq!(metadata["ui_locales_supported"], json!(["en", "de"]));
}

/// An instance of the previous version stores requests without a language.
#[tokio::test]
async fn request_without_a_stored_language_continues() {
    let (_smtp, server) = start().await;
    server.sign_up("ada@example.test").await.expect_status(201);
    let mut browser = browser(&server, "de");
    let query = authorization_query(&[]);
    let login = browser.get(&format!("/oauth2/authorize?{query}")).await;
    let consent = browser.log_in(&login, "ada@example.test").await.location();
    let stored: Vec<String> =
        server.database.column("SELECT CAST(request AS TEXT) FROM pending_authorization").await;

    assert_eq!(stored.len(), 1);
    assert!(!stored[0].contains("ui_locale"), "{}", stored[0]);
    assert_eq!(language_of(&browser.get(&consent).await), "de");
}
