//! `signet account show`

use clap::Args;

use crate::cli::account::argument::AccountArgument;
use crate::cli::account::window::WindowSettings;
use crate::cli::output::{OutputError, print};
use crate::database::Db;
use crate::domain::administration::{self, AccountView, OperatorError};
use crate::domain::attempt_limit;
use crate::domain::email::Email;
use crate::domain::language::Language;
use crate::entity::client::Texts;
use crate::entity::consent::{self, ScopesByAudience};
use crate::entity::{auth_event, session};
use crate::http::describe_browser;
use crate::timestamp::Timestamp;

/// Maximum number of failures shown.
const LAST_FAILURES: u64 = 10;

#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    account: AccountArgument,
    #[command(flatten)]
    window: WindowSettings,
}

impl Show {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (db, email) = self.account.open().await?;
        let found = match administration::show(&db, &email, db.clock().now()).await {
            Ok(shown) => Ok(print_account(shown)?),
            Err(error @ OperatorError::NoAccount) => Err(error),
            Err(error) => return Err(error.into()),
        };
        self.show_failures(&db, &email).await?;
        db.close().await;
        Ok(found?)
    }

    /// Prints the failures, even for an email address without an account: a user may have mistyped
    /// the address at a login.
    async fn show_failures(&self, db: &Db, email: &Email) -> anyhow::Result<()> {
        let key = match self.window.key(email) {
            Ok(key) => key,
            Err(error) => return Ok(print_field("failures", &format!("not known: {error}"))?),
        };
        let attempts = self.window.account_attempts_per_minute;
        let limited = attempt_limit::limited_until(db, &key, attempts).await?;
        print_field(
            "limited",
            &limited.map_or("no".to_owned(), |it| format!("until {}", it.to_rfc3339())),
        )?;
        let failures = administration::events_of_address(db, &key, LAST_FAILURES + 1).await?;
        let shown = failures.len().min(usize::try_from(LAST_FAILURES)?);
        let more = if failures.len() > shown { ", the last of more" } else { "" };
        print_field("failures", &format!("{shown}{more}"))?;
        failures.iter().take(shown).try_for_each(print_failure)?;
        Ok(())
    }
}

fn print_account(shown: AccountView) -> Result<(), OutputError> {
    let AccountView { account, sessions, consents } = shown;
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
        print_field(name, &value)?;
    }
    sessions.iter().try_for_each(print_session)?;
    print_field("consents", &consents.len().to_string())?;
    consents.iter().try_for_each(print_consent)
}

fn print_session(session: &session::Model) -> Result<(), OutputError> {
    let (id, client) = (session.id, &session.client_id);
    let (began, used) = (session.auth_time.to_rfc3339(), session.last_used_at().to_rfc3339());
    let address = session.address.as_deref().unwrap_or("unknown");
    let device = session.user_agent.as_deref();
    let device = device.and_then(|it| describe_browser(it, Language::En));
    let device = device.unwrap_or_else(|| "another program".to_owned());
    print(&format!(
        "  {id}  {client}  logged in {began}  last used {used}  address {address}  {device}"
    ))
}

fn print_failure(failure: &auth_event::Model) -> Result<(), OutputError> {
    let (at, kind) = (failure.at.to_rfc3339(), &failure.kind);
    let reason = failure.reason.as_deref().unwrap_or_default();
    let from = failure.address.as_deref().unwrap_or("an unknown address");
    print(&format!("  {at}  {kind}  {reason}  from {from}"))
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

fn print_field(name: &str, value: &str) -> Result<(), OutputError> {
    print(&format!("{name:<11} {value}"))
}
