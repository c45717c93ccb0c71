//! `POST /oauth2/token`: request format, client authentication, and the client credentials grant.

use reqwest::Method;
use serde_json::json;

use crate::harness::oauth::{ISSUER, Rp, WEB_CLIENT};
use crate::harness::{Answer, TestServer, forge};

const JOB: &str = r#"
[[client]]
client_id = "job:nightly/1"
grant_types = ["client_credentials"]
scope = "tasks:read tasks:write openid"
audiences = ["https://tasks.example", "https://mail.example"]
access_token_seconds = 600
"#;

const CREDENTIALS: (&str, &str) = ("grant_type", "client_credentials");

async fn job(server: &TestServer) -> Rp {
    server.register_clients(JOB).await.remove(0)
}

/// RFC 6749 §2.3.1: both parts of Basic credentials are form-encoded first.
fn basic(rp: &Rp) -> String {
    use base64::Engine;
    let encoded =
        |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(&rp.id), encoded(rp.secret.as_deref().unwrap()));
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

async fn token(server: &TestServer, rp: &Rp, fields: &[(&str, &str)]) -> Answer {
    Answer::of(server.form("/oauth2/token", fields).header("authorization", basic(rp))).await
}

/// MUST-095, MUST-096, MUST-099, MUST-109, MUST-132..137, MUST-139: the client credentials grant.
#[tokio::test]
async fn client_credentials_grant_returns_a_token() {
    let server = TestServer::start().await;
    let job = job(&server).await;

    let answer = token(&server, &job, &[CREDENTIALS]).await;

    answer.expect_status(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(600)));
    assert_eq!(body["scope"], "tasks:read tasks:write");
    assert!(body.get("refresh_token").is_none() && body.get("id_token").is_none());
    let (header, claims) = forge::parts(body["access_token"].as_str().unwrap());
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("RS256")));
    assert_eq!(claims["sub"], "job:nightly/1");
    assert_eq!(claims["client_id"], "job:nightly/1");
    assert_eq!(claims["aud"], "https://tasks.example");
    assert_eq!(claims["scope"], "tasks:read tasks:write");
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!(forge::decode(claims["jti"].as_str().unwrap()).len(), 16);
    assert!(forge::is_signed_by(&server.jwks().await, &answer.text("access_token")));
    for absent in ["user_id", "email", "sid", "auth_time", "status"] {
        assert!(claims.get(absent).is_none(), "{absent}");
    }
    let lifetime = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!(lifetime, 600);
}

/// RFC 6749 §3.3: a scope has at least one value, so `scope` cannot be empty.
#[tokio::test]
async fn client_without_scopes_gets_a_token_without_scope() {
    let server = TestServer::start().await;
    let job = "[[client]]\nclient_id = \"bare\"\ngrant_types = [\"client_credentials\"]\n";
    let job = server.register_clients(job).await.remove(0);

    let answer = token(&server, &job, &[CREDENTIALS]).await;

    answer.expect_status(200);
    assert!(answer.json().get("scope").is_none(), "{answer:?}");
    let access_token = answer.text("access_token");
    assert!(forge::parts(&access_token).1.get("scope").is_none());
    let introspection = server.introspect(&job, &access_token).await;
    assert_eq!((&introspection["active"], introspection.get("scope")), (&json!(true), None));
    let fields = [CREDENTIALS, ("scope", "openid")];
    token(&server, &job, &fields).await.expect_oauth_error(400, "invalid_scope");
}

/// MUST-110, MUST-111, MUST-134, MUST-135
#[tokio::test]
async fn client_credentials_scope_and_audience_are_limited_to_the_registration() {
    let server = TestServer::start().await;
    let job = job(&server).await;
    let with =
        async |more: &[(&str, &str)]| token(&server, &job, &[&[CREDENTIALS], more].concat()).await;

    let narrow = with(&[("scope", "tasks:read"), ("resource", "https://mail.example")]).await;
    let claims = TestServer::claims(&narrow.text("access_token"));
    assert_eq!(
        (&claims["scope"], &claims["aud"]),
        (&json!("tasks:read"), &json!("https://mail.example"))
    );
    let both = [("resource", "https://mail.example"), ("resource", "https://tasks.example")];
    let claims = TestServer::claims(&with(&both).await.text("access_token"));
    assert_eq!(claims["aud"], json!(["https://mail.example", "https://tasks.example"]));

    for scope in ["tasks:delete", "tasks:read tasks:delete", "openid", "a\"b"] {
        with(&[("scope", scope)]).await.expect_oauth_error(400, "invalid_scope");
    }
    for resource in
        ["https://other.example", "https://tasks.example/", "tasks", "https://tasks.example#f"]
    {
        with(&[("resource", resource)]).await.expect_oauth_error(400, "invalid_target");
    }
}

/// MUST-134: the documented default audience is the userinfo endpoint. Resource servers that check
/// the audience do not accept it.
#[tokio::test]
async fn client_without_audiences_gets_tokens_for_userinfo_only() {
    let server = TestServer::start().await;
    let job = JOB.replace("audiences", "introspects");
    let job = server.register_clients(&job).await.remove(0);

    let claims =
        TestServer::claims(&token(&server, &job, &[CREDENTIALS]).await.text("access_token"));

    assert_eq!(claims["aud"], format!("{ISSUER}/oauth2/userinfo"));
    for resource in ["https://api.example.test", "https://tasks.example"] {
        let refused = token(&server, &job, &[CREDENTIALS, ("resource", resource)]).await;
        refused.expect_oauth_error(400, "invalid_target");
    }
}

/// MUST-093, MUST-094, MUST-100, CO-07: all parameters are in a form in the body, and none of them
/// occurs twice.
#[tokio::test]
async fn ambiguous_token_request_is_rejected() {
    let server = TestServer::start().await;
    let job = job(&server).await;
    let secret = job.secret.as_deref().unwrap();

    token(&server, &job, &[CREDENTIALS, ("extra", "foobar"), ("scope", "")])
        .await
        .expect_status(200);
    for fields in [&[CREDENTIALS, CREDENTIALS][..], &[CREDENTIALS, ("scope", "a"), ("scope", "a")]]
    {
        token(&server, &job, fields).await.expect_oauth_error(400, "invalid_request");
    }
    let query = format!("/oauth2/token?client_id=job&client_secret={secret}");
    Answer::of(server.form(&query, &[CREDENTIALS]))
        .await
        .expect_oauth_error(400, "invalid_request");
    let text = server.request(Method::POST, "/oauth2/token").header("content-type", "text/plain");
    let text = text.header("authorization", basic(&job)).body("grant_type=client_credentials");
    Answer::of(text).await.expect_oauth_error(400, "invalid_request");
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let answer = Answer::of(server.request(method, "/oauth2/token")).await;
        answer.expect_oauth_error(405, "invalid_request");
        assert_eq!(answer.header("allow"), "POST");
    }
    let large = server.form("/oauth2/token", &[("code", &"a".repeat(20_000))]);
    Answer::of(large).await.expect_oauth_error(413, "invalid_request");
}

/// MUST-098, MUST-101, MUST-102, MUST-103
#[tokio::test]
async fn client_authenticates_only_by_its_registered_method() {
    let server = TestServer::start().await;
    let post = "[[client]]\nclient_id = \"post\"\ngrant_types = [\"client_credentials\"]\n\
                token_endpoint_auth_method = \"client_secret_post\"\n";
    let basic = "token_endpoint_auth_method = \"client_secret_basic\"\n";
    let clients = server.register_clients(&[JOB, basic, post].concat()).await;
    let [job, post] = [&clients[0], &clients[1]];
    let by_post = async |rp: &Rp, secret: &str| {
        let fields = [CREDENTIALS, ("client_id", &rp.id), ("client_secret", secret)];
        Answer::of(server.form("/oauth2/token", &fields)).await
    };

    by_post(post, post.secret.as_deref().unwrap()).await.expect_status(200);
    token(&server, job, &[CREDENTIALS]).await.expect_status(200);

    let wrong = Rp { secret: Some("sgs_wrong".to_owned()), ..job.clone() };
    let unknown = Rp { id: "nobody".to_owned(), ..wrong.clone() };
    for refused in [
        token(&server, &wrong, &[CREDENTIALS]).await,
        token(&server, &unknown, &[CREDENTIALS]).await,
        token(&server, post, &[CREDENTIALS]).await,
        by_post(job, job.secret.as_deref().unwrap()).await,
        by_post(post, "").await,
        Answer::of(server.form("/oauth2/token", &[CREDENTIALS, ("client_id", &job.id)])).await,
        Answer::of(server.form("/oauth2/token", &[CREDENTIALS])).await,
        Answer::of(
            server.form("/oauth2/token", &[CREDENTIALS]).header("authorization", "Basic !!!"),
        )
        .await,
    ] {
        refused.expect_oauth_error(401, "invalid_client");
        assert!(refused.header("www-authenticate").starts_with("Basic "), "{refused:?}");
    }
    let secret = job.secret.as_deref().unwrap();
    let both = [CREDENTIALS, ("client_id", job.id.as_str()), ("client_secret", secret)];
    token(&server, job, &both).await.expect_oauth_error(400, "invalid_request");
}

/// Both secrets work until a command drops the old one.
#[tokio::test]
async fn rotated_secret_and_its_successor_both_work() {
    let server = TestServer::start().await;
    let old = job(&server).await;
    let program = crate::harness::Program::new(&server.database);
    let rotate = async |arguments: &[&str]| {
        let output =
            program.run(&[&["client", "rotate-secret", &old.id], arguments].concat()).await;
        let secret = Some(String::from_utf8(output.stdout).unwrap().trim().to_owned());
        Rp { secret, ..old.clone() }
    };

    let new = rotate(&[]).await;
    token(&server, &old, &[CREDENTIALS]).await.expect_status(200);
    token(&server, &new, &[CREDENTIALS]).await.expect_status(200);
    rotate(&["--drop-previous"]).await;
    token(&server, &old, &[CREDENTIALS]).await.expect_oauth_error(401, "invalid_client");
    token(&server, &new, &[CREDENTIALS]).await.expect_status(200);
    let newest = rotate(&["--now"]).await;
    token(&server, &new, &[CREDENTIALS]).await.expect_oauth_error(401, "invalid_client");
    token(&server, &newest, &[CREDENTIALS]).await.expect_status(200);
}

/// MUST-104, MUST-161, MUST-170: wrong secrets are rate-limited at all endpoints with client
/// authentication. Requests with the correct secret still succeed.
#[tokio::test]
async fn secret_guesses_are_limited_without_affecting_others() {
    let server = TestServer::start().await;
    let job = job(&server).await;
    let wrong = Rp { secret: Some("sgs_wrong".to_owned()), ..job.clone() };
    let attempt = async |path: &str, client: &str, rp: &Rp| {
        let request = server.form(path, &[CREDENTIALS, ("token", "x")]);
        let mut request = request.header("authorization", basic(rp)).build().unwrap();
        request.headers_mut().insert("x-forwarded-for", client.parse().unwrap());
        server.http.execute(request).await.unwrap().status().as_u16()
    };

    for path in ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"] {
        let client = server.new_client_address();
        let mut statuses = Vec::new();
        for _ in 0..25 {
            statuses.push(attempt(path, &client, &wrong).await);
        }

        assert_eq!((statuses[0], statuses[24]), (401, 429), "{path}: {statuses:?}");
        assert_eq!(attempt(path, &client, &job).await, 200, "{path}");
    }
}

/// MUST-105..108, AZ-07, CO-12: legacy grants are not supported, and other grants only if registered.
#[tokio::test]
async fn only_registered_grants_work() {
    let server = TestServer::start().await;
    let public = "[[client]]\nclient_id = \"app\"\napplication_type = \"native\"\n\
                  token_endpoint_auth_method = \"none\"\nredirect_uris = [\"http://127.0.0.1/cb\"]\n";
    let clients = server.register_clients(&[JOB, WEB_CLIENT, public].concat()).await;

    for grant in ["password", "implicit", "urn:ietf:params:oauth:grant-type:device_code", "urn:x"] {
        let answer = token(&server, &clients[0], &[("grant_type", grant)]).await;
        answer.expect_oauth_error(400, "unsupported_grant_type");
    }
    for fields in [&[][..], &[("grant_type", "")]] {
        token(&server, &clients[0], fields).await.expect_oauth_error(400, "invalid_request");
    }
    let code = [("grant_type", "authorization_code"), ("code", "x")];
    token(&server, &clients[0], &code).await.expect_oauth_error(400, "unauthorized_client");
    token(&server, &clients[1], &[CREDENTIALS])
        .await
        .expect_oauth_error(400, "unauthorized_client");
    let fields = [CREDENTIALS, ("client_id", "app")];
    Answer::of(server.form("/oauth2/token", &fields))
        .await
        .expect_oauth_error(400, "unauthorized_client");
}

/// SS-07: scripts of registered origins may call these endpoints from a browser.
#[tokio::test]
async fn token_endpoint_allows_registered_origins_only() {
    let server = TestServer::start().await;
    let from = async |path: &str, origin: &str| {
        Answer::of(server.form(path, &[]).header("origin", origin)).await
    };

    for path in ["/oauth2/token", "/oauth2/revoke", "/oauth2/userinfo"] {
        let allowed = from(path, "http://localhost:3000").await;
        assert_eq!(allowed.header("access-control-allow-origin"), "http://localhost:3000");
        for origin in ["https://evil.example", "null"] {
            let foreign = from(path, origin).await;
            assert!(!foreign.headers.contains_key("access-control-allow-origin"), "{path}");
        }
    }
    for path in ["/oauth2/introspect", "/oauth2/authorize", "/login", "/consent"] {
        let answer = from(path, "http://localhost:3000").await;
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{path}");
    }
}
