//! `signet account invite`

use std::sync::Arc;

use anyhow::anyhow;
use clap::Args;
use url::form_urlencoded;

use crate::cli::account::mail_queue::MailQueueSettings;
use crate::cli::database::{finish, open};
use crate::cli::language::parse_language;
use crate::cli::output::print_to_stderr;
use crate::config::{DatabaseSettings, SignUpMode, SignUpSettings};
use crate::domain::email::Email;
use crate::domain::invite::{self, Delivery, InviteTokens, Issued};
use crate::domain::language::Language;

#[derive(Debug, Args)]
pub(in crate::cli) struct Invite {
    /// The email address to invite.
    address: String,
    /// Print the link, even if mail is on.
    #[arg(long)]
    print: bool,
    /// The language of the mail: `en` or `de`.
    #[arg(long, default_value = "en", value_parser = parse_language)]
    language: Language,
    /// Public base URL, as set for the server.
    #[arg(long, env = "SIGNET_ISSUER", default_value = "http://localhost:8080")]
    issuer: String,
    #[command(flatten)]
    sign_up: SignUpSettings,
    #[command(flatten)]
    mail: MailQueueSettings,
    #[command(flatten)]
    database: DatabaseSettings,
}

impl Invite {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let email = Email::parse(&self.address).map_err(|error| anyhow!("the address {error}"))?;
        let delivery = self.delivery()?;
        let db = open(&self.database).await?;
        let life = self.sign_up.invite_life();
        let Issued { token, row } = invite::create(&db, &email, life, delivery).await?;
        let (address, until) = (invite::address_of(&row), row.expires_at.to_rfc3339());
        if self.sign_up.signup == SignUpMode::Closed {
            print_to_stderr(
                "Sign-up is closed: the link does not work until SIGNET_SIGNUP is open or invite.",
            );
        }
        let Some(token) = token else {
            let queued = format!(
                "a mail with the link is queued for {address}; `signet serve` sends it. The link \
                 is valid until {until}"
            );
            return finish(&db, &queued).await;
        };
        print_to_stderr(&format!(
            "Send this link only to {address}. It is valid for this address and for one sign-up, \
             until {until}."
        ));
        let query: String =
            form_urlencoded::Serializer::new(String::new()).append_pair("invite", &token).finish();
        finish(&db, &format!("{}/signup?{query}", self.issuer)).await
    }

    fn delivery(&self) -> anyhow::Result<Delivery> {
        if self.print {
            return Ok(Delivery::Printed);
        }
        let Some((mail, master)) = self.mail.open()? else { return Ok(Delivery::Printed) };
        let tokens = Arc::new(InviteTokens::new(master.invite_keys()?));
        Ok(Delivery::Mailed { tokens, mail, language: self.language })
    }
}
