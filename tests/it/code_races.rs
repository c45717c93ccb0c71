//! Codes are exchanged while an event ends their login. No session may stay live.
//!
//! Each round sends concurrent requests to two instances. On PostgreSQL each insert of a session is
//! delayed, after the reads of its transaction and before the commit, so that the event occurs
//! during several exchanges.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{join, join_all};
use serde_json::json;

use crate::harness::oauth::{Browser, CALLBACK, Rp};
use crate::harness::{Answer, PASSWORD, Program, TestServer, eventually};

const ROUNDS: usize = 6;
const CODES: usize = 24;
const SCOPE: [(&str, &str); 1] = [("scope", "openid offline_access")];

struct Instances {
    one: TestServer,
    other: TestServer,
    web: Rp,
}

async fn instances() -> Instances {
    let one = TestServer::with(|config| {
        config.limits.account_attempts_per_minute = 1_000;
    })
    .await;
    let other = one.another_instance().await;
    let web = one.register_web_client().await;
    one.database.delay_before_inserts_into("session").await;
    one.database.delay_after_inserts_into("session").await;
    Instances { one, other, web }
}

fn email_of_round(round: usize) -> String {
    format!("ada{round}@example.test")
}

impl Instances {
    /// Exchanges codes at both instances, a few at a time, until `end` has ended their login.
    /// Asserts that no session is live then.
    async fn race(&self, codes: &[String], end: impl Future<Output = ()>) {
        let is_over = AtomicBool::new(false);
        let remaining = Mutex::new(codes.iter());
        let next = || remaining.lock().unwrap().next().filter(|_| !is_over.load(Ordering::SeqCst));
        let redeem = async |server: &TestServer| {
            let mut redeemed = Vec::new();
            while let Some(code) = next() {
                redeemed.push(server.redeem(&self.web, code).await);
            }
            redeemed
        };
        let servers = [&self.one, &self.other, &self.one, &self.other];
        let redemptions = join_all(servers.map(redeem));
        let end = async {
            end.await;
            is_over.store(true, Ordering::SeqCst);
        };

        let (redeemed, ()) = join(redemptions, end).await;

        for answer in redeemed.iter().flatten().filter(|answer| answer.status == 200) {
            let refused = self.other.userinfo(&answer.text("access_token")).await;
            refused.expect_oauth_error(401, "invalid_token");
        }
        let live = "session WHERE client_id = 'web' AND ended_at IS NULL";
        eventually("all rows are marked as ended", async || {
            self.one.database.count(live).await == 0
        })
        .await;
    }
}

/// Codes of one login in this browser.
async fn codes(browser: &mut Browser<'_>, email: &str, more: &[(&str, &str)]) -> Vec<String> {
    let mut codes = vec![browser.log_in_for_code(email, more).await];
    for _ in 1..CODES {
        codes.push(browser.authorize(more).await.sent_to(CALLBACK)["code"].clone());
    }
    codes
}

/// AT-09
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn earlier_codes_do_not_survive_a_password_change() {
    let instances = instances().await;
    for round in 0..ROUNDS {
        let signed_up = instances.one.sign_up(&email_of_round(round)).await;
        let token = signed_up.tokens().access_token;
        let mut browser = Browser::of(&instances.one);
        let codes = codes(&mut browser, &email_of_round(round), &SCOPE).await;
        let body =
            json!({ "current_password": PASSWORD, "new_password": "Difference-Engine-1822" });
        let change = instances.other.request(reqwest::Method::POST, "/api/auth/password");
        let change = change.header("x-forwarded-for", instances.other.new_client_address());

        let changed = async {
            Answer::of(change.bearer_auth(&token).json(&body)).await.expect_status(204);
        };
        instances.race(&codes, changed).await;
    }
}

/// AT-09, SS-12
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn earlier_codes_do_not_survive_disabling_the_account() {
    let instances = instances().await;
    let program = Program::new(&instances.one.database);
    for round in 0..ROUNDS {
        let email = email_of_round(round);
        instances.one.sign_up(&email).await.expect_status(201);
        let mut browser = Browser::of(&instances.one);
        let codes = codes(&mut browser, &email_of_round(round), &SCOPE).await;

        let arguments = ["account", "disable", &email];
        let disabled = async {
            let disabled = program.run(&arguments).await;
            assert!(disabled.status.success(), "{disabled:?}");
        };
        instances.race(&codes, disabled).await;
    }
}

/// AT-09, SS-11
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn earlier_codes_do_not_survive_the_login_of_another_user() {
    let instances = instances().await;
    instances.one.sign_up("bob@example.test").await.expect_status(201);
    for round in 0..ROUNDS {
        instances.one.sign_up(&email_of_round(round)).await.expect_status(201);
        let mut browser = Browser::of(&instances.one);
        // Without `offline_access`, which would let the sessions outlive the login in the browser.
        let codes = codes(&mut browser, &email_of_round(round), &[]).await;
        let page = browser.authorize(&[("prompt", "login")]).await;
        let credentials = [("username", "bob@example.test"), ("password", PASSWORD)];

        let logged_in = async {
            let logged_in = browser.submit("/login", &page, &credentials).await;
            assert!(logged_in.sent_to(CALLBACK).contains_key("code"));
        };
        instances.race(&codes, logged_in).await;
    }
}
