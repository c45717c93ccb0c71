//! The registered clients. `secret` rotates client secrets, and `removal` deletes clients. A secret
//! is shown once, when it is created. The table stores its digest. Endpoints read clients through
//! `cache`.

mod cache;
pub mod entitlement;
pub mod metadata;
mod removal;
mod secret;

use std::collections::{BTreeSet, HashMap};

use openssl::error::ErrorStack;
use sea_orm::sea_query::LockType;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait,
    QueryFilter, QueryOrder, QuerySelect,
};

use crate::database::Db;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::oauth::client::metadata::{
    Registration, RegistrationError, is_client_id, is_resource,
};
use crate::domain::secret::Secret;
use crate::entity::client::{ActiveModel, AuthMethod, Column, Entity, Model};
use crate::timestamp::Timestamp;

pub use crate::entity::client::Model as Client;
pub use cache::{ClientCache, MAX_AGE as MAX_CACHE_AGE};
pub use removal::delete;
pub use secret::{drop_previous as drop_previous_secret, rotate as rotate_secret};

/// The prefix of client secrets.
const SECRET_PREFIX: &str = "sgs_";

/// Why no client was created, changed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The registration breaks a rule.
    #[error(transparent)]
    Invalid(#[from] RegistrationError),
    /// A client with this ID exists.
    #[error("the client {0} already exists; change it with `signet client update`")]
    Exists(String),
    /// Two registrations in a file have the same ID.
    #[error("the client {0} is listed twice")]
    Twice(String),
    /// The ID is also an audience. A resource server that checks only the audience would accept ID
    /// tokens of the client as access tokens (RFC 9068 §5).
    #[error("{0} cannot be both a client and an audience")]
    Audience(String),
    /// No client has this ID.
    #[error("there is no client {0}")]
    Unknown(String),
    /// The client does not authenticate by a secret.
    #[error("the client {0} has no secret")]
    NoSecret(String),
    /// Other transactions have locked sessions of the client for too long.
    #[error("the client {0} is in use; some of its sessions have ended. Run the command again")]
    Busy(String),
    /// The random number generator failed.
    #[error("no secret could be generated")]
    Random(#[from] ErrorStack),
    /// The database refused or failed.
    #[error("the clients cannot be read or stored: {0}")]
    Database(#[from] DbErr),
}

/// The result for one client of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The client was created. Contains its secret, if it has one. The secret is shown only once.
    Created(Option<String>),
    /// The client was changed. Contains a new secret if the client needed one.
    Changed(Option<String>),
    /// The client already had this registration.
    Unchanged,
}

/// All clients, ordered by ID.
///
/// # Errors
/// If the database refuses.
pub async fn list(db: &Db) -> Result<Vec<Model>, DbErr> {
    db.read(|db| async move { Entity::find().order_by_asc(Column::Id).all(&db).await }).await
}

/// What the owner of a session is told about its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSummary {
    /// The name shown to users.
    pub name: String,
    /// Whether the client is confidential. Then its server uses its sessions, and the address of
    /// such a session is the user's client address at the login.
    pub is_confidential: bool,
}

/// The clients with these IDs, by ID. IDs that are not registered are left out.
///
/// # Errors
/// If the database refuses.
pub async fn summaries(
    db: &Db,
    ids: BTreeSet<String>,
) -> Result<HashMap<String, ClientSummary>, DbErr> {
    let query = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Name, Column::AuthMethod])
        .filter(Column::Id.is_in(ids))
        .into_tuple::<(String, String, AuthMethod)>();
    let clients = db.read(|db| async move { query.all(&db).await }).await?;
    let summary = |(id, name, method)| {
        (id, ClientSummary { name, is_confidential: method != AuthMethod::None })
    };
    Ok(clients.into_iter().map(summary).collect())
}

/// The client with this ID. An invalid ID causes no query.
///
/// # Errors
/// If the database refuses.
pub async fn find(db: &Db, id: &str) -> Result<Option<Model>, DbErr> {
    if !is_client_id(id) {
        return Ok(None);
    }
    let query = Entity::find_by_id(id);
    db.read(|db| async move { query.one(&db).await }).await
}

/// Registers a client. Returns its secret if it has one.
///
/// # Errors
/// See [`ClientError`].
pub async fn create(db: &Db, registration: Registration) -> Result<Option<String>, ClientError> {
    let created = db.write(registration, |txn, now, registration| {
        Box::pin(create_or_change(txn, registration.clone(), Existing::Refuse, now))
    });
    Ok(match created.await? {
        Applied::Created(secret) | Applied::Changed(secret) => secret,
        Applied::Unchanged => None,
    })
}

/// Updates a client's registration. The client keeps its secret unless the authentication method
/// changes. `change` may be called more than once.
///
/// # Errors
/// See [`ClientError`].
pub async fn update(
    db: &Db,
    id: &str,
    change: impl Fn(&mut Registration) + Send + Sync + 'static,
) -> Result<Applied, ClientError> {
    db.write((id.to_owned(), change), move |txn, now, (id, change)| {
        Box::pin(async move {
            let row = Entity::find_by_id(id).lock(LockType::NoKeyUpdate).one(txn).await?;
            let row = row.ok_or_else(|| ClientError::Unknown(id.clone()))?;
            let mut registration = Registration::of_row(&row);
            change(&mut registration);
            create_or_change(txn, registration, Existing::Change, now).await
        })
    })
    .await
}

/// Creates or updates all these clients, or none of them. Other clients are not changed.
///
/// # Errors
/// See [`ClientError`].
pub async fn apply(
    db: &Db,
    registrations: Vec<Registration>,
) -> Result<Vec<(String, Applied)>, ClientError> {
    let mut sorted: Vec<_> = (0..).zip(registrations).collect();
    // All transactions that change several clients lock them in the same order.
    sorted.sort_by(|(_, a), (_, b)| a.client_id.cmp(&b.client_id));
    let duplicate = sorted.array_windows().find(|[(_, a), (_, b)]| a.client_id == b.client_id);
    if let Some([(_, registration), _]) = duplicate {
        return Err(ClientError::Twice(registration.client_id.clone()));
    }
    db.write(sorted, move |txn, now, sorted| {
        Box::pin(async move {
            let mut applied = Vec::with_capacity(sorted.len());
            for (index, registration) in sorted {
                let result =
                    create_or_change(txn, registration.clone(), Existing::Change, now).await?;
                applied.push((*index, registration.client_id.clone(), result));
            }
            applied.sort_by_key(|(index, ..)| *index);
            Ok(applied.into_iter().map(|(_, id, result): (u32, _, _)| (id, result)).collect())
        })
    })
    .await
}

/// What happens if a client with this ID exists.
#[derive(Clone, Copy, PartialEq)]
enum Existing {
    Refuse,
    Change,
}

async fn create_or_change(
    txn: &DatabaseTransaction,
    mut registration: Registration,
    existing: Existing,
    now: Timestamp,
) -> Result<Applied, ClientError> {
    let id = registration.client_id.clone();
    // The client is locked, so that its secrets do not change before the write.
    let old = Entity::find_by_id(&id).lock(LockType::NoKeyUpdate).one(txn).await?;
    if let Some(old) = &old {
        registration.keep_unstated_settings(old);
    }
    let mut row = registration.into_row(now)?;
    check_audiences(txn, &row).await?;
    if old.is_some() && existing == Existing::Refuse {
        return Err(ClientError::Exists(id));
    }
    if let Some(old) = &old {
        row.created_at = old.created_at;
        row.secret_digest.clone_from(&old.secret_digest);
        row.previous_secret_digest.clone_from(&old.previous_secret_digest);
    }
    let has_secret = row.auth_method.is_by_secret();
    if !has_secret {
        (row.secret_digest, row.previous_secret_digest) = (None, None);
    }
    let secret = if has_secret && row.secret_digest.is_none() {
        let secret = Secret::generate(SECRET_PREFIX)?;
        row.secret_digest = Some(secret.digest);
        Some(secret.text)
    } else {
        None
    };
    let Some(old) = old else {
        Entity::insert(ActiveModel::from(row).reset_all()).exec_without_returning(txn).await?;
        record(txn, Kind::ClientCreated, &id, now).await?;
        return Ok(Applied::Created(secret));
    };
    if (Model { updated_at: old.updated_at, ..row.clone() }) == old {
        return Ok(Applied::Unchanged);
    }
    store_changed(txn, row, now).await?;
    Ok(Applied::Changed(secret))
}

/// Stores a client that has changed. Its row must be locked.
async fn store_changed(
    txn: &impl ConnectionTrait,
    row: Model,
    now: Timestamp,
) -> Result<(), DbErr> {
    let changed = ActiveModel::from(Model { updated_at: now, ..row }).reset_all();
    let row = changed.update(txn).await?;
    record(txn, Kind::ClientChanged, &row.id, now).await
}

/// Checks that no client ID is the audience of a client, regardless of which was registered first.
async fn check_audiences(txn: &DatabaseTransaction, row: &Model) -> Result<(), ClientError> {
    let named = Entity::find().filter(Column::Id.is_in(&row.audiences.0)).one(txn).await?;
    if let Some(client) = named {
        return Err(ClientError::Audience(client.id));
    }
    // Audiences are URIs, but client IDs rarely are, so all clients are rarely read.
    if is_resource(&row.id) {
        let clients = Entity::find().all(txn).await?;
        if clients.iter().any(|client| client.audiences.has(&row.id)) {
            return Err(ClientError::Audience(row.id.clone()));
        }
    }
    Ok(())
}

async fn record(
    txn: &impl ConnectionTrait,
    kind: Kind,
    id: &str,
    now: Timestamp,
) -> Result<(), DbErr> {
    Event::new(kind).client(id).record(txn, &Origin::default(), now).await
}
