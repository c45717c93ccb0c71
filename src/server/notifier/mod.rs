//! Tells clients of logouts (OpenID Connect Back-Channel Logout 1.0 §2.5), one POST each.
//!
//! Unless a setting says otherwise, only public addresses are spoken to. Redirects are not followed,
//! and answers not read. Clients that answer slowly or not at all keep no other waiting.

mod guard;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use tokio::time::MissedTickBehavior;
use url::form_urlencoded;

use self::guard::Guard;
use crate::domain::oauth::backchannel::{self, Answer, Delivery, Shares};
use crate::http::App;

/// How often the queue is looked at.
const BEAT: Duration = Duration::from_secs(1);

/// How long a client may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Delivers what is due, for ever.
pub(super) async fn tell_clients(app: Arc<App>, is_private_allowed: bool) {
    let sender = match Sender::new(is_private_allowed) {
        Ok(sender) => sender,
        Err(error) => {
            tracing::error!(%error, "clients cannot be told of logouts");
            return;
        }
    };
    let mut shares = Shares::default();
    let mut deliveries = FuturesUnordered::new();
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            Some(told) = deliveries.next() => {
                let (client_id, answer): (String, Answer) = told;
                shares.settle(&client_id, answer, app.clock.now());
                if !shares.were_short() {
                    continue;
                }
            }
        }
        let due = backchannel::take_due(&app.db, &mut shares, app.clock.now()).await;
        deliveries.extend(due.into_iter().map(|it| deliver(&app, &sender, it)));
    }
}

async fn deliver(app: &App, sender: &Sender, delivery: Delivery) -> (String, Answer) {
    let Delivery { notice, uri } = delivery;
    let told = match backchannel::logout_token(&app.issuer, &notice, app.clock.now()) {
        Ok(token) => sender.send(&uri, &token).await,
        Err(error) => Err((Answer::Some, error.to_string())),
    };
    let client_id = &notice.client_id;
    let (settled, answer) = match told {
        Ok(()) => (backchannel::forget(&app.db, notice.session_id).await, Answer::Some),
        Err((answer, why)) => {
            tracing::warn!(
                client.id = client_id,
                to = place_of(&uri),
                why,
                "a client was not told of a logout yet"
            );
            (backchannel::postpone(&app.db, &notice, app.clock.now()).await, answer)
        }
    };
    if let Err(error) = settled {
        tracing::warn!(%error, "a notice could not be settled; it will be sent again");
    }
    (notice.client_id, answer)
}

/// Sends logout tokens.
struct Sender {
    client: Client,
    guard: Arc<Guard>,
}

impl Sender {
    fn new(is_private_allowed: bool) -> reqwest::Result<Self> {
        let guard = Arc::new(Guard { is_private_allowed });
        let client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(PATIENCE)
            .dns_resolver(Arc::clone(&guard))
            .build()?;
        Ok(Self { client, guard })
    }

    /// Tells a client. It knows if it answers 200 (§2.8), or the 204 that some frameworks make of an
    /// empty 200.
    ///
    /// # Errors
    /// Whether there was an answer, and what is wrong, for whoever runs this.
    async fn send(&self, uri: &str, token: &str) -> Result<(), (Answer, String)> {
        if !self.guard.admits(uri) {
            return Err((Answer::None, guard::PRIVATE.to_owned()));
        }
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("logout_token", token)
            .finish();
        let request = self.client.post(uri);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        match request.body(form).send().await {
            Ok(answer) if matches!(answer.status().as_u16(), 200 | 204) => Ok(()),
            Ok(answer) => Err((Answer::Some, format!("it answered {}", answer.status()))),
            Err(error) if error.is_timeout() => {
                Err((Answer::None, format!("no answer within {} s", PATIENCE.as_secs())))
            }
            Err(error) => Err((Answer::None, root_of(&error.without_url()))),
        }
    }
}

/// An address without its query, which may hold what is nobody's business.
fn place_of(uri: &str) -> &str {
    uri.split('?').next().unwrap_or_default()
}

/// The error at the root of another: what lies above says that a request failed.
fn root_of(error: &dyn Error) -> String {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root.to_string()
}
