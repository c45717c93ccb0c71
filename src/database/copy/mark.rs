//! The marks that `signet database copy` leaves: on a source that has moved, and on a target that
//! is not complete. Signet serves neither.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};

use crate::database::moved::TABLE;
use crate::database::sql;
use crate::timestamp::Timestamp;

/// Stored names of the marks, which never change.
const MOVED: &str = "moved";
pub(super) const INCOMPLETE: &str = "incomplete";

/// Why a database must not be used. The text is the URL of the other database, without a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::database) enum Mark {
    /// The database was copied to the other one, which is used instead.
    Moved(String),
    /// The database is an incomplete copy of the other one.
    Incomplete(String),
}

impl Mark {
    pub(super) async fn set(
        &self,
        connection: &impl ConnectionTrait,
        now: Timestamp,
    ) -> Result<(), DbErr> {
        let (state, other) = match self {
            Self::Moved(other) => (MOVED, other),
            Self::Incomplete(other) => (INCOMPLETE, other),
        };
        clear(connection).await?;
        let sql = "INSERT INTO database_copy (state, other, at) VALUES ($1, $2, $3)";
        sql::execute(connection, sql, [state.into(), other.into(), now.into()]).await.map(drop)
    }
}

/// Removes the mark.
pub(super) async fn clear(connection: &impl ConnectionTrait) -> Result<(), DbErr> {
    sql::execute(connection, "DELETE FROM database_copy", []).await.map(drop)
}

/// The mark of a database of any schema version. Changes nothing.
pub(in crate::database) async fn read(db: &DatabaseConnection) -> Result<Option<Mark>, DbErr> {
    if !migration::has_table(db, TABLE).await? {
        return Ok(None);
    }
    let sql = "SELECT state, other FROM database_copy";
    let row: Option<(String, String)> = sql::first(db, sql, []).await?;
    Ok(row.map(
        |(state, other)| {
            if state == MOVED { Mark::Moved(other) } else { Mark::Incomplete(other) }
        },
    ))
}
