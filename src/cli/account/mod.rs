//! `signet account`

mod invite;
mod list;
mod named;
mod show;
mod why;
mod window;

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand};

use crate::cli::account::named::AccountArgument;
use crate::cli::database::{finish, open};
use crate::cli::output::print_to_stderr;
use crate::config::DatabaseSettings;
use crate::domain::administration;
use crate::domain::audit::Origin;
use crate::domain::keys::MasterKeys;
use crate::domain::password_reset::{self, ResetTokens};

#[derive(Debug, Subcommand)]
pub(super) enum Account {
    /// List accounts: id, email address, state and last login.
    ///
    /// Ordered by id, which is the order of creation, except for accounts imported with an id.
    List(list::List),
    /// Show an account: its sessions, consents and recent failures.
    ///
    /// For an address without an account, shows only the failures: failed logins and sign-ups, and
    /// exceeded limits.
    Show(show::Show),
    /// Say what would happen at the next login with the right password, and why.
    ///
    /// For a user who cannot log in: whether there is an account, perhaps with a similar address,
    /// whether it is disabled, has a password, or is rate limited, and the last five events.
    /// Changes nothing and does not count as an attempt.
    Why(why::Why),
    /// Invite an email address to sign up, and print the link.
    ///
    /// The link is for this address and for one sign-up, and expires. It works if `SIGNET_SIGNUP` is
    /// `open` or `invite`, for addresses of any domain. A new invite replaces an earlier one for
    /// the same address.
    Invite(invite::Invite),
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
    /// End all sessions of one account or of all accounts. Users can log in again.
    EndSessions(EndSessions),
    /// Print a token that lets the owner of an account set a new password.
    ///
    /// Send it only to the account's email address: anyone who has the token can take over the
    /// account. It is valid for half an hour and for one use, at POST /api/auth/password/reset.
    /// Using it ends all sessions and replaces the password.
    ResetPassword(ResetPassword),
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
    /// File with the master key.
    #[arg(long, env = "SIGNET_MASTER_KEY_FILE", default_value = "keys/master.key")]
    master_key_file: PathBuf,
}

impl Account {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(command) => command.run().await,
            Self::Show(command) => command.run().await,
            Self::Why(command) => command.run().await,
            Self::Invite(command) => command.run().await,
            Self::Disable(named) => {
                let (db, id) = named.open_and_find().await?;
                let ended = administration::disable(&db, id).await?;
                finish(&db, &format!("disabled; {}", sessions_ended(ended))).await
            }
            Self::Enable(named) => {
                let (db, id) = named.open_and_find().await?;
                administration::enable(&db, id).await?;
                finish(&db, "enabled").await
            }
            Self::Delete(command) => delete(&command).await,
            Self::EndSessions(command) => end_sessions(command).await,
            Self::ResetPassword(command) => reset_password(&command).await,
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
    // The master key must exist and is never created here: a database with accounts has one.
    let master = MasterKeys::open(&command.master_key_file, true)?;
    let restore = db.last_restore().await?.map(|restore| restore.id);
    let tokens = ResetTokens::new(master.reset_keys(restore)?);
    let token =
        password_reset::request(&db, &tokens, &email, &Origin::default(), db.clock().now()).await?;
    finish(&db, &token).await
}

fn sessions_ended(count: u64) -> String {
    match count {
        0 => "no session was live".to_owned(),
        1 => "1 session ended".to_owned(),
        _ => format!("{count} sessions ended"),
    }
}
