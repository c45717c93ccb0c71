//! Requests of users about their own account, and the account commands.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::harness::{Answer, Program, TestServer};

impl TestServer {
    /// A request of a logged-in user, from a new client address.
    pub fn as_user(&self, method: Method, path: &str, access_token: &str) -> RequestBuilder {
        let request = self.request(method, path).bearer_auth(access_token);
        request.header("x-forwarded-for", self.new_client_address())
    }

    pub async fn sessions(&self, access_token: &str) -> Answer {
        Answer::of(self.as_user(Method::GET, "/api/auth/sessions", access_token)).await
    }

    pub async fn end_session(&self, access_token: &str, id: &str) -> Answer {
        let path = format!("/api/auth/sessions/{id}");
        Answer::of(self.as_user(Method::DELETE, &path, access_token)).await
    }

    pub async fn end_other_sessions(&self, access_token: &str) -> Answer {
        let path = "/api/auth/sessions?others=true";
        Answer::of(self.as_user(Method::DELETE, path, access_token)).await
    }

    pub async fn change_password(&self, access_token: &str, current: &str, new: &str) -> Answer {
        let body = json!({ "current_password": current, "new_password": new });
        let request = self.as_user(Method::POST, "/api/auth/password", access_token);
        Answer::of(request.json(&body)).await
    }

    pub async fn delete_me(&self, access_token: &str, password: &str) -> Answer {
        let request = self.as_user(Method::DELETE, "/api/auth/me", access_token);
        Answer::of(request.json(&json!({ "password": password }))).await
    }

    pub async fn download_data(&self, access_token: &str, password: &str) -> Answer {
        let request = self.as_user(Method::POST, "/api/auth/me/data", access_token);
        Answer::of(request.json(&json!({ "password": password }))).await
    }

    pub async fn patch_me(&self, access_token: &str, patch: &Value) -> Answer {
        let request = self.as_user(Method::PATCH, "/api/auth/me", access_token);
        Answer::of(request.json(patch)).await
    }

    /// Runs `signet account …` on this server's database; returns its output.
    pub async fn account_command(&self, arguments: &[&str]) -> String {
        let confirmation = if arguments.first() == Some(&"delete") { &["--yes"][..] } else { &[] };
        let arguments = [&["account"], arguments, confirmation].concat();
        let output = Program::new(&self.database).run(&arguments).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The session id of a token.
    pub fn session_id(access_token: &str) -> String {
        Self::claims(access_token)["sid"].as_str().unwrap().to_owned()
    }
}
