//! Well-formed tokens that Signet's own endpoints must reject.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::forge::encode;
use crate::harness::forgeries::{Forgery, Genuine, in_other_spellings, with};
use crate::harness::{TestServer, Tokens};

/// A server, a login on it, and an attacker with its private key.
struct Scene {
    server: TestServer,
    tokens: Tokens,
    genuine: Genuine,
}

impl Scene {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let tokens = server.sign_up("ada@example.test").await.tokens();
        let genuine = Genuine::of(&server, &tokens.access_token).await;
        // The unchanged token is accepted, so forgeries are rejected for their change alone.
        server.me(&genuine.unchanged()).await.expect_status(200);
        Self { server, tokens, genuine }
    }

    async fn assert_all_refused(&self, forgeries: Vec<Forgery>) {
        for Forgery { what, token } in forgeries {
            self.assert_refused(&token, &what).await;
        }
    }

    async fn assert_refused(&self, token: &str, what: &str) {
        for answer in [self.server.me(token).await, self.server.log_out(token).await] {
            assert_eq!(answer.status, 401, "{what}");
            answer.expect_error(401, "UNAUTHORIZED");
            assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
        }
    }

    /// The session is still live.
    async fn end(self) {
        self.server.me(&self.tokens.access_token).await.expect_status(200);
        assert_eq!(self.server.database.events().await, ["signup"]);
    }
}

/// MUST-194, MUST-195, JW-01: the verifier determines the algorithm, not the token.
#[tokio::test]
async fn token_with_another_algorithm_is_rejected() {
    let scene = Scene::new().await;
    let jwks = scene.server.get("/.well-known/jwks.json").await.body;

    scene.assert_all_refused(scene.genuine.of_other_algorithms(&jwks)).await;
    scene.end().await;
}

/// MUST-196, MUST-197, MUST-198, JW-01: a token cannot bring its own key or rules.
#[tokio::test]
async fn token_with_a_key_or_crit_in_its_header_is_rejected() {
    let scene = Scene::new().await;
    let jwks = scene.server.jwks().await;

    scene.assert_all_refused(scene.genuine.of_other_keys(&jwks)).await;
    scene.assert_all_refused(scene.genuine.of_other_kinds()).await;
    scene.assert_all_refused(scene.genuine.with_other_headers(&jwks)).await;
    scene.end().await;
}

/// MUST-201, MUST-202, MUST-203, JW-01, JW-02: signed with the real key, but not for this audience
/// or time.
#[tokio::test]
async fn token_with_a_wrong_or_malformed_claim_is_rejected() {
    let scene = Scene::new().await;

    for forgeries in [
        scene.genuine.of_other_issuers(),
        scene.genuine.for_others(),
        scene.genuine.of_nobody(),
        scene.genuine.with_malformed_times(),
        scene.genuine.without_claims(),
    ] {
        scene.assert_all_refused(forgeries).await;
    }
    scene.end().await;
}

/// MUST-199, MUST-200, JW-07: only the exact text of the token is accepted.
#[tokio::test]
async fn token_in_a_non_canonical_encoding_is_rejected() {
    let scene = Scene::new().await;

    scene.assert_all_refused(scene.genuine.with_a_name_twice()).await;
    scene.assert_all_refused(in_other_spellings(&scene.tokens.access_token)).await;
    scene.end().await;
}

/// JW-08: a huge token costs little time.
#[tokio::test]
async fn huge_token_is_rejected_quickly() {
    let scene = Scene::new().await;
    let Scene { server, genuine, .. } = &scene;
    let Genuine { forge, header, claims } = genuine;
    let token = &scene.tokens.access_token;
    let nested = format!("{{\"a\":{}1{}}}", "[".repeat(2500), "]".repeat(2500));
    let padded = with(claims, "pad", "x".repeat(9000).into());
    let long = [
        format!("{token}{}", ".".repeat(10_000)),
        ".".repeat(15_000),
        format!("{}.{}.AA", encode(&nested), encode("{}")),
        forge.sign(header, &padded),
        forge.sign_text(&nested, &claims.to_string()),
    ];

    for token in long {
        let answer = server.me(&token).await;
        answer.expect_error(401, "UNAUTHORIZED");
        assert!(answer.took < Duration::from_secs(1), "{:?}", answer.took);
    }
    let beyond = server.me(&".".repeat(16 * 1024)).await;
    beyond.expect_error(431, "HEADERS_TOO_LARGE");
    for huge in [".".repeat(1_000_000), format!("{token}{}", "A".repeat(1 << 20))] {
        let started = std::time::Instant::now();
        let mut connection = TcpStream::connect(server.address).await.unwrap();
        let request =
            format!("GET /api/auth/me HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {huge}\r\n\r\n");
        // The server may close the connection before it has read everything.
        let _ = connection.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = connection.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
    scene.end().await;
}
