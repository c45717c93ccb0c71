//! Database access: connections, transactions, schema.
//!
//! [`Db::read`] runs a single query outside a transaction. [`Db::write`] runs a transaction to its
//! end, even if the caller is dropped. On SQLite, transactions that wait at the same time share one
//! commit, and so one sync to disk (group commit). On PostgreSQL each transaction has its own
//! commit. On both databases, the writes of [`Batches`] share their statements and their
//! transaction. A write ends as done, not done, or in doubt ([`is_in_doubt`]). An outage is
//! recorded as a row ([`may_have_lost_response`]).

pub mod account_lock;
mod backup;
mod backup_file;
mod batch;
mod batches;
pub mod bulk_insert;
mod copy;
mod db;
mod erase;
mod file;
mod job;
mod lineage;
mod message;
mod moved;
mod new_file;
mod options;
mod outage;
pub mod outbox;
mod pool;
mod portions;
mod postgres_batches;
mod postgres_writer;
mod replacement;
mod reserve;
mod retention;
mod retention_time;
mod same_database;
mod schema;
mod serve_lock;
pub mod session_rotation;
mod source;
mod sql;
mod sqlite_batched;
mod sqlite_batches;
mod sqlite_connections;
mod sqlite_writer;
mod state_file;
mod statistics;
#[cfg(test)]
mod tests;

pub use crate::database::backup::{BackupError, Draft, draft_backup};
pub use crate::database::backup_file::{BackupFile, BackupFileError, Counts};
pub use crate::database::batches::Batches;
pub use crate::database::copy::{CopiedTable, CopyError, Digest, copy_database, undo_copy};
pub use crate::database::db::{Db, lift_timeouts};
pub use crate::database::erase::{overwrite_all, overwrite_cheaply};
pub use crate::database::file::ConnectError;
pub use crate::database::job::{Transact, Work, is_in_doubt};
pub use crate::database::lineage::{Lineage, Restore, start_new_lineage};
pub use crate::database::message::text_with_causes;
pub use crate::database::new_file::NewFile;
pub use crate::database::outage::{may_be_delayed_request, may_have_lost_response, retry_later};
pub use crate::database::portions::{Portions, PurgeError, Purged, delete_all, delete_expired};
pub use crate::database::replacement::{ReplaceError, Replacement};
pub use crate::database::same_database::is_same_database;
pub use crate::database::schema::{
    SchemaError, has_table, migrate_down, migrate_up, refuse_copied, status,
};
pub use crate::database::serve_lock::{ServeLock, ServeLockError};
pub use crate::database::source::{Row, SourceDatabase, SourceError, UnreadableRow};
pub use crate::database::state_file::{Comparison, StateFile};
pub use crate::database::statistics::{analyze, analyze_unknown};
