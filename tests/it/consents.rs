//! What people have allowed clients, and for what it counts.

use crate::harness::consents::{ASKING, asking};
use crate::harness::oauth::Browser;
use crate::harness::{Answer, TestServer};

const ADA: &str = "ada@example.test";
const TASKS: &str = "https://tasks.example/v1";
const FILES: &str = "https://files.example";

async fn server() -> TestServer {
    let server = TestServer::start().await;
    server.apply(ASKING).await;
    server.sign_up(ADA).await.expect_status(201);
    server
}

/// Somebody who is logged in and has allowed the client that asks a scope.
async fn allowed<'s>(server: &'s TestServer, email: &str, scope: &str) -> (Browser<'s>, String) {
    let mut browser = Browser::of(server);
    browser.log_in_alone(email).await;
    let asked = browser.authorize(&asking(scope)).await;
    let code = browser.allow(&asked).await;
    (browser, code)
}

fn html(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// MUST-069, RFC 8707: a yes for one service is no yes for another, and none for more at either.
#[tokio::test]
async fn a_consent_is_for_a_scope_at_an_audience() {
    let server = server().await;
    let (mut ada, _) = allowed(&server, ADA, "openid email").await;
    let wide = asking("openid email");
    let narrow = asking("openid");

    for at in [&[][..], &[TASKS]] {
        assert_eq!(ada.silently(&wide, at).await, "code", "{at:?}");
    }
    for at in [&[FILES][..], &[TASKS, FILES], &[FILES, TASKS]] {
        assert_eq!(ada.silently(&narrow, at).await, "consent_required", "{at:?}");
    }

    let asked = ada.authorize_at(&narrow, &[FILES]).await;
    ada.allow(&asked).await;

    for at in [&[][..], &[FILES], &[TASKS, FILES]] {
        assert_eq!(ada.silently(&narrow, at).await, "code", "{at:?}");
    }
    assert_eq!(ada.silently(&wide, &[TASKS]).await, "code");
    for at in [&[FILES][..], &[TASKS, FILES]] {
        assert_eq!(ada.silently(&wide, at).await, "consent_required", "{at:?}");
    }
    let told = "SELECT reason FROM auth_event WHERE type = 'consent_granted' ORDER BY id";
    let expected = ["openid email at https://tasks.example/v1", "openid at https://files.example"];
    assert_eq!(server.database.column::<String>(told).await, expected);
}

/// N-57: who is asked sees where the access goes, unless it goes no further than here.
#[tokio::test]
async fn the_question_says_where_the_access_goes() {
    let server = server().await;
    let mut ada = Browser::of(&server);
    ada.log_in_alone(ADA).await;
    let said = async |ada: &mut Browser<'_>, more: &[(&str, &str)], at: &[&str]| {
        let asked = ada.authorize_at(more, at).await;
        html(&ada.asked(&asked).await)
    };

    let default = said(&mut ada, &asking("openid"), &[]).await;
    let both = said(&mut ada, &asking("openid"), &[FILES, TASKS]).await;
    let here = said(&mut ada, &[("client_id", "plain"), ("scope", "openid")], &[]).await;

    assert!(default.contains("access at <strong>tasks.example</strong>."), "{default}");
    assert!(
        both.contains(
            "access at <strong>files.example</strong> and <strong>tasks.example</strong>."
        )
    );
    assert!(!here.contains("access at"), "{here}");
}

/// An upgrade takes nobody's word for more than they were told.
#[tokio::test]
async fn a_consent_from_before_audiences_is_for_the_default_one_alone() {
    let server = server().await;
    let (mut ada, _) = allowed(&server, ADA, "openid email").await;
    let plain = [("client_id", "plain"), ("scope", "openid")];
    let asked = ada.authorize(&plain).await;
    ada.allow(&asked).await;
    server.database.execute("UPDATE consent SET access = NULL").await;

    assert_eq!(ada.silently(&asking("openid email"), &[]).await, "code");
    assert_eq!(ada.silently(&plain, &[]).await, "code");
    assert_eq!(ada.silently(&asking("openid"), &[FILES]).await, "consent_required");
    let asked = ada.authorize_at(&asking("openid"), &[FILES]).await;
    ada.allow(&asked).await;
    assert_eq!(ada.silently(&asking("openid"), &[FILES]).await, "code");
    assert_eq!(ada.silently(&asking("openid email"), &[]).await, "code");
}
