//! Who may sign up: `SIGNET_SIGNUP` and `SIGNET_SIGNUP_DOMAINS`.

use serde_json::json;
use signet::config::SignUpMode;

use crate::harness::oauth::{Browser, CALLBACK};
use crate::harness::{PASSWORD, Program, TestServer};

const ADA: &str = "ada@example.test";

/// A server on which only addresses of two domains may sign up.
async fn server_for_domains() -> TestServer {
    let domains = ["example.test", "xn--bcher-kva.example"].map(str::to_owned);
    TestServer::with(|config| config.signup.signup_domains = domains.to_vec()).await
}

/// SU-01: if sign-up is closed, or needs an invite, the API refuses it whatever the body says.
/// Existing accounts log in as before.
#[tokio::test]
async fn closed_sign_up_is_refused_at_the_api() {
    for (mode, message) in [
        (SignUpMode::Closed, "Sign-up is closed"),
        (SignUpMode::Invite, "Sign-up requires an invite"),
    ] {
        let open = TestServer::start().await;
        open.sign_up(ADA).await.expect_status(201);
        let mut config = open.config.clone();
        config.signup.signup = mode;
        let server = open.another_instance_with(config).await;

        for address in ["new@example.test", ADA] {
            let refused = server.sign_up(address).await;
            refused.expect_error(403, "SIGNUP_CLOSED");
            assert_eq!(refused.json()["error"]["message"], message);
        }
        let invalid = json!({ "email": "x", "password": "x" });
        let refused = server.post("/api/auth/signup", &invalid).await;
        refused.expect_error(403, "SIGNUP_CLOSED");
        server.log_in(ADA, PASSWORD).await.expect_status(200);
        assert_eq!(server.database.count("account").await, 1);
    }
}

/// SU-01: the sign-up page says who can sign up, the login page does not link to it, and a form
/// that was loaded before is refused.
#[tokio::test]
async fn closed_sign_up_is_refused_on_the_pages() {
    let open = TestServer::start().await;
    open.register_web_client().await;
    open.sign_up(ADA).await.expect_status(201);
    for (mode, text) in [
        (SignUpMode::Closed, "Nobody can sign up here at present."),
        (SignUpMode::Invite, "You can sign up here only with an invitation."),
    ] {
        let mut config = open.config.clone();
        config.signup.signup = mode;
        let server = open.another_instance_with(config).await;
        let mut browser = Browser::of(&open);
        let form = browser.get("/signup").await;
        let mut here = Browser::of(&server);
        here.cookie.clone_from(&browser.cookie);

        let page = here.get("/signup").await;
        let login = here.get("/login").await;
        let fields = [("username", "new@example.test"), ("password", PASSWORD)];
        let submitted = here.submit("/signup", &form, &fields).await;

        for refused in [&page, &submitted] {
            refused.expect_status(403);
            assert!(refused.html().contains(text), "{}", refused.html());
            assert!(refused.html().contains("<a href=\"login\">Log in</a>"));
            assert!(!refused.html().contains("signup-submit"));
        }
        assert!(!login.html().contains("signup"), "{}", login.html());
        // Browsers omit the cookie from a cross-site form. The response must not replace it.
        let foreign = Browser::of(&server).post("/signup", &fields).await;
        assert!(foreign.location().ends_with("/signup"), "{foreign:?}");
        assert!(!foreign.headers.contains_key("set-cookie"), "{foreign:?}");
        let login = here.authorize(&[]).await;
        assert!(!login.html().contains("signup"), "{}", login.html());
        // A page of the other instance may still lead here with an authorization request.
        let page = here.open("/signup", &login).await;
        page.expect_status(403);
        let login = here.open("/login", &page).await;
        let fields = [("username", ADA), ("password", PASSWORD)];
        let answer = here.submit("/login", &login, &fields).await;
        assert!(answer.sent_to(CALLBACK).contains_key("code"), "{answer:?}");
        assert_eq!(server.database.count("account").await, 1);
    }
}

/// SU-02: only e-mail addresses of the listed domains can sign up. The domains are compared in
/// their normalised form. The refusal does not depend on whether the address has an account.
#[tokio::test]
async fn sign_up_is_limited_to_the_listed_domains() {
    let server = server_for_domains().await;
    let unlimited = server.another_instance_with({
        let mut config = server.config.clone();
        config.signup.signup_domains.clear();
        config
    });
    unlimited.await.sign_up("eve@elsewhere.test").await.expect_status(201);

    for address in ["ada@EXAMPLE.test", "ada@B\u{fc}cher.example", "bob@xn--bcher-kva.example."] {
        server.sign_up(address).await.expect_status(201);
    }

    let mut bodies = Vec::new();
    for address in
        ["eve@elsewhere.test", "new@elsewhere.test", "ada@sub.example.test", "a@notexample.test"]
    {
        let refused = server.sign_up(address).await;
        refused.expect_error(403, "SIGNUP_DOMAIN_NOT_ALLOWED");
        bodies.push(refused.json()["error"].clone());
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    server.log_in("eve@elsewhere.test", PASSWORD).await.expect_status(200);
    let mut browser = Browser::of(&server);
    let form = browser.get("/signup").await;
    let fields = [("username", "eve@elsewhere.test"), ("password", PASSWORD)];
    let refused = browser.submit("/signup", &form, &fields).await;
    refused.expect_status(403);
    assert!(refused.html().contains("with an email address of this domain"), "{refused:?}");
    assert_eq!(server.database.count("account").await, 4);
}

/// SU-02: a list that could not match any address is refused at the start.
#[tokio::test]
async fn invalid_sign_up_domain_is_rejected_at_the_start() {
    let server = TestServer::start().await;

    for domains in ["@example.com", "*.example.com", "example", "example.com;example.org"] {
        let program = Program::new(&server.database).with("SIGNET_SIGNUP_DOMAINS", domains);
        let message = program.startup_error().await;
        assert!(message.contains("must be a domain such as example.com"), "{message}");
    }
    let program = Program::new(&server.database).with("SIGNET_SIGNUP", "nobody");
    let message = program.startup_error().await;
    assert!(message.contains("open, invite, closed"), "{message}");
}
