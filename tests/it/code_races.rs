//! Codes are exchanged while an event ends their login: no session may survive that.
//!
//! Each round sends concurrent requests to two instances. On PostgreSQL each insert of a session is
//! delayed, after the reads of its transaction and before the commit, so that the event falls
//! within several exchanges.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{join, join_all};
use serde_json::json;

use crate::harness::oauth::{Browser, CALLBACK, Rp};
use crate::harness::{Answer, PASSWORD, Program, TestServer, eventually};

const ROUNDS: usize = 6;
const CODES: usize = 24;
const SCOPE: [(&str, &str); 1] = [("scope", "openid offline_access")];

struct Pair {
    one: TestServer,
    other: TestServer,
    web: Rp,
}

async fn pair() -> Pair {
    let one = TestServer::with(|config| {
        config.limits.account_attempts_per_minute = 1_000;
    })
    .await;
    let other = one.beside().await;
    let web = one.web().await;
    one.database.delay_before_inserts_into("session").await;
    one.database.delay_after_inserts_into("session").await;
    Pair { one, other, web }
}

fn signed_up_user(round: usize) -> String {
    format!("ada{round}@example.test")
}

impl Pair {
    /// Exchanges codes at both instances, a few at a time, until `end` has ended their login. No
    /// session may be live then.
    async fn race(&self, codes: &[String], end: impl Future<Output = ()>) {
        let is_over = AtomicBool::new(false);
        let left = Mutex::new(codes.iter());
        let next = || left.lock().unwrap().next().filter(|_| !is_over.load(Ordering::SeqCst));
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
    let mut codes = vec![browser.code(email, more).await];
    for _ in 1..CODES {
        codes.push(browser.authorize(more).await.sent_to(CALLBACK)["code"].clone());
    }
    codes
}

/// AT-09
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn earlier_codes_do_not_survive_a_password_change() {
    let pair = pair().await;
    for round in 0..ROUNDS {
        let signed_up = pair.one.sign_up(&signed_up_user(round)).await;
        let token = signed_up.tokens().access_token;
        let mut browser = Browser::of(&pair.one);
        let codes = codes(&mut browser, &signed_up_user(round), &SCOPE).await;
        let wish =
            json!({ "current_password": PASSWORD, "new_password": "Difference-Engine-1822" });
        let change = pair.other.request(reqwest::Method::POST, "/api/auth/password");
        let change = change.header("x-forwarded-for", pair.other.fresh_client());

        let changed = async {
            Answer::of(change.bearer_auth(&token).json(&wish)).await.expect_status(204);
        };
        pair.race(&codes, changed).await;
    }
}

/// AT-09, SS-12
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn earlier_codes_do_not_survive_disabling_the_account() {
    let pair = pair().await;
    let program = Program::new(&pair.one.database);
    for round in 0..ROUNDS {
        let email = signed_up_user(round);
        pair.one.sign_up(&email).await.expect_status(201);
        let mut browser = Browser::of(&pair.one);
        let codes = codes(&mut browser, &signed_up_user(round), &SCOPE).await;

        let arguments = ["account", "disable", &email];
        let disabled = async {
            let disabled = program.run(&arguments).await;
            assert!(disabled.status.success(), "{disabled:?}");
        };
        pair.race(&codes, disabled).await;
    }
}

/// AT-09, SS-11
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn earlier_codes_do_not_survive_the_login_of_another_user() {
    let pair = pair().await;
    pair.one.sign_up("bob@example.test").await.expect_status(201);
    for round in 0..ROUNDS {
        pair.one.sign_up(&signed_up_user(round)).await.expect_status(201);
        let mut browser = Browser::of(&pair.one);
        // Without `offline_access`: its sessions outlive the browser's login.
        let codes = codes(&mut browser, &signed_up_user(round), &[]).await;
        let page = browser.authorize(&[("prompt", "login")]).await;
        let typed = [("username", "bob@example.test"), ("password", PASSWORD)];

        let entered = async {
            let entered = browser.submit("/login", &page, &typed).await;
            assert!(entered.sent_to(CALLBACK).contains_key("code"));
        };
        pair.race(&codes, entered).await;
    }
}
