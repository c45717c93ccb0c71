//! `signet mail`

use anyhow::bail;
use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::cli::database::{finish, open};
use crate::cli::language::parse_language;
use crate::cli::output::print;
use crate::clock::Clock;
use crate::config::{DatabaseSettings, MailSettings};
use crate::domain::id;
use crate::domain::language::Language;
use crate::domain::mail::delivery::UNKNOWN_KEY;
use crate::domain::mail::{Content, QueuedMail, dead_letters};
use crate::domain::outbox::Item;
use crate::server::mail_delivery::{Letter, Mailer, SendError, Templates, Values};

/// Dead letters per database query.
const PAGE: u64 = 500;

#[derive(Debug, Subcommand)]
pub(super) enum Mail {
    /// Send a test mail, and say what happened.
    ///
    /// Uses the settings of `serve`, but no database. Exits with 1 if the mail was not accepted.
    Test(Test),
    /// List the dead letters: the mails that could not be sent.
    ///
    /// Shows id, time, account or invite, kind of mail and reason, oldest first. `signet account
    /// show` shows the email address of an account. Dead letters are stored for 30 days.
    List(DatabaseSettings),
    /// Send dead letters again.
    Resend(Resend),
}

#[derive(Debug, Args)]
pub(super) struct Test {
    /// The email address of the recipient.
    address: String,
    /// The language of the mail: `en` or `de`.
    #[arg(long, default_value = "en", value_parser = parse_language)]
    language: Language,
    #[command(flatten)]
    mail: MailSettings,
}

#[derive(Debug, Args)]
#[command(override_usage = "signet mail resend [OPTIONS] <ID>\n       \
                            signet mail resend [OPTIONS] --all")]
pub(super) struct Resend {
    /// The id of a dead letter, as `signet mail list` shows it.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    id: Option<Uuid>,
    /// Send all dead letters again.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    database: DatabaseSettings,
}

impl Mail {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Test(command) => command.run().await,
            Self::List(database) => list(&database).await,
            Self::Resend(Resend { id, database, .. }) => resend(id, &database).await,
        }
    }
}

impl Test {
    async fn run(self) -> anyhow::Result<()> {
        let Some(mailer) = Mailer::new(&self.mail)? else {
            bail!("mail is off: set SIGNET_MAIL and SIGNET_MAIL_FROM");
        };
        let templates = Templates::load(self.mail.mail_templates.as_deref())?;
        let now = Clock::System.now();
        let values = Values { time: now.to_minute(), ..Values::default() };
        let text = templates.render("test", self.language, &values)?;
        let id = id::new(now);
        let letter = Letter { id, to: self.address, language: self.language, text, date: now };
        match mailer.send(letter).await {
            Ok(()) => {
                Ok(print(&format!("the mail was accepted; its Message-ID begins with {id}"))?)
            }
            Err(SendError { details, is_of_mail: true, is_permanent: true, .. }) => {
                bail!("the mail was refused: {details}")
            }
            Err(SendError { details, is_of_mail: true, .. }) => {
                bail!("the mail was not accepted; `serve` would try again: {details}")
            }
            Err(SendError { details, .. }) => {
                bail!("no mail can be sent; `serve` would try again: {details}")
            }
        }
    }
}

async fn list(database: &DatabaseSettings) -> anyhow::Result<()> {
    let db = open(database).await?;
    let mut after = None;
    loop {
        let page = dead_letters::list(&db, after, PAGE).await?;
        for item in &page {
            print(&line_of(item))?;
        }
        after = page.last().map(|item| item.id);
        if after.is_none() {
            break;
        }
    }
    db.close().await;
    Ok(())
}

fn line_of(item: &Item) -> String {
    let Item { id, created_at, receiver, .. } = item;
    let (about, name, reason) = match item.read::<QueuedMail>() {
        Some(mail) => {
            let about = match (&mail.content, mail.account()) {
                (_, Some(_)) => "account",
                (Content::SignUp { .. }, None) => "sign-up",
                (_, None) => "invite",
            };
            (about, mail.content.name(), explained(mail.failure.unwrap_or_default()))
        }
        None => ("account", "unknown", "the mail is from another version".to_owned()),
    };
    format!("{id}  {}  {about} {receiver}  {name}  {reason}", created_at.to_rfc3339())
}

/// The reason, with what to do if the reason alone does not suggest it.
fn explained(reason: String) -> String {
    if reason != UNKNOWN_KEY {
        return reason;
    }
    format!(
        "{reason}: the master key with which it was queued is not in the key file; invite the \
         address again, or put the key back, restart the server and resend this mail"
    )
}

async fn resend(id: Option<Uuid>, database: &DatabaseSettings) -> anyhow::Result<()> {
    let db = open(database).await?;
    let count = dead_letters::resend(&db, id).await?;
    if count == 0 && id.is_some() {
        bail!("there is no dead letter with this id (see `signet mail list`)");
    }
    let mails = if count == 1 { "1 mail".to_owned() } else { format!("{count} mails") };
    finish(&db, &format!("{mails} queued; `signet serve` sends them")).await
}
