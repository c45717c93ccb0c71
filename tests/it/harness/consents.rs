//! Granting and withdrawing consent.

use reqwest::Method;

use crate::harness::oauth::{Browser, CALLBACK, hidden, request};
use crate::harness::{Answer, PASSWORD, TestServer};

/// Two clients that require consent: one with audiences, and one without.
pub const ASKING: &str = r#"
[[client]]
client_id = "asking"
client_name = "Asking <App>"
redirect_uris = ["https://rp.example/cb"]
grant_types = ["authorization_code", "refresh_token"]
scope = "openid email offline_access tasks:read"
audiences = ["https://tasks.example/v1", "https://files.example"]

[[client]]
client_id = "plain"
client_name = "Plain"
redirect_uris = ["https://rp.example/cb"]
grant_types = ["authorization_code", "refresh_token"]
scope = "openid email offline_access"
"#;

/// An authorization request of the client that requires consent.
pub fn asking(scope: &str) -> Vec<(&str, &str)> {
    vec![("client_id", "asking"), ("scope", scope)]
}

impl Browser<'_> {
    /// Logs in on the login page, without an authorization request.
    pub async fn log_in_alone(&mut self, email: &str) {
        let page = self.get("/login").await;
        let typed = [("username", email), ("password", PASSWORD)];
        self.submit("/login", &page, &typed).await.expect_status(303);
    }

    /// Sends an authorization request for several audiences.
    pub async fn authorize_at(&mut self, more: &[(&str, &str)], audiences: &[&str]) -> Answer {
        let mut query = request(more);
        for audience in audiences {
            let encoded: String =
                url::form_urlencoded::byte_serialize(audience.as_bytes()).collect();
            query = format!("{query}&resource={encoded}");
        }
        self.get(&format!("/oauth2/authorize?{query}")).await
    }

    /// The consent page that a logged-in user gets.
    pub async fn asked(&mut self, redirect: &Answer) -> Answer {
        let location = redirect.location();
        assert!(location.contains("/consent?flow="), "{location}");
        let page = self.get(&location).await;
        page.expect_status(200);
        page
    }

    /// The code issued when a logged-in user grants consent.
    pub async fn allow(&mut self, redirect: &Answer) -> String {
        let page = self.asked(redirect).await;
        let allowed = self.submit("/consent", &page, &[("decision", "allow")]).await;
        allowed.sent_to(CALLBACK)["code"].clone()
    }

    /// The result of a request with `prompt=none`: a code or an error.
    pub async fn silently(&mut self, more: &[(&str, &str)], audiences: &[&str]) -> String {
        let more = [more, &[("prompt", "none")]].concat();
        let sent = self.authorize_at(&more, audiences).await.sent_to(CALLBACK);
        sent.get("error").map_or_else(|| "code".to_owned(), Clone::clone)
    }

    /// Withdraws a client's consent on the account page.
    pub async fn take_back(&mut self, client_id: &str) -> Answer {
        let page = self.get("/account").await;
        let csrf = hidden(&page)[0].1.clone();
        self.post("/account", &[("csrf", &csrf), ("withdraw", client_id)]).await
    }
}

impl TestServer {
    pub async fn consents(&self, access_token: &str) -> Answer {
        Answer::of(self.as_owner(Method::GET, "/api/auth/consents", access_token)).await
    }

    pub async fn withdraw_consent(&self, access_token: &str, client_id: &str) -> Answer {
        let path = format!("/api/auth/consents/{client_id}");
        Answer::of(self.as_owner(Method::DELETE, &path, access_token)).await
    }
}
