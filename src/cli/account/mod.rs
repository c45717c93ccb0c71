//! `signet account`

mod argument;
mod create;
mod imported;
mod invite;
mod list;
mod mail_queue;
mod reset_token;
mod show;
mod why;
mod window;

use std::io::{self, IsTerminal};

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};

use crate::cli::account::argument::AccountArgument;
use crate::cli::account::mail_queue::MailQueueSettings;
use crate::cli::account::reset_token::ResetTokenSettings;
use crate::cli::database::{finish, open};
use crate::cli::output::{print, print_to_stderr};
use crate::config::DatabaseSettings;
use crate::domain::email::Email;
use crate::domain::{administration, operator_changes};

#[derive(Debug, Subcommand)]
pub(super) enum Account {
    /// List accounts: id, email address, state and last login.
    ///
    /// Ordered by id, which is the order of creation, except for accounts imported with an id.
    List(list::List),
    /// List the accounts that were imported, also those that were deleted since: id, email address,
    /// and what was changed in Signet after the import.
    ///
    /// Accounts that signed up in Signet, and records that an import refused, are not listed.
    /// Ordered by id. For scripts that write changes back to the system that the accounts are from
    /// (docs/moving-in.md).
    ListImported(imported::ListImported),
    /// Show an account: its sessions, consents and recent failures.
    ///
    /// For an email address without an account, shows only the failures: failed logins and
    /// sign-ups, and exceeded limits.
    Show(show::Show),
    /// Say what would happen at the next login with the right password, and why.
    ///
    /// For a user who cannot log in. Shows whether there is an account, perhaps with a similar
    /// address; whether the account is disabled, has a password, or has reached its attempt limit;
    /// and its last five events. Changes nothing and does not count as an attempt.
    Why(why::Why),
    /// Create an account, regardless of the sign-up policy, and print its id.
    ///
    /// The password is read from a file or from standard input. Without a password, the owner needs
    /// a reset token.
    Create(Box<create::Create>),
    /// Invite an email address to sign up: mail the link, or print it if mail is off.
    ///
    /// A sign-up with a mailed link verifies the address. The link is valid for this address and
    /// for one sign-up, and expires. It works if `SIGNET_SIGNUP` is `open` or `invite`, for
    /// addresses of any domain. A new invite replaces an earlier one for the same address.
    Invite(Box<invite::Invite>),
    /// Disable an account: all its sessions end immediately, and logins are refused.
    ///
    /// Resource servers that check the status lists refuse its access tokens within seconds, others
    /// when the tokens expire.
    Disable(AccountArgument),
    /// Enable an account again: logins are accepted. Ended sessions stay ended.
    Enable(AccountArgument),
    /// Delete an account permanently. Its events stay in the audit log.
    ///
    /// A later sign-up with the same address creates an account with another `sub`. Asks for
    /// confirmation on a terminal; scripts pass --yes.
    Delete(Delete),
    /// End all sessions of one account or of all accounts. Their reset tokens and mailed links
    /// become invalid. Users can log in again.
    EndSessions(EndSessions),
    /// Print a token that lets the owner of an account set a new password.
    ///
    /// Send it only to the account's email address: anyone who has the token can take over the
    /// account. It is valid for half an hour and for one use, at POST /api/auth/password/reset.
    /// Using it ends all sessions and replaces the password.
    ResetPassword(ResetPassword),
    /// Invalidate the password of an account and end all its sessions, for example because others
    /// know the password. The owner then needs a reset token.
    RequireReset(RequireReset),
    /// Change the email address of an account and end all its sessions.
    ///
    /// The new address counts as not verified without --verified. Reset tokens that were sent to
    /// the old address become invalid. The `sub` stays the same. If mail is on, the old address
    /// gets a notice.
    SetEmail(Box<SetEmail>),
    /// Mark the current email address of an account as verified.
    ///
    /// Only do so if you know that the owner of the account controls the address: clients rely on
    /// that. `email_verified` is true in tokens from the next login or refresh on.
    VerifyEmail(AccountArgument),
}

#[derive(Debug, Args)]
#[command(override_usage = "signet account end-sessions [OPTIONS] <ACCOUNT>\n       \
                            signet account end-sessions [OPTIONS] --all")]
pub(super) struct EndSessions {
    /// The account's email address or id.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    account: Option<String>,
    /// End the sessions of all accounts.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    database: DatabaseSettings,
}

#[derive(Debug, Args)]
pub(super) struct Delete {
    #[command(flatten)]
    account: AccountArgument,
    /// Do not ask for confirmation.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct ResetPassword {
    #[command(flatten)]
    account: AccountArgument,
    #[command(flatten)]
    reset_tokens: ResetTokenSettings,
}

#[derive(Debug, Args)]
pub(super) struct RequireReset {
    #[command(flatten)]
    account: AccountArgument,
    /// Also print a reset token, as `signet account reset-password` does.
    #[arg(long)]
    reset_token: bool,
    #[command(flatten)]
    reset_tokens: ResetTokenSettings,
}

#[derive(Debug, Args)]
pub(super) struct SetEmail {
    #[command(flatten)]
    account: AccountArgument,
    /// The new email address.
    new_address: String,
    /// Mark the new address as verified, because you know that the owner of the account controls
    /// it.
    #[arg(long)]
    verified: bool,
    #[command(flatten)]
    mail: MailQueueSettings,
}

impl Account {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(command) => command.run().await,
            Self::ListImported(command) => command.run().await,
            Self::Show(command) => command.run().await,
            Self::Why(command) => command.run().await,
            Self::Create(command) => command.run().await,
            Self::Invite(command) => command.run().await,
            Self::Disable(account) => {
                let (db, id) = account.open_and_find().await?;
                let ended = administration::disable(&db, id).await?;
                finish(&db, &format!("disabled; {}", sessions_ended(ended))).await
            }
            Self::Enable(account) => {
                let (db, id) = account.open_and_find().await?;
                administration::enable(&db, id).await?;
                finish(&db, "enabled").await
            }
            Self::Delete(command) => delete(&command).await,
            Self::EndSessions(command) => end_sessions(command).await,
            Self::ResetPassword(command) => reset_password(&command).await,
            Self::RequireReset(command) => require_reset(&command).await,
            Self::SetEmail(command) => set_email(&command).await,
            Self::VerifyEmail(account) => {
                let (db, id) = account.open_and_find().await?;
                operator_changes::verify_email(&db, id).await?;
                finish(&db, "verified").await
            }
        }
    }
}

async fn delete(command: &Delete) -> anyhow::Result<()> {
    let (db, id) = command.account.open_and_find().await?;
    if !command.yes {
        let address = administration::address_of(&db, id).await?;
        if !io::stdin().is_terminal() {
            bail!("this deletes the account {id} permanently: confirm with --yes");
        }
        print_to_stderr(&format!(
            "This deletes {address} ({id}) permanently. Type \"delete\" to confirm:"
        ));
        let mut typed = String::new();
        io::stdin().read_line(&mut typed)?;
        if typed.trim() != "delete" {
            bail!("nothing was deleted");
        }
    }
    administration::delete(&db, id).await?;
    finish(&db, "deleted").await
}

async fn end_sessions(command: EndSessions) -> anyhow::Result<()> {
    let EndSessions { account, database, .. } = command;
    if let Some(account) = account {
        let (db, id) = AccountArgument { account, database }.open_and_find().await?;
        let ended = administration::end_sessions(&db, id).await?;
        finish(&db, &sessions_ended(ended)).await
    } else {
        let db = open(&database).await?;
        let ended = administration::end_all_sessions(&db).await?;
        finish(&db, &sessions_ended(ended)).await
    }
}

async fn reset_password(command: &ResetPassword) -> anyhow::Result<()> {
    let (db, email) = command.account.open().await?;
    let token = command.reset_tokens.request(&db, &email).await?;
    finish(&db, &token).await
}

async fn require_reset(command: &RequireReset) -> anyhow::Result<()> {
    let (db, id) = command.account.open_and_find().await?;
    let ended = sessions_ended(operator_changes::require_reset(&db, id).await?);
    let result = format!("the password is no longer valid; {ended}");
    if !command.reset_token {
        return finish(&db, &result).await;
    }
    print(&result)?;
    let email = Email::of_account(&administration::address_of(&db, id).await?);
    let token = command.reset_tokens.request(&db, &email).await?;
    finish(&db, &token).await
}

async fn set_email(command: &SetEmail) -> anyhow::Result<()> {
    let new = Email::parse(&command.new_address);
    let new = new.map_err(|error| anyhow!("the new address {error}"))?;
    let mail = command.mail.queue()?;
    let (db, id) = command.account.open_and_find().await?;
    let ended = operator_changes::set_email(&db, id, new, command.verified, &mail).await?;
    finish(&db, &format!("changed; {}", sessions_ended(ended))).await
}

fn sessions_ended(count: u64) -> String {
    match count {
        0 => "no session was live".to_owned(),
        1 => "1 session ended".to_owned(),
        _ => format!("{count} sessions ended"),
    }
}
