//! Numbers of concurrent clients for each kind of load.

use std::time::Duration;

use crate::load::Work;
use crate::users::User;

/// Connections that fetch the key set, or refresh, continuously.
pub(crate) const CONNECTIONS: usize = 64;

/// Connections that request userinfo continuously.
pub(crate) const USER_INFO: usize = 16;

/// Connections that request client-credentials tokens continuously, each as a client of its own.
pub(crate) const CLIENT_CREDENTIALS: usize = 16;

/// Connections that log in continuously. They keep all hashing threads busy if these are fewer.
pub(crate) const LOG_INS: usize = 16;

/// Concurrent logins in a burst.
pub(crate) const STORM: usize = 64;

/// The number of clients that fetch the key set at a low rate, and their pause between requests.
/// Together they send at most 1,000 requests per second, because the pause begins after the
/// response.
pub(crate) const LOW_RATE: (usize, Duration) = (16, Duration::from_millis(16));

/// Distributes users over `connections` connections, and creates the work of each with `work`.
pub(crate) fn distribute(
    users: &mut Vec<User>,
    connections: usize,
    work: impl Fn(Vec<User>) -> Work,
) -> Vec<Work> {
    let mut groups: Vec<Vec<User>> = (0..connections).map(|_| Vec::new()).collect();
    for (user, number) in users.drain(..).zip(0..) {
        if let Some(group) = groups.get_mut(number % connections) {
            group.push(user);
        }
    }
    groups.into_iter().map(work).collect()
}
