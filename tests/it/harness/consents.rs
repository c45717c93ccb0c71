//! Granting and withdrawing consent.

use reqwest::Method;

use crate::harness::oauth::{Browser, CALLBACK, authorization_query, hidden_fields};
use crate::harness::{Answer, PASSWORD, TestServer};

/// Two clients that require consent: `asking` has audiences, `plain` has none.
pub const CONSENT_CLIENTS: &str = r#"
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

/// An authorization request of the client `asking`, which requires consent.
pub fn consent_request(scope: &str) -> Vec<(&str, &str)> {
    vec![("client_id", "asking"), ("scope", scope)]
}

impl Browser<'_> {
    /// Logs in on the login page, without an authorization request.
    pub async fn log_in_without_request(&mut self, email: &str) {
        let page = self.get("/login").await;
        let credentials = [("username", email), ("password", PASSWORD)];
        self.submit("/login", &page, &credentials).await.expect_status(303);
    }

    /// Sends an authorization request for several audiences.
    pub async fn authorize_for_audiences(
        &mut self,
        more: &[(&str, &str)],
        audiences: &[&str],
    ) -> Answer {
        let mut query = authorization_query(more);
        for audience in audiences {
            let encoded: String =
                url::form_urlencoded::byte_serialize(audience.as_bytes()).collect();
            query = format!("{query}&resource={encoded}");
        }
        self.get(&format!("/oauth2/authorize?{query}")).await
    }

    /// Follows the redirect of a logged-in user to the consent page.
    pub async fn open_consent_page(&mut self, redirect: &Answer) -> Answer {
        let location = redirect.location();
        assert!(location.contains("/consent?flow="), "{location}");
        let page = self.get(&location).await;
        page.expect_status(200);
        page
    }

    /// Grants consent on the page that `redirect` leads to; returns the issued code.
    pub async fn grant_consent(&mut self, redirect: &Answer) -> String {
        let page = self.open_consent_page(redirect).await;
        let answer = self.submit("/consent", &page, &[("decision", "allow")]).await;
        answer.sent_to(CALLBACK)["code"].clone()
    }

    /// Sends a request with `prompt=none`. Returns `"code"` if a code is issued, and the error
    /// otherwise.
    pub async fn authorize_silently(
        &mut self,
        more: &[(&str, &str)],
        audiences: &[&str],
    ) -> String {
        let more = [more, &[("prompt", "none")]].concat();
        let parameters = self.authorize_for_audiences(&more, audiences).await.sent_to(CALLBACK);
        parameters.get("error").map_or_else(|| "code".to_owned(), Clone::clone)
    }

    /// Withdraws a client's consent on the account page.
    pub async fn withdraw_consent(&mut self, client_id: &str) -> Answer {
        let page = self.get("/account").await;
        let csrf_token = hidden_fields(&page)[0].1.clone();
        self.post("/account", &[("csrf", &csrf_token), ("withdraw", client_id)]).await
    }
}

impl TestServer {
    pub async fn consents(&self, access_token: &str) -> Answer {
        Answer::of(self.as_user(Method::GET, "/api/auth/consents", access_token)).await
    }

    pub async fn withdraw_consent(&self, access_token: &str, client_id: &str) -> Answer {
        let path = format!("/api/auth/consents/{client_id}");
        Answer::of(self.as_user(Method::DELETE, &path, access_token)).await
    }
}
