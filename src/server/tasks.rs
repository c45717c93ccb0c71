//! What an instance does beside answering: it keeps the keys, publishes which sessions have ended, and
//! deletes what can have no effect any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::domain::attempt;
use crate::domain::id;
use crate::domain::keys;
use crate::domain::oauth::housekeeping;
use crate::domain::status;
use crate::http::App;

/// How often what has expired is deleted.
const HOUSEKEEPING: Duration = Duration::from_mins(1);

/// How often this instance looks which sessions have ended.
const STATUS_BEAT: Duration = Duration::from_secs(1);

/// How often what no token can ask for is deleted from the status lists.
const STATUS_PURGE: Duration = Duration::from_hours(1);

/// Takes the steps that are due in the keys' lives, and looks what others have done.
pub(super) async fn keep_keys(app: Arc<App>, bits: u32) {
    let holder = id::new(app.clock.now());
    let schedule = *app.ring.schedule();
    let mut beat = tokio::time::interval(schedule.reload);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat.tick().await;
    loop {
        // From before the work on: no return of the database may fall between the two.
        let back_again = app.db.back_again();
        follow_database_clock(&app).await;
        let now = app.clock.now();
        let kept = keys::advance(&app.db, app.ring.sealer(), &schedule, bits, holder, now).await;
        if let Err(error) = kept {
            tracing::warn!(%error, "the signing keys could not be kept");
        }
        if let Err(error) = app.ring.reload(&app.db).await {
            tracing::warn!(%error, "the key ring could not be reloaded");
        }
        // An instance that lost sight of the keys signs nothing: it looks as soon as it can.
        tokio::select! {
            _ = beat.tick() => {}
            () = back_again => {}
        }
    }
}

/// Looks which sessions have ended, and publishes it. A failure is logged when it begins, and once a
/// minute as long as it lasts.
pub(super) async fn keep_status(app: Arc<App>) {
    let mut beat = tokio::time::interval(STATUS_BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat.tick().await;
    let mut failures: u32 = 0;
    loop {
        // From before the look on: no return of the database may fall between the two.
        let back_again = app.db.back_again();
        match app.status_lists.reload(&app.db, &app.issuer, app.clock.now()).await {
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

/// Instances agree on the time by asking the database they share.
async fn follow_database_clock(app: &App) {
    match app.db.now().await {
        Ok(Some(now)) => app.clock.follow(now),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "the database's clock could not be read"),
    }
}

/// Deletes what can have no effect any more, so that nothing grows without end.
pub(super) async fn keep_house(app: Arc<App>) {
    let mut beat = tokio::time::interval(HOUSEKEEPING);
    let mut status_purge = tokio::time::interval(STATUS_PURGE);
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            _ = status_purge.tick() => {
                if let Err(error) = status::purge(&app.db, app.clock.now()).await {
                    tracing::warn!(%error, "expired statuses not deleted");
                }
                continue;
            }
        }
        app.limits.sweep();
        match attempt::purge(&app.db).await {
            Ok(windows) => tracing::debug!(windows, "expired attempt windows deleted"),
            Err(error) => tracing::warn!(%error, "expired attempt windows not deleted"),
        }
        match housekeeping::purge(&app.db).await {
            Ok(rows) => tracing::debug!(rows, "expired codes and requests deleted"),
            Err(error) => tracing::warn!(%error, "expired codes and requests not deleted"),
        }
    }
}
