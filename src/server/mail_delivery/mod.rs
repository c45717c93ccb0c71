//! Sends the mails in the outbox.
//!
//! A mail is sent at least once. If this process is killed between the server's acceptance of a
//! mail and the deletion of its row, the mail is sent again, with the same `Message-ID`. That can
//! happen to at most `SLOTS` mails of an instance.

mod letter;
mod mailer;
mod templates;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::config::Config;
use crate::domain::mail::QueuedMail;
use crate::domain::mail::delivery::{self, SendResult};
use crate::domain::outbox::{self, Item, Kind};
use crate::http::App;
use crate::server::deliveries::{Deliveries, stopped};
use crate::server::mail_delivery::letter::MailValues;
use crate::timestamp::Timestamp;

pub use mailer::{Letter, MailError, Mailer, SendError};
pub use templates::{TemplateError, Templates, Text, Values};

/// How often the outbox is polled.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Maximum number of mails that an instance sends concurrently, each on a connection of its own.
const SLOTS: usize = 16;

/// How long an instance has for one attempt before another instance may retry.
const CLAIM: Duration = Duration::from_secs(mailer::SEND_TIMEOUT.as_secs() + 15);

/// The first pause after a failure that concerns all mails. Each further failure doubles the pause.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// Maximum pause after failures that concern all mails.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How long a mail waits for an instance that has the master key with which the mail was queued.
/// The instances may be restarting with a new key.
const RESTART_TIME: Duration = Duration::from_mins(10);

/// What this task needs to send mail.
pub(super) struct Delivery {
    app: Arc<App>,
    /// The name of the service.
    service: String,
    mailer: Mailer,
    templates: Templates,
}

/// The result of one attempt.
enum Outcome {
    /// The server accepted the mail or refused this mail alone, or nothing was sent to the server.
    Responded,
    /// Sending failed for a reason that concerns all mails.
    NoServer,
}

/// Checks the settings and templates of mail, without sending anything.
///
/// # Errors
/// See [`MailError`].
pub(super) fn check(config: &Config) -> Result<(), MailError> {
    Mailer::new(&config.mail)?;
    Templates::load(config.mail.mail_templates.as_deref())?;
    Ok(())
}

/// The pause after failures that concern all mails.
#[derive(Default)]
struct Pause {
    failures: u32,
    until: Timestamp,
}

impl Pause {
    /// How many mails may be sent concurrently: none during a pause, and one as a test after it.
    fn slots(&self, now: Timestamp) -> usize {
        match self.failures {
            0 => SLOTS,
            _ if now < self.until => 0,
            _ => 1,
        }
    }

    fn note(&mut self, outcome: &Outcome, now: Timestamp) {
        match outcome {
            Outcome::Responded => *self = Self::default(),
            // Several attempts that fail at about the same time count once.
            Outcome::NoServer if self.failures == 0 || now >= self.until => {
                self.failures = self.failures.saturating_add(1);
                let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.failures - 1));
                self.until = now.plus(doubled.min(LONGEST_PAUSE));
            }
            Outcome::NoServer => {}
        }
    }
}

impl Delivery {
    /// `None` if mail is off.
    ///
    /// # Errors
    /// See [`MailError`].
    pub(super) fn new(app: &Arc<App>, config: &Config) -> Result<Option<Self>, MailError> {
        let Some(mailer) = Mailer::new(&config.mail)? else { return Ok(None) };
        let templates = Templates::load(config.mail.mail_templates.as_deref())?;
        let service = config.pages.service_name.clone();
        Ok(Some(Self { app: Arc::clone(app), service, mailer, templates }))
    }

    /// Sends due mails until `stop` is true and no mail is being sent. A stopping server takes no more
    /// mails. An aborted mail might be sent twice, because its result would not be stored.
    pub(super) async fn run(self, mut stop: watch::Receiver<bool>) {
        let delivery = Arc::new(self);
        let mut pause = Pause::default();
        let mut under_way = Deliveries::new();
        let mut ticks = tokio::time::interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Some((outcome, at)) = under_way.next() => pause.note(&outcome, at),
                () = stopped(&mut stop), if under_way.is_empty() => return,
            }
            let app = &delivery.app;
            let now = app.clock.now();
            let is_stopping = app.is_shutting_down.load(Ordering::Acquire);
            let slots = if is_stopping { 0 } else { pause.slots(now) };
            let free = slots.saturating_sub(under_way.len());
            let limit = u64::try_from(free).unwrap_or(0);
            match outbox::take_oldest(&app.db, Kind::Mail, limit, CLAIM, now).await {
                Ok(due) => {
                    let start = |item| under_way.start(Arc::clone(&delivery).deliver(item));
                    due.into_iter().for_each(start);
                }
                Err(error) => tracing::warn!(%error, "the outbox of mails could not be read"),
            }
        }
    }

    /// Sends a mail and stores the verdict. Returns the outcome, and when the attempt ended. The
    /// clock is read before the verdict is stored, because storing may take longer for one mail
    /// than for another that failed at the same time.
    async fn deliver(self: Arc<Self>, item: Item) -> (Outcome, Timestamp) {
        let (result, outcome) = self.attempt(&item).await;
        let at = self.app.clock.now();
        if let Err(error) = delivery::settle(&self.app.db, &item, result).await {
            tracing::warn!(mail.id = %item.id, %error, "the result of sending a mail was not stored");
        }
        (outcome, at)
    }

    /// The result for a mail that needs a master key which this instance does not have.
    fn without_key(&self, item: &Item) -> SendResult {
        let is_late = self.app.clock.now().since(item.created_at) >= RESTART_TIME;
        let reason = delivery::UNKNOWN_KEY.to_owned();
        if is_late { SendResult::Failed(reason) } else { SendResult::Postponed(reason) }
    }

    async fn attempt(&self, item: &Item) -> (SendResult, Outcome) {
        let responded = |result| (result, Outcome::Responded);
        // An instance of a newer version may have queued a kind of mail that this version lacks.
        let Some(mail) = item.read::<QueuedMail>() else {
            return responded(SendResult::postponed("unknown"));
        };
        if mail.content.expires_at().is_some_and(|at| at <= self.app.clock.now()) {
            return responded(SendResult::Failed("expired".to_owned()));
        }
        let (mail, values) = match letter::mail_and_values(&self.app, mail).await {
            Ok(Some(written)) => written,
            Ok(None) => return responded(SendResult::Done),
            Err(error) => {
                tracing::warn!(mail.id = %item.id, %error, "a mail could not be written yet");
                return responded(SendResult::postponed("database"));
            }
        };
        let values = match values {
            MailValues::Known(values) => values,
            MailValues::NotSent => return responded(SendResult::Done),
            MailValues::UnknownKey => return responded(self.without_key(item)),
        };
        let (service, time) = (self.service.clone(), item.created_at.to_minute());
        let values = Values { service, time, ..values };
        let text = match self.templates.render(mail.content.name(), mail.language, &values) {
            Ok(text) => text,
            Err(error) => {
                tracing::error!(mail.id = %item.id, %error, "a mail could not be written");
                return responded(SendResult::postponed("template"));
            }
        };
        let QueuedMail { to, language, .. } = mail;
        let letter = Letter { id: item.id, to, language, text, date: item.created_at };
        match self.mailer.send(letter).await {
            Ok(()) => responded(SendResult::Done),
            Err(SendError { reason, is_of_mail, is_permanent, .. }) => {
                let account_id = mail.account_id;
                tracing::warn!(
                    mail.id = %item.id, account.id = %account_id, reason,
                    "a mail was not sent: {reason}"
                );
                match (is_of_mail, is_permanent) {
                    (true, true) => responded(SendResult::Failed(reason)),
                    (true, false) => responded(SendResult::Postponed(reason)),
                    (false, _) => (SendResult::NoServer(reason), Outcome::NoServer),
                }
            }
        }
    }
}
