//! `signet account why`

use clap::Args;
use serde_json::{Value, json};

use crate::cli::account::argument::AccountArgument;
use crate::cli::account::window::WindowSettings;
use crate::cli::output::{OutputError, print, print_json};
use crate::config::VerifyEmail;
use crate::domain::email::Email;
use crate::domain::login_report::{LoginReport, Outcome, StoredPassword};
use crate::entity::{account, auth_event};
use crate::timestamp::Timestamp;

#[derive(Debug, Args)]
pub(in crate::cli) struct Why {
    #[command(flatten)]
    account: AccountArgument,
    #[command(flatten)]
    window: WindowSettings,
    /// Whether users must verify their email address, as set for the server.
    #[arg(long, env = "SIGNET_VERIFY_EMAIL", default_value = "off")]
    verify_email: VerifyEmail,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Why {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (db, email) = self.account.open().await?;
        let key = self.window.key(&email)?;
        let attempts = self.window.account_attempts_per_minute;
        let requires_verified_email = self.verify_email == VerifyEmail::Require;
        let server_settings = (attempts, requires_verified_email);
        let report = LoginReport::read(&db, &email, &key, server_settings).await?;
        if self.json {
            print_json(&object(&email, &report).to_string())?;
        } else {
            print_report(&email, &report)?;
        }
        db.close().await;
        Ok(())
    }
}

fn print_report(email: &Email, report: &LoginReport) -> Result<(), OutputError> {
    let mut lines = vec![("address", email.address().to_owned())];
    match &report.account {
        None => {
            lines.push(("account", "none has this address".to_owned()));
            let similar = report.similar.iter().map(|address| ("similar", address.clone()));
            lines.extend(similar);
        }
        Some(account) => lines.extend(account_lines(email, account, report.password)),
    }
    let until = report.limited_until.map(|it| format!("until {}", it.to_rfc3339()));
    lines.push(("limited", until.unwrap_or_else(|| "no".to_owned())));
    lines.push(("next login", sentence(report)));
    lines.push(("events", report.events.len().to_string()));
    for (name, value) in lines {
        print(&format!("{name:<11} {value}"))?;
    }
    report.events.iter().try_for_each(print_event)
}

fn account_lines(
    email: &Email,
    account: &account::Model,
    password: Option<StoredPassword>,
) -> Vec<(&'static str, String)> {
    let at = |at: Option<Timestamp>| at.map_or("no".to_owned(), Timestamp::to_rfc3339);
    let mut lines = vec![("account", account.id.to_string())];
    let stored = account.email_claims().email;
    if stored != email.address() {
        lines.push(("spelling", format!("the account has another spelling: {stored}")));
    }
    if account.email_ambiguous {
        let text =
            "another account has an equivalent address: each account is found by its own spelling";
        lines.push(("spelling", text.to_owned()));
    }
    lines.push(("disabled", at(account.disabled_at)));
    lines.extend(password.map(|it| ("password", it.to_string())));
    lines.push(("verified", at(account.email_verified_at.filter(|_| !account.email_ambiguous))));
    lines
}

/// What happens at the next login, in words, and what the user or the operator can do.
fn sentence(report: &LoginReport) -> String {
    match report.outcome() {
        Outcome::Succeeds => "With the right password, the next login succeeds, unless the user's \
             network address has reached its own limit (SIGNET_ATTEMPTS_PER_MINUTE failed logins \
             in 60 s): then the login is refused with 429. The server's log names the network \
             address."
            .to_owned(),
        Outcome::Limited(until) => format!(
            "Every login is refused with 429 until {}, even with the right password, because there \
             were too many attempts on this account. Network addresses have limits of their own.",
            until.to_rfc3339()
        ),
        Outcome::NoAccount if report.similar.is_empty() => {
            "The next login is refused like one with a wrong password: no account has this \
             address, nor a similar one."
                .to_owned()
        }
        Outcome::NoAccount => "The next login is refused like one with a wrong password: no \
             account has this address. The user may have one of the similar addresses."
            .to_owned(),
        Outcome::Disabled => "The next login is refused like one with a wrong password, because \
             the account is disabled (signet account enable)."
            .to_owned(),
        Outcome::NoPassword => "The next login is refused like one with a wrong password, because \
             the account has no password that can be checked. The user needs a reset token (signet \
             account reset-password)."
            .to_owned(),
        Outcome::EmailNotVerified => "The next login with the right password is refused, because \
             the address is not verified (SIGNET_VERIFY_EMAIL is require). The user can request a \
             mail to verify the address, also after a password reset by mail; or verify the address \
             yourself (signet account verify-email)."
            .to_owned(),
    }
}

fn print_event(event: &auth_event::Model) -> Result<(), OutputError> {
    let (at, kind) = (event.at.to_rfc3339(), &event.kind);
    let reason = event.reason.as_deref().unwrap_or_default();
    let from = event.address.as_deref().unwrap_or("an unknown address");
    print(&format!("  {at}  {kind}  {reason}  from {from}"))
}

fn object(email: &Email, report: &LoginReport) -> Value {
    let at = |at: Option<Timestamp>| at.map(Timestamp::to_rfc3339);
    let account = report.account.as_ref().map(|account| {
        let claims = account.email_claims();
        json!({
            "id": account.id,
            "email": claims.email,
            "email_verified": claims.email_verified,
            "email_ambiguous": account.email_ambiguous,
            "created_at": account.created_at.to_rfc3339(),
            "disabled_at": at(account.disabled_at),
            "last_login_at": at(account.last_login_at),
            "password": report.password.map(|it| it.to_string()),
        })
    });
    let event = |event: &auth_event::Model| {
        json!({
            "at": event.at.to_rfc3339(),
            "type": event.kind,
            "reason": event.reason,
            "address": event.address,
        })
    };
    json!({
        "address": email.address(),
        "account": account,
        "similar": report.similar,
        "limited_until": at(report.limited_until),
        "next_login": { "outcome": report.outcome().name(), "message": sentence(report) },
        "events": report.events.iter().map(event).collect::<Vec<_>>(),
    })
}
