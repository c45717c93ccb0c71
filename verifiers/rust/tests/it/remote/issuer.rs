//! A server whose responses the test sets. It counts the requests.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use ::axum::Router;
use ::axum::body::Bytes;
use ::axum::extract::State;
use ::axum::http::HeaderMap;
use ::axum::http::HeaderName;
use ::axum::http::HeaderValue;
use ::axum::http::StatusCode;
use ::axum::http::Uri;
use ::axum::http::header;
use serde_json::Value;
use serde_json::json;
use signet_verifier::AccessToken;
use signet_verifier::Clock;
use signet_verifier::RemoteVerifier;
use signet_verifier::RemoteVerifierBuilder;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::harness::AUDIENCE;
use crate::harness::ISSUER;
use crate::harness::NOW;
use crate::harness::public_jwk;
use crate::harness::sign;
use crate::status::deflate;
use crate::status::list_claims;
use crate::status::list_header;
use crate::status::with_list;

pub(crate) const KEYS_PATH: &str = "/.well-known/jwks.json";
pub(crate) const LIST_PATH: &str = "/status/1";

/// The response for one path.
#[derive(Clone, Default)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) delay: Duration,
}

impl Reply {
    pub(crate) fn new(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    pub(crate) fn failing(status: u16) -> Self {
        Self { status: StatusCode::from_u16(status).unwrap(), ..Self::default() }
    }

    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    pub(crate) fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

#[derive(Default)]
struct Served {
    replies: HashMap<String, Reply>,
    requests: HashMap<String, usize>,
    not_modified: usize,
}

/// An issuer that serves its documents at a local address.
pub(crate) struct Issuer {
    pub(crate) address: SocketAddr,
    served: Arc<Mutex<Served>>,
    pub(crate) clock: Arc<StoppedClock>,
    task: JoinHandle<()>,
}

impl Issuer {
    /// An issuer that serves no documents yet.
    pub(crate) async fn empty() -> Self {
        let served = Arc::<Mutex<Served>>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&served));
        let task = tokio::spawn(async { ::axum::serve(listener, router).await.unwrap() });
        Self { address, served, clock: Arc::default(), task }
    }

    /// An issuer that serves the signing key, and a list without revoked entries.
    pub(crate) async fn start() -> Self {
        let issuer = Self::empty().await;
        issuer.serve(KEYS_PATH, keys(&[public_jwk()]));
        issuer.serve(LIST_PATH, nothing_revoked());
        issuer
    }

    pub(crate) fn serve(&self, path: &str, reply: Reply) {
        self.served.lock().unwrap().replies.insert(path.to_owned(), reply);
    }

    /// The number of requests for this path.
    pub(crate) fn requests(&self, path: &str) -> usize {
        self.served.lock().unwrap().requests.get(path).copied().unwrap_or(0)
    }

    /// The number of 304 responses.
    pub(crate) fn not_modified(&self) -> usize {
        self.served.lock().unwrap().not_modified
    }

    pub(crate) fn builder(&self) -> RemoteVerifierBuilder {
        RemoteVerifier::builder(ISSUER, AUDIENCE)
            .base_url(format!("http://{}", self.address))
            .clock(Arc::clone(&self.clock) as _)
            .no_proxy()
    }

    pub(crate) fn verifier(&self) -> RemoteVerifier {
        self.builder().build().unwrap()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    State(served): State<Arc<Mutex<Served>>>,
    uri: Uri,
    headers: HeaderMap,
) -> (StatusCode, HeaderMap, Bytes) {
    let reply = {
        let mut served = served.lock().unwrap();
        *served.requests.entry(uri.path().to_owned()).or_default() += 1;
        served.replies.get(uri.path()).cloned().unwrap_or_else(|| Reply::failing(404))
    };
    tokio::time::sleep(reply.delay).await;
    let etag = reply.headers.get(header::ETAG);
    if etag.is_some() && headers.get(header::IF_NONE_MATCH) == etag {
        served.lock().unwrap().not_modified += 1;
        return (StatusCode::NOT_MODIFIED, reply.headers, Bytes::new());
    }
    (reply.status, reply.headers, reply.body)
}

/// A clock that a test sets.
pub(crate) struct StoppedClock(Mutex<Duration>);

impl Default for StoppedClock {
    fn default() -> Self {
        Self(Mutex::new(Duration::ZERO))
    }
}

impl StoppedClock {
    pub(crate) fn advance(&self, seconds: u64) {
        *self.0.lock().unwrap() += Duration::from_secs(seconds);
    }
}

impl Clock for StoppedClock {
    fn unix_seconds(&self) -> u64 {
        NOW + self.monotonic().as_secs()
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

pub(crate) fn keys(keys: &[Value]) -> Reply {
    Reply::new(json!({ "keys": keys }).to_string()).with(header::CACHE_CONTROL, "max-age=300")
}

pub(crate) fn list(claims: &Value) -> Reply {
    let token = sign(list_header().to_string(), claims.to_string());
    Reply::new(token).with(header::CONTENT_TYPE, "application/statuslist+jwt")
}

/// A list of eight entries, in which the entry of the usual token is valid.
pub(crate) fn nothing_revoked() -> Reply {
    list(&list_claims())
}

pub(crate) fn everything_revoked() -> Reply {
    list(&with_list(json!(1), deflate(&[0xff])))
}

/// The outcome for `token`, as one word.
pub(crate) async fn outcome(verifier: &RemoteVerifier, token: &str) -> &'static str {
    match verifier.verify(token).await {
        Ok(AccessToken { .. }) => "accepted",
        Err(error) => error.code(),
    }
}
