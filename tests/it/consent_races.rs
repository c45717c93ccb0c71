//! Withdrawal of a consent while its client makes requests, on another instance.

use std::time::Duration;

use futures_util::future::join_all;

use crate::harness::TestServer;
use crate::harness::consents::{CONSENT_CLIENTS, consent_request};
use crate::harness::oauth::{Browser, CALLBACK, hidden_fields};

const ADA: &str = "ada@example.test";
const SCOPE: &str = "openid offline_access";

/// AT-09: sessions from codes that are exchanged during the withdrawal end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_opened_during_a_consent_withdrawal_end() {
    let server = TestServer::start().await;
    let app = server.register_clients(CONSENT_CLIENTS).await.remove(0);
    let second_instance = server.another_instance().await;
    server.sign_up(ADA).await.expect_status(201);
    // Delays in the middle of each exchange and of the withdrawal.
    for table in ["session", "invalid_status"] {
        server.database.delay_after_inserts_into(table).await;
    }
    let mut ada = Browser::of(&server);
    ada.log_in_without_request(ADA).await;

    for round in 0..8_u64 {
        let redirect = ada.authorize(&consent_request(SCOPE)).await;
        let mut codes = vec![ada.grant_consent(&redirect).await];
        for _ in 0..9 {
            codes.push(
                ada.authorize(&consent_request(SCOPE)).await.sent_to(CALLBACK)["code"].clone(),
            );
        }
        let csrf = hidden_fields(&ada.get("/account").await)[0].1.clone();

        let redemptions = join_all(codes.iter().zip(0..).map(async |(code, n)| {
            tokio::time::sleep(Duration::from_millis(3 * n)).await;
            second_instance.redeem(&app, code).await
        }));
        let withdrawal = async {
            tokio::time::sleep(Duration::from_millis(2 + 3 * round)).await;
            ada.post("/account", &[("csrf", &csrf), ("withdraw", "asking")]).await
        };
        let (redeemed, withdrawn) = tokio::join!(redemptions, withdrawal);

        assert_eq!(withdrawn.status, 303, "{withdrawn:?}");
        for answer in &redeemed {
            assert!([200, 400].contains(&answer.status), "{answer:?}");
        }
        for answer in redeemed.iter().filter(|answer| answer.status == 200) {
            let userinfo = server.userinfo(&answer.text("access_token")).await;
            userinfo.expect_oauth_error(401, "invalid_token");
        }
        let live = "session WHERE client_id = 'asking' AND ended_at IS NULL";
        assert_eq!(server.database.count(live).await, 0, "round {round}");
    }
}

/// No valid code is issued for a withdrawn consent: a request that has read the consent before
/// reads it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_code_is_issued_on_a_withdrawn_consent() {
    let server = TestServer::start().await;
    let app = server.register_clients(CONSENT_CLIENTS).await.remove(0);
    let second_instance = server.another_instance().await;
    server.sign_up(ADA).await.expect_status(201);
    server.database.delay_after_inserts_into("auth_event").await;
    let mut ada = Browser::of(&server);
    ada.log_in_without_request(ADA).await;
    let silent = [&consent_request(SCOPE)[..], &[("prompt", "none")]].concat();

    for round in 0..8_u64 {
        let redirect = ada.authorize(&consent_request(SCOPE)).await;
        ada.grant_consent(&redirect).await;
        let csrf = hidden_fields(&ada.get("/account").await)[0].1.clone();
        let cookie = ada.cookie.clone();

        let requests = (0..12_u64).map(async |n| {
            let mut same_browser = Browser::of(&second_instance);
            same_browser.cookie.clone_from(&cookie);
            tokio::time::sleep(Duration::from_millis(8 * n)).await;
            same_browser.authorize(&silent).await
        });
        let withdrawal = async {
            tokio::time::sleep(Duration::from_millis(3 * round)).await;
            ada.post("/account", &[("csrf", &csrf), ("withdraw", "asking")]).await
        };
        let (answers, withdrawn) = tokio::join!(join_all(requests), withdrawal);

        assert_eq!(withdrawn.status, 303, "{withdrawn:?}");
        let sent = answers.iter().map(|answer| answer.sent_to(CALLBACK));
        let (granted, refused): (Vec<_>, Vec<_>) = sent.partition(|it| it.contains_key("code"));
        assert!(refused.iter().all(|it| it["error"] == "consent_required"), "{refused:?}");
        for sent in granted {
            server.redeem(&app, &sent["code"]).await.expect_oauth_error(400, "invalid_grant");
        }
    }
}
