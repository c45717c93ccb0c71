//! Narrowing a client's registration takes effect when the command exits, regardless of earlier
//! grants.

use serde_json::json;

use crate::harness::oauth::{Browser, CALLBACK, ISSUER, Rp, WEB_CLIENT};
use crate::harness::{Answer, PASSWORD, Program, TestServer};

const ADA: &str = "ada@example.test";
const API: &str = "https://api.example.test";

/// A client that requires consent, and a resource server.
const OTHER_CLIENTS: &str = r#"
[[client]]
client_id = "asking"
redirect_uris = ["https://rp.example/cb"]
scope = "openid email tasks:read"

[[client]]
client_id = "api"
grant_types = []
introspects = ["https://api.example.test"]
"#;

async fn server() -> (TestServer, Rp, Rp) {
    let server = TestServer::start().await;
    let mut clients = server.register_clients(&[WEB_CLIENT, OTHER_CLIENTS].concat()).await;
    server.sign_up(ADA).await.expect_status(201);
    let api = clients.remove(2);
    (server, clients.remove(0), api)
}

/// Changes the web client's registration.
async fn change(server: &TestServer, from: &str, to: &str) {
    assert!(WEB_CLIENT.contains(from), "{from}");
    server.register_clients(&WEB_CLIENT.replace(from, to)).await;
}

async fn refresh(server: &TestServer, web: &Rp, token: &str, more: &[(&str, &str)]) -> Answer {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
    server.token(web, &[&fields[..], more].concat()).await
}

const SCOPE: &str = "openid email offline_access tasks:read";

async fn tokens(server: &TestServer, web: &Rp) -> Answer {
    let code = Browser::of(server).log_in_for_code(ADA, &[("scope", SCOPE)]).await;
    server.redeem(web, &code).await
}

#[tokio::test]
async fn refresh_is_limited_to_the_current_registration() {
    let (server, web, _) = server().await;
    let first = tokens(&server, &web).await;

    change(&server, "openid email offline_access tasks:read", "openid offline_access").await;
    let narrow = refresh(&server, &web, &first.text("refresh_token"), &[]).await;
    let next = narrow.text("refresh_token");
    // A client may request a granted scope, but the response is limited to the registration.
    let partial = refresh(&server, &web, &next, &[("scope", "openid email")]).await;
    let token = partial.text("refresh_token");
    let unregistered = refresh(&server, &web, &token, &[("scope", "email")]).await;
    let never_granted = refresh(&server, &web, &token, &[("scope", "phone")]).await;
    server.register_clients(WEB_CLIENT).await;
    let wide = refresh(&server, &web, &token, &[]).await;

    assert_eq!(narrow.json()["scope"], "openid offline_access");
    let claims = TestServer::claims(&narrow.text("access_token"));
    assert_eq!(claims["scope"], "openid offline_access");
    assert!(claims.get("email").is_none());
    assert_eq!(partial.json()["scope"], "openid");
    unregistered.expect_oauth_error(400, "invalid_scope");
    never_granted.expect_oauth_error(400, "invalid_scope");
    assert_eq!(wide.json()["scope"], SCOPE);
}

/// A refresh that is rejected because of the narrowed registration does not use up the token: the
/// token works again once the registration is restored.
#[tokio::test]
async fn refresh_rejected_by_the_registration_keeps_the_token_valid() {
    let (server, web, _) = server().await;
    let first = tokens(&server, &web).await;
    let token = first.text("refresh_token");

    for (from, to, error) in [
        // A refresh requires `offline_access`.
        (" offline_access tasks:read", " tasks:read", "invalid_grant"),
        ("openid email offline_access tasks:read", "phone", "invalid_grant"),
        (API, "https://other.example", "invalid_grant"),
        (", \"refresh_token\"", "", "unauthorized_client"),
    ] {
        change(&server, from, to).await;
        refresh(&server, &web, &token, &[]).await.expect_oauth_error(400, error);
    }
    let two = format!("{API}\", \"https://other.example");
    change(&server, API, &two).await;
    let other = [("resource", "https://other.example")];
    // The client is registered for this audience now, but the user has not granted it.
    refresh(&server, &web, &token, &other).await.expect_oauth_error(400, "invalid_target");

    let generations: Vec<i64> =
        server.database.column("SELECT generation FROM session WHERE client_id = 'web'").await;
    assert_eq!(generations, [0]);
    let wide = refresh(&server, &web, &token, &[]).await;
    assert_eq!(wide.json()["scope"], SCOPE);
    assert_eq!(TestServer::claims(&wide.text("access_token"))["aud"], API);
}

/// RU-01: a pending request is valid for half an hour. The client's registration is checked when
/// the request is answered.
#[tokio::test]
async fn pending_request_is_checked_against_the_current_registration() {
    let (server, web, _) = server().await;
    let typed = [("username", ADA), ("password", PASSWORD)];
    let mut browser = Browser::of(&server);
    let page = browser.authorize(&[("scope", SCOPE)]).await;

    change(&server, CALLBACK, "https://rp.example/new").await;
    let shown = browser.open("/signup", &page).await;
    let answered = browser.submit("/login", &page, &typed).await;
    for answer in [&shown, &answered] {
        answer.expect_status(400);
        assert!(!answer.headers.contains_key("location"));
        assert!(!answer.header("content-security-policy").contains("rp.example"));
    }
    assert_eq!(server.database.count("authorization_code").await, 0);
    assert_eq!(server.database.count("session WHERE cookie_digest IS NOT NULL").await, 0);

    for (from, to, error) in [
        ("openid email offline_access tasks:read", "phone", "invalid_scope"),
        (API, "https://other.example", "invalid_target"),
    ] {
        change(&server, from, to).await;
        let sent = browser.submit("/login", &page, &typed).await.sent_to(CALLBACK);
        assert_eq!((sent["error"].as_str(), sent["state"].as_str()), (error, "af0ifjsldkj"));
    }
    change(&server, "email offline_access tasks:read", "email").await;
    let sent = browser.submit("/login", &page, &typed).await.sent_to(CALLBACK);
    let answer = server.redeem(&web, &sent["code"]).await;
    assert_eq!(answer.json()["scope"], "openid email");
    assert!(answer.json().get("refresh_token").is_none());
}

/// The consent covers the currently registered scope, not all of the requested scope.
#[tokio::test]
async fn consent_page_asks_for_the_currently_registered_scope() {
    let (server, ..) = server().await;
    let mut browser = Browser::of(&server);
    let more = [("client_id", "asking"), ("scope", "openid email tasks:read")];
    let login = browser.authorize(&more).await;
    let consent = browser.log_in(&login, ADA).await.location();
    let before = browser.get(&consent).await;

    server.register_clients(&OTHER_CLIENTS.replace("email tasks:read", "tasks:read")).await;
    let page = browser.get(&consent).await;
    let allowed = browser.submit("/consent", &page, &[("decision", "allow")]).await;

    let html = |answer: &Answer| String::from_utf8(answer.body.clone()).unwrap();
    assert!(html(&before).contains("see your email address"));
    assert!(!html(&page).contains("see your email address") && html(&page).contains("tasks:read"));
    assert!(allowed.sent_to(CALLBACK).contains_key("code"));
    for column in ["SELECT scope FROM consent", "SELECT scope FROM authorization_code"] {
        let scopes: Vec<String> = server.database.column(column).await;
        assert_eq!(scopes, ["openid tasks:read"], "{column}");
    }
}

/// A code is valid for a minute. The client's registration may change before the exchange.
#[tokio::test]
async fn code_exchange_is_limited_to_the_current_registration() {
    let (server, web, _) = server().await;
    let mut browser = Browser::of(&server);
    let mut codes = vec![browser.log_in_for_code(ADA, &[("scope", SCOPE)]).await];
    for _ in 0..4 {
        let sent = browser.authorize(&[("scope", SCOPE)]).await.sent_to(CALLBACK);
        codes.push(sent["code"].clone());
    }

    for (code, (from, to)) in codes.iter().zip([
        (CALLBACK, "https://rp.example/new"),
        ("openid email offline_access tasks:read", "phone"),
        (API, "https://other.example"),
    ]) {
        change(&server, from, to).await;
        server.redeem(&web, code).await.expect_oauth_error(400, "invalid_grant");
    }
    assert_eq!(server.database.count("session WHERE client_id = 'web'").await, 0);
    change(&server, "email offline_access tasks:read", "offline_access").await;
    let narrow = server.redeem(&web, &codes[3]).await;
    change(&server, ", \"refresh_token\"", "").await;
    let without_refresh = server.redeem(&web, &codes[4]).await;

    assert_eq!(narrow.json()["scope"], "openid offline_access");
    assert!(TestServer::claims(&narrow.text("access_token")).get("email").is_none());
    assert_eq!(without_refresh.json()["scope"], "openid email tasks:read");
    assert!(without_refresh.json().get("refresh_token").is_none());
    // Tokens from a code keep the scope given at the exchange: a wider registration adds none.
    server.register_clients(WEB_CLIENT).await;
    let later = refresh(&server, &web, &narrow.text("refresh_token"), &[]).await;
    assert_eq!(later.json()["scope"], "openid offline_access");
}

#[tokio::test]
async fn userinfo_and_introspection_follow_the_current_registration() {
    let (server, web, api) = server().await;
    let first = tokens(&server, &web).await;
    let access = first.text("access_token");
    let refresh = first.text("refresh_token");
    assert_eq!(server.userinfo(&access).await.json()["email"], ADA);

    change(&server, "openid email offline_access tasks:read", "openid tasks:read").await;
    let userinfo = server.userinfo(&access).await.json();
    assert_eq!(userinfo, json!({ "sub": TestServer::claims(&access)["sub"] }));
    for rp in [&web, &api] {
        let state = server.introspect(rp, &access).await;
        assert_eq!(
            (&state["active"], &state["scope"]),
            (&json!(true), &json!("openid tasks:read"))
        );
        assert_eq!(state["aud"], API);
    }
    assert_eq!(server.introspect(&web, &refresh).await, json!({ "active": false }));

    change(&server, "openid email offline_access", "email").await;
    server.userinfo(&access).await.expect_oauth_error(403, "insufficient_scope");
    change(&server, API, "https://other.example").await;
    for rp in [&web, &api] {
        assert_eq!(server.introspect(rp, &access).await, json!({ "active": false }));
    }
    server.register_clients(WEB_CLIENT).await;
    assert_eq!(server.introspect(&api, &access).await["scope"], SCOPE);
    assert_eq!(server.introspect(&web, &refresh).await["scope"], SCOPE);
    let own = server.log_in(ADA, PASSWORD).await.tokens().access_token;
    assert_eq!(server.introspect(&api, &own).await["active"], true);
    assert_eq!(TestServer::claims(&own)["iss"], ISSUER);
}

/// An instance uses a client for a second without reading it again. Here, both instances have read
/// it just before the change. Nevertheless both apply the change when the command exits.
#[tokio::test]
async fn change_is_in_force_on_every_instance_when_the_command_exits() {
    const JOB: &str = "[[client]]\nclient_id = \"job\"\ngrant_types = [\"client_credentials\"]\n";
    let one = TestServer::start().await;
    let other = one.another_instance().await;
    let servers = [&one, &other];
    let job = one.register_clients(&[JOB, "scope = \"a b\"\n"].concat()).await.remove(0);
    let program = Program::new(&one.database);
    let run = async |arguments: &[&str]| {
        for server in servers {
            let answer = server.token(&job, &[("grant_type", "client_credentials")]).await;
            answer.expect_status(200);
        }
        assert!(program.run(arguments).await.status.success());
    };

    run(&["client", "update", "job", "--scope", "a"]).await;
    for server in servers {
        let answer = server.token(&job, &[("grant_type", "client_credentials")]).await;
        assert_eq!(answer.json()["scope"], "a");
    }
    run(&["client", "rotate-secret", "job", "--now"]).await;
    for server in servers {
        let answer = server.token(&job, &[("grant_type", "client_credentials")]).await;
        assert_eq!(answer.status, 401);
    }
}

#[tokio::test]
async fn deleted_client_is_refused_on_every_instance_when_the_command_exits() {
    let (one, web, api) = server().await;
    let other = one.another_instance().await;
    let tokens = tokens(&one, &web).await;
    let introspect = async |server: &TestServer| {
        let fields = [("token", &*tokens.text("access_token"))];
        server.form("/oauth2/introspect", &fields).basic_auth(&api.id, api.secret.as_ref())
    };
    for server in [&one, &other] {
        let answer = Answer::of(introspect(server).await).await;
        assert_eq!(answer.json()["active"], true);
    }

    let deleted = Program::new(&one.database).run(&["client", "delete", "api"]).await;

    assert!(deleted.status.success());
    for server in [&one, &other] {
        Answer::of(introspect(server).await).await.expect_status(401);
    }
}
