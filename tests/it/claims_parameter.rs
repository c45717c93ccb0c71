//! The `claims` parameter: individual claims requested by name (OpenID Connect Core 1.0 §5.5).

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::oauth::{Browser, CALLBACK, Rp, hidden_fields};
use crate::harness::{Answer, PASSWORD, TestServer};

const ADA: &str = "ada@example.test";
const BOB: &str = "bob@example.test";
const TASKS: &str = "https://tasks.example/v1";
const FILES: &str = "https://files.example";

/// A client that needs no consent, and one that does; neither is registered for the `address`
/// scope.
const CLIENTS: &str = r#"
[[client]]
client_id = "web"
redirect_uris = ["https://rp.example/cb"]
grant_types = ["authorization_code", "refresh_token"]
scope = "openid profile email phone offline_access tasks:read"
audiences = ["https://api.example.test"]
consent = "skip"

[[client]]
client_id = "asking"
client_name = "Asking"
redirect_uris = ["https://rp.example/cb"]
grant_types = ["authorization_code", "refresh_token"]
scope = "openid profile email offline_access"
audiences = ["https://tasks.example/v1", "https://files.example"]
"#;

/// A server with the clients, and with an account whose profile lacks `gender`.
async fn server() -> (TestServer, Rp, Rp) {
    let server = TestServer::start().await;
    let mut clients = server.register_clients(CLIENTS).await;
    let api_login = server.sign_up(ADA).await.tokens();
    let mut profile = crate::profile::all_claims();
    profile.as_object_mut().unwrap().remove("gender").unwrap();
    server.patch_me(&api_login.access_token, &profile).await.expect_status(200);
    let asking = clients.remove(1);
    (server, clients.remove(0), asking)
}

fn html(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

async fn refresh(server: &TestServer, rp: &Rp, tokens: &Answer) -> Answer {
    let token = tokens.text("refresh_token");
    server.token(rp, &[("grant_type", "refresh_token"), ("refresh_token", &token)]).await
}

/// The claims at userinfo besides `sub`.
async fn userinfo_claims(server: &TestServer, tokens: &Answer) -> Value {
    let answer = server.userinfo(&tokens.text("access_token")).await;
    let mut claims = answer.expect_status(200).json();
    claims.as_object_mut().unwrap().remove("sub").unwrap();
    claims
}

/// The profile claims of an ID token.
fn id_token_claims(tokens: &Answer) -> Value {
    let mut claims = TestServer::claims(&tokens.text("id_token"));
    let always = ["iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "amr", "sid", "at_hash"];
    for name in always {
        claims.as_object_mut().unwrap().remove(name).unwrap();
    }
    claims.as_object_mut().unwrap().remove("nonce");
    claims
}

const SCOPE: &str = "openid offline_access tasks:read";

const CLAIMS: &str = r#"{
    "userinfo": { "name": {"essential": true}, "email": null, "phone_number": {"value": "+1"},
                  "gender": {"essential": true}, "address": {"essential": true}, "shoe_size": 9 },
    "id_token": { "birthdate": null, "gender": null, "address": null, "acr": {"values": ["9"]},
                  "auth_time": {"essential": true} }
}"#;

/// Known claims are returned where they were requested, only for the session of the request, and
/// with their current values.
#[tokio::test]
async fn requested_claims_are_returned_where_requested() {
    let (server, web, _) = server().await;
    let mut browser = Browser::of(&server);
    let more = [("scope", SCOPE), ("claims", CLAIMS)];
    let first = server.redeem(&web, &browser.log_in_for_code(ADA, &more).await).await;
    let other = browser.authorize(&more[..1]).await.sent_to(CALLBACK)["code"].clone();
    let other = server.redeem(&web, &other).await;

    let by_name = json!({ "name": "Augusta Ada King", "email": ADA, "email_verified": false,
                "phone_number": "+441632960961" });
    assert_eq!(userinfo_claims(&server, &first).await, by_name);
    assert_eq!(id_token_claims(&first), json!({ "birthdate": "1815-12-10" }));
    assert_eq!(first.json()["scope"], SCOPE);
    for state in [
        TestServer::claims(&first.text("access_token")),
        server.introspect(&web, &first.text("access_token")).await,
    ] {
        for claim in ["name", "email", "phone_number", "birthdate", "claims"] {
            assert_eq!(state.get(claim), None, "{state}");
        }
    }
    for tokens in [&other, &refresh(&server, &web, &other).await] {
        assert_eq!(userinfo_claims(&server, tokens).await, json!({}));
        assert_eq!(id_token_claims(tokens), json!({}));
    }

    let api_login = server.log_in(ADA, PASSWORD).await.tokens();
    let patch = json!({ "name": "Ada", "birthdate": null, "phone_number": null, "gender": "f" });
    server.patch_me(&api_login.access_token, &patch).await.expect_status(200);
    let next = refresh(&server, &web, &first).await;
    assert_eq!(id_token_claims(&next), json!({ "gender": "f" }));
    for tokens in [&first, &next] {
        let now = json!({ "name": "Ada", "email": ADA, "email_verified": false, "gender": "f" });
        assert_eq!(userinfo_claims(&server, tokens).await, now);
    }
}

/// §5.4: claims of a scope are returned at userinfo. Clients can request them in the ID token by
/// name.
#[tokio::test]
async fn claims_of_a_scope_can_be_requested_in_the_id_token() {
    let (server, web, _) = server().await;
    let claims = r#"{"userinfo":{"email":null,"name":null},"id_token":{"email":null,"name":null}}"#;
    let mut browser = Browser::of(&server);

    let code =
        browser.log_in_for_code(ADA, &[("scope", "openid profile"), ("claims", claims)]).await;
    let as_text = if server.database.is_postgres() { "claims::text" } else { "claims" };
    let stored = format!("SELECT {as_text} FROM authorization_code");
    let stored: Vec<String> = server.database.column(&stored).await;
    let tokens = server.redeem(&web, &code).await;
    let plain = browser.authorize(&[("scope", "openid profile")]).await.sent_to(CALLBACK);
    let plain = server.redeem(&web, &plain["code"]).await;

    let stored: Value = serde_json::from_str(&stored[0]).unwrap();
    assert_eq!(stored, json!({ "userinfo": ["email"], "id_token": ["email", "name"] }));
    let in_id_token = json!({ "name": "Augusta Ada King", "email": ADA, "email_verified": false });
    assert_eq!(id_token_claims(&tokens), in_id_token);
    let userinfo = userinfo_claims(&server, &tokens).await;
    assert_eq!((&userinfo["email"], &userinfo["email_verified"]), (&json!(ADA), &json!(false)));
    assert_eq!(userinfo["birthdate"], "1815-12-10");
    assert_eq!(id_token_claims(&plain), json!({}));
}

/// Without `openid`, requested claims are not returned.
#[tokio::test]
async fn requested_claims_need_openid() {
    let (server, web, _) = server().await;
    let more = [("scope", "tasks:read offline_access"), ("claims", CLAIMS)];

    let code = Browser::of(&server).log_in_for_code(ADA, &more).await;
    let tokens = server.redeem(&web, &code).await;

    assert!(tokens.json().get("id_token").is_none());
    let userinfo = server.userinfo(&tokens.text("access_token")).await;
    userinfo.expect_oauth_error(403, "insufficient_scope");
    for table in ["session", "authorization_code"] {
        assert_eq!(server.database.count(&format!("{table} WHERE claims IS NOT NULL")).await, 0);
    }
}

/// MUST-051, §5.5.1.1: a malformed parameter is an error, and so is a request for an essential
/// `acr` that no login provides.
#[tokio::test]
async fn claims_parameter_errors_are_sent_to_the_client() {
    let (server, ..) = server().await;
    let mut browser = Browser::of(&server);
    let long = format!(r#"{{"userinfo":{{"name":null}},"x":"{}"}}"#, "x".repeat(4096));

    for (claims, error) in [
        ("{", "invalid_request"),
        ("[]", "invalid_request"),
        ("name", "invalid_request"),
        (r#"{"userinfo":"name"}"#, "invalid_request"),
        (r#"{"userinfo":["name"]}"#, "invalid_request"),
        (r#"{"id_token":{"name":"Ada"}}"#, "invalid_request"),
        (r#"{"id_token":{"sub":null,"sub":{}}}"#, "invalid_request"),
        (&long, "invalid_request"),
        (r#"{"id_token":{"sub":{"value":"ada"}}}"#, "login_required"),
        (
            r#"{"id_token":{"acr":{"essential":true,"values":["2","3"]}}}"#,
            "unmet_authentication_requirements",
        ),
    ] {
        let sent = browser.authorize(&[("claims", claims)]).await.sent_to(CALLBACK);
        assert_eq!((sent["error"].as_str(), sent["state"].as_str()), (error, "af0ifjsldkj"));
        assert!(!sent["error_description"].contains("Ada"));
    }
    for claims in [
        r#"{"id_token":{"acr":{"essential":true,"values":["2","1"]}}}"#,
        r#"{"id_token":{"acr":{"value":"2"}},"userinfo":null}"#,
        r#"{"userinfo":{"given_name":null,"http://claims.example/x":[1]},"y":{"userinfo":0}}"#,
    ] {
        let answer = browser.authorize(&[("claims", claims)]).await;
        answer.expect_login_page();
    }
}

/// §3.1.2.2, §5.5.1: a request for a specific `sub` succeeds for that user alone.
#[tokio::test]
async fn requested_sub_must_match_the_user() {
    let (server, web, _) = server().await;
    server.sign_up(BOB).await.expect_status(201);
    let (mut ada, mut bob) = (Browser::of(&server), Browser::of(&server));
    let ada_hint = server.redeem(&web, &ada.log_in_for_code(ADA, &[]).await).await.text("id_token");
    let bob_hint = server.redeem(&web, &bob.log_in_for_code(BOB, &[]).await).await.text("id_token");
    let sub = TestServer::claims(&ada_hint)["sub"].as_str().unwrap().to_owned();

    for place in ["id_token", "userinfo"] {
        server.clock.advance(Duration::from_secs(5));
        let claims = format!(r#"{{"{place}":{{"sub":{{"value":"{sub}"}}}}}}"#);
        let silent = [("prompt", "none"), ("claims", claims.as_str())];
        assert!(ada.authorize(&silent).await.sent_to(CALLBACK).contains_key("code"), "{place}");
        assert_eq!(bob.authorize(&silent).await.sent_to(CALLBACK)["error"], "login_required");
        let conflicting = [("id_token_hint", bob_hint.as_str()), ("claims", claims.as_str())];
        assert_eq!(ada.authorize(&conflicting).await.sent_to(CALLBACK)["error"], "login_required");

        let redirect = bob.authorize(&silent[1..]).await;
        let parameters = bob.log_in(&redirect, BOB).await.sent_to(CALLBACK);
        assert_eq!(parameters["error"], "login_required");
        let mut fresh_browser = Browser::of(&server);
        let code = fresh_browser.log_in_for_code(ADA, &silent[1..]).await;
        let tokens = server.redeem(&web, &code).await;
        assert_eq!(TestServer::claims(&tokens.text("id_token"))["sub"], sub);
    }
}

/// A narrower registration takes effect at once. When it is widened again, a session gets the
/// claims back that were granted to it. Sessions that began in between do not get them.
#[tokio::test]
async fn narrower_registration_removes_claims() {
    let (server, web, _) = server().await;
    let mut browser = Browser::of(&server);
    let claims = r#"{"userinfo":{"name":null,"email":null},"id_token":{"email":null,"name":null}}"#;
    let more = [("scope", SCOPE), ("claims", claims)];
    let first = server.redeem(&web, &browser.log_in_for_code(ADA, &more).await).await;
    let code = browser.authorize(&more).await.sent_to(CALLBACK)["code"].clone();
    let mut late_browser = Browser::of(&server);
    let login_page = late_browser.authorize(&more).await;
    let (all, email_claims) = (
        json!({ "name": "Augusta Ada King", "email": ADA, "email_verified": false }),
        json!({ "email": ADA, "email_verified": false }),
    );
    assert_eq!(userinfo_claims(&server, &first).await, all);

    server.register_clients(&CLIENTS.replace("openid profile email phone", "openid email")).await;
    let narrow = refresh(&server, &web, &first).await;
    let redeemed = server.redeem(&web, &code).await;
    let answered = late_browser.log_in(&login_page, ADA).await.sent_to(CALLBACK)["code"].clone();
    let answered = server.redeem(&web, &answered).await;
    assert_eq!(userinfo_claims(&server, &first).await, email_claims);
    for tokens in [&narrow, &redeemed, &answered] {
        assert_eq!(userinfo_claims(&server, tokens).await, email_claims);
        assert_eq!(id_token_claims(tokens), email_claims);
    }
    server.register_clients(CLIENTS).await;

    let wide = refresh(&server, &web, &narrow).await;
    assert_eq!((userinfo_claims(&server, &wide).await, id_token_claims(&wide)), (all.clone(), all));
    for tokens in [&redeemed, &answered] {
        let later = refresh(&server, &web, tokens).await;
        assert_eq!(
            (userinfo_claims(&server, &later).await, id_token_claims(&later)),
            (email_claims.clone(), email_claims.clone())
        );
    }
}

/// A request of the client that requires consent.
fn parameters<'a>(scope: &'a str, claims: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![("client_id", "asking"), ("scope", scope), ("claims", claims)]
}

/// As the value of `claims`, this removes the parameter.
const NO_CLAIMS: &str = "-";

const BIRTHDATE: &str = r#"{"userinfo":{"birthdate":null}}"#;
const NAME_AND_BIRTHDATE: &str =
    r#"{"id_token":{"name":{"essential":true}},"userinfo":{"birthdate":null}}"#;

/// MUST-069: the consent page describes the requested claims that no requested scope covers.
#[tokio::test]
async fn requested_claim_needs_consent() {
    let (server, _, app) = server().await;
    let mut ada = Browser::of(&server);
    ada.log_in_without_request(ADA).await;
    let scope = "openid offline_access";
    let redirect = ada.authorize(&parameters(scope, NO_CLAIMS)).await;
    ada.grant_consent(&redirect).await;
    assert_eq!(ada.authorize_silently(&parameters(scope, NO_CLAIMS), &[]).await, "code");
    assert_eq!(
        ada.authorize_silently(&parameters(scope, BIRTHDATE), &[]).await,
        "consent_required"
    );

    let redirect = ada.authorize(&parameters(scope, BIRTHDATE)).await;
    let page = html(&ada.open_consent_page(&redirect).await);
    let code = ada.grant_consent(&redirect).await;
    let tokens = server.redeem(&app, &code).await;

    assert!(page.contains("<li>see your date of birth</li>"), "{page}");
    assert!(!page.contains("see your name"), "{page}");
    assert_eq!(userinfo_claims(&server, &tokens).await, json!({ "birthdate": "1815-12-10" }));
    assert_eq!(ada.authorize_silently(&parameters(scope, BIRTHDATE), &[]).await, "code");
    assert_eq!(
        ada.authorize_silently(&parameters(scope, NAME_AND_BIRTHDATE), &[]).await,
        "consent_required"
    );
    // Consent to a claim does not cover a scope at another audience.
    assert_eq!(
        ada.authorize_silently(&parameters(scope, BIRTHDATE), &[FILES]).await,
        "consent_required"
    );
    let whole_scope = parameters("openid profile", NO_CLAIMS);
    assert_eq!(ada.authorize_silently(&whole_scope, &[]).await, "consent_required");

    // Consent to a scope, at any audience, covers its claims.
    let redirect = ada.authorize_for_audiences(&whole_scope, &[FILES]).await;
    ada.grant_consent(&redirect).await;
    assert_eq!(
        ada.authorize_silently(&parameters(scope, NAME_AND_BIRTHDATE), &[TASKS]).await,
        "code"
    );
    let email_claims = r#"{"id_token":{"email":null}}"#;
    assert_eq!(
        ada.authorize_silently(&parameters(scope, email_claims), &[TASKS]).await,
        "consent_required"
    );
}

/// Consent to a claim is listed with the scopes, and withdrawn with them.
#[tokio::test]
async fn consent_to_a_claim_is_listed_and_can_be_withdrawn() {
    let (server, _, app) = server().await;
    let mut ada = Browser::of(&server);
    ada.log_in_without_request(ADA).await;
    for claims in [BIRTHDATE, r#"{"userinfo":{"name":null}}"#] {
        let redirect = ada.authorize(&parameters("openid", claims)).await;
        let code = ada.grant_consent(&redirect).await;
        server.redeem(&app, &code).await.expect_status(200);
    }
    let api_login = server.log_in(ADA, PASSWORD).await.tokens();

    let page = html(&ada.get("/account").await);
    let listed = server.consents(&api_login.access_token).await.json();
    let view = server.account_command(&["show", ADA]).await;
    ada.withdraw_consent("asking").await.expect_status(303);

    let claims = "<p class=\"where\">It may</p>\n<ul class=\"granted\">\n<li>see your date of birth</li>\n\
                  <li>see your name</li>\n</ul>";
    assert!(page.contains(claims), "{page}");
    assert!(page.contains("At <strong>tasks.example</strong> it may"), "{page}");
    let consent = &listed["consents"][0];
    assert_eq!(consent["access"], json!([{ "audience": TASKS, "scope": "openid" }]));
    assert_eq!(consent["claims"], json!(["birthdate", "name"]));
    assert!(view.contains("  asking  claims birthdate name  allowed 2"), "{view}");
    let reasons = "SELECT reason FROM auth_event WHERE type LIKE 'consent_%' ORDER BY id";
    let at = |claims| format!("openid at {TASKS}, claims {claims}");
    let expected = [at("birthdate"), at("name"), "openid, claims birthdate name".to_owned()];
    assert_eq!(server.database.column::<String>(reasons).await, expected);
    assert_eq!(
        ada.authorize_silently(&parameters("openid", NO_CLAIMS), &[]).await,
        "consent_required"
    );
    let again = ada.authorize(&parameters("openid", NO_CLAIMS)).await;
    ada.grant_consent(&again).await;
    assert_eq!(
        ada.authorize_silently(&parameters("openid", BIRTHDATE), &[]).await,
        "consent_required"
    );
}

/// The consent page asks only for claims that the current registration allows, even if the pending
/// request names more.
#[tokio::test]
async fn consent_page_asks_for_currently_registered_claims() {
    let (server, _, app) = server().await;
    let mut ada = Browser::of(&server);
    ada.log_in_without_request(ADA).await;
    let claims = r#"{"userinfo":{"email":null,"name":null}}"#;
    let redirect = ada.authorize(&parameters("openid", claims)).await;

    server
        .register_clients(&CLIENTS.replace("openid profile email offline", "openid email offline"))
        .await;
    let page = html(&ada.open_consent_page(&redirect).await);
    let code = ada.grant_consent(&redirect).await;
    server.register_clients(CLIENTS).await;
    let tokens = server.redeem(&app, &code).await;

    assert!(page.contains("see your email address") && !page.contains("see your name"), "{page}");
    assert_eq!(
        userinfo_claims(&server, &tokens).await,
        json!({ "email": ADA, "email_verified": false })
    );
    let name = r#"{"userinfo":{"name":null}}"#;
    assert_eq!(ada.authorize_silently(&parameters("openid", name), &[]).await, "consent_required");
}

/// Consent covers only what the page displayed: the page may come from an older instance, or from
/// before the client's registration was widened.
#[tokio::test]
async fn consent_covers_only_what_the_page_displayed() {
    let (server, _, app) = server().await;
    let mut ada = Browser::of(&server);
    ada.log_in_without_request(ADA).await;
    let redirect = ada.authorize(&parameters("openid email", NAME_AND_BIRTHDATE)).await;
    let page = ada.open_consent_page(&redirect).await;
    let fields = hidden_fields(&page);
    assert_eq!(fields[2], ("claims".to_owned(), "birthdate name".to_owned()));

    let mut sent: Vec<_> =
        fields[..2].iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    sent.extend([("claims", "name gender"), ("decision", "allow")]);
    let code = ada.post("/consent", &sent).await.sent_to(CALLBACK)["code"].clone();
    let tokens = server.redeem(&app, &code).await;

    let email_claims = json!({ "email": ADA, "email_verified": false });
    assert_eq!(userinfo_claims(&server, &tokens).await, email_claims);
    assert_eq!(id_token_claims(&tokens), json!({ "name": "Augusta Ada King" }));
    let name = r#"{"userinfo":{"name":null}}"#;
    assert_eq!(ada.authorize_silently(&parameters("openid", name), &[]).await, "code");
    assert_eq!(
        ada.authorize_silently(&parameters("openid", BIRTHDATE), &[]).await,
        "consent_required"
    );
}

/// Rolling upgrade: requests stored by an instance of the previous version have no claims.
#[tokio::test]
async fn pending_request_of_the_previous_version_is_completed() {
    let (server, web, _) = server().await;
    let mut browser = Browser::of(&server);
    browser.log_in_without_request(ADA).await;
    let redirect = browser.authorize(&[("claims", CLAIMS), ("prompt", "consent")]).await;
    let without = if server.database.is_postgres() {
        "request - 'claims'"
    } else {
        "json_remove(request, '$.claims')"
    };
    server.database.execute(&format!("UPDATE pending_authorization SET request = {without}")).await;

    let code = browser.grant_consent(&redirect).await;
    let tokens = server.redeem(&web, &code).await;

    assert_eq!(
        userinfo_claims(&server, &tokens).await,
        json!({ "email": ADA, "email_verified": false })
    );
}

/// An ID token omits claims that would make it too long for a hint. Userinfo returns all of them.
#[tokio::test]
async fn id_token_with_long_claims_still_works_as_a_hint() {
    let (server, web, _) = server().await;
    let api_login = server.log_in(ADA, PASSWORD).await.tokens();
    let long = "𝔄".repeat(255);
    let mut profile = crate::profile::all_claims();
    let names =
        ["name", "given_name", "family_name", "middle_name", "nickname", "preferred_username"];
    for name in names {
        profile[name] = json!(long);
    }
    server.patch_me(&api_login.access_token, &profile).await.expect_status(200);
    let members: Vec<_> =
        profile.as_object().unwrap().keys().map(|name| format!("\"{name}\":null")).collect();
    let claims =
        format!(r#"{{"id_token":{{{}}},"userinfo":{{{}}}}}"#, members.join(","), members.join(","));
    let mut browser = Browser::of(&server);

    let tokens =
        server.redeem(&web, &browser.log_in_for_code(ADA, &[("claims", &claims)]).await).await;
    let hint = tokens.text("id_token");
    let again = browser.authorize(&[("prompt", "none"), ("id_token_hint", &hint)]).await;

    assert!(again.sent_to(CALLBACK).contains_key("code"), "{}", hint.len());
    let in_id_token = id_token_claims(&tokens);
    assert_eq!(in_id_token["picture"], profile["picture"]);
    assert!(names.iter().any(|name| in_id_token.get(name).is_none()));
    let userinfo = userinfo_claims(&server, &tokens).await;
    for name in names {
        assert_eq!(userinfo[name], long);
    }
}
