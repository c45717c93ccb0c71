//! What is still to be done or sent for a transaction that has been committed.

use sea_orm::entity::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::timestamp::Timestamp;

/// A row of `outbox`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub struct Model {
    /// Of a logout notice, the session that ended.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// What is to be done.
    pub kind: Kind,
    /// Whom it concerns: a client's id, or an account's. One receiver delays no other.
    pub receiver: String,
    /// What the kind needs.
    #[sea_orm(column_type = "JsonBinary")]
    pub payload: Json,
    /// How often it failed.
    pub attempts: i32,
    /// When it is to be tried next.
    pub due_at: Timestamp,
    /// When the transaction was committed that it follows from.
    pub created_at: Timestamp,
}

/// What there is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Kind {
    /// A client is to be told that a session of its has ended.
    #[sea_orm(string_value = "logout_notice")]
    LogoutNotice,
    /// The rows of an account's sessions are to say that they have ended.
    #[sea_orm(string_value = "end_sessions")]
    EndSessions,
}

/// A row refers to nothing.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The payload as the kind has it. None if it is of another shape.
    #[must_use]
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_value(self.payload.clone()).ok()
    }

    /// A new row, due at once.
    ///
    /// # Errors
    /// If the payload cannot be written as JSON.
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
