//! The metadata says exactly what works.

use serde_json::{Value, json};

use crate::harness::oauth::{Browser, CALLBACK, ISSUER, Rp, VERIFIER, WEB};
use crate::harness::{Answer, TestServer};

/// MUST-001, MUST-004..009, MUST-012..014, MUST-016: each thing that is listed works, in the form in
/// which it is listed; what is not listed is refused elsewhere in these tests.
#[tokio::test]
async fn what_is_advertised_works_and_nothing_else_is() {
    let server = TestServer::start().await;
    let every = "scope = \"openid profile email address phone offline_access";
    let web =
        server.apply(&WEB.replace("scope = \"openid email offline_access", every)).await.remove(0);
    let tokens = server.sign_up("ada@example.test").await.tokens();
    let everything = crate::profile::everything();
    server.patch_me(&tokens.access_token, &everything).await.expect_status(200);

    let answer = server.get("/.well-known/openid-configuration").await;

    answer.expect_status(200);
    assert_eq!(answer.header("content-type"), "application/json");
    let metadata = answer.json();
    for (name, value) in metadata.as_object().unwrap() {
        assert!(value.as_array().is_none_or(|list| !list.is_empty()), "{name}");
        if name.ends_with("_endpoint") || name.ends_with("_uri") {
            let url = value.as_str().unwrap();
            assert!(url.starts_with(&format!("{ISSUER}/")) && !url.contains('#'), "{name}");
            let status = Browser::of(&server).get(url).await.status;
            assert_ne!(status, 404, "{name}");
        }
        if name.ends_with("signing_alg_values_supported") {
            assert!(!value.as_array().unwrap().contains(&json!("none")), "{name}");
        }
    }
    for (name, value) in [
        ("response_types_supported", json!(["code"])),
        (
            "grant_types_supported",
            json!(["authorization_code", "refresh_token", "client_credentials"]),
        ),
        ("code_challenge_methods_supported", json!(["S256"])),
        ("subject_types_supported", json!(["public"])),
        ("id_token_signing_alg_values_supported", json!(["RS256"])),
        (
            "scopes_supported",
            json!(["openid", "profile", "email", "address", "phone", "offline_access"]),
        ),
        ("authorization_response_iss_parameter_supported", json!(true)),
        ("backchannel_logout_supported", json!(true)),
        ("backchannel_logout_session_supported", json!(true)),
        ("request_parameter_supported", json!(false)),
        ("request_uri_parameter_supported", json!(false)),
        ("claims_parameter_supported", json!(false)),
    ] {
        assert_eq!(metadata[name], value, "{name}");
    }
    assert_claims_come(&server, &web, &metadata).await;
}

/// All claims that are listed reach a client that asks for all scopes, and no others do.
async fn assert_claims_come(server: &TestServer, web: &Rp, metadata: &Value) {
    let scope = listed(&metadata["scopes_supported"]).join(" ");
    let mut browser = Browser::of(server);
    let code = browser.code("ada@example.test", &[("scope", &scope)]).await;
    let tokens = server.redeem(web, &code).await;
    assert_eq!(tokens.json()["scope"], scope);
    let claims = listed(&metadata["claims_supported"]);
    let id = TestServer::claims(&tokens.text("id_token"));
    let userinfo = server.userinfo(&tokens.text("access_token")).await.json();
    for claim in &claims {
        assert!(id.get(claim).is_some() || userinfo.get(claim).is_some(), "{claim}");
    }
    for told in [&id, &userinfo] {
        assert!(told.as_object().unwrap().keys().all(|claim| claims.contains(claim)));
    }
    assert!(
        listed(&metadata["acr_values_supported"]).contains(&id["acr"].as_str().unwrap().to_owned())
    );
    for mode in listed(&metadata["response_modes_supported"]) {
        let answer = browser.authorize(&[("response_mode", &mode)]).await;
        assert!(matches!(answer.status, 200 | 303), "{mode}");
    }
}

fn listed(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

/// MUST-088, CO-02: a verifier for a code that was asked for without a challenge is a downgrade.
#[tokio::test]
async fn a_verifier_without_a_challenge_is_refused() {
    let server = TestServer::start().await;
    let toml = WEB.replace("consent", "require_pkce = false\nconsent");
    let web = server.apply(&toml).await.remove(0);
    server.sign_up("ada@example.test").await.expect_status(201);
    let without = [("code_challenge", "-"), ("code_challenge_method", "-")];
    let mut browser = Browser::of(&server);
    let redeem = async |code: &str, more: &[(&str, &str)]| -> Answer {
        let fields =
            [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)];
        server.token(&web, &[&fields, more].concat()).await
    };

    let code = browser.code("ada@example.test", &without).await;
    redeem(&code, &[("code_verifier", VERIFIER)]).await.expect_oauth_error(400, "invalid_grant");

    let code = browser.authorize(&without).await.sent_to(CALLBACK)["code"].clone();
    redeem(&code, &[]).await.expect_status(200);
}
