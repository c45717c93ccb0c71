//! The way to rows: connections, transactions, schema.
//!
//! [`Db::read`] asks a single question outside a transaction. [`Db::write`] runs a transaction to
//! its end, whatever becomes of the caller: on SQLite, transactions that wait at the same time
//! share one commit and so one sync to disk; on PostgreSQL each has its own.

mod pool;
mod schema;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    DbErr, Statement,
};

use crate::config::DatabaseSettings;
pub use crate::database::pool::Outage;
use crate::database::pool::Pool;
pub use crate::database::schema::{SchemaError, has_table, migrate_down, migrate_up, status};
use crate::database::writer::{SharedWriter, sql_state, write_at_leisure, write_pooled};
use crate::timestamp::Timestamp;

/// How long a SQLite file may be locked by others before that counts as a failure.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// How long the server lets a transaction hold its locks without a word from us: longer than its
/// client waits for the answer.
const IDLE_TRANSACTION: &str = "1s";

/// A transaction's work, as [`Db::write`] takes it. It may run more than once.
pub type Work<'t, T, E> = BoxFuture<'t, Result<T, E>>;

/// A handle on the database; clones share its connections.
#[derive(Clone)]
pub struct Db(Backend);

#[derive(Clone)]
enum Backend {
    Sqlite { reader: DatabaseConnection, writer: SharedWriter },
    Postgres(Pool),
}

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Others on this host could read password hashes.
    #[error(
        "{} can be read by other users of this host; run: chmod 600 {}",
        file.display(),
        file.display()
    )]
    Exposed {
        /// The database file.
        file: PathBuf,
    },
    /// There is no database file, and this is no command to make one.
    #[error(
        "there is no database file {}; name the one that is meant with SIGNET_DATABASE_URL, or make \
         it with `signet migrate up`. None was made",
        file.display()
    )]
    Absent {
        /// The database file.
        file: PathBuf,
    },
    /// The database file cannot be made or looked at.
    #[error("cannot open the database file {}: {source}", file.display())]
    File {
        /// The database file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database does not answer, or refuses.
    #[error("cannot connect to the database of SIGNET_DATABASE_URL: {0}")]
    Connect(#[from] DbErr),
}

impl Db {
    /// Opens the database; makes the file, with mode 0600, if it is SQLite and not there.
    ///
    /// # Errors
    /// See [`ConnectError`]; nothing has been changed then.
    pub async fn connect(settings: &DatabaseSettings) -> Result<Self, ConnectError> {
        let url = settings.database_url.expose();
        if let Some(file) = settings.database_url.sqlite_file() {
            prepare_file(&file)?;
            let writer = connect_patiently(sqlite_options(url, 1, Access::Write)).await?;
            let reader = connect_patiently(sqlite_options(url, 4, Access::Read)).await?;
            let writer = SharedWriter::start(writer);
            return Ok(Self(Backend::Sqlite { reader, writer }));
        }
        let options = postgres_options(url, settings.database_connections);
        Ok(Self(Backend::Postgres(Pool::connect(options).await?)))
    }

    /// Opens the database that is there: for commands that look at one, or change what it holds. In
    /// the wrong folder they must not make an empty one and speak of that.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn open(settings: &DatabaseSettings) -> Result<Self, ConnectError> {
        match settings.database_url.sqlite_file() {
            Some(file) if !file.exists() => Err(ConnectError::Absent { file }),
            _ => Self::connect(settings).await,
        }
    }

    /// Asks one question that changes nothing.
    ///
    /// # Errors
    /// The database's, or that it did not answer in time.
    pub async fn read<T, Q>(
        &self,
        question: impl FnOnce(DatabaseConnection) -> Q,
    ) -> Result<T, DbErr>
    where
        Q: Future<Output = Result<T, DbErr>>,
    {
        match &self.0 {
            Backend::Sqlite { reader, .. } => question(reader.clone()).await,
            Backend::Postgres(pool) => {
                pool.patiently(question((*pool.connections()).clone())).await
            }
        }
    }

    /// Runs `work` in a transaction and commits it, or rolls it back if it fails.
    ///
    /// Once called it runs to its end even if the caller stops waiting: a client that hangs up
    /// cannot leave half of something behind. `work` may run again (after a serialization failure,
    /// or because a transaction it shared a commit with failed), so it must change nothing but the
    /// database.
    ///
    /// # Errors
    /// What `work` returned, with nothing changed; or the database's own error, which leaves open
    /// whether the commit happened if it was lost on the way.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: std::error::Error + From<DbErr> + Send + 'static,
        F: for<'t> Fn(&'t DatabaseTransaction) -> Work<'t, T, E> + Send + Sync + 'static,
    {
        match &self.0 {
            Backend::Sqlite { writer, .. } => writer.run(work).await,
            Backend::Postgres(pool) => write_pooled(pool, work).await,
        }
    }

    /// [`Db::write`] for a change of schema, or an operator's command, that nobody waits for: it may
    /// wait for a lock, and after [`take_time`] its statements may be slow.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub async fn write_at_leisure<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: std::error::Error + From<DbErr> + Send + 'static,
        F: for<'t> Fn(&'t DatabaseTransaction) -> Work<'t, T, E> + Send + Sync + 'static,
    {
        match &self.0 {
            Backend::Sqlite { writer, .. } => writer.run(work).await,
            Backend::Postgres(pool) => write_at_leisure(pool, work).await,
        }
    }

    /// The time of the database's own clock, for instances to agree on; none for SQLite, which has
    /// no clock but ours.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn now(&self) -> Result<Option<Timestamp>, DbErr> {
        if matches!(self.0, Backend::Sqlite { .. }) {
            return Ok(None);
        }
        // Not now(): that is when the transaction began.
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let row = self.read(|db| async move { db.query_one_raw(statement).await }).await?;
        row.map(|row| row.try_get_by_index(0).map(Timestamp::from_micros)).transpose()
    }

    /// Ends when the database answers again after it did not, from this call on.
    #[must_use]
    pub fn back_again(&self) -> BoxFuture<'_, ()> {
        match &self.0 {
            Backend::Sqlite { .. } => Box::pin(std::future::pending()),
            Backend::Postgres(pool) => Box::pin(pool.back_again()),
        }
    }

    /// The last time in which the database did not answer, if there was one. SQLite has none.
    #[must_use]
    pub fn last_outage(&self) -> Option<Outage> {
        match &self.0 {
            Backend::Sqlite { .. } => None,
            Backend::Postgres(pool) => pool.last_outage(),
        }
    }

    /// Closes all connections, after the transactions under way.
    pub async fn close(&self) {
        match &self.0 {
            Backend::Sqlite { reader, writer } => {
                // The writer last: whoever closes a database last moves what is still in the
                // write-ahead log into its file, and readers may not.
                if let Err(error) = reader.close_by_ref().await {
                    tracing::warn!(%error, "closing the database failed");
                }
                writer.close().await;
            }
            Backend::Postgres(pool) => pool.close().await,
        }
    }
}

/// Lets the statements of a transaction of [`Db::write_at_leisure`] take their time.
///
/// # Errors
/// If the database refuses.
pub async fn take_time(txn: &DatabaseTransaction) -> Result<(), DbErr> {
    if txn.get_database_backend() == DbBackend::Postgres {
        txn.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Access {
    Read,
    Write,
}

/// Statements are logged at debug level at most: they are of no use to an operator.
fn quiet(options: &mut ConnectOptions) -> &mut ConnectOptions {
    options.sqlx_logging(false).record_stmt_in_spans(false)
}

fn sqlite_options(url: &str, connections: u32, access: Access) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    quiet(&mut options)
        .max_connections(connections)
        .min_connections(connections)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .acquire_timeout(Duration::from_secs(2))
        .test_before_acquire(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            let sqlite = sqlite
                .busy_timeout(LOCK_PATIENCE)
                .foreign_keys(true)
                .statement_cache_capacity(64)
                .pragma("trusted_schema", "OFF")
                .pragma("cache_size", "-2000");
            match access {
                Access::Read => sqlite.read_only(true),
                // FULL: an acknowledged write survives a power cut (docs/decisions.md).
                Access::Write => sqlite
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .pragma("journal_size_limit", "67108864"),
            }
        });
    options
}

/// Asks again where SQLite itself does not wait: it refuses at once to turn on the write-ahead log
/// of a file that somebody is writing, which another first start may be doing.
async fn connect_patiently(options: ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match Database::connect(options.clone()).await {
            Err(error) if is_locked(&error) && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            result => return result,
        }
    }
}

/// `SQLITE_BUSY`, whatever its extended code says of why.
fn is_locked(error: &DbErr) -> bool {
    let code = sql_state(error).and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

fn postgres_options(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    quiet(&mut options)
        .max_connections(connections)
        .min_connections(1)
        .connect_timeout(Duration::from_secs(2))
        .acquire_timeout(Duration::from_millis(800))
        // Less than a request waits: what it gives up, the server gives up too.
        .statement_timeout(Duration::from_millis(800))
        .set_application_name("signet")
        // A transaction behind a dead link must not keep its locks until TCP notices.
        .map_sqlx_postgres_opts(|postgres| {
            postgres.options([("idle_in_transaction_session_timeout", IDLE_TRANSACTION)])
        })
        .test_before_acquire(false);
    options
}

/// Makes the database file with mode 0600 (SQLite gives `-wal` and `-shm` the same mode), or checks
/// the mode of the one that is there.
fn prepare_file(file: &Path) -> Result<(), ConnectError> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};

    let failed = |source| ConnectError::File { file: file.to_owned(), source };
    if let Some(directory) = file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    }
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(file)
        .map_err(failed)?;
    let mode = opened.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(ConnectError::Exposed { file: file.to_owned() });
    }
    Ok(())
}
