//! HTTP responses, and the assertions that tests make about them.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;
use uuid::Uuid;

/// Status, headers and body of one response.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The time from sending the request to the end of the response.
    pub took: Duration,
}

/// The tokens that sign-up, login and refresh return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    pub user_id: Uuid,
    pub access_token: String,
    pub refresh_token: String,
}

/// Shows the body as text, so that a failed assertion is readable.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        write!(f, "{} {:?} {body}", self.status, self.headers)
    }
}

impl Answer {
    pub async fn of(request: reqwest::RequestBuilder) -> Self {
        let started = std::time::Instant::now();
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.unwrap().to_vec();
        Self { status, headers, body, took: started.elapsed() }
    }

    /// The body, which must be JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The header, which must be present.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}"));
        value.to_str().unwrap()
    }

    #[track_caller]
    pub fn expect_status(&self, status: u16) -> &Self {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{body}");
        self
    }

    /// Asserts an error of the JSON API: status, code and a complete error envelope.
    #[track_caller]
    pub fn expect_error(&self, status: u16, code: &str) -> Value {
        self.expect_status(status);
        let envelope = self.json();
        assert_eq!(envelope["error"]["code"], code, "{envelope}");
        assert!(envelope["error"]["message"].is_string(), "{envelope}");
        assert!(envelope["error"].get("details").is_some(), "{envelope}");
        assert_eq!(envelope["meta"]["request_id"], self.header("x-request-id"));
        assert!(envelope["meta"]["timestamp"].as_str().unwrap().ends_with('Z'), "{envelope}");
        assert_eq!(self.header("content-type"), "application/json");
        envelope
    }

    /// The tokens of a successful response.
    #[track_caller]
    pub fn tokens(&self) -> Tokens {
        assert!(matches!(self.status, 200 | 201), "{self:?}");
        let body = self.json();
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        Tokens {
            user_id: text("user_id").parse().unwrap(),
            access_token: text("access_token"),
            refresh_token: text("refresh_token"),
        }
    }
}
