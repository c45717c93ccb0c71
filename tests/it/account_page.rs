//! The account page: sessions with their device, and the time and address of their last use.

use reqwest::Method;
use serde_json::json;

use crate::harness::oauth::{Browser, CALLBACK, ISSUER, WEB_CLIENT, csrf};
use crate::harness::{Answer, PASSWORD, TestServer};

const ADA: &str = "ada@example.test";

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0";

/// Logs Ada in on the login page, from the given address.
async fn log_in<'s>(server: &'s TestServer, address: &str) -> Browser<'s> {
    let mut browser = Browser::of(server);
    let page = browser.get("/login").await;
    let (csrf, cookie) = (csrf(&page), browser.cookie.clone().unwrap());
    let fields = [("csrf", csrf.as_str()), ("username", ADA), ("password", PASSWORD)];
    let request = browser.form("/login", &fields).header("cookie", cookie);
    let request = request.header("x-forwarded-for", address).header("user-agent", FIREFOX);
    let done = Answer::of(request).await;
    assert_eq!(done.location(), format!("{ISSUER}/account"));
    let set = done.headers.get("set-cookie").unwrap().to_str().unwrap();
    browser.cookie = set.split(';').next().map(str::to_owned);
    browser
}

/// The text of each session on the account page: without tags, and with single spaces.
async fn sessions(browser: &mut Browser<'_>) -> Vec<String> {
    let html = browser.get("/account").await.expect_status(200).html();
    let (_, list) = html.split_once("Where you are logged in").unwrap();
    let (list, _) = list.split_once("<div class=\"actions\">").unwrap();
    list.split("<li").skip(1).map(|entry| text(&format!("<li{entry}"))).collect()
}

fn text(html: &str) -> String {
    let parts = html.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text));
    parts.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// AP-01: the session of a client shows the IP address from which the user logged in, because the
/// client's own server sends the token requests. The page does not present it as the address of the
/// last use.
#[tokio::test]
async fn account_page_shows_when_and_where_each_session_was_last_used() {
    let server = TestServer::start().await;
    let web = server.register_clients(WEB_CLIENT).await.remove(0);
    server.sign_up(ADA).await.expect_status(201);
    let request = server
        .request(Method::POST, "/api/auth/login")
        .header("x-forwarded-for", "198.51.100.7")
        .header("user-agent", "Engine/1.0")
        .json(&json!({ "email": ADA, "password": PASSWORD }));
    let program = Answer::of(request).await.tokens();
    let mut browser = log_in(&server, "198.51.100.8").await;
    let began = server.clock.now().in_english();
    server.advance_seconds(120);
    let code = browser.authorize(&[]).await.sent_to(CALLBACK)["code"].clone();
    let tokens = server.redeem(&web, &code).await;
    let redeemed = server.clock.now();
    server.advance_seconds(120);
    server.refresh_from("203.0.113.9", &program.refresh_token).await.expect_status(200);
    let refreshed = server.clock.now().in_english();

    let shown = sessions(&mut browser).await;

    let find = |part: &str| shown.iter().find(|it| it.contains(part)).expect(part).clone();
    let own = format!(
        "Firefox on Linux this browser Logged in on {began} Last used on {began} from 198.51.100.8"
    );
    assert_eq!(find("this browser"), own);
    let shop = format!(
        "Web &#60;Shop&#62; Firefox on Linux, logged in on {began} from 198.51.100.8 Last used on \
         {} End Web &#60;Shop&#62;, logged in on {began}",
        redeemed.in_english()
    );
    assert_eq!(find("Web &#60;Shop&#62;"), shop);
    let refreshed = format!("Last used on {refreshed} from 203.0.113.9 End ");
    assert!(find("203.0.113.9").contains(&refreshed), "{shown:?}");
    assert!(!shown.iter().any(|it| it.contains("198.51.100.7")), "{shown:?}");

    // The API lists the same session.
    let program = server.log_in(ADA, PASSWORD).await.tokens();
    let listed = server.sessions(&program.access_token).await.json();
    let listed = listed["sessions"].as_array().unwrap();
    let sid = TestServer::session_id(&tokens.text("access_token"));
    let session = listed.iter().find(|it| it["id"] == sid).unwrap();
    assert_eq!(session["client_name"], "Web <Shop>");
    assert_eq!(session["device"], "Firefox on Linux");
    assert_eq!(session["last_used_at"], redeemed.to_rfc3339());
    assert_eq!(session["address"], "198.51.100.8");
    let view = server.account_command(&["show", ADA]).await;
    let line = view.lines().find(|line| line.contains(&sid)).unwrap();
    let end =
        format!("  last used {}  address 198.51.100.8  Firefox on Linux", redeemed.to_rfc3339());
    assert!(line.ends_with(&end), "{line}");
}

/// AP-02: all sessions except that of this browser end. If the form is submitted twice, the second
/// response is the same.
#[tokio::test]
async fn account_page_logs_out_all_others() {
    let server = TestServer::start().await;
    let web = server.register_clients(WEB_CLIENT).await.remove(0);
    let api = server.sign_up(ADA).await.tokens();
    let mut browser = log_in(&server, "198.51.100.8").await;
    let mut other = log_in(&server, "198.51.100.9").await;
    let code = browser.authorize(&[("scope", "openid offline_access")]).await;
    let tokens = server.redeem(&web, &code.sent_to(CALLBACK)["code"]).await;
    let page = browser.get("/account").await;
    let csrf = csrf(&page);
    let fields = [("csrf", csrf.as_str()), ("end", "others")];

    for _ in 0..2 {
        let done = browser.post("/account", &fields).await;
        assert_eq!(done.location(), format!("{ISSUER}/account?done=others"));
    }

    let page = browser.get("/account?done=others").await.expect_status(200).html();
    assert!(page.contains("All other sessions have ended."), "{page}");
    assert!(!page.contains("Log out all others</button>"), "{page}");
    assert_eq!(sessions(&mut browser).await.len(), 1);
    assert_eq!(other.get("/account").await.location(), format!("{ISSUER}/login"));
    server.me(&api.access_token).await.expect_error(401, "UNAUTHORIZED");
    let token = tokens.text("access_token");
    server.userinfo(&token).await.expect_oauth_error(401, "invalid_token");
    // Without the CSRF token of the browser, nothing ends.
    let foreign = [("csrf", "x"), ("end", "others")];
    browser.post("/account", &foreign).await.expect_status(400);
}
