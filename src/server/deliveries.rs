//! Deliveries in progress, each in a task of its own.
//!
//! A `FuturesUnordered` would poll the deliveries only while the loop that owns it waits for the
//! next result. While the loop waited for a database connection, no delivery would run, not even
//! one to which the connection pool has just given a connection. Such deliveries could hold all
//! connections until the loop times out, and every request would wait as long.

use tokio::sync::watch;
use tokio::task::JoinSet;

/// Deliveries whose results are of type `T`. Dropping them cancels them.
pub(super) struct Deliveries<T>(JoinSet<T>);

impl<T: Send + 'static> Deliveries<T> {
    pub(super) fn new() -> Self {
        Self(JoinSet::new())
    }

    pub(super) fn start(&mut self, delivery: impl Future<Output = T> + Send + 'static) {
        self.0.spawn(delivery);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of deliveries that have started and whose results were not returned yet.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The result of the next delivery that ends, or `None` if there is none in progress.
    pub(super) async fn next(&mut self) -> Option<T> {
        loop {
            match self.0.join_next().await? {
                Ok(result) => return Some(result),
                // The outbox row of the aborted delivery becomes due again.
                Err(error) => tracing::error!(%error, "a delivery was aborted"),
            }
        }
    }
}

/// Waits until deliveries have to stop.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // If the sender is gone, the server has stopped.
    let _ = stop.wait_for(|is_stopped| *is_stopped).await;
}
