//! The outbox: follow-up work of committed transactions.

use sea_orm::entity::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::timestamp::Timestamp;

/// A row of `outbox`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "outbox")]
pub struct Model {
    /// For a logout notice, the id of the session that ended. Otherwise a new id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The kind of work.
    pub kind: Kind,
    /// A client id or an account id. Work for one receiver does not delay work for another
    /// receiver.
    pub receiver: String,
    /// The data for this kind of work.
    #[sea_orm(column_type = "JsonBinary")]
    pub payload: Json,
    /// How many attempts failed.
    pub attempts: i32,
    /// When the next attempt is due.
    pub due_at: Timestamp,
    /// When the row was written, by the transaction that causes the work.
    pub created_at: Timestamp,
}

/// The kinds of work. They are stored under their names, so the names must never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Kind {
    /// Notify a client that one of its sessions has ended (back-channel logout).
    LogoutNotice,
    /// Mark the rows of an account's sessions as ended.
    EndSessions,
    /// Send a mail.
    Mail,
    /// A dead letter: a mail that could not be sent, stored for the operator. No instance takes it.
    DeadMail,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

/// Prints no payload, which may contain an email address.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "outbox({}, {:?})", self.id, self.kind)
    }
}

impl Model {
    /// The payload as `T`, or `None` if it has another structure.
    #[must_use]
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_value(self.payload.clone()).ok()
    }

    /// A new row, due immediately.
    ///
    /// # Errors
    /// If the payload cannot be serialized to JSON.
    pub fn new(
        id: Uuid,
        kind: Kind,
        receiver: String,
        payload: &impl Serialize,
        now: Timestamp,
    ) -> Result<Self, DbErr> {
        let payload =
            serde_json::to_value(payload).map_err(|error| DbErr::Json(error.to_string()))?;
        Ok(Self { id, kind, receiver, payload, attempts: 0, due_at: now, created_at: now })
    }
}
