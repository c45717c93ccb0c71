//! Withdrawal of a consent while its client makes requests, on another instance.

use std::time::Duration;

use futures_util::future::join_all;

use crate::harness::TestServer;
use crate::harness::consents::{ASKING, asking};
use crate::harness::oauth::{Browser, CALLBACK, hidden};

const ADA: &str = "ada@example.test";
const SCOPE: &str = "openid offline_access";

/// AT-09: sessions from codes exchanged meanwhile end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_opened_during_a_consent_withdrawal_end() {
    let server = TestServer::start().await;
    let app = server.apply(ASKING).await.remove(0);
    let beside = server.beside().await;
    server.sign_up(ADA).await.expect_status(201);
    // In the middle of an exchange, and in the middle of the withdrawal.
    for table in ["session", "invalid_status"] {
        server.database.delay_after_inserts_into(table).await;
    }
    let mut ada = Browser::of(&server);
    ada.log_in_alone(ADA).await;

    for round in 0..8_u64 {
        let asked = ada.authorize(&asking(SCOPE)).await;
        let mut codes = vec![ada.allow(&asked).await];
        for _ in 0..9 {
            codes.push(ada.authorize(&asking(SCOPE)).await.sent_to(CALLBACK)["code"].clone());
        }
        let csrf = hidden(&ada.get("/account").await)[0].1.clone();

        let redemptions = join_all(codes.iter().zip(0..).map(async |(code, n)| {
            tokio::time::sleep(Duration::from_millis(3 * n)).await;
            beside.redeem(&app, code).await
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

/// No code is issued on a withdrawn consent: a request that had read it reads it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_code_is_issued_on_a_withdrawn_consent() {
    let server = TestServer::start().await;
    let app = server.apply(ASKING).await.remove(0);
    let beside = server.beside().await;
    server.sign_up(ADA).await.expect_status(201);
    server.database.delay_after_inserts_into("auth_event").await;
    let mut ada = Browser::of(&server);
    ada.log_in_alone(ADA).await;
    let silent = [&asking(SCOPE)[..], &[("prompt", "none")]].concat();

    for round in 0..8_u64 {
        let asked = ada.authorize(&asking(SCOPE)).await;
        ada.allow(&asked).await;
        let csrf = hidden(&ada.get("/account").await)[0].1.clone();
        let cookie = ada.cookie.clone();

        let requests = (0..12_u64).map(async |n| {
            let mut same = Browser::of(&beside);
            same.cookie.clone_from(&cookie);
            tokio::time::sleep(Duration::from_millis(8 * n)).await;
            same.authorize(&silent).await
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
