//! From inside: whether the clock is, or was, ahead of the time.

use std::time::Duration;

use crate::cli::doctor::report::Report;
use crate::entity::signing_key::Model;
use crate::timestamp::Timestamp;

/// How far a time may lie ahead of ours: clocks differ.
const TOLERANCE: Duration = Duration::from_mins(5);

/// How far the clock may be ahead of the retention time before that is a fault; a weekend without a
/// server is none.
const AHEAD: Duration = Duration::from_hours(7 * 24);

const DAY: u64 = 24 * 60 * 60;

/// Keys that were made or changed while a clock ran ahead: their next step is as far away.
pub(super) fn examine_keys(keys: &[Model], now: Timestamp, report: &mut Report) {
    let latest = now.plus(TOLERANCE);
    let mut is_fine = true;
    for key in keys.iter().filter(|key| key.state.is_published()) {
        let times = [Some(key.created_at), key.activated_at, key.retired_at];
        let Some(at) = times.into_iter().flatten().find(|at| *at > latest) else { continue };
        is_fine = false;
        report.fault(
            format!(
                "the {} key {} has a time in the future ({}): the clock ran ahead, and its next step \
                 is as far away",
                key.state.name(),
                key.kid,
                at.to_rfc3339()
            ),
            "set the clock; then replace the key: signet keys rotate; one that is pending goes with \
             signet keys revoke KID --now",
        );
    }
    if is_fine {
        report.fine("no key has a time in the future");
    }
}

/// Compares the clock with the time that instances have served (`Db::retention_now`).
pub(super) fn examine_retention(stored: Option<Timestamp>, now: Timestamp, report: &mut Report) {
    let Some(stored) = stored else {
        return report.note("no instance of this version has served yet");
    };
    let (ahead, behind) = (now.since(stored), stored.since(now));
    if behind > TOLERANCE {
        report.fault(
            format!("the clock says {}, but has been at {}", now.to_rfc3339(), stored.to_rfc3339()),
            "set the clock: either it is behind now, or it was ahead at the first start; in the latter \
             case it passes",
        );
    } else if ahead > AHEAD {
        report.fault(
            format!(
                "the clock says {}, {} days more than instances have served: it runs ahead, or none \
                 ran for as long",
                now.to_rfc3339(),
                ahead.as_secs() / DAY
            ),
            "is the clock right? Then nothing is to be done: what has expired is deleted as much later, \
             and each start after an hour of service makes up for a day",
        );
    } else {
        report.fine("the clock agrees with the time that instances have served");
    }
}
