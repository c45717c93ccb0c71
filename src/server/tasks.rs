//! Background tasks of an instance: signing keys, status lists, session endings, housekeeping.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use crate::database::{Db, PurgeError, Purged, analyze_unknown};
use crate::domain::mail::dead_letters;
use crate::domain::oauth::housekeeping;
use crate::domain::password::Survey;
use crate::domain::{attempt_limit, email_challenge, email_folding, invite};
use crate::domain::{id, keys};
use crate::domain::{session, status};
use crate::http::App;

/// How often expired rows are deleted.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_mins(1);

/// How often this instance reads which sessions have ended.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// How often unreferenced status lists and old dead letters are deleted, and tables without
/// statistics are analysed.
const HOURLY_INTERVAL: Duration = Duration::from_hours(1);

/// A warning is logged if the oldest expired row of a table expired longer ago than this.
const BACKLOG: Duration = Duration::from_hours(1);

/// Minimum time between two warnings about the backlog of one table.
const BACKLOG_WARNING_PERIOD: Duration = Duration::from_mins(10);

/// Pause between two portions of a count of accounts. It limits the count to 5,000 accounts per
/// second.
const SURVEY_PAUSE: Duration = Duration::from_millis(100);

/// Pause after a failed portion of a count of accounts.
const SURVEY_RETRY: Duration = Duration::from_secs(10);

/// Pause between two counts of accounts.
const SURVEY_REST: Duration = Duration::from_mins(10);

/// How often this instance checks the outbox for ended sessions whose rows are not marked yet.
const OUTBOX_INTERVAL: Duration = Duration::from_millis(250);

/// Performs the key rotation steps that are due, and reloads the key ring, because other instances
/// may have changed it.
pub(super) async fn run_key_schedule(app: Arc<App>, bits: u32) {
    let (holder, db) = (id::new(app.clock.now()), app.db.reserved());
    let schedule = app.ring.schedule;
    let mut ticks = tokio::time::interval(schedule.reload);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        // Subscribed before the work starts, so that no recovery of the database is missed.
        let recovered = app.db.recovered();
        follow_database_clock(&app, &db).await;
        let advanced = keys::advance(&db, &app.ring.sealer, &schedule, bits, holder).await;
        if let Err(error) = advanced {
            tracing::warn!(%error, "the key schedule could not be run");
        }
        if let Err(error) = app.ring.reload(&db).await {
            tracing::warn!(%error, "the key ring could not be reloaded");
        }
        // An instance that cannot read the key ring stops signing. So it retries as soon as the
        // database is reachable again.
        tokio::select! {
            _ = ticks.tick() => {}
            () = recovered => {}
        }
    }
}

/// Counts accounts per class of password hash, so that a login with an unknown address takes as
/// long as one with a known address. The first count takes effect after each portion. Later counts
/// take effect when they are complete.
pub(super) async fn count_hash_classes(app: Arc<App>) {
    let mut is_first = true;
    loop {
        let mut survey = Survey::default();
        loop {
            match survey.count_next_portion(&app.db).await {
                Ok(true) if is_first => app.hasher.set_classes(survey.accounts()),
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::debug!(%error, "accounts could not be counted");
                    tokio::time::sleep(SURVEY_RETRY).await;
                }
            }
            tokio::time::sleep(SURVEY_PAUSE).await;
        }
        app.hasher.set_classes(survey.accounts());
        is_first = false;
        tokio::time::sleep(SURVEY_REST).await;
    }
}

/// Reads which sessions have ended, and publishes the status lists. A failure is logged at once,
/// and then once a minute while the failures continue.
pub(super) async fn refresh_status_lists(app: Arc<App>) {
    let mut ticks = tokio::time::interval(STATUS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let (db, mut failures) = (app.db.reserved(), 0_u32);
    loop {
        // Subscribed before the read starts, so that no recovery of the database is missed.
        let recovered = app.db.recovered();
        match app.status_lists.reload(&db, &app.issuer, app.clock.now()).await {
            Ok(()) => failures = 0,
            Err(error) => {
                if failures.is_multiple_of(60) {
                    tracing::warn!(%error, failures, "the status lists are not up to date");
                }
                failures = failures.wrapping_add(1);
            }
        }
        tokio::select! {
            _ = ticks.tick() => {}
            () = recovered => {}
        }
    }
}

/// Processes the outbox of sessions that were ended in bulk, portion by portion.
pub(super) async fn end_sessions(app: Arc<App>) {
    let mut ticks = tokio::time::interval(OUTBOX_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        match session::end_some(&app.db).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "sessions ended in bulk could not all be marked yet");
            }
        }
        ticks.tick().await;
    }
}

/// Sets the clock by the shared database, so that all instances agree on the time.
async fn follow_database_clock(app: &App, db: &Db) {
    match db.now().await {
        Ok(Some(now)) => app.clock.follow(now),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "the database's clock could not be read"),
    }
}

/// Deletes expired rows and keeps the tables bounded.
pub(super) async fn run_housekeeping(app: Arc<App>) {
    // The first hourly tick comes at once. It also does the work of a tick per minute, so the first
    // of those comes a minute later.
    let first = tokio::time::Instant::now() + HOUSEKEEPING_INTERVAL;
    let mut ticks = tokio::time::interval_at(first, HOUSEKEEPING_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut hourly_ticks = tokio::time::interval(HOURLY_INTERVAL);
    let mut warnings = BacklogWarnings::default();
    loop {
        let is_hourly = tokio::select! {
            _ = ticks.tick() => false,
            _ = hourly_ticks.tick() => true,
        };
        if is_hourly {
            // This comes first, because after an import the plans of all queries below depend on
            // the new statistics.
            analyze(&app).await;
        }
        app.limits.sweep();
        // The retention time is the clock by which rows expire.
        if let Err(error) = app.db.keep_retention().await {
            tracing::warn!(%error, "the retention time could not be recorded");
        }
        // Repeats at once while a table still has expired rows after its portion was deleted.
        while purge(&app, &mut warnings).await {}
        fold_addresses(&app).await;
        if is_hourly {
            // This comes after `purge`, which deletes rows of `invalid_status`: a list that still
            // has such rows is not deleted.
            purge_lists(&app).await;
            purge_dead_letters(&app).await;
        }
    }
}

async fn purge_lists(app: &App) {
    if let Err(error) = status::purge_lists(&app.db).await {
        tracing::warn!(%error, "expired status lists not deleted");
    }
}

async fn purge_dead_letters(app: &App) {
    if let Err(error) = dead_letters::purge(&app.db).await {
        tracing::warn!(%error, "old dead letters not deleted");
    }
}

async fn analyze(app: &App) {
    match analyze_unknown(&app.db).await {
        Ok(tables) if tables.is_empty() => {}
        Ok(tables) => tracing::info!(?tables, "tables without statistics analysed"),
        Err(error) => tracing::warn!(%error, "tables without statistics not analysed"),
    }
}

/// Folds email addresses (see [`email_folding`]) in rows that an instance of the previous version
/// wrote during a rolling upgrade.
async fn fold_addresses(app: &App) {
    match email_folding::fold(&app.db).await {
        Ok(addresses) => tracing::debug!(addresses, "addresses folded"),
        Err(error) => tracing::warn!(%error, "addresses not folded"),
    }
}

/// Deletes a portion of the expired rows of each table. A failure in one table does not affect the
/// other tables. Returns `true` if expired rows are left.
async fn purge(app: &App, warnings: &mut BacklogWarnings) -> bool {
    let (db, retention) = (&app.db, app.tokens.ended_session_retention());
    let are_left = [
        warnings.report("attempt", attempt_limit::purge(db).await),
        warnings.report("authorization_code", housekeeping::purge_codes(db).await),
        warnings.report("pending_authorization", housekeeping::purge_requests(db).await),
        warnings.report("invite", invite::purge(db).await),
        warnings.report("used_assertion", housekeeping::purge_assertions(db).await),
        warnings.report("email_challenge", email_challenge::purge(db).await),
        warnings.report("invalid_status", status::purge_marks(db).await),
        warnings.report("session", session::purge_ended(db, retention).await),
        warnings.report("session", session::purge_expired(db, retention).await),
    ];
    are_left.contains(&true)
}

/// The time of the last warning about the backlog of each table.
#[derive(Default)]
struct BacklogWarnings(BTreeMap<&'static str, Instant>);

impl BacklogWarnings {
    /// Logs the result of deleting a table's expired rows. Returns `true` if some are left and the
    /// deletion did not fail.
    fn report(&mut self, table: &'static str, purged: Result<Purged, PurgeError>) -> bool {
        match purged {
            Err(error) => {
                tracing::warn!(table, %error, "expired rows not deleted");
                false
            }
            Ok(Purged { deleted, backlog: None }) => {
                tracing::debug!(table, rows = deleted, "expired rows deleted");
                false
            }
            Ok(Purged { deleted, backlog: Some(age) }) => {
                let is_due =
                    self.0.get(table).is_none_or(|at| at.elapsed() > BACKLOG_WARNING_PERIOD);
                if age > BACKLOG && is_due {
                    self.0.insert(table, Instant::now());
                    let oldest_seconds = age.as_secs();
                    tracing::warn!(table, oldest_seconds, "the deletion of expired rows is behind");
                }
                tracing::debug!(table, rows = deleted, "expired rows deleted, some are left");
                true
            }
        }
    }
}
