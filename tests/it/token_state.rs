//! Userinfo, introspection and revocation.

use reqwest::Method;
use serde_json::json;

use crate::harness::oauth::{Browser, Rp, WEB_CLIENT};
use crate::harness::{Answer, TestServer, forge};

const ADA: &str = "ada@example.test";

/// A resource server, two clients with the client credentials grant, and a public client.
const OTHER_CLIENTS: &str = r#"
[[client]]
client_id = "tasks-api"
grant_types = []
introspects = ["https://api.example.test"]

[[client]]
client_id = "job"
grant_types = ["client_credentials"]
scope = "tasks:read"

[[client]]
client_id = "unrelated"
grant_types = ["client_credentials"]

[[client]]
client_id = "app"
application_type = "native"
token_endpoint_auth_method = "none"
redirect_uris = ["http://127.0.0.1/cb"]
"#;

struct Fixture {
    server: TestServer,
    web: Rp,
    api: Rp,
    job: Rp,
    unrelated: Rp,
}

async fn fixture() -> Fixture {
    let server = TestServer::start().await;
    let mut clients = server.register_clients(&[WEB_CLIENT, OTHER_CLIENTS].concat()).await;
    server.sign_up(ADA).await.expect_status(201);
    let [web, api, job, unrelated] = std::array::from_fn(|_| clients.remove(0));
    Fixture { server, web, api, job, unrelated }
}

impl Fixture {
    async fn tokens(&self) -> Answer {
        let more = [("scope", "openid email offline_access")];
        let code = Browser::of(&self.server).log_in_for_code(ADA, &more).await;
        self.server.redeem(&self.web, &code).await
    }
}

/// MUST-149..152: GET and POST, with the token in the header or in the body.
#[tokio::test]
async fn userinfo_returns_the_claims_of_the_scope() {
    let fixture = fixture().await;
    let server = &fixture.server;
    let tokens = fixture.tokens().await;
    let token = tokens.text("access_token");
    let post = |authorization: Option<&str>, fields: &[(&str, &str)]| {
        let request = server.form("/oauth2/userinfo", fields);
        Answer::of(match authorization {
            Some(token) => request.header("authorization", format!("bearer {token}")),
            None => request,
        })
    };

    let by_get = server.userinfo(&token).await;
    let by_header = post(Some(&token), &[]).await;
    let by_body = post(None, &[("access_token", &token)]).await;

    let sub = TestServer::claims(&tokens.text("id_token"))["sub"].clone();
    for answer in [by_get, by_header, by_body] {
        answer.expect_status(200);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.json(), json!({ "sub": sub, "email": ADA, "email_verified": false }));
    }
    // MUST-144: the token must not be in the header and in the body.
    post(Some(&token), &[("access_token", &token)])
        .await
        .expect_oauth_error(400, "invalid_request");
}

/// MUST-141, MUST-143, MUST-145..147, MUST-153, MUST-194, JW-01: rejected tokens and requests.
#[tokio::test]
async fn userinfo_accepts_only_a_valid_user_token() {
    let fixture = fixture().await;
    let server = &fixture.server;
    let tokens = fixture.tokens().await;
    let token = tokens.text("access_token");
    let job = server
        .token(&fixture.job, &[("grant_type", "client_credentials")])
        .await
        .text("access_token");
    server.userinfo(&job).await.expect_oauth_error(403, "insufficient_scope");

    let none = Answer::of(server.request(Method::GET, "/oauth2/userinfo")).await;
    none.expect_status(401);
    assert_eq!(none.header("www-authenticate"), "Bearer realm=\"signet\"");
    let query = format!("/oauth2/userinfo?access_token={token}");
    Answer::of(server.request(Method::GET, &query)).await.expect_status(401);

    let claims = TestServer::claims(&token);
    let forge = forge::Forge::open(&server.database).await;
    let kid = &forge.private_jwk["kid"];
    let encoded = |value: &serde_json::Value| forge::encode(value.to_string());
    let mut foreign = claims.clone();
    foreign["iss"] = json!("https://other.example");
    let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": kid });
    let status_list = String::from_utf8(server.get("/status/1").await.body).unwrap();
    for refused in [
        tokens.text("id_token"),
        tokens.text("refresh_token"),
        status_list.clone(),
        format!(
            "{}.{}.",
            encoded(&json!({ "alg": "none", "typ": "at+jwt", "kid": kid })),
            encoded(&claims)
        ),
        forge.sign(&json!({ "alg": "RS256", "typ": "JWT", "kid": kid }), &claims),
        forge.sign(&header, &foreign),
        format!("{token}x"),
        "x".to_owned(),
        "a.b.c".to_owned(),
    ] {
        let answer = server.userinfo(&refused).await;
        answer.expect_oauth_error(401, "invalid_token");
        assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""));
    }
    for other in [&status_list, &tokens.text("id_token"), &tokens.text("refresh_token")] {
        server.me(other).await.expect_error(401, "UNAUTHORIZED");
    }
    assert_eq!(server.introspect(&fixture.web, &status_list).await, json!({ "active": false }));
    server.advance_seconds(900 + 30);
    server.userinfo(&token).await.expect_oauth_error(401, "invalid_token");
}

/// MUST-154..159, MUST-161, MUST-162, AZ-06: all other callers get an error or an inactive token.
#[tokio::test]
async fn introspection_answers_only_the_client_and_resource_server_of_a_token() {
    let fixture = fixture().await;
    let Fixture { server, web, api, job, unrelated } = &fixture;
    let tokens = fixture.tokens().await;
    let token = tokens.text("access_token");
    let claims = TestServer::claims(&token);

    for caller in [web, api] {
        let introspection = server.introspect(caller, &token).await;
        assert_eq!(
            (&introspection["active"], &introspection["token_type"]),
            (&json!(true), &json!("Bearer"))
        );
        for claim in ["iss", "sub", "aud", "exp", "iat", "client_id", "scope", "sid", "jti"] {
            assert_eq!(introspection[claim], claims[claim], "{claim}");
        }
        // The response does not contain the token's claims about the user.
        let mut expected = claims.as_object().unwrap().clone();
        expected.retain(|name, _| name != "email" && name != "email_verified");
        expected.insert("active".to_owned(), json!(true));
        expected.insert("token_type".to_owned(), json!("Bearer"));
        assert_eq!(introspection.as_object(), Some(&expected));
    }
    let refresh = server.introspect(web, &tokens.text("refresh_token")).await;
    assert_eq!((&refresh["active"], &refresh["sub"]), (&json!(true), &claims["sub"]));
    let own = server.token(job, &[("grant_type", "client_credentials")]).await.text("access_token");
    assert_eq!(server.introspect(job, &own).await["sub"], "job");

    let inactive = json!({ "active": false });
    assert_eq!(server.introspect(unrelated, &token).await, inactive);
    assert_eq!(server.introspect(api, &tokens.text("refresh_token")).await, inactive);
    assert_eq!(server.introspect(unrelated, &own).await, inactive);
    for unknown in ["x", "a.b.c", &tokens.text("id_token"), &format!("{token}x")] {
        assert_eq!(server.introspect(web, unknown).await, inactive);
    }
    for (token, wrong) in
        [(&token, "refresh_token"), (&tokens.text("refresh_token"), "access_token")]
    {
        for hint in [wrong, "nonsense", ""] {
            let with_hint = [("token", token.as_str()), ("token_type_hint", hint)];
            let hinted = server.as_client(web, "/oauth2/introspect", &with_hint).await;
            assert_eq!(hinted.json()["active"], true, "{hint}");
            assert_eq!(hinted.header("cache-control"), "no-store");
        }
    }

    server
        .as_client(web, "/oauth2/introspect", &[])
        .await
        .expect_oauth_error(400, "invalid_request");
    let anonymous = Answer::of(server.form("/oauth2/introspect", &[("token", &token)])).await;
    anonymous.expect_oauth_error(401, "invalid_client");
    let public = [("token", token.as_str()), ("client_id", "app")];
    let public = Answer::of(server.form("/oauth2/introspect", &public)).await;
    public.expect_oauth_error(401, "invalid_client");
    let get = Answer::of(server.request(Method::GET, "/oauth2/introspect")).await;
    get.expect_oauth_error(405, "invalid_request");
}

/// MUST-160: a token is inactive as soon as its session has ended. MUST-157: a token is inactive
/// from the second of its expiry.
#[tokio::test]
async fn introspection_reflects_revocation_at_once() {
    let fixture = fixture().await;
    let Fixture { server, web, .. } = &fixture;
    let inactive = json!({ "active": false });

    let token = fixture.tokens().await.text("access_token");
    server.advance_seconds(899);
    assert_eq!(server.introspect(web, &token).await["active"], true);
    server.advance_seconds(1);
    assert_eq!(server.introspect(web, &token).await, inactive);

    let token = fixture.tokens().await.text("access_token");
    let reset =
        json!({ "token": server.reset_token(ADA).await, "new_password": "Difference-Engine-1822" });
    server.post("/api/auth/password/reset", &reset).await.expect_status(204);
    assert_eq!(server.introspect(web, &token).await, inactive);
}

/// MUST-157, MUST-160, MUST-199: a token that userinfo rejects is inactive, even if it has a valid
/// signature.
#[tokio::test]
async fn introspection_and_userinfo_accept_the_same_tokens() {
    let fixture = fixture().await;
    let Fixture { server, web, .. } = &fixture;
    let token = fixture.tokens().await.text("access_token");
    let forge = forge::Forge::open(&server.database).await;
    let (header, claims) = forge::parts(&token);
    let signed_again = forge.sign(&header, &claims);
    assert_eq!(server.introspect(web, &signed_again).await["active"], true);
    let later = claims["iat"].as_u64().unwrap() + 3_600;
    let without = |name: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let with = |part: &serde_json::Value, name: &str, value: serde_json::Value| {
        let mut part = part.clone();
        part[name] = value;
        part
    };

    for (defect, header, claims) in [
        ("nbf in the future", header.clone(), with(&claims, "nbf", json!(later))),
        ("iat in the future", header.clone(), with(&claims, "iat", json!(later))),
        ("no jti", header.clone(), without("jti")),
        ("no aud", header.clone(), without("aud")),
        ("no exp", header.clone(), without("exp")),
        ("exp as text", header.clone(), with(&claims, "exp", json!("4102444800"))),
        ("two subjects", header.clone(), with(&claims, "user_id", json!(uuid::Uuid::nil()))),
        ("jku", with(&header, "jku", json!("https://evil.example/jwks")), claims.clone()),
        ("crit", with(&header, "crit", json!([])), claims.clone()),
        ("typ", with(&header, "typ", json!("JWT")), claims.clone()),
    ] {
        let forged = forge.sign(&header, &claims);
        server.userinfo(&forged).await.expect_oauth_error(401, "invalid_token");
        let introspection = server.introspect(web, &forged).await;
        assert_eq!(introspection, json!({ "active": false }), "{defect}");
    }
}

/// MUST-163..169, MUST-193, AZ-06: only the client of the token can revoke it, and the session ends
/// once.
#[tokio::test]
async fn token_revocation_ends_the_session() {
    let fixture = fixture().await;
    let Fixture { server, web, unrelated, job, .. } = &fixture;
    let revoke = async |rp: &Rp, token: &str, more: &[(&str, &str)]| {
        server.as_client(rp, "/oauth2/revoke", &[&[("token", token)], more].concat()).await
    };

    for (kind, hint) in [
        ("refresh_token", "nonsense"),
        ("access_token", "nonsense"),
        ("refresh_token", "access_token"),
        ("access_token", "refresh_token"),
    ] {
        let tokens = fixture.tokens().await;
        server.advance_seconds(61);
        let (token, access_token) = (tokens.text(kind), tokens.text("access_token"));
        revoke(unrelated, &token, &[]).await.expect_status(200);
        server.userinfo(&access_token).await.expect_status(200);

        revoke(web, &token, &[("token_type_hint", hint)]).await.expect_status(200);

        server.userinfo(&access_token).await.expect_oauth_error(401, "invalid_token");
        assert_eq!(server.introspect(web, &access_token).await, json!({ "active": false }));
        let fields =
            [("grant_type", "refresh_token"), ("refresh_token", &tokens.text("refresh_token"))];
        server.token(web, &fields).await.expect_oauth_error(400, "invalid_grant");
        revoke(web, &token, &[]).await.expect_status(200);
        // MUST-193: the status list contains the end of the session.
        server.wait_until_listed_as_ended(&access_token).await;
    }
    assert_eq!(server.database.count("auth_event WHERE type = 'session_revoked'").await, 4);
    revoke(web, "unknown", &[]).await.expect_status(200);
    server.as_client(web, "/oauth2/revoke", &[]).await.expect_oauth_error(400, "invalid_request");
    let wrong = Rp { secret: Some("x".to_owned()), ..web.clone() };
    revoke(&wrong, "unknown", &[]).await.expect_oauth_error(401, "invalid_client");
    let own = server.token(job, &[("grant_type", "client_credentials")]).await.text("access_token");
    revoke(job, &own, &[]).await.expect_oauth_error(400, "unsupported_token_type");
}

/// RF-14: a revocation that cannot be stored gets a 503 with `Retry-After`.
#[tokio::test]
async fn failed_revocation_is_not_acknowledged() {
    let fixture = fixture().await;
    let tokens = fixture.tokens().await;
    fixture.server.database.make_unavailable().await;

    let answer = fixture
        .server
        .as_client(&fixture.web, "/oauth2/revoke", &[("token", &tokens.text("refresh_token"))])
        .await;

    answer.expect_oauth_error(503, "temporarily_unavailable");
    assert_eq!(answer.header("retry-after"), "1");
}
