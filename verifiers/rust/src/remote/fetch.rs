//! A bounded GET: no redirect, no more than so many bytes, no longer than three seconds.

use std::time::Duration;

use reqwest::Client;
use reqwest::Response;
use reqwest::StatusCode;
use reqwest::header;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;

/// From the first packet to the last byte of the body.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Who asks, in the issuer's access log.
const USER_AGENT: &str = concat!("signet-verifier/", env!("CARGO_PKG_VERSION"));

/// What is asked for.
pub(super) struct Question<'q> {
    pub(super) url: &'q str,
    pub(super) accept: &'static str,
    /// Longest body that is read, in bytes after decompression.
    pub(super) limit: usize,
    /// Of the copy that is held.
    pub(super) etag: Option<&'q HeaderValue>,
}

/// What was answered, and how long that may be kept by its `Cache-Control`.
pub(super) struct Answer {
    pub(super) document: Document,
    pub(super) max_age: Option<Duration>,
}

pub(super) enum Document {
    New {
        body: Vec<u8>,
        etag: Option<HeaderValue>,
    },
    /// RFC 9110 §15.4.5: what is held is what there is.
    NotModified,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("no answer: {}", with_causes(.0))]
    Request(reqwest::Error),
    #[error("the answer is {0}")]
    Status(StatusCode),
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        // An address may hold a password.
        Self::Request(error.without_url())
    }
}

pub(super) fn client(use_proxy: bool) -> Result<Client, reqwest::Error> {
    let builder =
        Client::builder().user_agent(USER_AGENT).redirect(Policy::none()).timeout(TIMEOUT);
    if use_proxy { builder.build() } else { builder.no_proxy().build() }
}

pub(super) async fn fetch(client: &Client, question: &Question<'_>) -> Result<Answer, FetchError> {
    let mut request = client.get(question.url).header(header::ACCEPT, question.accept);
    if let Some(etag) = question.etag {
        request = request.header(header::IF_NONE_MATCH, etag);
    }
    let response = request.send().await?;
    let max_age = max_age(response.headers());
    let document = match response.status() {
        StatusCode::OK => {
            let etag = response.headers().get(header::ETAG).cloned();
            Document::New { body: body(response, question.limit).await?, etag }
        }
        StatusCode::NOT_MODIFIED if question.etag.is_some() => Document::NotModified,
        other => return Err(FetchError::Status(other)),
    };
    Ok(Answer { document, max_age })
}

/// Counts while it reads, after decompression: neither a length that was not announced nor a
/// small body that unpacks to a large one takes memory.
async fn body(mut response: Response, limit: usize) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if chunk.len() > limit - body.len() {
            return Err(FetchError::TooLong(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// RFC 9111 §5.2.2. More seconds than can be counted are as good as endless, and what is not to be
/// kept is kept as shortly as anything.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    let directives = lines.flat_map(|line| line.split(',')).map(|directive| {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        (name.trim(), value.trim().trim_matches('"'))
    });
    let directives: Vec<_> = directives.collect();
    let has = |wanted| directives.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
    if has("no-cache") || has("no-store") {
        return Some(Duration::ZERO);
    }
    let (_, value) = directives.iter().find(|(name, _)| name.eq_ignore_ascii_case("max-age"))?;
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| value.parse().map_or(Duration::MAX, Duration::from_secs))
}

/// reqwest's own sentence leaves out why.
fn with_causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
