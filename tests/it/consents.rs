//! Consents to clients: what they cover, where they are listed, and how they are withdrawn.

use serde_json::json;

use crate::harness::consents::{CONSENT_CLIENTS, consent_request};
use crate::harness::oauth::{Browser, CALLBACK, ISSUER, Rp, WEB_CLIENT, hidden_fields};
use crate::harness::{Answer, PASSWORD, Program, TestServer, eventually};

const ADA: &str = "ada@example.test";
const BOB: &str = "bob@example.test";
const TASKS: &str = "https://tasks.example/v1";
const FILES: &str = "https://files.example";

async fn server() -> (TestServer, Vec<Rp>) {
    let server = TestServer::start().await;
    let clients = server.register_clients(&[CONSENT_CLIENTS, WEB_CLIENT].concat()).await;
    for email in [ADA, BOB] {
        server.sign_up(email).await.expect_status(201);
    }
    (server, clients)
}

/// The browser of a user who has consented to a scope, and the issued code.
async fn browser_with_consent<'s>(
    server: &'s TestServer,
    email: &str,
    scope: &str,
) -> (Browser<'s>, String) {
    let mut browser = Browser::of(server);
    browser.log_in_without_request(email).await;
    let redirect = browser.authorize(&consent_request(scope)).await;
    let code = browser.grant_consent(&redirect).await;
    (browser, code)
}

fn html(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

fn refresh(token: &str) -> [(&str, &str); 2] {
    [("grant_type", "refresh_token"), ("refresh_token", token)]
}

/// MUST-069, RFC 8707: consent for one audience covers neither another audience nor further scopes.
#[tokio::test]
async fn consent_covers_a_scope_at_an_audience() {
    let (server, _) = server().await;
    let (mut ada, _) = browser_with_consent(&server, ADA, "openid email").await;
    let wide = consent_request("openid email");
    let narrow = consent_request("openid");

    for audiences in [&[][..], &[TASKS]] {
        assert_eq!(ada.authorize_silently(&wide, audiences).await, "code", "{audiences:?}");
    }
    for audiences in [&[FILES][..], &[TASKS, FILES], &[FILES, TASKS]] {
        assert_eq!(
            ada.authorize_silently(&narrow, audiences).await,
            "consent_required",
            "{audiences:?}"
        );
    }

    let redirect = ada.authorize_for_audiences(&narrow, &[FILES]).await;
    ada.grant_consent(&redirect).await;

    for audiences in [&[][..], &[FILES], &[TASKS, FILES]] {
        assert_eq!(ada.authorize_silently(&narrow, audiences).await, "code", "{audiences:?}");
    }
    assert_eq!(ada.authorize_silently(&wide, &[TASKS]).await, "code");
    for audiences in [&[FILES][..], &[TASKS, FILES]] {
        assert_eq!(
            ada.authorize_silently(&wide, audiences).await,
            "consent_required",
            "{audiences:?}"
        );
    }
    let reasons = "SELECT reason FROM auth_event WHERE type = 'consent_granted' ORDER BY id";
    let expected = ["openid email at https://tasks.example/v1", "openid at https://files.example"];
    assert_eq!(server.database.column::<String>(reasons).await, expected);
}

/// N-57: the consent page names the audiences, even if the request names none. It names none if the
/// client is registered for none.
#[tokio::test]
async fn consent_page_names_the_audience() {
    let (server, _) = server().await;
    let mut ada = Browser::of(&server);
    ada.log_in_without_request(ADA).await;
    let page_for = async |ada: &mut Browser<'_>, more: &[(&str, &str)], audiences: &[&str]| {
        let redirect = ada.authorize_for_audiences(more, audiences).await;
        html(&ada.open_consent_page(&redirect).await)
    };

    let default = page_for(&mut ada, &consent_request("openid"), &[]).await;
    let both = page_for(&mut ada, &consent_request("openid"), &[FILES, TASKS]).await;
    let plain = page_for(&mut ada, &[("client_id", "plain"), ("scope", "openid")], &[]).await;

    assert!(default.contains("access at <strong>tasks.example</strong>."), "{default}");
    assert!(
        both.contains(
            "access at <strong>files.example</strong> and <strong>tasks.example</strong>."
        )
    );
    assert!(!plain.contains("access at <strong>"), "{plain}");
}

/// An upgrade does not extend consents beyond what the consent page displayed.
#[tokio::test]
async fn consent_of_an_earlier_version_covers_the_default_audience_only() {
    let (server, _) = server().await;
    let (mut ada, _) = browser_with_consent(&server, ADA, "openid email").await;
    let plain = [("client_id", "plain"), ("scope", "openid")];
    let redirect = ada.authorize(&plain).await;
    ada.grant_consent(&redirect).await;
    server.database.execute("UPDATE consent SET access = NULL").await;

    assert_eq!(ada.authorize_silently(&consent_request("openid email"), &[]).await, "code");
    assert_eq!(ada.authorize_silently(&plain, &[]).await, "code");
    assert_eq!(
        ada.authorize_silently(&consent_request("openid"), &[FILES]).await,
        "consent_required"
    );
    let api_login = server.log_in(ADA, PASSWORD).await.tokens();
    let listed = server.consents(&api_login.access_token).await.json();
    let access = |n: usize| listed["consents"][n]["access"].clone();
    assert_eq!(access(0), json!([{ "audience": TASKS, "scope": "openid email" }]));
    assert_eq!(
        access(1),
        json!([{ "audience": format!("{ISSUER}/oauth2/userinfo"), "scope": "openid" }])
    );

    let redirect = ada.authorize_for_audiences(&consent_request("openid"), &[FILES]).await;
    ada.grant_consent(&redirect).await;
    assert_eq!(ada.authorize_silently(&consent_request("openid"), &[FILES]).await, "code");
    assert_eq!(ada.authorize_silently(&consent_request("openid email"), &[]).await, "code");
}

/// RF-08, N-57: a withdrawal deletes the consent and ends its sessions, codes and pending requests.
/// Those of other clients and users stay.
#[tokio::test]
async fn consent_withdrawal_ends_sessions_codes_and_pending_requests() {
    let (server, clients) = server().await;
    let [app, plain, _] = &clients[..] else { panic!("three clients") };
    let scope = "openid offline_access";
    let (mut ada, code) = browser_with_consent(&server, ADA, scope).await;
    let offline = server.redeem(app, &code).await;
    let unredeemed = ada.authorize(&consent_request(scope)).await.sent_to(CALLBACK)["code"].clone();
    let other = ada.authorize(&[("client_id", "plain"), ("scope", scope)]).await;
    let other = ada.grant_consent(&other).await;
    let other = server.redeem(plain, &other).await;
    let (_, bobs) = browser_with_consent(&server, BOB, scope).await;
    let bobs = server.redeem(app, &bobs).await;
    let pending =
        ada.authorize(&[&consent_request(scope)[..], &[("prompt", "consent")]].concat()).await;
    let pending = ada.open_consent_page(&pending).await;

    let answer = ada.withdraw_consent("asking").await;

    assert_eq!(answer.location(), format!("{ISSUER}/account?done=withdraw"));
    let userinfo = server.userinfo(&offline.text("access_token")).await;
    userinfo.expect_oauth_error(401, "invalid_token");
    server.wait_until_listed_as_ended(&offline.text("access_token")).await;
    let refreshed = server.token(app, &refresh(&offline.text("refresh_token"))).await;
    refreshed.expect_oauth_error(400, "invalid_grant");
    server.redeem(app, &unredeemed).await.expect_oauth_error(400, "invalid_grant");
    let late = ada.submit("/consent", &pending, &[("decision", "allow")]).await;
    late.expect_status(400);
    assert_eq!(ada.authorize_silently(&consent_request("openid"), &[]).await, "consent_required");
    let again = ada.authorize(&consent_request("openid")).await;
    ada.open_consent_page(&again).await;
    for (client, tokens) in [(plain, &other), (app, &bobs)] {
        let refreshed = server.token(client, &refresh(&tokens.text("refresh_token"))).await;
        refreshed.expect_status(200);
    }
    assert_eq!(server.database.count("consent").await, 2);
    let reasons = "SELECT reason FROM auth_event WHERE type = 'consent_withdrawn' \
                AND client_id = 'asking' AND account_id IS NOT NULL AND session_id IS NOT NULL";
    assert_eq!(server.database.column::<String>(reasons).await, [scope]);
    // Repeating the withdrawal succeeds.
    ada.withdraw_consent("asking").await.expect_status(303);
    assert_eq!(server.database.count("auth_event WHERE type = 'consent_withdrawn'").await, 1);
}

/// Back-Channel Logout §2.7: clients are notified of sessions that end with a consent.
#[tokio::test]
async fn consent_withdrawal_sends_backchannel_logout() {
    let server = TestServer::start().await;
    let logout_uri =
        "backchannel_logout_uri = \"https://rp.example/out\"\n\n[[client]]\nclient_id = \"pl";
    let app = server
        .register_clients(&CONSENT_CLIENTS.replace("\n[[client]]\nclient_id = \"pl", logout_uri))
        .await
        .remove(0);
    server.sign_up(ADA).await.expect_status(201);
    let (mut ada, code) = browser_with_consent(&server, ADA, "openid offline_access").await;
    server.redeem(&app, &code).await.expect_status(200);

    ada.withdraw_consent("asking").await.expect_status(303);

    assert_eq!(server.database.count("outbox WHERE receiver = 'asking'").await, 1);
}

/// The account page lists consents in the words of the consent page.
#[tokio::test]
async fn account_page_lists_consents() {
    let (server, _) = server().await;
    let mut ada = Browser::of(&server);
    ada.log_in_without_request(ADA).await;
    let empty = html(&ada.get("/account").await);
    assert!(empty.contains("<p class=\"hint\">None.") && !empty.contains("name=\"withdraw\""));
    let redirect = ada.authorize(&consent_request("openid tasks:read offline_access")).await;
    ada.grant_consent(&redirect).await;

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
    server
        .register_clients(
            &CONSENT_CLIENTS.replace("tasks:read", "tasks:read tasks:write files:read"),
        )
        .await;
    server.sign_up(ADA).await.expect_status(201);
    let mut ada = Browser::of(&server);
    ada.log_in_without_request(ADA).await;
    let redirect =
        ada.authorize(&consent_request("openid tasks:read tasks:write files:read")).await;

    let question = html(&ada.open_consent_page(&redirect).await);
    ada.grant_consent(&redirect).await;
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
    bob.log_in_without_request(BOB).await;
    let foreign = hidden_fields(&bob.get("/account").await)[0].1.clone();

    for csrf in ["", "x", &foreign] {
        let refused = ada.post("/account", &[("csrf", csrf), ("withdraw", "asking")]).await;
        refused.expect_status(400);
    }
    bob.withdraw_consent("asking").await.expect_status(303);
    for unknown in ["nobody", "ü", "signet", &"x".repeat(101)] {
        ada.withdraw_consent(unknown).await.expect_status(303);
    }

    assert_eq!(ada.authorize_silently(&consent_request("openid"), &[]).await, "code");
}

/// A logout is not a withdrawal: the consent applies to the next login, too.
#[tokio::test]
async fn consent_survives_logout() {
    let (server, clients) = server().await;
    let (mut ada, code) = browser_with_consent(&server, ADA, "openid").await;
    let tokens = server.redeem(&clients[0], &code).await;
    let id = TestServer::session_id(&tokens.text("access_token"));
    let csrf = hidden_fields(&ada.get("/account").await)[0].1.clone();

    ada.post("/account", &[("csrf", &csrf), ("end", &id)]).await.expect_status(303);

    server.userinfo(&tokens.text("access_token")).await.expect_oauth_error(401, "invalid_token");
    assert_eq!(ada.authorize_silently(&consent_request("openid"), &[]).await, "code");
}

/// Clients that skip consent are not listed: users cannot withdraw a consent that they did not
/// give.
#[tokio::test]
async fn clients_that_skip_consent_are_not_listed() {
    let (server, clients) = server().await;
    let (mut ada, _) = browser_with_consent(&server, ADA, "openid").await;
    let code = ada.authorize(&[]).await.sent_to(CALLBACK)["code"].clone();
    server.redeem(&clients[2], &code).await.expect_status(200);
    let api_login = server.log_in(ADA, PASSWORD).await.tokens();
    // A client that required consent earlier and skips it now.
    let skipping = CONSENT_CLIENTS
        .replace("client_id = \"asking\"", "client_id = \"asking\"\nconsent = \"skip\"");
    server.register_clients(&skipping).await;

    let listed = server.consents(&api_login.access_token).await;
    let page = html(&ada.get("/account").await);

    assert_eq!(listed.expect_status(200).json(), json!({ "consents": [] }));
    assert!(page.contains("Web &#60;Shop&#62;") && !page.contains("Withdraw access"), "{page}");
    for id in ["web", "asking"] {
        ada.withdraw_consent(id).await.expect_status(303);
        let answer = server.withdraw_consent(&api_login.access_token, id).await;
        answer.expect_error(404, "NOT_FOUND");
        assert_eq!(
            ada.authorize_silently(&[("client_id", id), ("scope", "openid")], &[]).await,
            "code"
        );
    }
}

/// A consent is displayed as it was given, with the client's current name.
#[tokio::test]
async fn client_update_does_not_change_displayed_consents() {
    let (server, _) = server().await;
    let (ada, _) = browser_with_consent(&server, ADA, "openid tasks:read").await;
    let changed = CONSENT_CLIENTS
        .replace("openid email offline_access tasks:read", "openid files:write")
        .replace("Asking <App>", "Renamed");
    server.register_clients(&changed).await;
    let api_login = server.log_in(ADA, PASSWORD).await.tokens();

    let listed = server.consents(&api_login.access_token).await.json();

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
    let redirect = ada.authorize(&[("client_id", "plain"), ("scope", "openid")]).await;
    ada.grant_consent(&redirect).await;
    browser_with_consent(&server, BOB, "openid").await;
    assert_eq!(server.database.count("consent").await, 3);

    let program = Program::new(&server.database);
    assert!(program.run(&["client", "delete", "asking"]).await.status.success());
    assert_eq!(server.database.count("consent").await, 1);
    let api_login = server.log_in(ADA, PASSWORD).await.tokens();
    server.delete_me(&api_login.access_token, PASSWORD).await.expect_status(204);

    eventually("all rows are deleted", async || server.database.count("consent").await == 0).await;
}

/// `signet account show` also lists consents.
#[tokio::test]
async fn account_show_lists_consents() {
    let (server, _) = server().await;
    let none = server.account_command(&["show", ADA]).await;
    let (mut ada, _) = browser_with_consent(&server, ADA, "openid email").await;
    let redirect = ada.authorize_for_audiences(&consent_request("openid"), &[FILES]).await;
    ada.grant_consent(&redirect).await;

    let view = server.account_command(&["show", ADA]).await;
    server.database.execute("UPDATE consent SET access = NULL").await;
    let of_earlier_version = server.account_command(&["show", ADA]).await;

    assert!(none.contains("consents    0\n"), "{none}");
    assert!(view.contains("consents    1\n"), "{view}");
    assert!(
        view.contains("  asking  openid email at https://tasks.example/v1  allowed 2"),
        "{view}"
    );
    assert!(view.contains("  asking  openid at https://files.example  allowed 2"), "{view}");
    assert!(
        of_earlier_version.contains("  asking  openid email at its default audience  allowed 2"),
        "{of_earlier_version}"
    );
}
