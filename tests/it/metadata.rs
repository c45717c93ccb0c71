//! The metadata describes exactly what works.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::oauth::{Browser, CALLBACK, ISSUER, Rp, VERIFIER, WEB_CLIENT, hidden_fields};
use crate::harness::{Answer, Program, TestDatabase, TestServer};

/// The authentication methods of endpoints that all clients may use, including public clients.
const METHODS: [&str; 4] = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];

/// The whole metadata, except the claims.
fn expected() -> Value {
    let algorithms = ["RS256", "PS256", "ES256", "EdDSA"];
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{ISSUER}/oauth2/authorize"),
        "token_endpoint": format!("{ISSUER}/oauth2/token"),
        "userinfo_endpoint": format!("{ISSUER}/oauth2/userinfo"),
        "jwks_uri": format!("{ISSUER}/.well-known/jwks.json"),
        "introspection_endpoint": format!("{ISSUER}/oauth2/introspect"),
        "revocation_endpoint": format!("{ISSUER}/oauth2/revoke"),
        "end_session_endpoint": format!("{ISSUER}/oauth2/logout"),
        "status_list_aggregation_endpoint": format!("{ISSUER}/status"),
        "service_documentation": format!("{ISSUER}/docs"),
        "scopes_supported": ["openid", "profile", "email", "address", "phone", "offline_access"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "acr_values_supported": ["1"],
        "prompt_values_supported": ["none", "login", "consent", "select_account", "create"],
        "display_values_supported": ["page"],
        "ui_locales_supported": ["en", "de"],
        "token_endpoint_auth_methods_supported": METHODS,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": METHODS[..3],
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "claims_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    })
}

/// MUST-001, MUST-002, MUST-004..009, MUST-012..014, MUST-016, MUST-045: all listed features work
/// as listed. This test and others check that all unlisted features are rejected.
#[tokio::test]
async fn advertised_features_work_and_no_others() {
    let server = TestServer::start().await;
    let all_scopes = "scope = \"openid profile email address phone offline_access";
    let web = server
        .register_clients(&WEB_CLIENT.replace("scope = \"openid email offline_access", all_scopes))
        .await
        .remove(0);
    let tokens = server.sign_up("ada@example.test").await.tokens();
    let everything = crate::profile::all_claims();
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
    }
    let mut without_claims = metadata.clone();
    without_claims.as_object_mut().unwrap().remove("claims_supported").unwrap();
    assert_eq!(without_claims, expected());
    assert_claims_are_returned(&server, &web, &metadata).await;
}

/// A client that requests all scopes gets all listed claims and no other claims.
async fn assert_claims_are_returned(server: &TestServer, web: &Rp, metadata: &Value) {
    let scope = listed(&metadata["scopes_supported"]).join(" ");
    let mut browser = Browser::of(server);
    let code = browser.log_in_for_code("ada@example.test", &[("scope", &scope)]).await;
    let tokens = server.redeem(web, &code).await;
    assert_eq!(tokens.json()["scope"], scope);
    let claims = listed(&metadata["claims_supported"]);
    let id = TestServer::claims(&tokens.text("id_token"));
    assert_eq!(id["iss"], metadata["issuer"]);
    let userinfo = server.userinfo(&tokens.text("access_token")).await.json();
    for claim in &claims {
        assert!(id.get(claim).is_some() || userinfo.get(claim).is_some(), "{claim}");
    }
    for claim_set in [&id, &userinfo] {
        assert!(claim_set.as_object().unwrap().keys().all(|claim| claims.contains(claim)));
    }
    assert!(
        listed(&metadata["acr_values_supported"]).contains(&id["acr"].as_str().unwrap().to_owned())
    );
    for mode in listed(&metadata["response_modes_supported"]) {
        let answer = browser.authorize(&[("response_mode", &mode)]).await;
        let sent = if mode == "query" { answer.sent_to(CALLBACK) } else { fields_of(&answer) };
        assert!(sent.contains_key("code") && !sent.contains_key("error"), "{mode}: {sent:?}");
    }
}

/// The fields of a form that is posted to a client.
fn fields_of(page: &Answer) -> BTreeMap<String, String> {
    page.expect_status(200);
    hidden_fields(page).into_iter().collect()
}

/// MUST-016: a client cannot be registered for an unlisted method or grant. `token_endpoint`,
/// `private_key_jwt` and `public_client` test the listed methods and grants.
#[tokio::test]
async fn unadvertised_methods_and_grants_cannot_be_registered() {
    let database = TestDatabase::create().await;
    let program = Program::new(&database);
    assert!(program.run(&["migrate", "up"]).await.status.success());
    let create = async |option: &str, value: &str| {
        let callback = "https://rp.example/cb";
        let arguments = ["client", "create", "x", "--redirect-uri", callback, option, value];
        let output = program.run(&arguments).await;
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };

    for (option, value, member) in [
        ("--auth-method", "client_secret_jwt", "token_endpoint_auth_method"),
        ("--auth-method", "tls_client_auth", "token_endpoint_auth_method"),
        ("--grant", "implicit", "grant_types"),
        ("--grant", "password", "grant_types"),
        ("--grant", "urn:ietf:params:oauth:grant-type:jwt-bearer", "grant_types"),
    ] {
        let (succeeded, message) = create(option, value).await;
        assert!(!succeeded && message.contains(&format!(": {member} ")), "{value}: {message}");
    }
    assert_eq!(database.count("client").await, 0);
}

fn listed(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

/// MUST-088, CO-02: a verifier for a code without a challenge indicates a downgrade attack.
#[tokio::test]
async fn verifier_without_a_challenge_is_rejected() {
    let server = TestServer::start().await;
    let toml = WEB_CLIENT.replace("consent", "require_pkce = false\nconsent");
    let web = server.register_clients(&toml).await.remove(0);
    server.sign_up("ada@example.test").await.expect_status(201);
    let without = [("code_challenge", "-"), ("code_challenge_method", "-")];
    let mut browser = Browser::of(&server);
    let redeem = async |code: &str, more: &[(&str, &str)]| -> Answer {
        let fields =
            [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)];
        server.token(&web, &[&fields, more].concat()).await
    };

    let code = browser.log_in_for_code("ada@example.test", &without).await;
    redeem(&code, &[("code_verifier", VERIFIER)]).await.expect_oauth_error(400, "invalid_grant");

    let code = browser.authorize(&without).await.sent_to(CALLBACK)["code"].clone();
    redeem(&code, &[]).await.expect_status(200);
}
