//! How many clients do what at once.

use std::time::Duration;

use crate::load::Work;
use crate::users::User;

/// Connections that ask for the key set, or refresh, all the time.
pub(crate) const CONNECTIONS: usize = 64;

/// Connections that log in all the time: enough to keep every hashing thread at work.
pub(crate) const LOG_INS: usize = 16;

/// Logins at once in a storm.
pub(crate) const STORM: usize = 64;

/// A client that asks for the key set now and then: sixteen of these make 1,000 a second.
pub(crate) const NOW_AND_THEN: (usize, Duration) = (16, Duration::from_millis(16));

/// Deals users out to so many connections.
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
