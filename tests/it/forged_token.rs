//! Well-formed tokens that Signet's own endpoints must reject.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::forge::encode;
use crate::harness::forgeries::{Forgery, ValidToken, altered_or_reencoded, with_member};
use crate::harness::{TestServer, Tokens};

/// A server, and the tokens of a sign-up.
struct Setup {
    server: TestServer,
    tokens: Tokens,
    /// The access token with the private key, from which forgeries are made.
    valid_token: ValidToken,
}

impl Setup {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let tokens = server.sign_up("ada@example.test").await.tokens();
        let valid_token = ValidToken::of(&server, &tokens.access_token).await;
        // The unchanged token is accepted, so forgeries are rejected only for their changes.
        server.me(&valid_token.unchanged()).await.expect_status(200);
        Self { server, tokens, valid_token }
    }

    async fn assert_all_refused(&self, forgeries: Vec<Forgery>) {
        for Forgery { fault, token } in forgeries {
            self.assert_refused(&token, &fault).await;
        }
    }

    async fn assert_refused(&self, token: &str, fault: &str) {
        for answer in [self.server.me(token).await, self.server.log_out(token).await] {
            assert_eq!(answer.status, 401, "{fault}");
            answer.expect_error(401, "UNAUTHORIZED");
            assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
        }
    }

    /// Asserts that the session is still live.
    async fn assert_session_is_live(self) {
        self.server.me(&self.tokens.access_token).await.expect_status(200);
        assert_eq!(self.server.database.events().await, ["signup"]);
    }
}

/// MUST-194, MUST-195, JW-01: the verifier determines the algorithm, not the token.
#[tokio::test]
async fn token_with_another_algorithm_is_rejected() {
    let setup = Setup::new().await;
    let jwks = setup.server.get("/.well-known/jwks.json").await.body;

    setup.assert_all_refused(setup.valid_token.with_other_algorithms(&jwks)).await;
    setup.assert_session_is_live().await;
}

/// MUST-196, MUST-197, MUST-198, MUST-203, JW-01: a token cannot choose its key, and the `typ` of
/// another kind of token or an unknown `crit` is refused.
#[tokio::test]
async fn token_with_another_header_is_rejected() {
    let setup = Setup::new().await;
    let jwks = setup.server.jwks().await;

    setup.assert_all_refused(setup.valid_token.with_other_keys_or_kids(&jwks)).await;
    setup.assert_all_refused(setup.valid_token.with_other_types_or_crit()).await;
    setup.assert_all_refused(setup.valid_token.with_other_headers(&jwks)).await;
    setup.assert_session_is_live().await;
}

/// MUST-201, MUST-202, JW-01, JW-02: tokens that are signed with the real key, with a claim that is
/// wrong, malformed or missing.
#[tokio::test]
async fn token_with_a_wrong_malformed_or_missing_claim_is_rejected() {
    let setup = Setup::new().await;

    for forgeries in [
        setup.valid_token.with_wrong_issuers(),
        setup.valid_token.with_wrong_audiences(),
        setup.valid_token.with_unknown_subjects_or_sessions(),
        setup.valid_token.with_malformed_times(),
        setup.valid_token.without_a_required_claim(),
    ] {
        setup.assert_all_refused(forgeries).await;
    }
    setup.assert_session_is_live().await;
}

/// MUST-199, MUST-200, JW-07: only the exact text of the token is accepted.
#[tokio::test]
async fn token_in_a_non_canonical_encoding_is_rejected() {
    let setup = Setup::new().await;

    setup.assert_all_refused(setup.valid_token.with_duplicate_names()).await;
    setup.assert_all_refused(altered_or_reencoded(&setup.tokens.access_token)).await;
    setup.assert_session_is_live().await;
}

/// JW-08: an oversized or deeply nested token is refused within a second. If it exceeds the limit
/// of the request's head, the response arrives, or the connection is closed, within five seconds.
#[tokio::test]
async fn huge_token_is_rejected_quickly() {
    let setup = Setup::new().await;
    let Setup { server, valid_token, .. } = &setup;
    let ValidToken { forge, header, claims } = valid_token;
    let token = &setup.tokens.access_token;
    let nested = format!("{{\"a\":{}1{}}}", "[".repeat(2500), "]".repeat(2500));
    let padded = with_member(claims, "pad", "x".repeat(9000).into());
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
    let too_long = server.me(&".".repeat(16 * 1024)).await;
    too_long.expect_error(431, "HEADERS_TOO_LARGE");
    for huge in [".".repeat(1_000_000), format!("{token}{}", "A".repeat(1 << 20))] {
        let started = std::time::Instant::now();
        let mut connection = TcpStream::connect(server.address).await.unwrap();
        let request =
            format!("GET /api/auth/me HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {huge}\r\n\r\n");
        // The server may close the connection before it has read the whole request.
        let _ = connection.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = connection.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
    setup.assert_session_is_live().await;
}
