//! The handle on the database, which is all that others see of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement,
};
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::{DatabaseSettings, DatabaseUrl};
use crate::database::erase;
use crate::database::file::{ConnectError, prepare_file};
use crate::database::job::{Work, unavailable};
use crate::database::options::{Access, connect_patiently, postgres_options, sqlite_options};
use crate::database::pool::Pool;
use crate::database::postgres_writer::{self, Doubts, PooledWriter};
use crate::database::retention_time::RetentionTime;
use crate::database::sqlite_writer::SharedWriter;
use crate::timestamp::Timestamp;

/// A handle on the database; clones share its connections.
#[derive(Clone)]
pub struct Db {
    pub(super) backend: Backend,
    pub(super) clock: Clock,
    wait: Duration,
    pub(super) retention: RetentionTime,
    is_urgent: bool,
}

#[derive(Clone)]
pub(super) enum Backend {
    Sqlite { reader: DatabaseConnection, writer: SharedWriter, url: DatabaseUrl },
    Postgres(PooledWriter),
}

impl Db {
    /// Opens the database; makes the file, with mode 0600, if it is SQLite and not there. A shared
    /// clock is set to PostgreSQL's time.
    ///
    /// # Errors
    /// See [`ConnectError`]; nothing has been changed then.
    pub async fn connect(settings: &DatabaseSettings, clock: Clock) -> Result<Self, ConnectError> {
        let (url, wait) = (settings.database_url.expose(), settings.database_wait());
        let retention = RetentionTime::default();
        if let Some(file) = settings.database_url.sqlite_file() {
            prepare_file(&file)?;
            let writer = SharedWriter::start(url, &file, wait, clock.clone()).await?;
            let reader = connect_patiently(sqlite_options(url, 4, Access::Read, wait)).await?;
            let url = settings.database_url.clone();
            let backend = Backend::Sqlite { reader, writer, url };
            return Ok(Self { backend, clock, wait, retention, is_urgent: false });
        }
        let options = postgres_options(url, settings.database_connections, wait);
        let writer = PooledWriter {
            pool: Pool::connect(options, wait).await?,
            clock: clock.clone(),
            instance: Uuid::nil(),
            is_reserved: false,
            doubts: Doubts::default(),
            crowd: Arc::default(),
            commits: Arc::default(),
        };
        let backend = Backend::Postgres(writer);
        let db = Self { backend, clock, wait, retention, is_urgent: false };
        if let Some(now) = db.now().await? {
            db.clock.follow(now);
        }
        Ok(db)
    }

    /// Opens the database that is there: for commands that look at one, or change what it holds. In
    /// the wrong folder they must not make an empty one and speak of that.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn open(settings: &DatabaseSettings, clock: Clock) -> Result<Self, ConnectError> {
        match settings.database_url.sqlite_file() {
            Some(file) if !file.exists() => Err(ConnectError::Absent { file }),
            _ => Self::connect(settings, clock).await,
        }
    }

    /// From now on this process answers clients: what an outage may have lost of its answers is
    /// recorded for all instances, under the name `instance`. The schema must be of this version.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn begin_serving(&mut self, instance: Uuid) -> Result<(), DbErr> {
        match &mut self.backend {
            Backend::Sqlite { writer, .. } => writer.begin_serving().await?,
            Backend::Postgres(writer) => writer.begin_serving(instance).await?,
        }
        self.begin_retention().await
    }

    /// The same database for writes that end access: they may use the disk space that is kept in
    /// reserve for a full disk.
    #[must_use]
    pub fn urgent(&self) -> Self {
        Self { is_urgent: true, ..self.clone() }
    }

    /// The same database for tasks that all requests hang on: on PostgreSQL they have connections of
    /// their own, which no crowd of requests occupies.
    #[must_use]
    pub fn reserved(&self) -> Self {
        let mut db = self.clone();
        if let Backend::Postgres(writer) = &mut db.backend {
            *writer = writer.reserved();
        }
        db
    }

    /// How long a request waits for the database.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// Whether one transaction at a time writes, and all others wait for it.
    #[must_use]
    pub fn has_one_writer(&self) -> bool {
        matches!(self.backend, Backend::Sqlite { .. })
    }

    /// What keeps writes from being acknowledged at this moment, if anything does.
    pub async fn trouble(&self) -> Option<&'static str> {
        match &self.backend {
            Backend::Sqlite { writer, .. } => writer.trouble().await,
            Backend::Postgres(writer) => writer.pool.trouble(),
        }
    }

    /// What was committed a moment ago cannot be answered: its client may ask again, as after an outage.
    pub fn note_lost_answer(&self) {
        match &self.backend {
            Backend::Sqlite { writer, .. } => writer.note_lost_answer(self.clock.now()),
            Backend::Postgres(writer) => writer.notice_crowd(self.wait),
        }
    }

    /// The highest count of commits that this process has brought the database to since its start.
    #[must_use]
    pub fn commits(&self) -> i64 {
        match &self.backend {
            Backend::Sqlite { writer, .. } => writer.commits(),
            Backend::Postgres(writer) => writer.commits.load(Ordering::Acquire),
        }
    }

    /// The clock whose time transactions get.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
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
        match &self.backend {
            Backend::Sqlite { reader, .. } => {
                let answer = tokio::time::timeout(self.wait, question(reader.clone())).await;
                answer.unwrap_or_else(|_| Err(unavailable()))
            }
            Backend::Postgres(writer) => {
                writer.pool.patiently(question((*writer.connections()).clone())).await
            }
        }
    }

    /// Runs `work` in a transaction and commits it, or rolls it back if it fails.
    ///
    /// `work` gets the time that was read once its transaction had begun: a time from before the wait
    /// for a connection, for the disk or for a process that was stopped would be too old to compare
    /// with what other transactions have written meanwhile. And it borrows `input`, at each try anew.
    ///
    /// It is all or nothing, whatever becomes of the caller: a client that hangs up cannot leave half
    /// of something behind. If the caller stops waiting before the commit has begun, it is nothing.
    /// `work` may run again (after a serialization failure, or because a transaction it shared a
    /// commit with failed), so it must change nothing but the database.
    ///
    /// # Errors
    /// What `work` returned, or the database's own error: nothing has been changed then, and nothing
    /// will be, unless [`is_in_doubt`](super::is_in_doubt) says that the commit was begun and its outcome is not known.
    pub async fn write<I, T, E, F>(&self, input: I, work: F) -> Result<T, E>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        E: std::error::Error + From<DbErr> + Send + 'static,
        F: for<'t> Fn(&'t DatabaseTransaction, Timestamp, &'t I) -> Work<'t, T, E>
            + Send
            + Sync
            + 'static,
    {
        match &self.backend {
            Backend::Sqlite { writer, .. } => writer.run(input, work, self.is_urgent).await,
            Backend::Postgres(writer) => postgres_writer::write(writer, input, work).await,
        }
    }

    /// [`Db::write`] for a change of schema, or an operator's command, that nobody waits for: it may
    /// wait for a lock, and after [`take_time`] its statements may be slow.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub async fn write_at_leisure<I, T, E, F>(&self, input: I, work: F) -> Result<T, E>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        E: std::error::Error + From<DbErr> + Send + 'static,
        F: for<'t> Fn(&'t DatabaseTransaction, Timestamp, &'t I) -> Work<'t, T, E>
            + Send
            + Sync
            + 'static,
    {
        match &self.backend {
            Backend::Sqlite { writer, .. } => writer.run_at_leisure(input, work).await,
            Backend::Postgres(writer) => {
                postgres_writer::write_at_leisure(writer, input, work).await
            }
        }
    }

    /// The time of the database's own clock, for instances to agree on; none for SQLite, which has
    /// no clock but ours.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn now(&self) -> Result<Option<Timestamp>, DbErr> {
        if matches!(self.backend, Backend::Sqlite { .. }) {
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
        match &self.backend {
            Backend::Sqlite { .. } => Box::pin(std::future::pending()),
            Backend::Postgres(writer) => Box::pin(writer.pool.back_again()),
        }
    }

    /// After a transaction that erased somebody: truncates SQLite's write-ahead log, which has older
    /// versions of its pages. A failure is logged; the next one has the same effect.
    pub async fn truncate_log(&self) {
        let Backend::Sqlite { url, .. } = &self.backend else { return };
        if let Err(error) = erase::truncate_log(url.expose(), self.wait).await {
            tracing::warn!(%error, "the write-ahead log could not be truncated");
        }
    }

    /// Closes all connections, after the transactions under way.
    pub async fn close(&self) {
        if let Err(error) = self.keep_retention().await {
            tracing::warn!(%error, "how long this instance has served could not be recorded");
        }
        match &self.backend {
            Backend::Sqlite { reader, writer, .. } => {
                if let Err(error) = reader.close_by_ref().await {
                    tracing::warn!(%error, "closing the database failed");
                }
                writer.close().await;
            }
            Backend::Postgres(writer) => {
                writer.stop_serving().await;
                writer.pool.close().await;
            }
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
        txn.execute_unprepared("SET LOCAL lock_timeout = 0").await?;
    }
    Ok(())
}
