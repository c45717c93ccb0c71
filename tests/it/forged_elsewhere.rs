//! The forgeries of `forged_token` at the other endpoints that accept our tokens: userinfo,
//! introspection, and as `id_token_hint`.

use serde_json::json;

use crate::harness::TestServer;
use crate::harness::forgeries::{Forgery, Genuine, in_other_spellings};
use crate::harness::oauth::{Browser, CALLBACK, ISSUER, Rp};

const ADA: &str = "ada@example.test";

/// A client's tokens for a user who is logged in to a browser.
struct Scene {
    server: TestServer,
    web: Rp,
    access_token: String,
    id_token: String,
    cookie: Option<String>,
}

impl Scene {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let web = server.web().await;
        server.sign_up(ADA).await.expect_status(201);
        let mut browser = Browser::of(&server);
        let code = browser.code(ADA, &[]).await;
        let tokens = server.redeem(&web, &code).await;
        let [access_token, id_token] = ["access_token", "id_token"].map(|it| tokens.text(it));
        let cookie = browser.cookie.clone();
        Self { server, web, access_token, id_token, cookie }
    }

    /// The logged-in browser.
    fn browser(&self) -> Browser<'_> {
        let mut browser = Browser::of(&self.server);
        browser.cookie.clone_from(&self.cookie);
        browser
    }

    /// Forgeries that every reader must reject.
    async fn forgeries_of(&self, token: &str) -> Vec<Forgery> {
        let genuine = Genuine::of(&self.server, token).await;
        let document = self.server.get("/.well-known/jwks.json").await;
        let jwks = document.json();
        let mut all = genuine.of_other_algorithms(&document.body);
        all.extend(genuine.of_other_keys(&jwks));
        all.extend(genuine.of_other_kinds());
        all.extend(genuine.of_other_issuers());
        all.extend(in_other_spellings(token));
        all
    }

    /// Tokens that only a defect of Signet could sign, and that a resource server would reject.
    async fn validly_signed_tokens_of_wrong_kind(&self, genuine: &Genuine) -> Vec<Forgery> {
        let jwks = self.server.jwks().await;
        let mut all = genuine.with_other_headers(&jwks);
        all.extend(genuine.with_a_name_twice());
        all.extend(genuine.of_nobody());
        all.extend(genuine.with_malformed_times());
        all.extend(genuine.without_claims());
        all
    }
}

/// MUST-147, MUST-194..203: userinfo accepts the same tokens as the JSON API, and no others.
#[tokio::test]
async fn userinfo_rejects_forged_tokens() {
    let scene = Scene::new().await;
    let genuine = Genuine::of(&scene.server, &scene.access_token).await;
    scene.server.userinfo(&genuine.unchanged()).await.expect_status(200);
    let mut forgeries = scene.forgeries_of(&scene.access_token).await;
    forgeries.extend(scene.validly_signed_tokens_of_wrong_kind(&genuine).await);
    let mut taken = Vec::new();
    for Forgery { what, token } in forgeries {
        let answer = scene.server.userinfo(&token).await;
        if answer.status != 401 || answer.json()["error"] != "invalid_token" {
            taken.push((what, answer.status));
        }
    }

    assert_eq!(taken, []);
    scene.server.userinfo(&scene.access_token).await.expect_status(200);
}

/// MUST-157, MUST-160, MUST-194..203: a forged token is inactive, whatever good `jti` it has.
#[tokio::test]
async fn introspection_reports_forged_tokens_as_inactive() {
    let scene = Scene::new().await;
    let genuine = Genuine::of(&scene.server, &scene.access_token).await;
    let introspect = async |token: &str| scene.server.introspect(&scene.web, token).await;
    assert_eq!(introspect(&genuine.unchanged()).await["active"], true);
    let mut forgeries = scene.forgeries_of(&scene.access_token).await;
    forgeries.extend(scene.validly_signed_tokens_of_wrong_kind(&genuine).await);

    let mut taken = Vec::new();
    for Forgery { what, token } in forgeries {
        if introspect(&token).await != json!({ "active": false }) {
            taken.push(what);
        }
    }

    assert_eq!(taken, [""; 0]);
    assert_eq!(introspect(&scene.access_token).await["active"], true);
}

/// MUST-066, MUST-194..203: a forged hint is an error for its client, and discloses nothing.
#[tokio::test]
async fn forged_id_token_hint_is_an_error() {
    let scene = Scene::new().await;
    let genuine = Genuine::of(&scene.server, &scene.id_token).await;
    let mut browser = scene.browser();
    let hint = genuine.unchanged();
    let asked = browser.authorize(&[("prompt", "none"), ("id_token_hint", &hint)]).await;
    assert!(asked.sent_to(CALLBACK).contains_key("code"));

    let mut taken = Vec::new();
    for Forgery { what, token } in scene.forgeries_of(&scene.id_token).await {
        let asked = browser.authorize(&[("prompt", "none"), ("id_token_hint", &token)]).await;
        if asked.sent_to(CALLBACK).get("error").is_none_or(|error| error != "invalid_request") {
            taken.push(what);
        }
    }

    assert_eq!(taken, [""; 0]);
}

/// MUST-172, MUST-194..203: a forged hint neither logs out nor redirects.
#[tokio::test]
async fn forged_id_token_hint_does_not_log_out() {
    let scene = Scene::new().await;
    let mut browser = scene.browser();
    let logout = |hint: &str| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("id_token_hint", hint);
        query.append_pair("post_logout_redirect_uri", "https://rp.example/bye");
        format!("/oauth2/logout?{}", query.finish())
    };

    let mut taken = Vec::new();
    for Forgery { what, token } in scene.forgeries_of(&scene.id_token).await {
        let answer = browser.get(&logout(&token)).await;
        if answer.status != 400 || answer.headers.contains_key("location") {
            taken.push((what, answer.status));
        }
    }

    assert_eq!(taken, []);
    let account = browser.get("/account").await;
    account.expect_status(200);
    let done = browser.get(&logout(&scene.id_token)).await;
    assert_eq!(done.location(), "https://rp.example/bye");
    assert_eq!(browser.get("/account").await.location(), format!("{ISSUER}/login"));
}
