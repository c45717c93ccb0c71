//! Delivers logout tokens to clients (OpenID Connect Back-Channel Logout 1.0 §2.5), each in a POST
//! of its own.
//!
//! By default requests are sent to public addresses only. Redirects are not followed, and response
//! bodies are not read. Slow or unreachable clients do not delay the logout tokens of other
//! clients.

mod guard;

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use url::form_urlencoded;

use self::guard::Guard;
use crate::domain::oauth::backchannel;
use crate::domain::outbox::{self, Answer, Item, Kind, Shares};
use crate::domain::session;
use crate::http::App;
use crate::server::deliveries::{Deliveries, stopped};
use crate::timestamp::Timestamp;

/// How often the outbox is polled.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Timeout of a request to a client.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Delivers due logout notices until `stop` is true and no notice is being delivered.
pub(super) async fn deliver_logout_notices(
    app: Arc<App>,
    is_private_allowed: bool,
    mut stop: watch::Receiver<bool>,
) {
    let sender = Arc::new(Sender::new(is_private_allowed));
    let mut shares = Shares::default();
    let mut deliveries = Deliveries::new();
    let mut ticks = tokio::time::interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => adopt_old(&app).await,
            Some(delivered) = deliveries.next() => {
                let Delivered { client_id, answer, at } = delivered;
                shares.settle(&client_id, answer, at);
                if !shares.had_too_few_slots() {
                    continue;
                }
            }
            () = stopped(&mut stop), if deliveries.is_empty() => return,
        }
        if *stop.borrow() {
            continue;
        }
        let now = app.clock.now();
        match outbox::take_due(&app.db, Kind::LogoutNotice, &mut shares, now).await {
            Ok(due) => due.into_iter().for_each(|item| {
                deliveries.start(deliver(Arc::clone(&app), Arc::clone(&sender), item));
            }),
            Err(error) => tracing::warn!(%error, "the outbox of logout notices could not be read"),
        }
    }
}

/// Moves logout notices from the table of the previous version to the outbox, because instances of
/// that version may still run.
async fn adopt_old(app: &App) {
    if let Err(error) = session::adopt_old_notices(&app.db).await {
        tracing::warn!(%error, "the outbox of the previous version could not be read");
    }
}

/// The end of a delivery.
struct Delivered {
    client_id: String,
    answer: Answer,
    /// When the client responded, or the request failed. The clock is read before the result is
    /// stored, because storing may take longer for one delivery than for another that failed at the
    /// same time.
    at: Timestamp,
}

async fn deliver(app: Arc<App>, sender: Arc<Sender>, item: Item) -> Delivered {
    let begun = Instant::now();
    let attempted = attempt(&app, &sender, &item).await;
    let (took, at) = (begun.elapsed(), app.clock.now());
    let (settled, answer) = match attempted {
        Ok(()) => (outbox::forget(&app.db, item.id).await, Answer::After(took)),
        Err(Failure { is_silent, why, to }) => {
            let client_id = &item.receiver;
            tracing::warn!(client.id = client_id, to, why, "a logout notice was not delivered yet");
            let answer = if is_silent { Answer::None } else { Answer::After(took) };
            (backchannel::postpone(&app.db, &item, at).await, answer)
        }
    };
    if let Err(error) = settled {
        tracing::warn!(%error, "the result of a logout notice was not stored: it is sent again");
    }
    Delivered { client_id: item.receiver, answer, at }
}

/// Why a delivery failed.
struct Failure {
    /// Whether there was no response.
    is_silent: bool,
    /// The reason, for the operator's log.
    why: String,
    /// The URI of the request; empty if nothing was sent. Its query is omitted, because that may
    /// contain confidential data.
    to: String,
}

impl<E: Error> From<E> for Failure {
    /// A failure before a request was sent.
    fn from(error: E) -> Self {
        Self { is_silent: false, why: error.to_string(), to: String::new() }
    }
}

/// Delivers a logout token. Succeeds without a request if the client no longer has a back-channel
/// logout URI.
async fn attempt(app: &App, sender: &Sender, item: &Item) -> Result<(), Failure> {
    let client_id = &item.receiver;
    let uri = backchannel::receiver(&app.db, client_id).await?;
    let (Some(uri), Some(notice)) = (uri, item.read()) else { return Ok(()) };
    let token = backchannel::logout_token(&app.issuer, client_id, &notice, app.clock.now())?;
    sender.send(&uri, &token).await
}

/// The HTTP client that sends logout tokens.
struct Sender {
    /// Created only when the first logout token is sent, because creating it reads the certificates
    /// of all certification authorities that the system trusts.
    client: OnceLock<Client>,
    guard: Arc<Guard>,
}

impl Sender {
    fn new(is_private_allowed: bool) -> Self {
        Self { client: OnceLock::new(), guard: Arc::new(Guard { is_private_allowed }) }
    }

    fn client(&self) -> reqwest::Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(REQUEST_TIMEOUT)
            .dns_resolver(Arc::clone(&self.guard))
            .build()?;
        Ok(self.client.get_or_init(|| client))
    }

    /// Sends a logout token. The statuses of success are 200 (§2.8), and 204, which some frameworks
    /// send for an empty body.
    async fn send(&self, uri: &str, token: &str) -> Result<(), Failure> {
        let to = uri.split('?').next().unwrap_or_default();
        let failed = |is_silent, why| Err(Failure { is_silent, why, to: to.to_owned() });
        if !self.guard.admits(uri) {
            return failed(true, guard::PRIVATE.to_owned());
        }
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("logout_token", token)
            .finish();
        let request = self.client()?.post(uri);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        match request.body(form).send().await {
            Ok(answer) if matches!(answer.status().as_u16(), 200 | 204) => Ok(()),
            Ok(answer) => failed(false, format!("the response was {}", answer.status())),
            Err(error) if error.is_timeout() => {
                failed(true, format!("no response within {} s", REQUEST_TIMEOUT.as_secs()))
            }
            Err(error) => failed(true, root_cause_of(&error.without_url())),
        }
    }
}

/// The root cause of an error. The outer errors only say that a request failed.
fn root_cause_of(error: &dyn Error) -> String {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root.to_string()
}
