//! C5: access tokens with `typ` JWT, for audiences whose resource servers require it.

use serde_json::{Value, json};

use crate::harness::oauth::{Browser, Rp};
use crate::harness::{PASSWORD, TestServer};

const ADA: &str = "ada@example.test";
const SPRING: &str = "https://spring.example";
const OTHER: &str = "https://other.example";

const CLIENTS: &str = r#"
[[client]]
client_id = "web"
redirect_uris = ["https://rp.example/cb"]
grant_types = ["authorization_code", "refresh_token", "client_credentials"]
scope = "openid tasks:read"
audiences = ["https://other.example", "https://spring.example"]
consent = "skip"
require_pkce = false

[[client]]
client_id = "spring"
grant_types = ["client_credentials"]
audiences = ["https://spring.example"]
"#;

async fn server() -> (TestServer, Rp, Rp) {
    let server = TestServer::with(|config| {
        config.service.typ_jwt_audiences = [SPRING, "tasks"].map(str::to_owned).to_vec();
    })
    .await;
    let [web, spring] = server.register_clients(CLIENTS).await.try_into().unwrap();
    server.sign_up(ADA).await.expect_status(201);
    (server, web, spring)
}

/// The response to a code that was requested for these audiences.
async fn tokens(server: &TestServer, web: &Rp, audiences: &[&str]) -> Value {
    let mut browser = Browser::of(server);
    let resources: Vec<_> = audiences.iter().map(|audience| ("resource", *audience)).collect();
    let nonce = [("nonce", "n-0S6"), ("code_challenge", "-"), ("code_challenge_method", "-")];
    let page = browser.authorize(&[&nonce[..], &resources].concat()).await;
    let sent = browser.log_in(&page, ADA).await.sent_to("https://rp.example/cb");
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", sent["code"].as_str()),
        ("redirect_uri", "https://rp.example/cb"),
    ];
    server.token(web, &fields).await.expect_status(200).json()
}

#[tokio::test]
async fn token_type_depends_on_the_audience() {
    let (server, web, spring) = server().await;

    let for_spring = tokens(&server, &web, &[SPRING]).await;
    let for_other = tokens(&server, &web, &[OTHER]).await;
    let own = server.token(&spring, &[("grant_type", "client_credentials")]).await;

    let text = |answer: &Value| answer["access_token"].as_str().unwrap().to_owned();
    let (for_spring, for_other, own) =
        (text(&for_spring), text(&for_other), own.text("access_token"));
    assert_eq!(
        (TestServer::typ(&for_spring), TestServer::typ(&for_other)),
        (json!("JWT"), json!("at+jwt"))
    );
    // Resource servers require the claim, so it is included although the scope is empty.
    assert_eq!(
        (TestServer::typ(&own), TestServer::claims(&own)["scope"].clone()),
        (json!("JWT"), json!(""))
    );
    let keys = server.jwks().await.to_string();
    let keys = signet_verifier::KeySet::from_json(keys.as_bytes()).unwrap();
    let now = server.clock.now().as_seconds();
    let strict = signet_verifier::Verifier::new("https://id.example.test", SPRING);
    let lenient = strict.clone().accept_typ_jwt();
    assert!(strict.verify(&keys, &for_spring, now).is_err());
    lenient.verify(&keys, &for_spring, now).unwrap();
    lenient.verify(&keys, &own, now).unwrap();
    // Introspection and revocation accept both types.
    for token in [&for_spring, &for_other] {
        assert_eq!(server.introspect(&web, token).await["active"], true);
        server.as_client(&web, "/oauth2/revoke", &[("token", token)]).await.expect_status(200);
        assert_eq!(server.introspect(&web, token).await["active"], false);
    }
    assert_eq!(server.introspect(&spring, &own).await["active"], true);
}

/// Here, ID tokens and access tokens have the same type (JWT).
#[tokio::test]
async fn id_tokens_and_access_tokens_are_not_interchangeable() {
    let (server, web, _) = server().await;
    let answer = tokens(&server, &web, &[SPRING]).await;
    let (access, id) =
        (answer["access_token"].as_str().unwrap(), answer["id_token"].as_str().unwrap());
    assert_eq!((TestServer::typ(access), TestServer::typ(id)), (json!("JWT"), json!("JWT")));

    assert_eq!(server.introspect(&web, id).await, json!({ "active": false }));
    server.userinfo(id).await.expect_oauth_error(401, "invalid_token");
    server.me(id).await.expect_error(401, "UNAUTHORIZED");
    let hinted = |hint| [("id_token_hint", hint), ("prompt", "none"), ("nonce", "n")];
    let mut browser = Browser::of(&server);
    let refused = browser.authorize(&hinted(access)).await;
    assert_eq!(refused.sent_to("https://rp.example/cb")["error"], "invalid_request");
    let unknown = browser.authorize(&hinted(id)).await;
    assert_eq!(unknown.sent_to("https://rp.example/cb")["error"], "login_required");
    let revoked = server.as_client(&web, "/oauth2/revoke", &[("token", id)]).await;
    revoked.expect_status(200);
    assert_eq!(server.introspect(&web, access).await["active"], true, "the token was not revoked");
}

/// Resource servers of this audience would accept the ID tokens of such a client, whose audience is
/// the client id and whose type is JWT.
#[tokio::test]
async fn client_with_the_id_of_a_typ_jwt_audience_gets_no_code() {
    let (server, ..) = server().await;
    let named = CLIENTS.replacen("\"web\"", "\"tasks\"", 1);
    server.register_clients(&named).await;

    let answer = Browser::of(&server).authorize(&[("client_id", "tasks")]).await;

    assert_eq!(answer.sent_to("https://rp.example/cb")["error"], "unauthorized_client");
}

/// The audience of the JSON API may be in `typ_jwt_audiences`.
#[tokio::test]
async fn json_api_accepts_its_tokens_with_either_type() {
    let server = TestServer::with(|config| {
        config.service.typ_jwt_audiences = config.service.audience.iter().cloned().collect();
    })
    .await;
    server.sign_up(ADA).await.expect_status(201);

    let token = server.log_in(ADA, PASSWORD).await.tokens().access_token;

    assert_eq!(TestServer::typ(&token), json!("JWT"));
    server.me(&token).await.expect_status(200);
    server.log_out(&token).await.expect_status(200);
    server.me(&token).await.expect_status(401);
}
