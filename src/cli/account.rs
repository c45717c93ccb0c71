//! `signet account`

use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, Subcommand};

use crate::cli::output::{OutputError, print};
use crate::clock::Clock;
use crate::config::DatabaseSettings;
use crate::database::{Db, migrate_up};
use crate::domain::audit::Origin;
use crate::domain::email::Email;
use crate::domain::keys::MasterKeys;
use crate::domain::operator::{self, Shown};
use crate::domain::reset::{self, ResetTokens};
use crate::entity::client::Texts;
use crate::entity::consent::{self, ScopesByAudience};
use crate::timestamp::Timestamp;

/// Accounts that are read at a time.
const PAGE: u64 = 500;

#[derive(Debug, Subcommand)]
pub(super) enum Account {
    /// List all accounts, the oldest first: id, address, state, and when it last logged in.
    List {
        #[command(flatten)]
        database: DatabaseSettings,
    },
    /// Show what is known of an account, its live sessions, and what its owner has allowed clients.
    Show(Named),
    /// Switch an account off: all its sessions end at once, and nobody can log in to it.
    ///
    /// Services that look at the status lists refuse its access tokens within seconds, others once
    /// they expire.
    Disable(Named),
    /// Switch an account on again: its owner can log in. Sessions that ended stay ended.
    Enable(Named),
    /// Delete an account, which cannot be undone. Its events stay in the audit log.
    ///
    /// Whoever signs up with the address afterwards is somebody else to every service.
    Delete(Named),
    /// End all sessions of an account, whose owner can log in again, or of everybody.
    EndSessions(EndSessions),
    /// Print a token with which the owner of an address chooses a new password.
    ///
    /// Send it to that address and nowhere else: who has it has the account. It is good for half an
    /// hour, and once, at POST /api/auth/password/reset. Using it ends all sessions and voids the
    /// old password, whoever chose that.
    ResetPassword(ResetPassword),
}

/// One account.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// The account's address.
    email: String,
    #[command(flatten)]
    database: DatabaseSettings,
}

#[derive(Debug, Args)]
#[command(override_usage = "signet account end-sessions [OPTIONS] <EMAIL>\n       \
                            signet account end-sessions [OPTIONS] --all")]
pub(super) struct EndSessions {
    /// The account's address.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    email: Option<String>,
    /// End the sessions of all accounts.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    database: DatabaseSettings,
}

#[derive(Debug, Args)]
pub(super) struct ResetPassword {
    #[command(flatten)]
    account: Named,
    /// File with the master key.
    #[arg(long, env = "SIGNET_MASTER_KEY_FILE", default_value = "keys/master.key")]
    master_key_file: PathBuf,
}

impl Named {
    async fn open(&self) -> anyhow::Result<(Db, Email)> {
        let email =
            Email::parse_known(&self.email).map_err(|error| anyhow!("the address {error}"))?;
        let db = open(&self.database).await?;
        Ok((db, email))
    }
}

impl Account {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List { database } => list(&database).await,
            Self::Show(named) => show(&named).await,
            Self::Disable(named) => {
                let (db, email) = named.open().await?;
                let ended = operator::disable(&db, &email).await?;
                print(&format!("disabled; {}", sessions_ended(ended)))?;
                db.close().await;
                Ok(())
            }
            Self::Enable(named) => {
                let (db, email) = named.open().await?;
                operator::enable(&db, &email).await?;
                print("enabled")?;
                db.close().await;
                Ok(())
            }
            Self::Delete(named) => {
                let (db, email) = named.open().await?;
                operator::delete(&db, &email).await?;
                print("deleted")?;
                db.close().await;
                Ok(())
            }
            Self::EndSessions(wish) => end_sessions(wish).await,
            Self::ResetPassword(wish) => reset_password(&wish).await,
        }
    }
}

async fn end_sessions(wish: EndSessions) -> anyhow::Result<()> {
    let EndSessions { email, database, .. } = wish;
    let (db, ended) = if let Some(email) = email {
        let (db, email) = Named { email, database }.open().await?;
        let ended = operator::end_sessions(&db, &email).await?;
        (db, ended)
    } else {
        let db = open(&database).await?;
        let ended = operator::end_all_sessions(&db).await?;
        (db, ended)
    };
    print(&sessions_ended(ended))?;
    db.close().await;
    Ok(())
}

async fn open(database: &DatabaseSettings) -> anyhow::Result<Db> {
    let db = Db::open(database, Clock::shared()).await?;
    migrate_up(&db).await?;
    Ok(db)
}

async fn list(database: &DatabaseSettings) -> anyhow::Result<()> {
    let db = open(database).await?;
    let mut last = None;
    loop {
        let page = operator::list(&db, last, PAGE).await?;
        for account in &page {
            let seen = account.last_login_at.map_or("never".to_owned(), Timestamp::to_rfc3339);
            let state = if account.is_enabled() { "enabled" } else { "disabled" };
            let address = account.email_claims().email;
            print(&format!("{}  {address}  {state}  last login {seen}", account.id))?;
        }
        match page.last() {
            Some(account) => last = Some(account.id),
            None => break,
        }
    }
    db.close().await;
    Ok(())
}

async fn show(named: &Named) -> anyhow::Result<()> {
    let (db, email) = named.open().await?;
    let Shown { account, sessions, consents } =
        operator::show(&db, &email, db.clock().now()).await?;
    let at = |at: Option<Timestamp>| at.map_or("no".to_owned(), Timestamp::to_rfc3339);
    for (name, value) in [
        ("id", account.id.to_string()),
        ("address", account.email_claims().email),
        ("verified", at(account.email_verified_at.filter(|_| !account.email_ambiguous))),
        ("password", if account.password_hash.is_some() { "yes" } else { "no" }.to_owned()),
        ("disabled", at(account.disabled_at)),
        ("signed up", account.created_at.to_rfc3339()),
        ("last login", at(account.last_login_at)),
        ("sessions", sessions.len().to_string()),
    ] {
        print(&format!("{name:<11} {value}"))?;
    }
    for session in sessions {
        let used = session.rotated_at.unwrap_or(session.auth_time).to_rfc3339();
        let from = session.address.as_deref().unwrap_or("an unknown address");
        print(&format!("  {}  {}  last used {used} from {from}", session.id, session.client_id))?;
    }
    print(&format!("{:<11} {}", "consents", consents.len()))?;
    for consent in consents {
        print_consent(&consent)?;
    }
    db.close().await;
    Ok(())
}

fn print_consent(consent: &consent::Model) -> Result<(), OutputError> {
    let (id, at) = (&consent.client_id, consent.granted_at.to_rfc3339());
    let Some(ScopesByAudience(scopes)) = &consent.access else {
        return print(&format!("  {id}  {} at its default audience  allowed {at}", consent.scope));
    };
    for (audience, scope) in scopes {
        print(&format!("  {id}  {scope} at {audience}  allowed {at}"))?;
    }
    if let Some(Texts(claims)) = &consent.claims {
        print(&format!("  {id}  claims {}  allowed {at}", claims.join(" ")))?;
    }
    Ok(())
}

async fn reset_password(wish: &ResetPassword) -> anyhow::Result<()> {
    let (db, email) = wish.account.open().await?;
    // A server that has accounts has a master key: here none is ever made.
    let master = MasterKeys::open(&wish.master_key_file, true)?;
    let restore = db.last_restore().await?.map(|restore| restore.id);
    let tokens = ResetTokens::new(master.reset_keys(restore)?);
    let token = reset::request(&db, &tokens, &email, &Origin::default(), db.clock().now()).await?;
    print(&token)?;
    db.close().await;
    Ok(())
}

fn sessions_ended(count: u64) -> String {
    match count {
        0 => "no session was live".to_owned(),
        1 => "1 session ended".to_owned(),
        _ => format!("{count} sessions ended"),
    }
}
