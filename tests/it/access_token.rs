//! Access tokens: their content, and which tokens Signet's own endpoints accept.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::forge::{Forge, decode, parts};
use crate::harness::{Answer, PASSWORD, TestServer};

/// JW-05, JW-06: the exact header and claims. An extra claim would disclose data; a missing one
/// would break verifiers.
#[tokio::test]
async fn access_token_contains_exactly_the_documented_claims() {
    let server = TestServer::start().await;
    let tokens = server.sign_up("Ada@Example.test").await.tokens();
    let jwks = server.jwks().await;
    let now = server.clock.now().as_seconds();

    let (header, claims) = parts(&tokens.access_token);

    let kid = &jwks["keys"][0]["kid"];
    assert_eq!(header, json!({ "alg": "RS256", "typ": "at+jwt", "kid": kid }));
    let id = tokens.user_id.to_string();
    assert_eq!(
        claims,
        json!({
            "iss": "https://id.example.test",
            "sub": id,
            "aud": "https://api.example.test",
            "exp": now + 24 * 60 * 60,
            "iat": now,
            "jti": claims["jti"],
            "client_id": "signet",
            "sid": claims["sid"],
            "auth_time": now,
            "scope": "openid email offline_access",
            "user_id": id,
            "email": claims["email"],
            "email_verified": false,
            "status": { "status_list": {
                "idx": claims["status"]["status_list"]["idx"],
                "uri": "https://id.example.test/status/1",
            } },
        })
    );
    assert!(claims["email"].as_str().unwrap().eq_ignore_ascii_case("ada@example.test"));
    assert_eq!(decode(claims["jti"].as_str().unwrap()).len(), 16);
    claims["sid"].as_str().unwrap().parse::<Uuid>().unwrap();
}

/// JW-03: even two responses for the same refresh token have different `jti` values.
#[tokio::test]
async fn jti_is_unique() {
    let server = TestServer::start().await;
    let mut newest = server.sign_up("ada@example.test").await.tokens();
    let mut ids = BTreeSet::from([TestServer::claims(&newest.access_token)["jti"].to_string()]);

    for _ in 0..100 {
        let answers = [
            server.refresh(&newest.refresh_token).await.tokens(),
            server.refresh(&newest.refresh_token).await.tokens(),
        ];
        for tokens in &answers {
            ids.insert(TestServer::claims(&tokens.access_token)["jti"].to_string());
        }
        [newest, _] = answers;
    }

    assert_eq!(ids.len(), 201);
}

/// JW-04: the subject does not change with a login, a refresh or the spelling of the address.
#[tokio::test]
async fn sub_is_a_stable_id_and_not_the_email_address() {
    let server = TestServer::start().await;
    let signed_up = server.sign_up("ada@example.test").await.tokens();
    let other = server.sign_up("bob@example.test").await.tokens();
    server.advance_seconds(3600);

    let logged_in = server.log_in("ADA@example.TEST", PASSWORD).await.tokens();
    let refreshed = server.refresh(&logged_in.refresh_token).await.tokens();

    let [first, second, third, bobs] = [&signed_up, &logged_in, &refreshed, &other]
        .map(|tokens| TestServer::claims(&tokens.access_token));
    let subject = first["sub"].as_str().unwrap().parse::<Uuid>().unwrap();
    assert_eq!(subject, signed_up.user_id);
    assert_eq!([&second["sub"], &third["sub"]], [&first["sub"]; 2]);
    assert_ne!(bobs["sub"], first["sub"]);
    // A refresh continues the session of its login. A second login starts another session.
    assert_eq!((&third["sid"], &third["auth_time"]), (&second["sid"], &second["auth_time"]));
    assert_ne!(second["sid"], first["sid"]);
    assert_ne!(second["auth_time"], first["auth_time"]);
}

/// JW-09: Signet's own endpoints check that the session is live.
#[tokio::test]
async fn logout_invalidates_the_access_token_immediately() {
    let server = TestServer::start().await;
    let other = server.another_instance().await;
    let first = server.sign_up("ada@example.test").await.tokens();
    let second = server.refresh(&first.refresh_token).await.tokens();
    server.me(&first.access_token).await.expect_status(200);

    let logged_out = server.log_out(&first.access_token).await;

    assert_eq!(logged_out.json(), json!({ "message": "Logged out successfully" }));
    for instance in [&server, &other] {
        for tokens in [&first, &second] {
            instance.me(&tokens.access_token).await.expect_error(401, "UNAUTHORIZED");
            instance.log_out(&tokens.access_token).await.expect_error(401, "UNAUTHORIZED");
        }
    }
}

/// TM-01: a token expires thirty seconds after `exp`, the leeway for clock skew.
#[tokio::test]
async fn access_token_expires_exactly_after_exp_plus_leeway() {
    let server = TestServer::with(|config| config.tokens.access_token_seconds = 60).await;
    let signed_up = server.sign_up("ada@example.test").await;
    let token = signed_up.tokens().access_token;
    assert_eq!(signed_up.json()["expires_in"], 60);

    server.advance_seconds(60 + 29);
    let in_leeway = server.me(&token).await;
    server.advance_seconds(1);
    let expired = [server.me(&token).await, server.log_out(&token).await];

    in_leeway.expect_status(200);
    for answer in expired {
        answer.expect_error(401, "UNAUTHORIZED");
        assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    }
    server.refresh(&signed_up.tokens().refresh_token).await.expect_status(200);
}

/// TM-01: a token that is not valid yet is rejected beyond the leeway.
#[tokio::test]
async fn access_token_from_the_future_is_rejected_beyond_the_leeway() {
    let server = TestServer::start().await;
    let tokens = server.sign_up("ada@example.test").await.tokens();
    let forge = Forge::open(&server.database).await;
    let (header, claims) = parts(&tokens.access_token);
    let now = server.clock.now().as_seconds();
    let with = |name: &str, value: u64| {
        let mut claims = claims.clone();
        claims[name] = value.into();
        forge.sign(&header, &claims)
    };

    for name in ["nbf", "iat"] {
        server.me(&with(name, now + 30)).await.expect_status(200);
        server.me(&with(name, now + 31)).await.expect_error(401, "UNAUTHORIZED");
    }
}

/// RFC 6750 §3: the challenge names an error only if a token was sent.
#[tokio::test]
async fn www_authenticate_names_an_error_only_if_a_token_was_sent() {
    let server = TestServer::start().await;
    let token = server.sign_up("ada@example.test").await.tokens().access_token;
    let endpoints = [(Method::GET, "/api/auth/me"), (Method::POST, "/api/auth/logout")];

    for (method, path) in endpoints {
        let send = |value: &str| {
            Answer::of(server.request(method.clone(), path).header("authorization", value))
        };
        let without = Answer::of(server.request(method.clone(), path)).await;
        without.expect_error(401, "UNAUTHORIZED");
        assert_eq!(without.header("www-authenticate"), "Bearer");
        for without_token in ["", "Basic YTpi", "Digest username=a", &token] {
            let answer = send(without_token).await;

            let envelope = answer.expect_error(401, "UNAUTHORIZED");
            assert_eq!(answer.header("www-authenticate"), "Bearer", "{without_token}");
            assert_eq!(envelope["error"]["message"], "Authentication required");
        }
        for wrong in ["Bearer x", "Bearer a.b.c", &format!("Bearer {token}x")] {
            let answer = send(wrong).await;

            answer.expect_error(401, "UNAUTHORIZED");
            assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
        }
    }
}

/// RFC 9700 §4.3.2: tokens in URLs reach logs and browser histories, so the query is not read.
#[tokio::test]
async fn access_token_is_read_from_the_authorization_header_only() {
    let server = TestServer::start().await;
    let token = server.sign_up("ada@example.test").await.tokens().access_token;
    let me = || server.request(Method::GET, "/api/auth/me");

    let answers = [
        server.get(&format!("/api/auth/me?access_token={token}")).await,
        Answer::of(me().header("cookie", format!("access_token={token}; token={token}"))).await,
        Answer::of(me().header("x-access-token", &token)).await,
        Answer::of(
            me().header("content-type", "application/x-www-form-urlencoded")
                .body(format!("access_token={token}")),
        )
        .await,
    ];

    for answer in answers {
        answer.expect_error(401, "UNAUTHORIZED");
    }
    let twice = me().bearer_auth("a.b.c").bearer_auth(&token);
    let twice: Value = Answer::of(twice).await.json();
    assert_eq!(twice["error"]["code"], "UNAUTHORIZED", "{twice}");
}
