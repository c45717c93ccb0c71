//! SQLite: one connection that writes, and transactions that share commits.
//!
//! A durable commit costs a sync to disk, which takes longer than the statements before it. While
//! one batch is being synced the next requests queue up, and the writer takes them all into the
//! next transaction: each is acknowledged after the sync that holds it, and none waits for a sync
//! of its own. If one of a batch fails, the batch is rolled back and each runs alone, so nobody
//! sees a neighbour's failure.
//!
//! Nothing is acknowledged on the driver's word alone. Each batch advances a counter, and another
//! connection must see it afterwards (`sqlite_connections`).

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, TransactionTrait};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, timeout};
use uuid::Uuid;

use crate::clock::{Clock, Moment};
use crate::database::Work;
use crate::database::job::{Job, Progress, Step, Transaction, in_doubt, lost, unavailable};
use crate::database::outage::{self, CROWDED, Crowd, NOTICEABLE, statement};
use crate::database::reserve::Reserve;
use crate::database::sqlite_connections::{self, Connections, Count, is_full, is_suspicious};
use crate::timestamp::Timestamp;

/// Transactions that may wait for the writer; past it the database counts as unavailable.
const QUEUE: usize = 4096;

/// Transactions in one commit: bounds how long the first of them waits for the last.
const BATCH: usize = 128;

/// How often an idle writer looks at the clock, so that a pause of the process shows.
const TICK: Duration = Duration::from_millis(500);

/// A queue of transactions, and what is known of the connection that commits them.
#[derive(Clone)]
pub(super) struct SharedWriter {
    queue: mpsc::Sender<Message>,
    state: Arc<State>,
    wait: Duration,
}

enum Message {
    /// A transaction, and since when it waits.
    Run(Box<dyn Job>, Instant),
    Close(oneshot::Sender<()>),
}

#[derive(Default)]
struct State {
    /// This process answers clients; commands do not.
    is_serving: AtomicBool,
    is_failing: AtomicBool,
    is_full: AtomicBool,
    /// When something that had been committed could not be answered; 0 if it is on record.
    lost_answer_at: AtomicI64,
    commit_since: Mutex<Option<Instant>>,
    /// The highest count of commits that this process has brought the database to.
    commits: AtomicI64,
}

impl State {
    fn commit_since(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.commit_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharedWriter {
    /// Opens the connections.
    pub(super) async fn start(
        url: &str,
        file: &Path,
        wait: Duration,
        clock: Clock,
    ) -> Result<Self, DbErr> {
        let connections = Connections::open(url, wait).await?;
        let (queue, messages) = mpsc::channel(QUEUE);
        let state = Arc::new(State::default());
        let writer = Writer {
            connections,
            clock,
            state: Arc::clone(&state),
            last_seen: Moment::now(),
            wait,
            crowd: Crowd::default(),
            outages: Vec::new(),
            crowds: Vec::new(),
            reserve: Reserve::beside(file),
        };
        tokio::spawn(writer.work(messages));
        Ok(Self { queue, state, wait })
    }

    /// Runs `work` in a transaction; past the wait it is not done, or in doubt if it was begun.
    pub(super) async fn run<T, E, F>(&self, work: F, is_urgent: bool) -> Result<T, E>
    where
        T: Send + 'static,
        E: Error + From<DbErr> + Send + 'static,
        F: for<'t> Fn(&'t DatabaseTransaction, Timestamp) -> Work<'t, T, E> + Send + Sync + 'static,
    {
        let (job, progress, answer) = Transaction::new(work, is_urgent);
        let message = Message::Run(job, Instant::now());
        self.queue.try_send(message).map_err(|_| unavailable())?;
        let caller = Caller(progress);
        match timeout(self.wait, answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(lost().into())),
            Err(_) if caller.0.abandon() => Err(unavailable().into()),
            Err(_) => Err(in_doubt().into()),
        }
    }

    /// The same for work that takes its time.
    pub(super) async fn run_at_leisure<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: Error + From<DbErr> + Send + 'static,
        F: for<'t> Fn(&'t DatabaseTransaction, Timestamp) -> Work<'t, T, E> + Send + Sync + 'static,
    {
        let (job, _, answer) = Transaction::new(work, true);
        let message = Message::Run(job, Instant::now());
        self.queue.send(message).await.map_err(|_| unavailable())?;
        answer.await.unwrap_or_else(|_| Err(lost().into()))
    }

    /// The highest count of commits that this process has brought the database to; 0 before it serves.
    pub(super) fn commits(&self) -> i64 {
        self.state.commits.load(Ordering::Acquire)
    }

    /// What keeps this writer from acknowledging anything now. After a failure it finds out by a
    /// commit of its own.
    pub(super) async fn trouble(&self) -> Option<&'static str> {
        let since = *self.state.commit_since();
        if since.is_some_and(|since| since.elapsed() > self.wait) {
            return Some("a commit is overdue");
        }
        if self.state.is_full.load(Ordering::Acquire) {
            return Some("the disk is full");
        }
        if self.state.is_failing.load(Ordering::Acquire) {
            let attempt = self.run(|_, _| Box::pin(async { Ok::<_, DbErr>(()) }), false).await;
            return attempt.is_err().then_some("commits fail");
        }
        None
    }

    /// An answer to what was committed a moment ago is lost: as in a crowd, the client will ask again.
    pub(super) fn note_lost_answer(&self, now: Timestamp) {
        self.state.lost_answer_at.store(now.as_micros(), Ordering::Release);
    }

    /// From now on each commit is dated, so that a start after a crash knows when the last one was;
    /// what a crash before this start may have lost is recorded.
    pub(super) async fn begin_serving(&self) -> Result<(), DbErr> {
        self.run_at_leisure(|txn, now| Box::pin(record_crash(txn, now))).await?;
        self.state.is_serving.store(true, Ordering::Release);
        Ok(())
    }

    /// Ends after the transactions under way.
    pub(super) async fn close(&self) {
        if self.state.is_serving.swap(false, Ordering::AcqRel) {
            let stopped = self.run(|txn, _| Box::pin(record_clean_stop(txn)), true);
            if let Err(error) = stopped.await {
                tracing::warn!(%error, "the clean stop could not be recorded");
            }
        }
        let (closed, is_closed) = oneshot::channel();
        if self.queue.send(Message::Close(closed)).await.is_ok() {
            drop(is_closed.await);
        }
    }
}

/// Somebody who waits for a transaction. If they stop, what has not begun is not done: a client that
/// hung up has perhaps asked again, and its first request must not be taken for a thief's after that.
struct Caller(Progress);

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

async fn record_crash(txn: &DatabaseTransaction, now: Timestamp) -> Result<(), DbErr> {
    let sql = "SELECT served_at FROM database_state WHERE served_at IS NOT NULL";
    let Some(row) = txn.query_one_raw(statement(txn, sql, [])).await? else { return Ok(()) };
    let last_commit: Timestamp = row.try_get_by_index(0)?;
    outage::record(txn, Uuid::nil(), last_commit.min(now), Some(now)).await?;
    record_clean_stop(txn).await
}

async fn record_clean_stop(txn: &DatabaseTransaction) -> Result<(), DbErr> {
    txn.execute_unprepared("UPDATE database_state SET served_at = NULL").await.map(drop)
}

/// The task that owns the connection.
struct Writer {
    connections: Connections,
    clock: Clock,
    state: Arc<State>,
    last_seen: Moment,
    wait: Duration,
    crowd: Crowd,
    /// Outages that the next batch records; one without an end lasts until then.
    outages: Vec<(Timestamp, Option<Timestamp>)>,
    /// Crowds that the next batch records.
    crowds: Vec<(Timestamp, Timestamp)>,
    reserve: Reserve,
}

/// Why a batch was not committed. Nothing of it was done, unless the error says that it is in doubt.
enum Failure {
    /// One of its transactions was refused by a rule, as its outcome says.
    OfRule,
    /// The database failed in one of its transactions, as its outcome says.
    OfOne,
    OfAll(DbErr),
}

/// What a transaction that fails undoes in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Isolation {
    /// The whole batch.
    None,
    /// What it wrote itself.
    Savepoints,
}

impl Writer {
    async fn work(mut self, mut queue: mpsc::Receiver<Message>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut messages = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                received = queue.recv_many(&mut messages, BATCH) => {
                    if received == 0 {
                        return;
                    }
                }
                _ = tick.tick() => {
                    self.tick().await;
                    continue;
                }
            }
            let (mut jobs, mut closing) = (Vec::with_capacity(messages.len()), None);
            for message in messages.drain(..) {
                match message {
                    Message::Run(job, since) => jobs.push(self.take(job, since)),
                    Message::Close(closed) => closing = Some(closed),
                }
            }
            self.commit_all(jobs).await;
            if let Some(closed) = closing {
                self.connections.close().await;
                let _ = closed.send(());
                return;
            }
        }
    }

    async fn tick(&mut self) {
        self.notice_pause();
        self.last_seen = Moment::now();
        let has_room = !self.state.is_serving.load(Ordering::Acquire)
            || self.reserve.is_held()
            || self.reserve.take().await;
        if has_room && self.state.is_full.swap(false, Ordering::AcqRel) {
            tracing::info!("the disk has room again");
        }
    }

    /// A process that stood still has answered nobody meanwhile.
    fn notice_pause(&mut self) {
        let pause = self.last_seen.elapsed();
        if pause > NOTICEABLE {
            let now = self.clock.now();
            self.outages.push((now.minus(pause), Some(now)));
            self.last_seen = Moment::now();
        }
    }

    fn take(&mut self, job: Box<dyn Job>, since: Instant) -> Box<dyn Job> {
        self.notice_crowd(since.elapsed());
        job
    }

    fn notice_crowd(&mut self, waited: Duration) {
        self.crowds.extend(self.crowd.notice(waited, self.clock.now()));
    }

    async fn commit_all(&mut self, jobs: Vec<Box<dyn Job>>) {
        self.notice_pause();
        let lost_answer_at = self.state.lost_answer_at.swap(0, Ordering::AcqRel);
        if lost_answer_at > 0 {
            let at = Timestamp::from_micros(lost_answer_at);
            self.crowds.push((at.minus(self.wait), at.plus(CROWDED)));
        }
        let mut batch = Vec::with_capacity(jobs.len());
        for job in jobs {
            if self.refuses(&*job) {
                job.finish(Err(unavailable()));
            } else if job.progress().start_commit() {
                batch.push(job);
            }
        }
        if batch.is_empty() {
            return;
        }
        let mut result = self.commit(&mut batch, Isolation::None).await;
        if batch.len() > 1 && matches!(result, Err(Failure::OfRule)) {
            result = self.commit(&mut batch, Isolation::Savepoints).await;
        }
        match result {
            Ok(()) => finish(batch, &Ok(())),
            Err(Failure::OfAll(error)) if !self.is_full() => finish(batch, &Err(error)),
            // Its outcome says why.
            Err(Failure::OfRule | Failure::OfOne) if batch.len() == 1 && !self.is_full() => {
                finish(batch, &Ok(()));
            }
            Err(_) => {
                for job in batch {
                    self.commit_alone(job).await;
                }
            }
        }
    }

    async fn commit_alone(&mut self, job: Box<dyn Job>) {
        if self.refuses(&*job) {
            return job.finish(Err(unavailable()));
        }
        let mut alone = [job];
        let result = self.commit(&mut alone, Isolation::None).await;
        let [job] = alone;
        job.finish(match result {
            Ok(()) | Err(Failure::OfRule | Failure::OfOne) => Ok(()),
            Err(Failure::OfAll(error)) => Err(error),
        });
    }

    /// On a full disk there is room for what is urgent alone.
    fn refuses(&self, job: &dyn Job) -> bool {
        self.is_full() && !job.is_urgent()
    }

    fn is_full(&self) -> bool {
        self.state.is_full.load(Ordering::Acquire)
    }

    async fn commit(
        &mut self,
        jobs: &mut [Box<dyn Job>],
        isolation: Isolation,
    ) -> Result<(), Failure> {
        let (began, began_at) = (Moment::now(), self.clock.now());
        *self.state.commit_since() = Some(Instant::now());
        let result = self.try_commit(jobs, isolation).await;
        *self.state.commit_since() = None;
        self.last_seen = Moment::now();

        let of_job = || jobs.iter().find_map(|job| job.database_error());
        let error = match &result {
            Ok(()) | Err(Failure::OfRule) => None,
            Err(Failure::OfOne) => of_job().filter(|error| is_suspicious(error)),
            Err(Failure::OfAll(error)) => Some(error),
        };
        self.state.is_failing.store(error.is_some(), Ordering::Release);
        if result.is_ok() {
            self.outages.clear();
            self.crowds.clear();
        }
        if let Some(error) = error {
            tracing::error!(%error, "a batch of transactions was not committed");
            if is_full(error) && !self.state.is_full.swap(true, Ordering::AcqRel) {
                tracing::error!("the disk is full: only logouts and their like are written");
                self.reserve.give_up();
            }
            if self.outages.iter().all(|(_, ended)| ended.is_some()) {
                self.outages.push((began_at, None));
            }
        } else if began.elapsed() > NOTICEABLE {
            self.outages.push((began_at, Some(self.clock.now())));
        }
        result
    }

    async fn try_commit(
        &mut self,
        jobs: &mut [Box<dyn Job>],
        isolation: Isolation,
    ) -> Result<(), Failure> {
        let txn = match self.connections.begin().await {
            Ok(txn) => txn,
            Err(error) => {
                self.connections.discard_if_suspicious(&error).await;
                return Err(Failure::OfAll(error));
            }
        };
        let count = match self.mark(&txn).await {
            Ok(count) => count,
            Err(error) => {
                self.connections.roll_back(txn, Some(&error)).await;
                return Err(Failure::OfAll(error));
            }
        };
        for job in jobs {
            let now = self.clock.now();
            let step = match isolation {
                Isolation::None => job.run(&txn, now).await,
                Isolation::Savepoints => match in_savepoint(&txn, job, now).await {
                    Ok(step) => step,
                    Err(error) => {
                        self.connections.roll_back(txn, Some(&error)).await;
                        return Err(Failure::OfAll(error));
                    }
                },
            };
            if step == Step::RollBack {
                self.connections.roll_back(txn, job.database_error()).await;
                let of_rule = job.database_error().is_none();
                return Err(if of_rule { Failure::OfRule } else { Failure::OfOne });
            }
        }
        if let Err(error) = txn.commit().await {
            self.connections.discard().await;
            // SQLite says that it failed. What others see says whether it is so.
            let is_undone = matches!(self.connections.is_visible(count).await, Ok(false));
            return Err(Failure::OfAll(if is_undone { error } else { in_doubt() }));
        }
        match self.connections.is_visible(count).await {
            Ok(true) => {
                let commits = count.and_then(|count| count.commits).unwrap_or(0);
                self.state.commits.fetch_max(commits, Ordering::AcqRel);
                Ok(())
            }
            seen => {
                let error = seen.err().map(|error| error.to_string());
                tracing::error!(error, "what was committed is not to be seen");
                self.connections.discard().await;
                Err(Failure::OfAll(in_doubt()))
            }
        }
    }

    /// Advances the counters, and records what has happened since the last commit. None if the schema
    /// has no counters yet.
    async fn mark(&mut self, txn: &DatabaseTransaction) -> Result<Option<Count>, DbErr> {
        if !self.connections.has_counter(txn).await? {
            return Ok(None);
        }
        let now = self.clock.now();
        for (began, ended) in &self.outages {
            let ended = ended.unwrap_or(now);
            outage::record(txn, Uuid::nil(), *began, Some(ended)).await?;
        }
        for (began, ended) in &self.crowds {
            outage::record_crowd(txn, Uuid::nil(), *began, *ended).await?;
        }
        if !self.outages.is_empty() || !self.crowds.is_empty() {
            outage::forget_old(txn, now).await?;
        }
        let served_at = self.state.is_serving.load(Ordering::Acquire).then_some(now);
        sqlite_connections::count(txn, served_at).await
    }
}

/// Runs a transaction of a batch so that it alone is undone if a rule refuses it.
async fn in_savepoint(
    txn: &DatabaseTransaction,
    job: &mut Box<dyn Job>,
    now: Timestamp,
) -> Result<Step, DbErr> {
    let savepoint = txn.begin().await?;
    let step = job.run(&savepoint, now).await;
    if step == Step::Commit {
        savepoint.commit().await?;
    } else if job.database_error().is_none() {
        savepoint.rollback().await?;
        return Ok(Step::Commit);
    } else {
        drop(savepoint);
    }
    Ok(step)
}

fn finish(batch: Vec<Box<dyn Job>>, committed: &Result<(), DbErr>) {
    for job in batch {
        job.finish(committed.clone());
    }
}
