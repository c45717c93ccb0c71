//! The complete code flow, from the authorization request to the tokens, and requests that must
//! fail.

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::oauth::{
    Browser, CALLBACK, CHALLENGE, ISSUER, Rp, VERIFIER, WEB_CLIENT, hidden_fields,
};
use crate::harness::{Answer, TestServer, eventually, forge};

const ADA: &str = "ada@example.test";

async fn server() -> (TestServer, Rp) {
    let server = TestServer::start().await;
    let web = server.register_web_client().await;
    server.sign_up(ADA).await.expect_status(201);
    (server, web)
}

/// MUST-002, MUST-022, MUST-081, MUST-095, MUST-096, MUST-122..128, MUST-130..137: the result of a
/// flow.
#[tokio::test]
async fn code_flow_returns_tokens_for_the_user() {
    let (server, web) = server().await;
    let mut browser = Browser::of(&server);
    let code = browser.log_in_for_code(ADA, &[]).await;

    let answer = server.redeem(&web, &code).await;

    answer.expect_status(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    assert_eq!((&body["token_type"], &body["scope"]), (&json!("Bearer"), &json!("openid email")));
    assert_eq!(body["expires_in"], 900);
    assert!(body.get("refresh_token").is_none(), "offline_access was not requested");
    let access_token = answer.text("access_token");
    let (header, id) = forge::parts(&answer.text("id_token"));
    let (_, access) = forge::parts(&access_token);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("RS256"), &json!("JWT")));
    assert!(forge::is_signed_by(&server.jwks().await, &answer.text("id_token")));
    let exp = id["exp"].as_u64().unwrap();
    assert!(id["iat"].as_u64().unwrap() < exp && id["auth_time"].as_u64().unwrap() < exp, "{id}");
    assert_eq!((&id["iss"], &id["aud"]), (&json!(ISSUER), &json!("web")));
    assert_eq!(id["nonce"], "n-0S6_WzA2Mj");
    assert_eq!((&id["acr"], &id["amr"]), (&json!("1"), &json!(["pwd"])));
    let left_half = &openssl::sha::sha256(access_token.as_bytes())[..16];
    assert_eq!(id["at_hash"], forge::encode(left_half));
    for claim in ["sub", "sid", "auth_time", "iat", "exp"] {
        assert_eq!(id[claim], access[claim], "{claim}");
    }
    assert_eq!(access["user_id"], access["sub"]);
    assert_eq!((&access["client_id"], &access["email"]), (&json!("web"), &json!(ADA)));
    assert_eq!(access["aud"], "https://api.example.test");
    assert_eq!(access["scope"], body["scope"]);
    assert!(access["status"]["status_list"]["idx"].is_u64());
    let mut names: Vec<_> = id.as_object().unwrap().keys().cloned().collect();
    names.sort();
    let expected =
        ["acr", "amr", "at_hash", "aud", "auth_time", "exp", "iat", "iss", "nonce", "sid", "sub"];
    assert_eq!(names, expected);
}

/// MUST-124, MUST-137: tokens contain neither a nonce nor the email address unless requested.
#[tokio::test]
async fn id_token_has_nonce_and_email_only_if_requested() {
    let (server, web) = server().await;

    let code = Browser::of(&server)
        .log_in_for_code(ADA, &[("nonce", "-"), ("scope", "openid unknown")])
        .await;

    let answer = server.redeem(&web, &code).await;
    assert_eq!(answer.json()["scope"], "openid");
    let claims = TestServer::claims(&answer.text("id_token"));
    assert!(claims.get("nonce").is_none());
    assert!(TestServer::claims(&answer.text("access_token")).get("email").is_none());
    let userinfo = server.userinfo(&answer.text("access_token")).await.json();
    assert_eq!(userinfo, json!({ "sub": claims["sub"] }));
}

/// MUST-124, CO-10: a nonce is returned unchanged, regardless of length and content.
#[tokio::test]
async fn nonce_is_returned_byte_for_byte() {
    let (server, web) = server().await;
    let mut browser = Browser::of(&server);
    browser.log_in_for_code(ADA, &[]).await;

    for nonce in ["~!@#$%^&*()_+`-={}|[]\\:\";'<>?,./ 0123456789ABCD", &"ż\u{1f600} \"".repeat(50)]
    {
        let redirect = browser.authorize(&[("nonce", nonce)]).await;
        let answer = server.redeem(&web, &redirect.sent_to(CALLBACK)["code"]).await;
        assert_eq!(TestServer::claims(&answer.text("id_token"))["nonce"], nonce);
    }
}

/// MUST-046: the documented default is the registered scope without `offline_access`.
#[tokio::test]
async fn default_scope_is_the_registered_one_without_offline_access() {
    let (server, web) = server().await;

    let code = Browser::of(&server).log_in_for_code(ADA, &[("scope", "-")]).await;

    let answer = server.redeem(&web, &code).await;
    assert_eq!(answer.json()["scope"], "openid email tasks:read");
    assert!(answer.json().get("refresh_token").is_none());
}

/// Without `openid` a flow is plain OAuth: no ID token, and no userinfo.
#[tokio::test]
async fn flow_without_openid_returns_no_id_token() {
    let (server, web) = server().await;

    let code = Browser::of(&server).log_in_for_code(ADA, &[("scope", "tasks:read")]).await;

    let answer = server.redeem(&web, &code).await;
    assert!(answer.json().get("id_token").is_none());
    let refused = server.userinfo(&answer.text("access_token")).await;
    refused.expect_oauth_error(403, "insufficient_scope");
    assert!(refused.header("www-authenticate").contains("insufficient_scope"));
}

/// AT-02, MUST-074, MUST-076, MUST-215: of 64 concurrent uses of a code on two instances, one
/// succeeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_exchanges_of_a_code_succeed_once() {
    // Without a retry window: a busy machine may record an outage, and other uses of the code would
    // then count as retries.
    let server = TestServer::with(|config| config.tokens.refresh_retry_seconds = 0).await;
    let web = server.register_web_client().await;
    server.sign_up(ADA).await.expect_status(201);
    let second_instance = server.another_instance().await;
    let code = Browser::of(&server).log_in_for_code(ADA, &[]).await;

    let exchanges =
        (0..64).map(|n| if n % 2 == 0 { &server } else { &second_instance }.redeem(&web, &code));
    let answers = join_all(exchanges).await;

    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(won.len(), 1);
    for answer in lost {
        // On a busy machine the server may respond with 503 and change nothing. A retry gives the
        // result.
        let answer = if answer.status == 503 { &server.redeem(&web, &code).await } else { answer };
        answer.expect_oauth_error(400, "invalid_grant");
    }
    assert_eq!(server.database.count("session WHERE client_id = 'web'").await, 1);
    // CO-06: each use may be the attacker's, so the session ends.
    server.userinfo(&won[0].text("access_token")).await.expect_oauth_error(401, "invalid_token");
}

/// AT-09: a logout everywhere succeeds while clients exchange codes, and no session stays live.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_opened_during_a_logout_everywhere_end() {
    let (server, web) = server().await;
    server.database.delay_after_inserts_into("session").await;
    let mut browser = Browser::of(&server);
    let more = [("scope", "openid offline_access")];
    let mut codes = vec![browser.log_in_for_code(ADA, &more).await];
    for _ in 0..7 {
        codes.push(browser.authorize(&more).await.sent_to(CALLBACK)["code"].clone());
    }
    let account = browser.get("/account").await;
    let csrf = hidden_fields(&account).into_iter().find(|(name, _)| name == "csrf").unwrap().1;

    let redemptions = join_all(codes.iter().map(|code| server.redeem(&web, code)));
    let ending = async {
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        browser.post("/account", &[("csrf", &csrf), ("end", "all")]).await
    };
    let (redeemed, ended) = tokio::join!(redemptions, ending);

    assert_eq!(ended.status, 303, "{ended:?}");
    for answer in redeemed.iter().filter(|answer| answer.status == 200) {
        let refused = server.userinfo(&answer.text("access_token")).await;
        refused.expect_oauth_error(401, "invalid_token");
    }
    let live = "session WHERE client_id = 'web' AND ended_at IS NULL";
    eventually("all rows are marked as ended", async || server.database.count(live).await == 0)
        .await;
}

/// CO-06, MUST-075: reuse of a code ends the session it opened, even after the code has expired.
#[tokio::test]
async fn code_reuse_ends_the_session_it_opened() {
    let (server, web) = server().await;
    let more = [("scope", "openid offline_access")];
    let code = Browser::of(&server).log_in_for_code(ADA, &more).await;
    let first = server.redeem(&web, &code).await;
    server.userinfo(&first.text("access_token")).await.expect_status(200);
    server.advance_seconds(90);

    server.redeem(&web, &code).await.expect_oauth_error(400, "invalid_grant");

    let access_token = first.text("access_token");
    let refused = server.userinfo(&access_token).await;
    refused.expect_oauth_error(401, "invalid_token");
    assert!(refused.header("www-authenticate").contains("error=\"invalid_token\""));
    let refresh =
        [("grant_type", "refresh_token"), ("refresh_token", &first.text("refresh_token"))];
    server.token(&web, &refresh).await.expect_oauth_error(400, "invalid_grant");
    assert_eq!(server.introspect(&web, &access_token).await, json!({ "active": false }));
    assert_eq!(server.database.count("auth_event WHERE type = 'code_reuse'").await, 1);
}

/// MUST-077..080, MUST-086..089, RU-07, CO-02..04: a code is valid for its client, redirect URI and
/// verifier, for a minute, and for one attempt of that client.
#[tokio::test]
async fn code_is_bound_to_client_redirect_uri_and_verifier() {
    let (server, web) = server().await;
    let other = WEB_CLIENT.replace("\"web\"", "\"other\"");
    let other = server.register_clients(&other).await.remove(0);
    let other_verifier = "a".repeat(43);
    let fields = |code: &str, more: &[(&'static str, &str)]| -> Vec<(String, String)> {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        for (name, value) in more {
            fields.retain(|(known, _)| known != name);
            fields.push((name, value));
        }
        fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let redeem = async |rp: &Rp, code: &str, more: &[(&'static str, &str)]| -> Answer {
        let fields = fields(code, more);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        server.token(rp, &fields).await
    };

    for wrong in [
        [("redirect_uri", "https://rp.example/other")],
        [("redirect_uri", "")],
        [("code_verifier", other_verifier.as_str())],
        [("code_verifier", "")],
        [("code_verifier", "short")],
    ] {
        let code = Browser::of(&server).log_in_for_code(ADA, &[]).await;
        redeem(&web, &code, &wrong).await.expect_oauth_error(400, "invalid_grant");
        // The failed attempt has consumed the code.
        redeem(&web, &code, &[]).await.expect_oauth_error(400, "invalid_grant");
        server.advance_seconds(61);
    }
    let code = Browser::of(&server).log_in_for_code(ADA, &[]).await;
    redeem(&other, &code, &[]).await.expect_oauth_error(400, "invalid_grant");
    redeem(&web, &code, &[("code_challenge_method", "plain")]).await.expect_status(200);

    server.advance_seconds(61);
    let code = Browser::of(&server).log_in_for_code(ADA, &[]).await;
    server.advance_seconds(60);
    redeem(&web, &code, &[]).await.expect_oauth_error(400, "invalid_grant");
    for invalid in ["sgc_", "x", &"a".repeat(5000)] {
        redeem(&web, invalid, &[]).await.expect_oauth_error(400, "invalid_grant");
    }
    redeem(&web, "", &[]).await.expect_oauth_error(400, "invalid_request");
}

/// CO-05, MUST-078, MUST-091: codes are long, random, and not stored in plain text.
#[tokio::test]
async fn codes_are_random_and_stored_as_digests() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    let mut codes = vec![browser.log_in_for_code(ADA, &[]).await];
    for _ in 0..20 {
        let answer = browser.authorize(&[]).await;
        assert!(!answer.location().contains(CHALLENGE), "{answer:?}");
        codes.push(answer.sent_to(CALLBACK)["code"].clone());
    }

    codes.sort();
    codes.dedup();
    assert_eq!(codes.len(), 21);
    let dump: Vec<String> = server.database.dump().await.into_values().flatten().collect();
    for code in &codes {
        assert!(code.starts_with("sgc_") && code.len() == 47, "{code}");
        assert!(!dump.iter().any(|line| line.contains(code.as_str())));
    }
}

/// RF-09, MUST-112..118, MUST-131, MUST-138: refreshes work as at the JSON API, and are bound to
/// the client and the scope.
#[tokio::test]
async fn refresh_is_bound_to_the_client_and_cannot_widen_the_scope() {
    let (server, web) = server().await;
    let other =
        server.register_clients(&WEB_CLIENT.replace("\"web\"", "\"other\"")).await.remove(0);
    let more = [("scope", "openid email offline_access")];
    let code = Browser::of(&server).log_in_for_code(ADA, &more).await;
    let first = server.redeem(&web, &code).await;
    let token = first.text("refresh_token");
    assert!(token.starts_with("sgr_"));
    let refresh = async |rp: &Rp, token: &str, more: &[(&str, &str)]| {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        server.token(rp, &[&fields, more].concat()).await
    };
    server.advance_seconds(5);

    refresh(&other, &token, &[]).await.expect_oauth_error(400, "invalid_grant");
    for scope in ["openid tasks:read", "tasks:read", "openid email offline_access profile"] {
        let wide = refresh(&web, &token, &[("scope", scope)]).await;
        wide.expect_oauth_error(400, "invalid_scope");
    }
    let wide = refresh(&web, &token, &[("resource", "https://other.example")]).await;
    wide.expect_oauth_error(400, "invalid_target");
    let json = server.refresh(&token).await;
    json.expect_error(401, "INVALID_REFRESH_TOKEN");
    // MUST-113: a client id alone does not authenticate.
    let unauthenticated =
        [("grant_type", "refresh_token"), ("refresh_token", &*token), ("client_id", &*web.id)];
    let unauthenticated = Answer::of(server.form("/oauth2/token", &unauthenticated)).await;
    unauthenticated.expect_oauth_error(401, "invalid_client");

    let narrow = refresh(&web, &token, &[("scope", "openid")]).await;
    narrow.expect_status(200);
    assert_eq!(narrow.json()["scope"], "openid");
    let wide_again = refresh(&web, &narrow.text("refresh_token"), &[]).await;
    assert_eq!(wide_again.json()["scope"], "openid email offline_access");
    let before = TestServer::claims(&first.text("id_token"));
    let after = TestServer::claims(&wide_again.text("id_token"));
    for claim in ["iss", "sub", "aud", "auth_time", "sid"] {
        assert_eq!(before[claim], after[claim], "{claim}");
    }
    assert!(after["iat"].as_u64() > before["iat"].as_u64());
    let [before, after] =
        [&first, &wide_again].map(|it| TestServer::claims(&it.text("access_token")));
    for claim in ["sub", "aud", "auth_time", "sid", "scope", "client_id"] {
        assert_eq!(before[claim], after[claim], "{claim}");
    }
    let narrow = TestServer::claims(&narrow.text("access_token"));
    assert_eq!((&narrow["scope"], &narrow["auth_time"]), (&json!("openid"), &before["auth_time"]));
    let after = TestServer::claims(&wide_again.text("id_token"));
    assert!(after.get("nonce").is_none() && after.get("azp").is_none());

    server.advance_seconds(11);
    // MUST-117, MUST-119: reuse ends the session.
    refresh(&web, &token, &[]).await.expect_oauth_error(400, "invalid_grant");
    let after_reuse = refresh(&web, &wide_again.text("refresh_token"), &[]).await;
    after_reuse.expect_oauth_error(400, "invalid_grant");
}

/// MUST-209: the token endpoint rejects refresh tokens of the JSON API.
#[tokio::test]
async fn token_endpoint_rejects_refresh_tokens_of_the_json_api() {
    let (server, web) = server().await;
    let tokens = server.log_in(ADA, crate::harness::PASSWORD).await.tokens();

    let fields = [("grant_type", "refresh_token"), ("refresh_token", &tokens.refresh_token)];
    server.token(&web, &fields).await.expect_oauth_error(400, "invalid_grant");

    server.refresh(&tokens.refresh_token).await.expect_status(200);
}

/// RF-08: all credentials of a deleted client are invalid.
#[tokio::test]
async fn credentials_of_a_removed_client_are_invalid() {
    let (server, web) = server().await;
    let code =
        Browser::of(&server).log_in_for_code(ADA, &[("scope", "openid offline_access")]).await;
    let tokens = server.redeem(&web, &code).await;

    let program = crate::harness::Program::new(&server.database);
    assert!(program.run(&["client", "delete", "web"]).await.status.success());

    server.userinfo(&tokens.text("access_token")).await.expect_oauth_error(401, "invalid_token");
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", &tokens.text("refresh_token"))];
    server.token(&web, &fields).await.expect_oauth_error(401, "invalid_client");
}

/// Account endpoints require a token from a login at Signet's own API, not a token of a client.
#[tokio::test]
async fn client_token_is_rejected_at_account_endpoints() {
    let (server, web) = server().await;
    let code = Browser::of(&server).log_in_for_code(ADA, &[]).await;
    let tokens = server.redeem(&web, &code).await;

    server.me(&tokens.text("access_token")).await.expect_error(401, "UNAUTHORIZED");
    server.log_out(&tokens.text("access_token")).await.expect_error(401, "UNAUTHORIZED");
}
