//! Database checks: the schema, email addresses, the key schedule and the outbox. Also runs the
//! database checks of the other modules.

use crate::cli::doctor::clock;
use crate::cli::doctor::mail;
use crate::cli::doctor::report::Report;
use crate::cli::doctor::restores;
use crate::clock::Clock;
use crate::config::{DatabaseSettings, DatabaseUrl};
use crate::database::{Db, StateFile, status};
use crate::domain::outbox::{self, Kind};
use crate::domain::{email_folding, keys};
use crate::entity::account;
use crate::entity::signing_key::{KeyState, Model};
use crate::timestamp::Timestamp;

/// Maximum number of accounts listed one by one.
const MAX_LISTED: usize = 100;

pub(super) async fn examine(url: DatabaseUrl, state_file: &StateFile, report: &mut Report) {
    // Opening the database would create the file, which a check must not do.
    if let Some(file) = url.sqlite_file().filter(|file| !file.exists()) {
        let what = format!("there is no database {}", file.display());
        return report.fault(what, "correct SIGNET_DATABASE_URL");
    }
    let settings = DatabaseSettings {
        database_url: url.clone(),
        database_connections: 1,
        database_wait_seconds: 5,
    };
    let db = match Db::open(&settings, Clock::shared()).await {
        Ok(db) => db,
        Err(error) => return report.fault(error.to_string(), "correct SIGNET_DATABASE_URL"),
    };
    match status(&db).await {
        Ok(migrations) => {
            let pending = migrations.iter().filter(|(is_applied, _)| !is_applied).count();
            report.check(
                pending == 0,
                &format!("the schema is this version's ({} migrations)", migrations.len()),
                "signet migrate up, or start this version, which migrates by itself",
            );
        }
        Err(error) => report.fault(error.to_string(), "run the doctor of the version that runs"),
    }
    if let Some(accounts) = report.read("the addresses", email_folding::ambiguous(&db).await) {
        report_ambiguous_addresses(&accounts, report);
    }
    let now = db.clock().now();
    let stored = db.stored_retention().await;
    if let Some(keys) = report.read("the keys", keys::list(&db).await) {
        let retention_time = stored.as_ref().ok().copied().flatten().unwrap_or(now);
        check_schedule(&keys, now, retention_time, report);
        clock::examine_keys(&keys, now, report);
    }
    if let Some(stored) = report.read("the retention time", stored) {
        clock::examine_retention(stored, now, report);
    }
    match report.read("the outbox", outbox::count(&db, Kind::EndSessions).await) {
        Some(0) => report.fine("the outbox is empty: no ended session is still to be marked"),
        Some(number) => report.note(format!(
            "the outbox: ended sessions of {number} accounts are still to be marked in the status \
             lists. Running instances do this; wait for it before you go back to an older version"
        )),
        None => {}
    }
    mail::examine_outbox(&db, now, report).await;
    restores::examine(&db, &url, state_file, report).await;
    db.close().await;
}

/// Reports accounts from earlier versions whose addresses are equal after folding, or would be
/// refused at sign-up now.
fn report_ambiguous_addresses(accounts: &[account::Model], report: &mut Report) {
    for account in accounts.iter().take(MAX_LISTED) {
        report.note(format!(
            "the address of account {} looks like another one: {}; the account logs in by this \
             spelling alone, and its address never counts as verified",
            account.id, account.email
        ));
    }
    if let Some(more @ 1..) = accounts.len().checked_sub(MAX_LISTED) {
        report.note(format!("{more} more accounts have such an address"));
    }
}

/// Checks whether keys are activated and removed on time. The activation of a key is due by the
/// clock. Its removal is due by the retention time, which advances only while instances run.
fn check_schedule(keys: &[Model], now: Timestamp, retention_time: Timestamp, report: &mut Report) {
    let count = |state| keys.iter().filter(|key| key.state == state).count();
    report.check(
        count(KeyState::Active) == 1,
        "exactly one key signs",
        "start an instance: it repairs the key ring",
    );
    // The retention time is stored once a minute.
    let overdue = |at: Option<Timestamp>, now: Timestamp| {
        at.is_some_and(|at| now.since(at) > std::time::Duration::from_mins(1))
    };
    let is_late = keys.iter().any(|key| match key.state {
        KeyState::Pending => overdue(key.activate_at, now),
        KeyState::Retiring => overdue(key.remove_at, retention_time.min(now)),
        KeyState::Active | KeyState::Removed => false,
    });
    report.check(
        !is_late,
        "the key schedule is on time",
        "no instance performs the steps that are due; the logs say why (\"could not be run\")",
    );
    for key in keys.iter().filter(|key| key.state == KeyState::Pending) {
        let at = key.activate_at.map(Timestamp::to_rfc3339).unwrap_or_default();
        report.note(format!("the key {} signs from {at}", key.kid));
    }
}
