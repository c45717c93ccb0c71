//! The database handle: connections, transactions and their timeouts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr};
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::{DatabaseSettings, DatabaseUrl};
use crate::database::erase;
use crate::database::file::{ConnectError, prepare_file};
use crate::database::job::{Submission, Transact, unavailable};
use crate::database::moved::refusing_moved;
use crate::database::options::{
    Access, close, connect_with_retry, postgres_options, sqlite_options,
};
use crate::database::pool::Pool;
use crate::database::postgres_writer::{Doubts, PooledWriter};
use crate::database::retention_time::RetentionTime;
use crate::database::serve_lock;
use crate::database::sql;
use crate::database::sqlite_writer::SharedWriter;
use crate::timestamp::Timestamp;

/// A database handle; clones share its connections.
#[derive(Clone)]
pub struct Db {
    pub(super) backend: Backend,
    pub(super) clock: Clock,
    wait: Duration,
    pub(super) retention: RetentionTime,
    is_urgent: bool,
    has_timeout: bool,
    /// Whether each transaction checks that the database has not been moved. Servers check it once.
    refuses_moved: bool,
}

#[derive(Clone)]
pub(super) enum Backend {
    Sqlite { reader: DatabaseConnection, writer: SharedWriter, url: DatabaseUrl },
    Postgres(PooledWriter),
}

impl Db {
    /// Opens the database. Creates a missing SQLite file with mode 0600. Sets a shared clock to
    /// PostgreSQL's time.
    ///
    /// # Errors
    /// See [`ConnectError`]; then no stored data has been changed.
    pub async fn connect(settings: &DatabaseSettings, clock: Clock) -> Result<Self, ConnectError> {
        let url = settings.database_url.expose();
        let wait = Duration::from_secs(settings.database_wait_seconds);
        if let Some(file) = settings.database_url.sqlite_file() {
            prepare_file(&file)?;
            let writer = SharedWriter::start(url, &file, wait, clock.clone()).await?;
            let reader = connect_with_retry(sqlite_options(url, 4, Access::Read, wait)).await?;
            let url = settings.database_url.clone();
            let backend = Backend::Sqlite { reader, writer, url };
            return Ok(Self::new(backend, clock, wait));
        }
        let options = postgres_options(url, settings.database_connections, wait);
        let writer = PooledWriter {
            pool: Pool::connect(options, wait).await?,
            clock: clock.clone(),
            instance: Uuid::nil(),
            is_reserved: false,
            doubts: Doubts::default(),
            overload: Arc::default(),
            commits: Arc::default(),
        };
        let backend = Backend::Postgres(writer);
        let db = Self::new(backend, clock, wait);
        if let Some(now) = db.now().await? {
            db.clock.follow(now);
        }
        Ok(db)
    }

    fn new(backend: Backend, clock: Clock, wait: Duration) -> Self {
        let retention = RetentionTime::default();
        Self {
            backend,
            clock,
            wait,
            retention,
            is_urgent: false,
            has_timeout: true,
            refuses_moved: true,
        }
    }

    /// Opens an existing database, for commands that inspect or change its contents. A command that
    /// is run in the wrong folder must fail; it must not create an empty database.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn open(settings: &DatabaseSettings, clock: Clock) -> Result<Self, ConnectError> {
        match settings.database_url.sqlite_file() {
            Some(file) if !file.exists() => Err(ConnectError::Absent { file }),
            _ => Self::connect(settings, clock).await,
        }
    }

    /// Begins to record the outages in which responses may be lost, under the id `instance`. All
    /// instances read these records. Must be called before requests are served. The schema must be
    /// of this version. Afterwards, the caller must check that the database has not been moved.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn begin_serving(&mut self, instance: Uuid) -> Result<(), DbErr> {
        match &mut self.backend {
            Backend::Sqlite { writer, .. } => writer.begin_serving().await?,
            Backend::Postgres(writer) => writer.begin_serving(instance).await?,
        }
        self.refuses_moved = false;
        self.begin_retention().await
    }

    /// A handle for writes that end access. They may use the disk space that is reserved for the
    /// case of a full disk.
    #[must_use]
    pub fn urgent(&self) -> Self {
        Self { is_urgent: true, ..self.clone() }
    }

    /// A handle for schema changes and operator commands. Their transactions have no request
    /// timeout: they may wait for a lock, and after [`lift_timeouts`] their statements may be slow.
    #[must_use]
    pub fn without_timeout(&self) -> Self {
        Self { has_timeout: false, ..self.urgent() }
    }

    /// A handle that writes to a database although it is marked as moved.
    #[must_use]
    pub(super) fn despite_mark(&self) -> Self {
        Self { refuses_moved: false, ..self.clone() }
    }

    /// A handle for tasks that all requests depend on. On PostgreSQL they have separate
    /// connections, which requests cannot exhaust.
    #[must_use]
    pub fn reserved(&self) -> Self {
        let mut db = self.clone();
        if let Backend::Postgres(writer) = &mut db.backend {
            *writer = writer.reserved();
        }
        db
    }

    /// How long a request waits for the database before it times out.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// Whether all writes go through a single writer, one transaction at a time.
    #[must_use]
    pub fn has_one_writer(&self) -> bool {
        matches!(self.backend, Backend::Sqlite { .. })
    }

    /// Whether a server may be using the database at the moment.
    pub(super) fn may_be_served(&self) -> bool {
        match &self.backend {
            Backend::Sqlite { url, .. } => {
                url.sqlite_file().is_none_or(|file| serve_lock::may_be_served(&file))
            }
            Backend::Postgres(_) => true,
        }
    }

    /// Why writes cannot be acknowledged at the moment; `None` if they can.
    pub async fn write_obstacle(&self) -> Option<&'static str> {
        match &self.backend {
            Backend::Sqlite { writer, .. } => writer.write_obstacle().await,
            Backend::Postgres(writer) => writer.pool.write_obstacle(),
        }
    }

    /// Records that the response to a recent commit could not be sent. The client may then retry,
    /// as after an outage.
    pub fn note_lost_response(&self) {
        match &self.backend {
            Backend::Sqlite { writer, .. } => writer.note_lost_response(self.clock.now()),
            Backend::Postgres(writer) => writer.notice_overload(self.wait),
        }
    }

    /// The highest commit counter that this process has reached since it started.
    #[must_use]
    pub fn commits(&self) -> i64 {
        match &self.backend {
            Backend::Sqlite { writer, .. } => writer.commits(),
            Backend::Postgres(writer) => writer.commits.load(Ordering::Acquire),
        }
    }

    /// The clock that gives transactions their time.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Runs a read-only query.
    ///
    /// # Errors
    /// A database error, or a timeout.
    pub async fn read<T, Q>(&self, query: impl FnOnce(DatabaseConnection) -> Q) -> Result<T, DbErr>
    where
        Q: Future<Output = Result<T, DbErr>>,
    {
        match &self.backend {
            Backend::Sqlite { reader, .. } => {
                let result = tokio::time::timeout(self.wait, query(reader.clone())).await;
                result.unwrap_or_else(|_| Err(unavailable()))
            }
            Backend::Postgres(writer) => {
                writer.pool.with_timeout(query(writer.connections())).await
            }
        }
    }

    /// Runs `work` in a transaction and commits it, or rolls it back if `work` fails.
    ///
    /// `work` gets a time that is read after its transaction began. A time read before the wait for
    /// a connection or the disk, or before a suspension of the process, would be too old: other
    /// transactions may have written later times meanwhile. Each run of `work` borrows `input`.
    ///
    /// The transaction is atomic even if the caller is dropped, as when a client disconnects. If
    /// the caller stops waiting before the commit has started, nothing is written. `work` may run
    /// again, after a serialization failure or because a transaction in the same group commit
    /// failed. So it must have no side effects outside the database.
    ///
    /// # Errors
    /// The error that `work` returned, or a database error. Then nothing has been changed and
    /// nothing will be, unless [`is_in_doubt`](super::is_in_doubt) says that the commit was started
    /// and its outcome is unknown.
    pub async fn write<I, T, E, F>(&self, input: I, work: F) -> Result<T, E>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        E: std::error::Error + From<DbErr> + Send + 'static,
        F: Transact<I, T, E>,
    {
        let submission = if self.refuses_moved {
            Submission::new(self.is_urgent, input, refusing_moved(work))
        } else {
            Submission::new(self.is_urgent, input, work)
        };
        match (&self.backend, self.has_timeout) {
            (Backend::Sqlite { writer, .. }, true) => writer.run(submission).await,
            (Backend::Sqlite { writer, .. }, false) => writer.run_without_timeout(submission).await,
            (Backend::Postgres(writer), true) => writer.run(submission).await,
            (Backend::Postgres(writer), false) => writer.run_without_timeout(submission).await,
        }
    }

    /// The time of the database's own clock, on which all instances agree. `None` for SQLite, which
    /// uses the clock of this process.
    ///
    /// # Errors
    /// If the query fails.
    pub async fn now(&self) -> Result<Option<Timestamp>, DbErr> {
        if matches!(self.backend, Backend::Sqlite { .. }) {
            return Ok(None);
        }
        // Not now(), which returns the time at which the transaction began.
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        self.read(|db| async move { sql::first(&db, sql, []).await }).await
    }

    /// Completes when the database next becomes available again; never on SQLite.
    #[must_use]
    pub fn recovered(&self) -> BoxFuture<'_, ()> {
        match &self.backend {
            Backend::Sqlite { .. } => Box::pin(std::future::pending()),
            Backend::Postgres(writer) => Box::pin(writer.pool.recovered()),
        }
    }

    /// Truncates SQLite's write-ahead log, which contains older versions of the pages. Must be
    /// called after a transaction that erased an account. A failure is only logged, because the
    /// next truncation has the same effect.
    pub async fn truncate_log(&self) {
        let Backend::Sqlite { url, .. } = &self.backend else { return };
        if let Err(error) = erase::truncate_log(url.expose(), self.wait).await {
            tracing::warn!(%error, "the write-ahead log could not be truncated");
        }
    }

    /// Waits for the transactions under way, and closes all connections.
    pub async fn close(&self) {
        if let Err(error) = self.keep_retention().await {
            tracing::warn!(%error, "the retention time could not be recorded");
        }
        match &self.backend {
            Backend::Sqlite { reader, writer, .. } => {
                close(reader).await;
                writer.close().await;
            }
            Backend::Postgres(writer) => {
                writer.stop_serving().await;
                writer.pool.close().await;
            }
        }
    }
}

/// Removes the statement and lock timeouts from a transaction of [`Db::without_timeout`].
///
/// # Errors
/// If the database refuses.
pub async fn lift_timeouts(txn: &DatabaseTransaction) -> Result<(), DbErr> {
    if txn.get_database_backend() == DbBackend::Postgres {
        txn.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
        txn.execute_unprepared("SET LOCAL lock_timeout = 0").await?;
    }
    Ok(())
}
