//! A GET with limits: no redirects, a maximum size, and at most three seconds.

use std::time::Duration;

use reqwest::Client;
use reqwest::Response;
use reqwest::StatusCode;
use reqwest::header;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;

/// Limits the whole request, until the last byte of the body.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Identifies this crate in the issuer's access log.
const USER_AGENT: &str = concat!("signet-verifier/", env!("CARGO_PKG_VERSION"));

/// A request for a document.
pub(super) struct DocumentRequest<'q> {
    pub(super) url: &'q str,
    pub(super) accept: &'static str,
    /// Largest body that is accepted, in bytes after decompression.
    pub(super) limit: usize,
    /// The `ETag` of the cached copy.
    pub(super) etag: Option<&'q HeaderValue>,
}

/// The document in a response, and how long `Cache-Control` allows it to be cached.
pub(super) struct Fetched {
    pub(super) document: Document,
    pub(super) max_age: Option<Duration>,
}

pub(super) enum Document {
    New {
        body: Vec<u8>,
        etag: Option<HeaderValue>,
    },
    /// The cached copy is current (RFC 9110 §15.4.5).
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
        // The URL may contain a password.
        Self::Request(error.without_url())
    }
}

pub(super) fn client(use_proxy: bool) -> Result<Client, reqwest::Error> {
    let builder =
        Client::builder().user_agent(USER_AGENT).redirect(Policy::none()).timeout(TIMEOUT);
    if use_proxy { builder.build() } else { builder.no_proxy().build() }
}

pub(super) async fn fetch(
    client: &Client,
    request: &DocumentRequest<'_>,
) -> Result<Fetched, FetchError> {
    let mut builder = client.get(request.url).header(header::ACCEPT, request.accept);
    if let Some(etag) = request.etag {
        builder = builder.header(header::IF_NONE_MATCH, etag);
    }
    let response = builder.send().await?;
    let max_age = max_age(response.headers());
    let document = match response.status() {
        StatusCode::OK => {
            let etag = response.headers().get(header::ETAG).cloned();
            Document::New { body: body(response, request.limit).await?, etag }
        }
        StatusCode::NOT_MODIFIED if request.etag.is_some() => Document::NotModified,
        other => return Err(FetchError::Status(other)),
    };
    Ok(Fetched { document, max_age })
}

/// Counts the decompressed bytes while reading. So neither a body without a declared length nor a
/// small body that decompresses to a large one exhausts memory.
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

/// `max-age` (RFC 9111 §5.2.2). A number of seconds beyond the range counts as unlimited. A
/// response with `no-cache` or `no-store` counts as `max-age=0`, so it is cached for the minimum
/// lifetime.
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

/// The message of an error with its causes, which reqwest's own message omits.
fn with_causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
