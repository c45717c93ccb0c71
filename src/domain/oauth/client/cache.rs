//! The clients that this instance has read within the last second. Most requests to the OAuth
//! endpoints need the registration of a client, which rarely changes.
//!
//! A change applies in all instances within [`MAX_AGE`] of its commit. The commands that change or
//! delete a client wait for this duration before they exit. A cached registration has no lasting
//! effect: transactions that create a session or a code lock the row of the client, and later uses
//! of the session are limited to the current registration.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sea_orm::DbErr;
use tokio::time::Instant;

use crate::database::Db;
use crate::domain::oauth::client::{Client, find};

/// How long a client is used without being read again.
pub const MAX_AGE: Duration = Duration::from_secs(1);

/// When the cache contains this number of clients, the clients that are older than [`MAX_AGE`] are
/// removed.
const MAX_CLIENTS: usize = 1024;

/// The clients that this instance has read within the last second.
pub struct ClientCache {
    db: Db,
    clients: RwLock<HashMap<String, CachedClient>>,
}

struct CachedClient {
    client: Arc<Client>,
    /// When reading the client began.
    read_at: Instant,
}

impl ClientCache {
    /// An empty cache of the clients in `db`.
    #[must_use]
    pub fn new(db: &Db) -> Self {
        Self { db: db.clone(), clients: RwLock::default() }
    }

    /// The client with this ID, as it was registered at some time within the last second. IDs that
    /// are not registered are not cached.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn find(&self, id: &str) -> Result<Option<Arc<Client>>, DbErr> {
        if let Some(client) = self.cached(id) {
            return Ok(Some(client));
        }
        let read_at = Instant::now();
        let Some(client) = find(&self.db, id).await?.map(Arc::new) else { return Ok(None) };
        self.insert(CachedClient { client: Arc::clone(&client), read_at });
        Ok(Some(client))
    }

    fn cached(&self, id: &str) -> Option<Arc<Client>> {
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        let found = clients.get(id).filter(|cached| cached.is_current())?;
        Some(Arc::clone(&found.client))
    }

    fn insert(&self, cached: CachedClient) {
        let mut clients = self.clients.write().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAX_CLIENTS {
            clients.retain(|_, cached| cached.is_current());
        }
        clients.insert(cached.client.id.clone(), cached);
    }
}

impl CachedClient {
    fn is_current(&self) -> bool {
        self.read_at.elapsed() < MAX_AGE
    }
}
