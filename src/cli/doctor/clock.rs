//! Database checks: whether the clock is or was wrong.

use std::time::Duration;

use crate::cli::doctor::report::Report;
use crate::entity::signing_key::Model;
use crate::timestamp::Timestamp;

/// How far a stored time may be in the future, because clocks differ.
const TOLERANCE: Duration = Duration::from_mins(5);

/// If the clock is ahead of the retention time by more than this, it is a fault. A smaller
/// difference is normal, because a server may be stopped over a weekend.
const MAX_AHEAD: Duration = Duration::from_hours(7 * 24);

const DAY: u64 = 24 * 60 * 60;

/// Finds keys that were created or changed while a clock ran ahead. The next scheduled step of such
/// a key is late by the same amount.
pub(super) fn examine_keys(keys: &[Model], now: Timestamp, report: &mut Report) {
    let latest = now.plus(TOLERANCE);
    let mut is_fine = true;
    for key in keys.iter().filter(|key| key.state.is_published()) {
        let times = [Some(key.created_at), key.activated_at, key.retired_at];
        let Some(at) = times.into_iter().flatten().find(|at| *at > latest) else { continue };
        is_fine = false;
        report.fault(
            format!(
                "the {} key {} has a time in the future ({}): the clock ran ahead, and the key's \
                 next step is late by as much",
                key.state.name(),
                key.kid,
                at.to_rfc3339()
            ),
            "set the clock; then replace the key (signet keys rotate), and remove a pending key (signet \
             keys revoke KID --now)",
        );
    }
    if is_fine {
        report.fine("no key has a time in the future");
    }
}

/// Compares the clock with the retention time, which advances only while instances run
/// (`Db::retention_now`).
pub(super) fn examine_retention(stored: Option<Timestamp>, now: Timestamp, report: &mut Report) {
    let Some(stored) = stored else {
        return report.note("no instance of this version has run yet");
    };
    let (ahead, behind) = (now.since(stored), stored.since(now));
    if behind > TOLERANCE {
        report.fault(
            format!("the clock shows {}, but {} has already been recorded", now.to_rfc3339(), stored.to_rfc3339()),
            "set the clock: either the clock is behind now, or it was ahead at the first start; in the \
             latter case this fault disappears with time",
        );
    } else if ahead > MAX_AHEAD {
        report.fault(
            format!(
                "the clock shows {}, {} days ahead of the retention time: the clock is wrong, or no \
                 instance ran for so long",
                now.to_rfc3339(),
                ahead.as_secs() / DAY
            ),
            "is the clock right? Then no action is needed: expired rows are deleted that much later. \
             Each start after at least an hour of service shortens this delay by at most one day",
        );
    } else {
        report.fine("the clock agrees with the retention time");
    }
}
