//! What an instance does beside answering: it keeps the keys, publishes which sessions have ended, and
//! deletes what can have no effect any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use crate::database::{Db, PurgeError, Purged, analyze_unknown};
use crate::domain::attempt_limit;
use crate::domain::email_folding;
use crate::domain::id;
use crate::domain::keys;
use crate::domain::oauth::housekeeping;
use crate::domain::password::Survey;
use crate::domain::session;
use crate::domain::status;
use crate::http::App;

/// How often what has expired is deleted.
const HOUSEKEEPING: Duration = Duration::from_mins(1);

/// How often this instance looks which sessions have ended.
const STATUS_BEAT: Duration = Duration::from_secs(1);

/// How often status lists that no token names are looked for, and tables without statistics.
const HOURLY: Duration = Duration::from_hours(1);

/// How long rows may have been expired before an operator is to know.
const BACKLOG: Duration = Duration::from_hours(1);

/// How often that is logged, of each table.
const BACKLOG_WARNING: Duration = Duration::from_mins(10);

/// Between two portions of a count of accounts: it reads 5,000 accounts a second.
const SURVEY_PAUSE: Duration = Duration::from_millis(100);

/// After a failure.
const SURVEY_RETRY: Duration = Duration::from_secs(10);

/// Between two counts.
const SURVEY_REST: Duration = Duration::from_mins(10);

/// How often this instance looks for sessions whose rows are still to say that they have ended.
const OUTBOX_BEAT: Duration = Duration::from_millis(250);

/// Takes the steps that are due in the keys' lives, and looks what others have done.
pub(super) async fn keep_keys(app: Arc<App>, bits: u32) {
    let (holder, db) = (id::new(app.clock.now()), app.db.reserved());
    let schedule = *app.ring.schedule();
    let mut beat = tokio::time::interval(schedule.reload);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat.tick().await;
    loop {
        // From before the work on: no return of the database may fall between the two.
        let back_again = app.db.back_again();
        follow_database_clock(&app, &db).await;
        let kept = keys::advance(&db, app.ring.sealer(), &schedule, bits, holder).await;
        if let Err(error) = kept {
            tracing::warn!(%error, "the signing keys could not be kept");
        }
        if let Err(error) = app.ring.reload(&db).await {
            tracing::warn!(%error, "the key ring could not be reloaded");
        }
        // An instance that lost sight of the keys signs nothing: it looks as soon as it can.
        tokio::select! {
            _ = beat.tick() => {}
            () = back_again => {}
        }
    }
}

/// Counts which classes of password hashes accounts have, so that unknown addresses take as long to
/// check as known ones. The first count is used as it grows, later ones when they are complete.
pub(super) async fn keep_decoys(app: Arc<App>) {
    let mut is_first = true;
    loop {
        let mut survey = Survey::default();
        loop {
            match survey.go_on(&app.db).await {
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

/// Looks which sessions have ended, and publishes it. A failure is logged when it begins, and once a
/// minute as long as it lasts.
pub(super) async fn keep_status(app: Arc<App>) {
    let mut beat = tokio::time::interval(STATUS_BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat.tick().await;
    let (db, mut failures) = (app.db.reserved(), 0_u32);
    loop {
        // From before the look on: no return of the database may fall between the two.
        let back_again = app.db.back_again();
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
            _ = beat.tick() => {}
            () = back_again => {}
        }
    }
}

/// Does what is left to be done for sessions that ended all at once, portion by portion.
pub(super) async fn end_sessions(app: Arc<App>) {
    let mut beat = tokio::time::interval(OUTBOX_BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        loop {
            match session::end_some(&app.db).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "ended sessions were not all marked yet");
                    break;
                }
            }
        }
    }
}

/// Instances agree on the time by asking the database they share.
async fn follow_database_clock(app: &App, db: &Db) {
    match db.now().await {
        Ok(Some(now)) => app.clock.follow(now),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "the database's clock could not be read"),
    }
}

/// Deletes what can have no effect any more, so that nothing grows without end.
pub(super) async fn keep_house(app: Arc<App>) {
    let mut beat = tokio::time::interval(HOUSEKEEPING);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut hourly = tokio::time::interval(HOURLY);
    let mut backlogs = Backlogs::default();
    loop {
        let is_hourly = tokio::select! {
            _ = beat.tick() => false,
            _ = hourly.tick() => true,
        };
        if is_hourly {
            // Before anything else: after an import all plans hang on it.
            analyze(&app).await;
        }
        app.limits.sweep();
        if let Err(error) = app.db.keep_retention().await {
            tracing::warn!(%error, "how long this instance has served could not be recorded");
        }
        // What is left when each table has had its turn is next, and not in a minute.
        while purge(&app, &mut backlogs).await {}
        fold_addresses(&app).await;
        if is_hourly {
            // After the marks: a list with one is named by a token.
            purge_lists(&app).await;
        }
    }
}

async fn purge_lists(app: &App) {
    if let Err(error) = status::purge_lists(&app.db).await {
        tracing::warn!(%error, "expired status lists not deleted");
    }
}

async fn analyze(app: &App) {
    match analyze_unknown(&app.db).await {
        Ok(tables) if tables.is_empty() => {}
        Ok(tables) => tracing::info!(?tables, "tables without statistics analysed"),
        Err(error) => tracing::warn!(%error, "tables without statistics not analysed"),
    }
}

/// While an upgrade is rolled out, an instance of the version before writes rows without folded addresses.
async fn fold_addresses(app: &App) {
    match email_folding::fold(&app.db).await {
        Ok(addresses) => tracing::debug!(addresses, "addresses folded"),
        Err(error) => tracing::warn!(%error, "addresses not folded"),
    }
}

/// Deletes expired rows, of each table for itself: one that fails keeps no other from its turn.
/// `true` if some are left that were to be deleted.
async fn purge(app: &App, backlogs: &mut Backlogs) -> bool {
    let (db, keep) = (&app.db, app.tokens.ended_session_retention());
    let is_left = [
        backlogs.report("attempt", attempt_limit::purge(db).await),
        backlogs.report("authorization_code", housekeeping::purge_codes(db).await),
        backlogs.report("pending_authorization", housekeeping::purge_requests(db).await),
        backlogs.report("used_assertion", housekeeping::purge_assertions(db).await),
        backlogs.report("invalid_status", status::purge_marks(db).await),
        backlogs.report("session", session::purge_ended(db, keep).await),
        backlogs.report("session", session::purge_expired(db, keep).await),
    ];
    is_left.contains(&true)
}

/// When an operator was last told of each table's backlog.
#[derive(Default)]
struct Backlogs(BTreeMap<&'static str, Instant>);

impl Backlogs {
    /// Logs what became of a table's expired rows; `true` if some are left though the database
    /// works.
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
                let is_due = self.0.get(table).is_none_or(|at| at.elapsed() > BACKLOG_WARNING);
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
