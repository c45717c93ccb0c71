//! The registry of clients: `secret` renews what they prove themselves with, `removal` takes them off.
//! A secret is shown once, when it is made; the table has its digest.

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
use crate::domain::oauth::secret::Opaque;
use crate::entity::client::{ActiveModel, Column, Entity, Model};
use crate::timestamp::Timestamp;

pub use crate::entity::client::Model as Client;
pub use removal::delete;
pub use secret::{drop_previous as drop_previous_secret, rotate as rotate_secret};

/// What client secrets begin with.
const SECRET_PREFIX: &str = "sgs_";

/// Why the registry was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A rule is broken.
    #[error(transparent)]
    Invalid(#[from] RegistrationError),
    /// The id is taken.
    #[error("there is a client {0} already; change it with `signet client update`")]
    Exists(String),
    /// Two clients of a file have one id.
    #[error("the client {0} is described twice")]
    Twice(String),
    /// A service would take the client's ID tokens for access tokens, if it looked at nothing but their
    /// audience (RFC 9068 §5).
    #[error("{0} cannot be both a client and an audience")]
    Audience(String),
    /// Nobody has the id.
    #[error("there is no client {0}")]
    Unknown(String),
    /// It proves who it is in another way, or not at all.
    #[error("the client {0} has no secret")]
    NoSecret(String),
    /// Others hold some of its sessions without end.
    #[error("the client {0} is in use; some of its sessions have ended. Run the command again")]
    Busy(String),
    /// No random bytes.
    #[error("no secret could be drawn")]
    Random(#[from] ErrorStack),
    /// The database refused or failed.
    #[error("the clients cannot be read or stored: {0}")]
    Database(#[from] DbErr),
}

/// What became of one client of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It is new; its secret, if it has one, is shown this once.
    Created(Option<String>),
    /// It was there and is now as described; if it needed a new secret, here it is.
    Changed(Option<String>),
    /// It was so already.
    Unchanged,
}

/// All clients, by id.
///
/// # Errors
/// If the database refuses.
pub async fn list(db: &Db) -> Result<Vec<Model>, DbErr> {
    db.read(|db| async move { Entity::find().order_by_asc(Column::Id).all(&db).await }).await
}

/// The names of the clients with these ids, by id. Whoever is not registered is left out.
///
/// # Errors
/// If the database refuses.
pub async fn names(db: &Db, ids: BTreeSet<String>) -> Result<HashMap<String, String>, DbErr> {
    let question = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Name])
        .filter(Column::Id.is_in(ids))
        .into_tuple();
    let names = db.read(|db| async move { question.all(&db).await }).await?;
    Ok(names.into_iter().collect())
}

/// The client with this id. What cannot be an id is not looked for.
///
/// # Errors
/// If the database refuses.
pub async fn find(db: &Db, id: &str) -> Result<Option<Model>, DbErr> {
    if !is_client_id(id) {
        return Ok(None);
    }
    let question = Entity::find_by_id(id);
    db.read(|db| async move { question.one(&db).await }).await
}

/// Registers a client; returns its secret, if it is to have one.
///
/// # Errors
/// See [`ClientError`].
pub async fn create(db: &Db, registration: Registration) -> Result<Option<String>, ClientError> {
    db.write(registration, move |txn, now, registration| {
        Box::pin(async move {
            match put(txn, registration.clone(), Existing::Refuse, now).await? {
                Applied::Created(secret) => Ok(secret),
                Applied::Changed(_) | Applied::Unchanged => {
                    Err(ClientError::Exists(registration.client_id.clone()))
                }
            }
        })
    })
    .await
}

/// Changes what a client is registered with, its secret aside. `change` may run again.
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
            put(txn, registration, Existing::Change, now).await
        })
    })
    .await
}

/// Makes all these clients what they are said to be, or none of them. Others stay as they are.
///
/// # Errors
/// See [`ClientError`].
pub async fn apply(
    db: &Db,
    registrations: Vec<Registration>,
) -> Result<Vec<(String, Applied)>, ClientError> {
    let mut in_order: Vec<_> = (0..).zip(registrations).collect();
    // All who change several clients hold them in the same order, whatever that of their files.
    in_order.sort_by(|(_, one), (_, other)| one.client_id.cmp(&other.client_id));
    let twice =
        in_order.array_windows().find(|[(_, one), (_, next)]| one.client_id == next.client_id);
    if let Some([(_, one), _]) = twice {
        return Err(ClientError::Twice(one.client_id.clone()));
    }
    db.write(in_order, move |txn, now, in_order| {
        Box::pin(async move {
            let mut applied = Vec::with_capacity(in_order.len());
            for (place, registration) in in_order {
                let done = put(txn, registration.clone(), Existing::Change, now).await?;
                applied.push((*place, registration.client_id.clone(), done));
            }
            applied.sort_by_key(|(place, ..)| *place);
            Ok(applied.into_iter().map(|(_, id, done): (u32, _, _)| (id, done)).collect())
        })
    })
    .await
}

/// What to do about a client that is there, or is not.
#[derive(Clone, Copy, PartialEq)]
enum Existing {
    Refuse,
    Change,
}

async fn put(
    txn: &DatabaseTransaction,
    mut registration: Registration,
    existing: Existing,
    now: Timestamp,
) -> Result<Applied, ClientError> {
    let id = registration.client_id.clone();
    // Locked: its secrets must not change between this and what is written.
    let old = Entity::find_by_id(&id).lock(LockType::NoKeyUpdate).one(txn).await?;
    if let Some(old) = &old {
        registration.stay_as_strict_as(old);
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
    let has_secret = row.auth_method.starts_with("client_secret");
    if !has_secret {
        (row.secret_digest, row.previous_secret_digest) = (None, None);
    }
    let secret = if has_secret && row.secret_digest.is_none() {
        let drawn = Opaque::draw(SECRET_PREFIX)?;
        row.secret_digest = Some(drawn.digest);
        Some(drawn.text)
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
    ActiveModel::from(row).reset_all().update(txn).await?;
    record(txn, Kind::ClientChanged, &id, now).await?;
    Ok(Applied::Changed(secret))
}

/// No client may have the name of a service, whichever of them was there first.
async fn check_audiences(txn: &DatabaseTransaction, row: &Model) -> Result<(), ClientError> {
    let named = Entity::find().filter(Column::Id.is_in(&row.audiences.0)).one(txn).await?;
    if let Some(client) = named {
        return Err(ClientError::Audience(client.id));
    }
    // Audiences are URIs, and ids of clients hardly ever.
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
