//! `signet account invite`

use anyhow::anyhow;
use clap::Args;
use url::form_urlencoded;

use crate::cli::database::{finish, open};
use crate::cli::output::print_to_stderr;
use crate::config::{DatabaseSettings, SignUpMode, SignUpSettings};
use crate::domain::email::Email;
use crate::domain::invite::{self, Issued};

#[derive(Debug, Args)]
pub(in crate::cli) struct Invite {
    /// The email address to invite.
    address: String,
    /// Public base URL of the server, as set for it.
    #[arg(long, env = "SIGNET_ISSUER", default_value = "http://localhost:8080")]
    issuer: String,
    #[command(flatten)]
    sign_up: SignUpSettings,
    #[command(flatten)]
    database: DatabaseSettings,
}

impl Invite {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let email = Email::parse(&self.address).map_err(|error| anyhow!("the address {error}"))?;
        let db = open(&self.database).await?;
        let Issued { token, row } = invite::create(&db, &email, self.sign_up.invite_life()).await?;
        print_to_stderr(&format!(
            "Send this link only to {}. It is for this address and one sign-up, until {}.",
            row.email,
            row.expires_at.to_rfc3339()
        ));
        if self.sign_up.signup == SignUpMode::Closed {
            print_to_stderr(
                "Sign-up is closed (SIGNET_SIGNUP): the link does not work until it is open or \
                 invite.",
            );
        }
        let query: String =
            form_urlencoded::Serializer::new(String::new()).append_pair("invite", &token).finish();
        finish(&db, &format!("{}/signup?{query}", self.issuer)).await
    }
}
