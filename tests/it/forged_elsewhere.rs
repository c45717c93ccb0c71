//! The forgeries of `forged_token` at other endpoints that accept our tokens: at userinfo and
//! introspection, and as `id_token_hint`.

use serde_json::json;

use crate::harness::TestServer;
use crate::harness::forgeries::{Forgery, ValidToken, altered_or_reencoded};
use crate::harness::oauth::{Browser, CALLBACK, ISSUER, Rp};

const ADA: &str = "ada@example.test";

/// A client's tokens for a user who is logged in to a browser.
struct Setup {
    server: TestServer,
    web: Rp,
    access_token: String,
    id_token: String,
    cookie: Option<String>,
}

impl Setup {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let web = server.register_web_client().await;
        server.sign_up(ADA).await.expect_status(201);
        let mut browser = Browser::of(&server);
        let code = browser.log_in_for_code(ADA, &[]).await;
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

    /// Forgeries that every endpoint must reject.
    async fn forgeries_of(&self, token: &str) -> Vec<Forgery> {
        let valid_token = ValidToken::of(&self.server, token).await;
        let document = self.server.get("/.well-known/jwks.json").await;
        let jwks = document.json();
        let mut all = valid_token.with_other_algorithms(&document.body);
        all.extend(valid_token.with_other_keys_or_kids(&jwks));
        all.extend(valid_token.with_other_types_or_crit());
        all.extend(valid_token.with_wrong_issuers());
        all.extend(altered_or_reencoded(token));
        all
    }

    /// Tokens that only a defect of Signet could sign, and that a resource server would reject.
    async fn invalid_tokens_with_a_valid_signature(
        &self,
        valid_token: &ValidToken,
    ) -> Vec<Forgery> {
        let jwks = self.server.jwks().await;
        let mut all = valid_token.with_other_headers(&jwks);
        all.extend(valid_token.with_duplicate_names());
        all.extend(valid_token.with_unknown_subjects_or_sessions());
        all.extend(valid_token.with_malformed_times());
        all.extend(valid_token.without_a_required_claim());
        all
    }
}

/// MUST-147, MUST-194..203: userinfo accepts the same tokens as the JSON API, and no other tokens.
#[tokio::test]
async fn userinfo_rejects_forged_tokens() {
    let setup = Setup::new().await;
    let valid_token = ValidToken::of(&setup.server, &setup.access_token).await;
    setup.server.userinfo(&valid_token.unchanged()).await.expect_status(200);
    let mut forgeries = setup.forgeries_of(&setup.access_token).await;
    forgeries.extend(setup.invalid_tokens_with_a_valid_signature(&valid_token).await);
    let mut accepted = Vec::new();
    for Forgery { fault, token } in forgeries {
        let answer = setup.server.userinfo(&token).await;
        if answer.status != 401 || answer.json()["error"] != "invalid_token" {
            accepted.push((fault, answer.status));
        }
    }

    assert_eq!(accepted, []);
    setup.server.userinfo(&setup.access_token).await.expect_status(200);
}

/// MUST-157, MUST-160, MUST-194..203: a forged token is inactive, even if its `jti` is valid.
#[tokio::test]
async fn introspection_reports_forged_tokens_as_inactive() {
    let setup = Setup::new().await;
    let valid_token = ValidToken::of(&setup.server, &setup.access_token).await;
    let introspect = async |token: &str| setup.server.introspect(&setup.web, token).await;
    assert_eq!(introspect(&valid_token.unchanged()).await["active"], true);
    let mut forgeries = setup.forgeries_of(&setup.access_token).await;
    forgeries.extend(setup.invalid_tokens_with_a_valid_signature(&valid_token).await);

    let mut accepted = Vec::new();
    for Forgery { fault, token } in forgeries {
        if introspect(&token).await != json!({ "active": false }) {
            accepted.push(fault);
        }
    }

    assert_eq!(accepted, [""; 0]);
    assert_eq!(introspect(&setup.access_token).await["active"], true);
}

/// MUST-066, MUST-194..203: for a forged hint, the client gets an error that discloses nothing.
#[tokio::test]
async fn forged_id_token_hint_is_an_error() {
    let setup = Setup::new().await;
    let valid_token = ValidToken::of(&setup.server, &setup.id_token).await;
    let mut browser = setup.browser();
    let hint = valid_token.unchanged();
    let redirect = browser.authorize(&[("prompt", "none"), ("id_token_hint", &hint)]).await;
    assert!(redirect.sent_to(CALLBACK).contains_key("code"));

    let mut accepted = Vec::new();
    for Forgery { fault, token } in setup.forgeries_of(&setup.id_token).await {
        let redirect = browser.authorize(&[("prompt", "none"), ("id_token_hint", &token)]).await;
        if redirect.sent_to(CALLBACK).get("error").is_none_or(|error| error != "invalid_request") {
            accepted.push(fault);
        }
    }

    assert_eq!(accepted, [""; 0]);
}

/// MUST-172, MUST-194..203: a forged hint neither logs out nor redirects.
#[tokio::test]
async fn forged_id_token_hint_does_not_log_out() {
    let setup = Setup::new().await;
    let mut browser = setup.browser();
    let logout = |hint: &str| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("id_token_hint", hint);
        query.append_pair("post_logout_redirect_uri", "https://rp.example/bye");
        format!("/oauth2/logout?{}", query.finish())
    };

    let mut accepted = Vec::new();
    for Forgery { fault, token } in setup.forgeries_of(&setup.id_token).await {
        let answer = browser.get(&logout(&token)).await;
        if answer.status != 400 || answer.headers.contains_key("location") {
            accepted.push((fault, answer.status));
        }
    }

    assert_eq!(accepted, []);
    let account = browser.get("/account").await;
    account.expect_status(200);
    let redirect = browser.get(&logout(&setup.id_token)).await;
    assert_eq!(redirect.location(), "https://rp.example/bye");
    assert_eq!(browser.get("/account").await.location(), format!("{ISSUER}/login"));
}
