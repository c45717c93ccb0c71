//! Credentials of disabled or deleted accounts, and of ended logins, are invalid.

use reqwest::Method;
use serde_json::json;

use crate::harness::oauth::{Browser, CALLBACK, ISSUER, Rp, WEB_CLIENT};
use crate::harness::{Answer, PASSWORD, Program, TestServer, Tokens};

const ADA: &str = "ada@example.test";
const OFFLINE: [(&str, &str); 1] = [("scope", "openid offline_access")];

/// A client that requires consent.
const CONSENT_CLIENT: &str = r#"
[[client]]
client_id = "asking"
redirect_uris = ["https://rp.example/cb"]
"#;

/// All credentials that a user can have: sessions, tokens, a code and a pending consent.
struct Credentials<'s> {
    server: &'s TestServer,
    web: &'s Rp,
    browser: Browser<'s>,
    api: Tokens,
    tokens: Answer,
    code: String,
    consent: String,
}

impl<'s> Credentials<'s> {
    async fn create(server: &'s TestServer, web: &'s Rp) -> Self {
        let api = server.log_in(ADA, PASSWORD).await.tokens();
        let mut browser = Browser::of(server);
        let code = browser.log_in_for_code(ADA, &OFFLINE).await;
        let tokens = server.redeem(web, &code).await;
        let code = browser.authorize(&OFFLINE).await.sent_to(CALLBACK)["code"].clone();
        let asking = [("client_id", "asking"), ("scope", "openid")];
        let consent = browser.authorize(&asking).await.location();
        browser.get(&consent).await.expect_status(200);
        Self { server, web, browser, api, tokens, code, consent }
    }

    /// Asserts that grants, tokens and the cookie are rejected at every endpoint.
    async fn assert_all_invalid(self, cause: &str) {
        let Self { server, web, mut browser, api, tokens, code, consent } = self;
        let access_token = tokens.text("access_token");
        server.userinfo(&access_token).await.expect_oauth_error(401, "invalid_token");
        let introspection = server.introspect(web, &access_token).await;
        assert_eq!(introspection, json!({ "active": false }), "{cause}");
        let refresh_token = tokens.text("refresh_token");
        let introspection = server.introspect(web, &refresh_token).await;
        assert_eq!(introspection, json!({ "active": false }), "{cause}");
        let fields = [("grant_type", "refresh_token"), ("refresh_token", &*refresh_token)];
        server.token(web, &fields).await.expect_oauth_error(400, "invalid_grant");
        server.redeem(web, &code).await.expect_oauth_error(400, "invalid_grant");
        server.me(&api.access_token).await.expect_error(401, "UNAUTHORIZED");
        let refreshed = server.refresh(&api.refresh_token).await;
        refreshed.expect_error(401, "INVALID_REFRESH_TOKEN");

        let silent = browser.authorize(&[("prompt", "none")]).await;
        assert_eq!(silent.sent_to(CALLBACK)["error"], "login_required", "{cause}");
        assert_eq!(browser.get("/account").await.location(), format!("{ISSUER}/login"), "{cause}");
        let consent = browser.get(&consent).await.location();
        assert!(consent.starts_with(&format!("{ISSUER}/login?flow=")), "{cause}: {consent}");
        server.wait_until_listed_as_ended(&access_token).await;
    }
}

async fn server() -> (TestServer, Rp) {
    let server = TestServer::start().await;
    let web = server.register_clients(&[WEB_CLIENT, CONSENT_CLIENT].concat()).await.remove(0);
    server.sign_up(ADA).await.expect_status(201);
    (server, web)
}

/// AZ-03, RF-08, SS-12, MUST-153, MUST-160: the account is disabled, logged out everywhere, deleted
/// by an operator, or deleted by the user.
#[tokio::test]
async fn disabled_or_deleted_account_has_no_valid_credentials() {
    let (server, web) = server().await;

    for command in [&["disable", ADA][..], &["end-sessions", ADA], &["delete", ADA]] {
        let credentials = Credentials::create(&server, &web).await;
        let api = &credentials.api.access_token;
        server.userinfo(&credentials.tokens.text("access_token")).await.expect_status(200);
        server.me(api).await.expect_status(200);

        server.account_command(command).await;

        credentials.assert_all_invalid(&command.join(" ")).await;
        if command[0] == "disable" {
            server.account_command(&["enable", ADA]).await;
        }
        server.advance_seconds(61);
    }
    server.sign_up(ADA).await.expect_status(201);
    let credentials = Credentials::create(&server, &web).await;
    server.delete_me(&credentials.api.access_token, PASSWORD).await.expect_status(204);
    credentials.assert_all_invalid("deleted by the user").await;
}

/// AZ-03: a disabled account can neither log in on the page nor continue a pending flow.
#[tokio::test]
async fn disabled_account_cannot_log_in_on_the_page() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    let login = browser.authorize(&[]).await;
    server.account_command(&["disable", ADA]).await;

    let refused = browser.log_in(&login, ADA).await;

    refused.expect_status(400);
    assert_eq!(server.database.count("authorization_code").await, 0);
    let browsers = "session WHERE cookie_digest IS NOT NULL";
    assert_eq!(server.database.count(browsers).await, 0);
}

/// CO-04: a code is bound to its login and becomes invalid with it, regardless of the scope.
#[tokio::test]
async fn code_is_invalid_after_its_login_ends() {
    let (server, web) = server().await;

    for scope in ["openid", "openid offline_access"] {
        let mut browser = Browser::of(&server);
        let code = browser.log_in_for_code(ADA, &[("scope", scope)]).await;
        let page = browser.get("/logout").await;
        browser.submit("/logout", &page, &[]).await.expect_status(303);

        server.redeem(&web, &code).await.expect_oauth_error(400, "invalid_grant");
    }
    assert_eq!(server.database.count("session WHERE client_id = 'web'").await, 0);
}

/// MUST-160: introspection reflects a logout at once.
#[tokio::test]
async fn introspection_reports_a_token_inactive_after_logout() {
    let (server, web) = server().await;
    let mut browser = Browser::of(&server);
    let code = browser.log_in_for_code(ADA, &[("scope", "openid")]).await;
    let token = server.redeem(&web, &code).await.text("access_token");
    assert_eq!(server.introspect(&web, &token).await["active"], true);

    let page = browser.get("/logout").await;
    browser.submit("/logout", &page, &[]).await.expect_status(303);

    assert_eq!(server.introspect(&web, &token).await, json!({ "active": false }));
}

/// SS-01: each login gets a new cookie, and the previous one is invalid.
#[tokio::test]
async fn second_login_invalidates_the_previous_cookie() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    browser.log_in_for_code(ADA, &[]).await;
    let mut before = Browser::of(&server);
    before.cookie.clone_from(&browser.cookie);
    server.advance_seconds(5);

    let login = browser.authorize(&[("prompt", "login")]).await;
    browser.log_in(&login, ADA).await.expect_status(303);

    assert_ne!(browser.cookie, before.cookie);
    let silent = [("prompt", "none")];
    assert!(browser.authorize(&silent).await.sent_to(CALLBACK).contains_key("code"));
    assert_eq!(before.authorize(&silent).await.sent_to(CALLBACK)["error"], "login_required");
    assert_eq!(before.get("/account").await.location(), format!("{ISSUER}/login"));
}

/// SS-01, SS-12: a password change logs other browsers out, and ends their client sessions.
#[tokio::test]
async fn password_change_ends_browser_logins() {
    let (server, web) = server().await;
    let credentials = Credentials::create(&server, &web).await;
    let requesting = server.log_in(ADA, PASSWORD).await.tokens();

    let changed =
        server.change_password(&requesting.access_token, PASSWORD, "Difference-Engine-1822").await;

    changed.expect_status(204);
    server.me(&requesting.access_token).await.expect_status(200);
    credentials.assert_all_invalid("password change").await;
}

/// W14: SQLite's files contain neither the address nor the password hash of a deleted account.
#[tokio::test]
async fn account_deletion_leaves_no_bytes_in_sqlite_files() {
    let server = TestServer::start().await;
    if server.database.is_postgres() {
        return;
    }
    let address = |n: u32| format!("p{:08x}@example.test", n.wrapping_mul(2_654_435_761));
    // Other accounts' rows share database pages with the rows of the deleted accounts.
    for n in 0..16 {
        server.sign_up(&address(n)).await.expect_status(201);
        server.log_in(&address(n / 2), PASSWORD).await.expect_status(200);
    }
    let deleted = [address(3), address(9), address(15)];
    let hash = async |email: &str| -> String {
        let sql = format!("SELECT password_hash FROM account WHERE email = '{email}'");
        server.database.column(&sql).await.remove(0)
    };
    let mut secrets = deleted.to_vec();
    for email in &deleted {
        secrets.push(hash(email).await);
    }
    for email in &deleted[..2] {
        let token = server.log_in(email, PASSWORD).await.tokens().access_token;
        let request = server.request(Method::DELETE, "/api/auth/me").bearer_auth(token);
        let request = request.json(&json!({ "password": PASSWORD }));
        Answer::of(request).await.expect_status(204);
    }
    let program = Program::new(&server.database);
    assert!(program.run(&["account", "delete", "--yes", &deleted[2]]).await.status.success());

    for name in ["signet.db", "signet.db-wal"] {
        let bytes = std::fs::read(server.database.directory().join(name)).unwrap_or_default();
        for secret in &secrets {
            let secret = secret.as_bytes();
            let is_found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!is_found, "{name} has {}", String::from_utf8_lossy(secret));
        }
    }
}
