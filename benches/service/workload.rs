//! Numbers of concurrent clients for each kind of load.

use std::time::Duration;

use crate::load::Work;
use crate::users::User;

/// Connections that fetch the key set, or refresh, continuously.
pub(crate) const CONNECTIONS: usize = 64;

/// Connections that log in continuously: enough to keep every hashing thread busy.
pub(crate) const LOG_INS: usize = 16;

/// Concurrent logins in a burst.
pub(crate) const STORM: usize = 64;

/// Clients that fetch the key set at a low rate, and their pause: together 1,000 requests per
/// second.
pub(crate) const NOW_AND_THEN: (usize, Duration) = (16, Duration::from_millis(16));

/// Distributes users over this many connections.
pub(crate) fn deal(
    users: &mut Vec<User>,
    hands: usize,
    work: impl Fn(Vec<User>) -> Work,
) -> Vec<Work> {
    let mut dealt: Vec<Vec<User>> = (0..hands).map(|_| Vec::new()).collect();
    for (user, number) in users.drain(..).zip(0..) {
        if let Some(hand) = dealt.get_mut(number % hands) {
            hand.push(user);
        }
    }
    dealt.into_iter().map(work).collect()
}
