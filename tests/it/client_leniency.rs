//! Defaults of client libraries that a server may accept: a nonce instead of PKCE, a secret in
//! header or body, an ID token with profile claims. Each is a setting of the client.

use serde_json::{Value, json};

use crate::harness::oauth::{Browser, CALLBACK, Rp, WEB_CLIENT};
use crate::harness::{Answer, TestServer};

const ADA: &str = "ada@example.test";
const WITHOUT_PKCE: [(&str, &str); 2] = [("code_challenge", "-"), ("code_challenge_method", "-")];

async fn server_with_client(more: &str) -> (TestServer, Rp) {
    let server = TestServer::start().await;
    let web = server.register_clients(&format!("{WEB_CLIENT}{more}\n")).await.remove(0);
    server.sign_up(ADA).await.expect_status(201);
    (server, web)
}

async fn redeem(server: &TestServer, web: &Rp, code: &str, more: &[(&str, &str)]) -> Answer {
    let fields = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)];
    server.token(web, &[&fields[..], more].concat()).await
}

fn id_token(answer: &Answer) -> Value {
    TestServer::claims(&answer.text("id_token"))
}

/// The registration, the parameters, and the error text if the request is refused.
type Case<'c> = (&'c str, &'c [(&'c str, &'c str)], Option<&'c str>);

/// C12: the registration of a client determines which requests may omit PKCE. The error names the
/// remedy.
#[tokio::test]
async fn nonce_may_replace_pkce_if_the_registration_permits_it() {
    let with_nonce = [("nonce", "n"), ("scope", "openid")];
    let cases: [Case<'_>; 9] = [
        ("", &with_nonce, None),
        ("pkce = 'required-or-nonce'", &with_nonce, None),
        ("", &[("nonce", "n"), ("scope", "tasks:read")], Some("--pkce optional")),
        ("", &[("nonce", "-")], Some("--pkce optional")),
        ("", &[("nonce", "")], Some("--pkce optional")),
        ("pkce = 'required'", &with_nonce, Some("--pkce required-or-nonce")),
        ("require_pkce = true", &with_nonce, Some("--pkce required-or-nonce")),
        ("pkce = 'optional'", &[("nonce", "-")], None),
        ("token_endpoint_auth_method = 'none'", &with_nonce, Some("must use PKCE")),
    ];
    for (policy, sent, refusal) in cases {
        let (server, _) = server_with_client(policy).await;

        let answer = Browser::of(&server).authorize(&[&WITHOUT_PKCE[..], sent].concat()).await;

        match refusal {
            None => drop(answer.expect_login_page()),
            Some(remedy) => {
                let sent = answer.sent_to(CALLBACK);
                assert_eq!(sent["error"], "invalid_request", "{policy} {sent:?}");
                assert!(sent["error_description"].contains(remedy), "{policy} {sent:?}");
            }
        }
    }
}

/// C12, MUST-088: a code without a challenge is exchanged without a verifier. A verifier for such a
/// code indicates a downgrade attack.
#[tokio::test]
async fn verifier_for_a_code_without_a_challenge_is_rejected() {
    let (server, web) = server_with_client("").await;
    let mut browser = Browser::of(&server);

    let code = browser.log_in_for_code(ADA, &WITHOUT_PKCE).await;
    let answer = redeem(&server, &web, &code, &[]).await;
    assert_eq!(id_token(&answer)["nonce"], "n-0S6_WzA2Mj");
    let code = browser.authorize(&WITHOUT_PKCE).await.sent_to(CALLBACK)["code"].clone();
    server.redeem(&web, &code).await.expect_oauth_error(400, "invalid_grant");
    // A code with a challenge always needs its verifier.
    let code = browser.authorize(&[]).await.sent_to(CALLBACK)["code"].clone();
    redeem(&server, &web, &code, &[]).await.expect_oauth_error(400, "invalid_grant");
}

/// C12, C4: clients that an earlier version registered stay as strict as they were, even if their
/// file is applied again.
#[tokio::test]
async fn clients_of_earlier_versions_keep_the_strict_settings() {
    let (server, web) = server_with_client("").await;
    let strict = "UPDATE client SET nonce_for_pkce = false, either_secret_method = false";
    server.database.execute(strict).await;
    server.register_clients(WEB_CLIENT).await;

    let answer = Browser::of(&server).authorize(&WITHOUT_PKCE).await;
    assert_eq!(answer.sent_to(CALLBACK)["error"], "invalid_request");
    revoke_with_secret_in_body(&server, &web).await.expect_oauth_error(401, "invalid_client");
    server.register_clients(&format!("{WEB_CLIENT}pkce = 'required-or-nonce'\n")).await;
    Browser::of(&server).authorize(&WITHOUT_PKCE).await.expect_login_page();
}

async fn revoke_with_secret_in_body(server: &TestServer, web: &Rp) -> Answer {
    let secret = web.secret.as_deref().unwrap();
    let fields = [("client_id", "web"), ("client_secret", secret), ("token", "x")];
    Answer::of(server.form("/oauth2/revoke", &fields)).await
}

/// C4: a secret is accepted in header or body, unless the client is registered for one of them.
#[tokio::test]
async fn client_secret_is_accepted_in_header_or_body() {
    for (method, basic, post) in [
        ("", 200, 200),
        ("token_endpoint_auth_method = 'client_secret'", 200, 200),
        ("token_endpoint_auth_method = 'client_secret_basic'", 200, 401),
        ("token_endpoint_auth_method = 'client_secret_post'", 401, 200),
    ] {
        let (server, web) = server_with_client(method).await;

        let by_basic = server.as_client(&web, "/oauth2/revoke", &[("token", "x")]).await;

        assert_eq!(by_basic.status, basic, "{method}");
        assert_eq!(revoke_with_secret_in_body(&server, &web).await.status, post, "{method}");
        // A request with both is rejected.
        let secret = web.secret.as_deref().unwrap();
        let fields = [("client_id", "web"), ("client_secret", secret), ("token", "x")];
        let twice = server.form("/oauth2/revoke", &fields).basic_auth("web", Some(secret));
        Answer::of(twice).await.expect_oauth_error(400, "invalid_request");
    }
}

/// C3: a client may be registered to get the claims of its scope in the ID token, also in that of a
/// refresh. Some libraries read the ID token and do not call userinfo.
#[tokio::test]
async fn id_token_contains_scope_claims_if_the_client_is_registered_for_them() {
    for (setting, has_claims) in [("", false), ("id_token_claims = true", true)] {
        let (server, web) = server_with_client(setting).await;
        let ada = server.log_in(ADA, crate::harness::PASSWORD).await.tokens();
        let patch = json!({ "name": "Ada Lovelace" });
        server.patch_me(&ada.access_token, &patch).await.expect_status(200);
        let scope = [("scope", "openid email offline_access")];

        let code = Browser::of(&server).log_in_for_code(ADA, &scope).await;
        let first = server.redeem(&web, &code).await;
        let refresh_token = first.text("refresh_token");
        let fields = [("grant_type", "refresh_token"), ("refresh_token", &*refresh_token)];
        let second = server.token(&web, &fields).await;

        for answer in [&first, &second] {
            let claims = id_token(answer);
            assert_eq!(claims.get("email").is_some(), has_claims, "{claims}");
            assert!(
                claims.get("name").is_none(),
                "the scope `profile` was not requested: {claims}"
            );
            assert!(!has_claims || claims["email"] == ADA, "{claims}");
            assert_eq!(claims["sub"], TestServer::claims(&ada.access_token)["sub"]);
        }
        // The ID token is still accepted as a hint.
        let hint = first.text("id_token");
        let silent = [("prompt", "none"), ("id_token_hint", hint.as_str())];
        let redirect = Browser::of(&server).authorize(&silent).await;
        assert_eq!(redirect.sent_to(CALLBACK)["error"], "login_required");
    }
}
