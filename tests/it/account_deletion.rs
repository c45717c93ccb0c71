//! Deletion of an account by its owner.

use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::json;
use signet::config::VerifyEmail;

use crate::harness::mailed::{mail, secrets, token_of};
use crate::harness::smtp::SmtpServer;
use crate::harness::{Answer, PASSWORD, TestServer, eventually};

const ADA: &str = "ada@example.test";

/// SS-12: all sessions of the account end.
#[tokio::test]
async fn account_deletion_ends_all_sessions() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();
    let other = server.log_in(ADA, PASSWORD).await.tokens();
    let bob = server.sign_up("bob@example.test").await.tokens();

    let answer = server.delete_me(&ada.access_token, PASSWORD).await;

    answer.expect_status(204);
    assert!(answer.body.is_empty());
    for tokens in [&ada, &other] {
        server.me(&tokens.access_token).await.expect_error(401, "UNAUTHORIZED");
        server.sessions(&tokens.access_token).await.expect_error(401, "UNAUTHORIZED");
        let refused = server.refresh(&tokens.refresh_token).await;
        refused.expect_error(401, "INVALID_REFRESH_TOKEN");
    }
    server.log_in(ADA, PASSWORD).await.expect_error(401, "AUTH_FAILED");
    let again = server.delete_me(&ada.access_token, PASSWORD).await;
    again.expect_error(401, "UNAUTHORIZED");
    server.refresh(&bob.refresh_token).await.expect_status(200);
    eventually("all rows are deleted", async || server.database.count("account").await == 1).await;
    assert_eq!(server.database.count("session").await, 1);
}

/// ID-06: a later sign-up with the address creates a different account.
#[tokio::test]
async fn sign_up_with_a_deleted_accounts_address_creates_a_new_sub() {
    let server = TestServer::start().await;
    let before = server.sign_up(ADA).await.tokens();
    let reset_token = server.reset_token(ADA).await;
    server.delete_me(&before.access_token, PASSWORD).await.expect_status(204);

    let after = server.sign_up(ADA).await.expect_status(201).tokens();

    assert_ne!(after.user_id, before.user_id);
    assert_eq!(TestServer::claims(&after.access_token)["sub"], after.user_id.to_string());
    server.me(&before.access_token).await.expect_error(401, "UNAUTHORIZED");
    server.refresh(&before.refresh_token).await.expect_error(401, "INVALID_REFRESH_TOKEN");
    let body = json!({ "token": reset_token, "new_password": "Jacquard-Loom-1804" });
    let reset = server.post("/api/auth/password/reset", &body).await;
    reset.expect_error(400, "INVALID_RESET_TOKEN");
    server.me(&after.access_token).await.expect_status(200);
}

/// AU-01, AU-07: the audit log records the deletion, but not the address of the account.
#[tokio::test]
async fn audit_log_keeps_the_id_but_not_the_address_of_a_deleted_account() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();

    server.delete_me(&ada.access_token, PASSWORD).await.expect_status(204);

    assert_eq!(server.database.events().await, ["signup", "account_deleted"]);
    // Both events have the same id.
    assert_eq!(server.database.count("auth_event WHERE account_id IS NOT NULL").await, 2);
    let ids = "(SELECT DISTINCT account_id FROM auth_event WHERE account_id IS NOT NULL) AS ids";
    assert_eq!(server.database.count(ids).await, 1);
    let reasons = "SELECT reason FROM auth_event WHERE type = 'account_deleted'";
    assert_eq!(server.database.column::<String>(reasons).await, ["by its owner"]);
    let dump = format!("{:?}", server.database.dump().await);
    assert!(!dump.contains("ada@"), "{dump}");
}

/// A stolen token alone is not enough to delete the account.
#[tokio::test]
async fn account_deletion_rejects_a_wrong_password() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();
    server.sign_up("bob@example.test").await.expect_status(201);

    for wrong in ["", "wrong", "null"] {
        let refused = server.delete_me(&ada.access_token, wrong).await;
        refused.expect_error(401, "AUTH_FAILED");
    }

    let request = server.as_user(reqwest::Method::DELETE, "/api/auth/me", &ada.access_token);
    Answer::of(request).await.expect_error(415, "UNSUPPORTED_MEDIA_TYPE");
    server.refresh(&ada.refresh_token).await.expect_status(200);
    assert_eq!(server.database.count("account").await, 2);
    let recorded = "auth_event WHERE type = 'login_failed' \
                    AND reason = 'wrong_password_for_account_deletion'";
    assert_eq!(server.database.count(recorded).await, 3);
}

/// ID-06, AT-10: requests in flight give a deleted account no valid session.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn account_deletion_invalidates_requests_in_flight() {
    let server = TestServer::with(|config| {
        config.limits.account_attempts_per_minute = 1_000;
        config.passwords.hash_backlog_seconds = 60;
    })
    .await;
    let second_instance = server.another_instance().await;
    let ada = server.sign_up(ADA).await.tokens();
    let other = server.log_in(ADA, PASSWORD).await.tokens();
    server.database.delay_after_inserts_into("session").await;

    let requests = (0..20).map(async |n: u32| {
        let instance = if n.is_multiple_of(2) { &server } else { &second_instance };
        if n.is_multiple_of(4) {
            instance.refresh(&other.refresh_token).await
        } else {
            instance.log_in(ADA, PASSWORD).await
        }
    });
    let deleting = second_instance.delete_me(&ada.access_token, PASSWORD);
    let (answers, deleted) = join(join_all(requests), deleting).await;

    deleted.expect_status(204);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.expect_status(401);
    }
    for tokens in answers.iter().filter(|answer| answer.status == 200).map(Answer::tokens) {
        server.me(&tokens.access_token).await.expect_error(401, "UNAUTHORIZED");
        let refused = second_instance.refresh(&tokens.refresh_token).await;
        refused.expect_error(401, "INVALID_REFRESH_TOKEN");
    }
    assert_eq!(server.database.count("account").await, 0);
    assert_eq!(server.database.count("session").await, 0);
}

/// ID-06, EN-07: links and codes that were mailed to the deleted account do nothing to the next account
/// with its address, and its data has nothing of the deleted account.
#[tokio::test]
async fn mails_of_a_deleted_account_do_not_act_on_the_next_one() {
    let smtp = SmtpServer::start().await;
    let url = smtp.url();
    let server = TestServer::with(|config| {
        config.mail.mail = url.parse().unwrap();
        config.mail.mail_from = Some("id@example.test".to_owned());
        config.mail.mails_per_hour = 50;
        config.mail.mails_per_day = 50;
        config.signup.verify_email = VerifyEmail::Ask;
    })
    .await;
    let before = server.sign_up(ADA).await.tokens();
    let (to_verify, _) = secrets(&mail(&smtp, 1).await);
    let forgotten = server.post("/api/auth/password/forgotten", &json!({ "email": ADA })).await;
    let reset_handle = forgotten.text("handle");
    let (to_reset, reset_code) = secrets(&mail(&smtp, 2).await);
    let change = json!({ "email": "lovelace@example.test", "password": PASSWORD });
    let change =
        server.as_user(Method::POST, "/api/auth/email", &before.access_token).json(&change);
    let change_handle = Answer::of(change).await.text("handle");
    let (to_change, change_code) = secrets(&mail(&smtp, 3).await);
    server.delete_me(&before.access_token, PASSWORD).await.expect_status(204);
    let after = server.sign_up(ADA).await.expect_status(201).tokens();

    let new_password = "Jacquard-Loom-1804";
    for link in [&to_verify, &to_change, &to_reset] {
        for member in ["password", "new_password"] {
            let body = json!({ "token": token_of(link), member: PASSWORD });
            let refused = server.post("/api/auth/email/verify", &body).await;
            refused.expect_error(400, "INVALID_VERIFICATION_TOKEN");
        }
        let body = json!({ "token": token_of(link), "new_password": new_password });
        let refused = server.post("/api/auth/password/reset", &body).await;
        refused.expect_error(400, "INVALID_RESET_TOKEN");
    }
    let body = json!({ "handle": change_handle, "code": change_code });
    let refused = server.post("/api/auth/email/verify/code", &body).await;
    refused.expect_error(400, "INVALID_VERIFICATION_TOKEN");
    let body = json!({ "handle": reset_handle, "code": reset_code, "new_password": new_password });
    let refused = server.post("/api/auth/password/reset/code", &body).await;
    refused.expect_error(400, "INVALID_RESET_TOKEN");

    let me = server.me(&after.access_token).await.json();
    assert_eq!((&me["email"], &me["email_verified"]), (&json!(ADA), &json!(false)));
    let data = server.download_data(&after.access_token, PASSWORD).await;
    let data = String::from_utf8(data.expect_status(200).body.clone()).unwrap();
    assert!(!data.contains(&before.user_id.to_string()), "{data}");
    assert!(!data.contains("account_deleted") && !data.contains("email_change"), "{data}");
}
