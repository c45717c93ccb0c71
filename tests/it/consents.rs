//! Consents to clients: what they cover, where they are listed, and how they are withdrawn.

use serde_json::json;

use crate::harness::consents::{ASKING, asking};
use crate::harness::oauth::{Browser, CALLBACK, ISSUER, Rp, WEB, hidden};
use crate::harness::{Answer, PASSWORD, Program, TestServer, eventually};

const ADA: &str = "ada@example.test";
const BOB: &str = "bob@example.test";
const TASKS: &str = "https://tasks.example/v1";
const FILES: &str = "https://files.example";

async fn server() -> (TestServer, Vec<Rp>) {
    let server = TestServer::start().await;
    let clients = server.apply(&[ASKING, WEB].concat()).await;
    for email in [ADA, BOB] {
        server.sign_up(email).await.expect_status(201);
    }
    (server, clients)
}

/// A logged-in user who has consented to a scope.
async fn browser_with_consent<'s>(
    server: &'s TestServer,
    email: &str,
    scope: &str,
) -> (Browser<'s>, String) {
    let mut browser = Browser::of(server);
    browser.log_in_alone(email).await;
    let asked = browser.authorize(&asking(scope)).await;
    let code = browser.allow(&asked).await;
    (browser, code)
}

fn html(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

fn refresh(token: &str) -> [(&str, &str); 2] {
    [("grant_type", "refresh_token"), ("refresh_token", token)]
}

/// MUST-069, RFC 8707: consent for one audience does not cover another one, nor more scopes at
/// either.
#[tokio::test]
async fn consent_covers_a_scope_at_an_audience() {
    let (server, _) = server().await;
    let (mut ada, _) = browser_with_consent(&server, ADA, "openid email").await;
    let wide = asking("openid email");
    let narrow = asking("openid");

    for at in [&[][..], &[TASKS]] {
        assert_eq!(ada.silently(&wide, at).await, "code", "{at:?}");
    }
    for at in [&[FILES][..], &[TASKS, FILES], &[FILES, TASKS]] {
        assert_eq!(ada.silently(&narrow, at).await, "consent_required", "{at:?}");
    }

    let asked = ada.authorize_at(&narrow, &[FILES]).await;
    ada.allow(&asked).await;

    for at in [&[][..], &[FILES], &[TASKS, FILES]] {
        assert_eq!(ada.silently(&narrow, at).await, "code", "{at:?}");
    }
    assert_eq!(ada.silently(&wide, &[TASKS]).await, "code");
    for at in [&[FILES][..], &[TASKS, FILES]] {
        assert_eq!(ada.silently(&wide, at).await, "consent_required", "{at:?}");
    }
    let told = "SELECT reason FROM auth_event WHERE type = 'consent_granted' ORDER BY id";
    let expected = ["openid email at https://tasks.example/v1", "openid at https://files.example"];
    assert_eq!(server.database.column::<String>(told).await, expected);
}

/// N-57: the consent page names the audience, unless it is the default one.
#[tokio::test]
async fn consent_page_names_the_audience() {
    let (server, _) = server().await;
    let mut ada = Browser::of(&server);
    ada.log_in_alone(ADA).await;
    let said = async |ada: &mut Browser<'_>, more: &[(&str, &str)], at: &[&str]| {
        let asked = ada.authorize_at(more, at).await;
        html(&ada.asked(&asked).await)
    };

    let default = said(&mut ada, &asking("openid"), &[]).await;
    let both = said(&mut ada, &asking("openid"), &[FILES, TASKS]).await;
    let here = said(&mut ada, &[("client_id", "plain"), ("scope", "openid")], &[]).await;

    assert!(default.contains("access at <strong>tasks.example</strong>."), "{default}");
    assert!(
        both.contains(
            "access at <strong>files.example</strong> and <strong>tasks.example</strong>."
        )
    );
    assert!(!here.contains("access at"), "{here}");
}

/// An upgrade does not extend consents beyond what the page said.
#[tokio::test]
async fn consent_of_an_earlier_version_covers_the_default_audience_only() {
    let (server, _) = server().await;
    let (mut ada, _) = browser_with_consent(&server, ADA, "openid email").await;
    let plain = [("client_id", "plain"), ("scope", "openid")];
    let asked = ada.authorize(&plain).await;
    ada.allow(&asked).await;
    server.database.execute("UPDATE consent SET access = NULL").await;

    assert_eq!(ada.silently(&asking("openid email"), &[]).await, "code");
    assert_eq!(ada.silently(&plain, &[]).await, "code");
    assert_eq!(ada.silently(&asking("openid"), &[FILES]).await, "consent_required");
    let mine = server.log_in(ADA, PASSWORD).await.tokens();
    let listed = server.consents(&mine.access_token).await.json();
    let access = |n: usize| listed["consents"][n]["access"].clone();
    assert_eq!(access(0), json!([{ "audience": TASKS, "scope": "openid email" }]));
    assert_eq!(
        access(1),
        json!([{ "audience": format!("{ISSUER}/oauth2/userinfo"), "scope": "openid" }])
    );

    let asked = ada.authorize_at(&asking("openid"), &[FILES]).await;
    ada.allow(&asked).await;
    assert_eq!(ada.silently(&asking("openid"), &[FILES]).await, "code");
    assert_eq!(ada.silently(&asking("openid email"), &[]).await, "code");
}

/// RF-08, N-57: a withdrawal ends the sessions, codes and pending requests of the consent, and the
/// consent itself. Those of others stay.
#[tokio::test]
async fn consent_withdrawal_ends_sessions_codes_and_pending_requests() {
    let (server, clients) = server().await;
    let [app, plain, _] = &clients[..] else { panic!("three clients") };
    let scope = "openid offline_access";
    let (mut ada, code) = browser_with_consent(&server, ADA, scope).await;
    let lasting = server.redeem(app, &code).await;
    let unredeemed = ada.authorize(&asking(scope)).await.sent_to(CALLBACK)["code"].clone();
    let other = ada.authorize(&[("client_id", "plain"), ("scope", scope)]).await;
    let other = ada.allow(&other).await;
    let other = server.redeem(plain, &other).await;
    let (_, bobs) = browser_with_consent(&server, BOB, scope).await;
    let bobs = server.redeem(app, &bobs).await;
    let under_way = ada.authorize(&[&asking(scope)[..], &[("prompt", "consent")]].concat()).await;
    let under_way = ada.asked(&under_way).await;

    let done = ada.take_back("asking").await;

    assert_eq!(done.location(), format!("{ISSUER}/account?done=withdraw"));
    let userinfo = server.userinfo(&lasting.text("access_token")).await;
    userinfo.expect_oauth_error(401, "invalid_token");
    server.expect_published_end_of(&lasting.text("access_token")).await;
    let refreshed = server.token(app, &refresh(&lasting.text("refresh_token"))).await;
    refreshed.expect_oauth_error(400, "invalid_grant");
    server.redeem(app, &unredeemed).await.expect_oauth_error(400, "invalid_grant");
    let late = ada.submit("/consent", &under_way, &[("decision", "allow")]).await;
    late.expect_status(400);
    assert_eq!(ada.silently(&asking("openid"), &[]).await, "consent_required");
    let again = ada.authorize(&asking("openid")).await;
    ada.asked(&again).await;
    for (client, tokens) in [(plain, &other), (app, &bobs)] {
        let refreshed = server.token(client, &refresh(&tokens.text("refresh_token"))).await;
        refreshed.expect_status(200);
    }
    assert_eq!(server.database.count("consent").await, 2);
    let told = "SELECT reason FROM auth_event WHERE type = 'consent_withdrawn' \
                AND client_id = 'asking' AND account_id IS NOT NULL AND session_id IS NOT NULL";
    assert_eq!(server.database.column::<String>(told).await, [scope]);
    // Repeating the withdrawal succeeds.
    ada.take_back("asking").await.expect_status(303);
    assert_eq!(server.database.count("auth_event WHERE type = 'consent_withdrawn'").await, 1);
}

/// Back-Channel Logout §2.7: clients are notified of sessions that end with a consent.
#[tokio::test]
async fn consent_withdrawal_sends_backchannel_logout() {
    let server = TestServer::start().await;
    let told =
        "backchannel_logout_uri = \"https://rp.example/told\"\n\n[[client]]\nclient_id = \"pl";
    let app = server.apply(&ASKING.replace("\n[[client]]\nclient_id = \"pl", told)).await.remove(0);
    server.sign_up(ADA).await.expect_status(201);
    let (mut ada, code) = browser_with_consent(&server, ADA, "openid offline_access").await;
    server.redeem(&app, &code).await.expect_status(200);

    ada.take_back("asking").await.expect_status(303);

    assert_eq!(server.database.count("outbox WHERE receiver = 'asking'").await, 1);
}

/// The account page lists consents in the words of the consent page.
#[tokio::test]
async fn account_page_lists_consents() {
    let (server, _) = server().await;
    let mut ada = Browser::of(&server);
    ada.log_in_alone(ADA).await;
    let nothing = html(&ada.get("/account").await);
    assert!(nothing.contains("<p class=\"hint\">None.") && !nothing.contains("withdraw"));
    let asked = ada.authorize(&asking("openid tasks:read offline_access")).await;
    ada.allow(&asked).await;

    let page = html(&ada.get("/account").await);

    assert!(
        page.contains(
            "<strong>Asking &#60;App&#62;</strong></p>\n<p class=\"hint\">rp.example, allowed"
        ),
        "{page}"
    );
    assert!(page.contains("At <strong>tasks.example</strong> it may"), "{page}");
    for words in ["know that it is you", "use “tasks:read”", "stay logged in", "allowed on <time"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    let button = "<button class=\"quiet small\" type=\"submit\" name=\"withdraw\" value=\"asking\">\
                  Withdraw access<span class=\"unseen\"> of Asking &#60;App&#62;, rp.example<";
    assert!(page.contains(button), "{page}");
}

/// The operator's description of a scope is used on the consent page.
#[tokio::test]
async fn consent_page_uses_configured_scope_descriptions() {
    let server = TestServer::with(|config| {
        let descriptions = "tasks:read=see your tasks, and when they are due; files:read=<b>";
        config.pages.scope_descriptions = descriptions.parse().unwrap();
    });
    let server = server.await;
    server.apply(&ASKING.replace("tasks:read", "tasks:read tasks:write files:read")).await;
    server.sign_up(ADA).await.expect_status(201);
    let mut ada = Browser::of(&server);
    ada.log_in_alone(ADA).await;
    let asked = ada.authorize(&asking("openid tasks:read tasks:write files:read")).await;

    let question = html(&ada.asked(&asked).await);
    ada.allow(&asked).await;
    let account = html(&ada.get("/account").await);

    for page in [question, account] {
        let known = "see your tasks, and when they are due";
        for words in [known, "use “tasks:write”", "&#60;b&#62;", "know that it is you"] {
            assert!(page.contains(words), "{words}: {page}");
        }
        assert!(!page.contains("tasks:read"), "{page}");
    }
}

/// SS-04: a form from another site cannot withdraw a consent.
#[tokio::test]
async fn cross_site_form_cannot_withdraw_a_consent() {
    let (server, _) = server().await;
    let (mut ada, _) = browser_with_consent(&server, ADA, "openid").await;
    let mut bob = Browser::of(&server);
    bob.log_in_alone(BOB).await;
    let foreign = hidden(&bob.get("/account").await)[0].1.clone();

    for csrf in ["", "x", &foreign] {
        let refused = ada.post("/account", &[("csrf", csrf), ("withdraw", "asking")]).await;
        refused.expect_status(400);
    }
    bob.take_back("asking").await.expect_status(303);
    for nobody in ["nobody", "ü", "signet", &"x".repeat(101)] {
        ada.take_back(nobody).await.expect_status(303);
    }

    assert_eq!(ada.silently(&asking("openid"), &[]).await, "code");
}

/// A logout is not a withdrawal: the consent applies to the next login, too.
#[tokio::test]
async fn consent_survives_logout() {
    let (server, clients) = server().await;
    let (mut ada, code) = browser_with_consent(&server, ADA, "openid").await;
    let tokens = server.redeem(&clients[0], &code).await;
    let id = TestServer::session_of(&tokens.text("access_token"));
    let csrf = hidden(&ada.get("/account").await)[0].1.clone();

    ada.post("/account", &[("csrf", &csrf), ("end", &id)]).await.expect_status(303);

    server.userinfo(&tokens.text("access_token")).await.expect_oauth_error(401, "invalid_token");
    assert_eq!(ada.silently(&asking("openid"), &[]).await, "code");
}

/// Clients that skip consent are not listed: users cannot withdraw what they did not decide.
#[tokio::test]
async fn clients_that_skip_consent_are_not_listed() {
    let (server, clients) = server().await;
    let (mut ada, _) = browser_with_consent(&server, ADA, "openid").await;
    let code = ada.authorize(&[]).await.sent_to(CALLBACK)["code"].clone();
    server.redeem(&clients[2], &code).await.expect_status(200);
    let mine = server.log_in(ADA, PASSWORD).await.tokens();
    // A client that required consent earlier and skips it now.
    let skipping =
        ASKING.replace("client_id = \"asking\"", "client_id = \"asking\"\nconsent = \"skip\"");
    server.apply(&skipping).await;

    let listed = server.consents(&mine.access_token).await;
    let page = html(&ada.get("/account").await);

    assert_eq!(listed.expect_status(200).json(), json!({ "consents": [] }));
    assert!(page.contains("Web &#60;Shop&#62;") && !page.contains("Withdraw access"), "{page}");
    for id in ["web", "asking"] {
        ada.take_back(id).await.expect_status(303);
        let answer = server.withdraw_consent(&mine.access_token, id).await;
        answer.expect_error(404, "NOT_FOUND");
        assert_eq!(ada.silently(&[("client_id", id), ("scope", "openid")], &[]).await, "code");
    }
}

/// A consent is displayed as it was given, with the client's current name.
#[tokio::test]
async fn client_update_does_not_change_displayed_consents() {
    let (server, _) = server().await;
    let (ada, _) = browser_with_consent(&server, ADA, "openid tasks:read").await;
    let changed = ASKING
        .replace("openid email offline_access tasks:read", "openid files:write")
        .replace("Asking <App>", "Renamed");
    server.apply(&changed).await;
    let mine = server.log_in(ADA, PASSWORD).await.tokens();

    let listed = server.consents(&mine.access_token).await.json();

    let consent = &listed["consents"][0];
    assert_eq!(consent["client_name"], "Renamed");
    assert_eq!(consent["access"], json!([{ "audience": TASKS, "scope": "openid tasks:read" }]));
    drop(ada);
}

/// Consents are deleted with their account or their client.
#[tokio::test]
async fn consent_is_deleted_with_its_account_or_client() {
    let (server, _) = server().await;
    let (mut ada, _) = browser_with_consent(&server, ADA, "openid").await;
    let asked = ada.authorize(&[("client_id", "plain"), ("scope", "openid")]).await;
    ada.allow(&asked).await;
    browser_with_consent(&server, BOB, "openid").await;
    assert_eq!(server.database.count("consent").await, 3);

    let program = Program::new(&server.database);
    assert!(program.run(&["client", "delete", "asking"]).await.status.success());
    assert_eq!(server.database.count("consent").await, 1);
    let mine = server.log_in(ADA, PASSWORD).await.tokens();
    server.delete_me(&mine.access_token, PASSWORD).await.expect_status(204);

    eventually("all rows are deleted", async || server.database.count("consent").await == 0).await;
}

/// `signet account show` lists consents, too.
#[tokio::test]
async fn account_show_lists_consents() {
    let (server, _) = server().await;
    let none = server.account_command(&["show", ADA]).await;
    let (mut ada, _) = browser_with_consent(&server, ADA, "openid email").await;
    let asked = ada.authorize_at(&asking("openid"), &[FILES]).await;
    ada.allow(&asked).await;

    let view = server.account_command(&["show", ADA]).await;
    server.database.execute("UPDATE consent SET access = NULL").await;
    let before = server.account_command(&["show", ADA]).await;

    assert!(none.contains("consents    0\n"), "{none}");
    assert!(view.contains("consents    1\n"), "{view}");
    assert!(
        view.contains("  asking  openid email at https://tasks.example/v1  allowed 2"),
        "{view}"
    );
    assert!(view.contains("  asking  openid at https://files.example  allowed 2"), "{view}");
    assert!(
        before.contains("  asking  openid email at its default audience  allowed 2"),
        "{before}"
    );
}
