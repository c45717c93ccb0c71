//! Who may hash, and where: a few threads behind a bounded queue.
//!
//! A password hash takes a core for tens of milliseconds, so admission is decided before any of
//! it is spent:
//!
//! 1. *Admission.* There are as many permits as threads and places in the queue together. No
//!    permit: [`HashError::Busy`] at once. The permit travels with the job, so a caller that
//!    hangs up frees nothing before its work is done or skipped.
//! 2. *Waiting*, first come first served. A thread that takes a job skips it without hashing if
//!    its caller is gone, and answers [`HashError::Busy`] if its deadline has passed.
//! 3. *Work*, on threads of the lowest priority, so that a storm of logins does not delay the
//!    requests that need no hash. A panic is answered and ends neither thread nor pool.
//! 4. *Rest.* A thread keeps its memory for the next job and returns it after a while without
//!    one. The threads end when the pool is dropped.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};

use crate::domain::password::hash::Failure;
use crate::domain::password::workspace::{Tally, Workspace};

/// How much hashing is done at once, and how much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSettings {
    /// Threads, each with its own memory; as many as cores.
    pub threads: usize,
    /// Jobs that may wait beside those that are running.
    pub queue: usize,
    /// Longest wait before a job is answered with [`HashError::Busy`] instead of being run.
    pub deadline: Duration,
}

/// Why there is no answer about a password.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// The queue is full or the wait was too long. Nothing was hashed; trying later may work.
    #[error("too many passwords are being hashed")]
    Busy,
    /// Hashing itself failed.
    #[error("hashing failed")]
    Failed(#[source] Failure),
}

type Job = Box<dyn FnOnce(&mut Workspace) + Send>;

/// The handle: dropping it ends the threads.
pub(super) struct Pool {
    shared: Arc<Shared>,
    admission: Arc<Semaphore>,
    deadline: Duration,
}

/// What the handle and the threads have in common.
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    tally: Arc<Tally>,
    /// How long a thread keeps its memory without work.
    rest: Duration,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Job>,
    is_closed: bool,
}

/// What a thread does next.
enum Next {
    Run(Job),
    Release,
    End,
}

impl Pool {
    /// Starts the threads. `block_count` is the Argon2 memory each of them keeps, in KiB.
    pub(super) fn start(
        settings: PoolSettings,
        block_count: usize,
        rest: Duration,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            tally: Arc::default(),
            rest,
        });
        let permits = settings.threads.saturating_add(settings.queue).min(Semaphore::MAX_PERMITS);
        // Made before the threads: if one cannot be started, dropping it ends the others.
        let pool = Self {
            shared: Arc::clone(&shared),
            admission: Arc::new(Semaphore::new(permits)),
            deadline: settings.deadline,
        };
        for number in 0..settings.threads {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name(format!("signet-hash-{number}"))
                .spawn(move || serve(&shared, block_count))?;
        }
        Ok(pool)
    }

    /// Runs `work` on a hashing thread.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Workspace) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, HashError> {
        let answer = self.submit(work)?.await;
        answer.unwrap_or(Err(HashError::Failed(Failure::Stopped)))
    }

    /// Queues `work`; dropping the receiver says that nobody wants the answer any more.
    fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Workspace) -> Result<T, Failure> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, HashError>>, HashError> {
        let admission = Arc::clone(&self.admission);
        let permit = admission.try_acquire_owned().map_err(|_| HashError::Busy)?;
        // A wait too long for the clock has no end.
        let deadline = Instant::now().checked_add(self.deadline);
        let (reply, answer) = oneshot::channel();
        let job = move |workspace: &mut Workspace| {
            if reply.is_closed() {
                return;
            }
            let outcome = if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                Err(HashError::Busy)
            } else {
                // The workspace holds nothing that a job relies on, so half-done work is harmless.
                catch_unwind(AssertUnwindSafe(|| work(workspace)))
                    .unwrap_or(Err(Failure::Panicked))
                    .map_err(HashError::Failed)
            };
            // Before the answer: who has it may ask again at once.
            drop(permit);
            // The caller may have gone while its work was done; then nobody wants to know.
            let _ = reply.send(outcome);
        };
        self.shared.lock().waiting.push_back(Box::new(job));
        self.shared.wake.notify_one();
        Ok(answer)
    }

    /// Argon2 and bcrypt computations begun so far.
    pub(super) fn hashes_started(&self) -> u64 {
        self.shared.tally.hashes_started.load(Ordering::Relaxed)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.wake.notify_all();
    }
}

impl Shared {
    /// Locks the queue. Nothing panics under this lock, so a poisoned queue is a whole one.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, holds_memory: bool) -> Next {
        let is_idle = |queue: &mut Queue| queue.waiting.is_empty() && !queue.is_closed;
        let mut queue = if holds_memory {
            let rested = self.wake.wait_timeout_while(self.lock(), self.rest, is_idle);
            rested.unwrap_or_else(PoisonError::into_inner).0
        } else {
            let woken = self.wake.wait_while(self.lock(), is_idle);
            woken.unwrap_or_else(PoisonError::into_inner)
        };
        match queue.waiting.pop_front() {
            Some(job) => Next::Run(job),
            None if queue.is_closed => Next::End,
            None => Next::Release,
        }
    }
}

/// The life of a hashing thread.
fn serve(shared: &Shared, block_count: usize) {
    lower_priority();
    let mut workspace = Workspace::new(block_count, Arc::clone(&shared.tally));
    loop {
        match shared.next(workspace.holds_memory()) {
            Next::Run(job) => {
                job(&mut workspace);
                workspace.tidy();
            }
            Next::Release => workspace.release(),
            Next::End => return,
        }
    }
}

/// Lets every other thread of the process go first.
///
/// On Linux nice values belong to threads and process 0 means the calling one (setpriority(2),
/// "C library/kernel differences"). Elsewhere the call would slow the whole process down.
#[cfg(target_os = "linux")]
fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, 19) {
        tracing::warn!(%error, "hashing runs at normal priority: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{self, Sender};
    use std::sync::{Arc, Weak};
    use std::thread;
    use std::time::{Duration, Instant};

    use tokio::sync::oneshot;

    use super::{HashError, Pool, PoolSettings, Shared};
    use crate::domain::password::hash::{Cost, Failure};
    use crate::domain::password::workspace::Workspace;

    const PATIENT: Duration = Duration::from_mins(1);

    fn pool(threads: usize, queue: usize, deadline: Duration) -> Pool {
        Pool::start(PoolSettings { threads, queue, deadline }, 64, PATIENT).unwrap()
    }

    /// Keeps one thread at work until the sender is dropped.
    fn occupy(pool: &Pool) -> (Sender<()>, oneshot::Receiver<Result<(), HashError>>) {
        let (began, has_begun) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let answer = pool.submit(move |_| {
            began.send(()).unwrap();
            ended.recv().unwrap_err();
            Ok(())
        });
        has_begun.recv().unwrap();
        (end, answer.unwrap())
    }

    fn hash(memory_kib: u32, workspace: &mut Workspace) -> Result<(), Failure> {
        let argon2 = Cost { memory_kib, iterations: 1, parallelism: 1 }.argon2id()?;
        workspace.argon2(&argon2, b"password", b"sixteen bytes ok", &mut [0; 32])
    }

    fn blocks_held(shared: &Shared) -> usize {
        shared.tally.blocks_held.load(Ordering::Relaxed)
    }

    /// Waits for what another thread does after its answer has been sent.
    fn eventually(mut is_so: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_mins(2);
        while !is_so() {
            assert!(Instant::now() < end, "it never came to be");
            thread::yield_now();
        }
    }

    /// DS-11: overflow is refused at once, and nothing of it is run.
    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let pool = pool(1, 2, PATIENT);
        let (end, first) = occupy(&pool);
        let waiting = [pool.submit(|_| Ok(1)).unwrap(), pool.submit(|_| Ok(2)).unwrap()];

        // The best of five: a busy machine may take the core away from any one of them.
        let mut quickest = Duration::MAX;
        for _ in 0..5 {
            let asked = Instant::now();
            assert!(matches!(pool.run(|_| Ok(3)).await, Err(HashError::Busy)));
            quickest = quickest.min(asked.elapsed());
        }

        assert!(quickest < Duration::from_millis(50), "{quickest:?}");
        drop(end);
        first.await.unwrap().unwrap();
        for (answer, expected) in waiting.into_iter().zip([1, 2]) {
            assert_eq!(answer.await.unwrap().unwrap(), expected);
        }
        assert_eq!(pool.run(|_| Ok(4)).await.unwrap(), 4);
    }

    /// Whoever has an answer may ask again at once, even when the queue has no place.
    #[tokio::test]
    async fn the_permit_is_back_before_the_answer_is() {
        let pool = pool(1, 0, PATIENT);

        for _ in 0..500 {
            pool.run(|_| Ok(())).await.unwrap();
        }
    }

    /// DS-11. A deadline of zero has passed whenever the job is taken.
    #[tokio::test]
    async fn a_job_that_waited_too_long_is_not_run() {
        let mut pool = pool(1, 2, PATIENT);
        let (end, first) = occupy(&pool);
        pool.deadline = Duration::ZERO;
        let late = pool.submit(|_| Ok(1)).unwrap();
        pool.deadline = PATIENT;
        let patient = pool.submit(|_| Ok(2)).unwrap();

        drop(end);

        first.await.unwrap().unwrap();
        assert!(matches!(late.await.unwrap(), Err(HashError::Busy)));
        assert_eq!(patient.await.unwrap().unwrap(), 2);
    }

    #[tokio::test]
    async fn a_wait_without_end_is_possible() {
        assert_eq!(pool(1, 0, Duration::MAX).run(|_| Ok(1)).await.unwrap(), 1);
    }

    /// PW-04, F18: callers that hang up neither free a place early nor have their work done.
    #[tokio::test]
    async fn a_caller_that_hangs_up_frees_nothing_early() {
        let pool = pool(2, 2, PATIENT);
        let runs = Arc::new(AtomicUsize::new(0));
        let (end_one, one) = occupy(&pool);
        let (end_two, two) = occupy(&pool);
        drop((one, two));
        for _ in 0..2 {
            let runs = Arc::clone(&runs);
            drop(pool.submit(move |_| Ok(runs.fetch_add(1, Ordering::Relaxed))).unwrap());
        }

        let refused = pool.run(|_| Ok(())).await;

        assert!(matches!(refused, Err(HashError::Busy)));
        drop((end_one, end_two));
        eventually(|| pool.admission.available_permits() == 4);
        assert_eq!(runs.load(Ordering::Relaxed), 0);
    }

    /// How many jobs run at this moment, and the most that ever did.
    #[derive(Default)]
    struct Gauge {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    /// Asks again and again, and hangs up two times of three.
    async fn ask_and_hang_up(pool: Arc<Pool>, gauge: Arc<Gauge>) {
        for turn in 0..200 {
            let gauge = Arc::clone(&gauge);
            let answer = pool.submit(move |workspace| {
                gauge
                    .most
                    .fetch_max(gauge.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let outcome = hash(64, workspace);
                gauge.now.fetch_sub(1, Ordering::SeqCst);
                outcome
            });
            if let (0, Ok(answer)) = (turn % 3, answer) {
                answer.await.unwrap().unwrap();
            }
            tokio::task::yield_now().await;
        }
    }

    /// PW-04, F18: a flood of callers that hang up while their work is done or waits.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn dropped_callers_do_not_exceed_the_threads() {
        let (pool, gauge) = (Arc::new(pool(2, 8, PATIENT)), Arc::new(Gauge::default()));

        let ask = || tokio::spawn(ask_and_hang_up(Arc::clone(&pool), Arc::clone(&gauge)));
        for caller in [ask(), ask(), ask(), ask()] {
            caller.await.unwrap();
        }

        eventually(|| pool.admission.available_permits() == 10);
        assert_eq!(gauge.now.load(Ordering::SeqCst), 0);
        assert!((1..=2).contains(&gauge.most.load(Ordering::SeqCst)));
    }

    #[tokio::test]
    async fn a_panicking_job_is_answered_and_the_pool_lives_on() {
        let pool = pool(1, 8, PATIENT);

        for turn in 0..4 {
            let failed = pool.run::<()>(|_| panic!("on purpose")).await;

            assert!(matches!(failed, Err(HashError::Failed(Failure::Panicked))));
            assert_eq!(pool.run(move |_| Ok(turn)).await.unwrap(), turn);
        }
        assert_eq!(pool.admission.available_permits(), 9);
        assert!(!pool.shared.queue.is_poisoned());
    }

    #[tokio::test]
    async fn memory_is_kept_between_jobs_and_returned_at_rest() {
        let settings = PoolSettings { threads: 1, queue: 8, deadline: PATIENT };
        let patient = Pool::start(settings, 64, PATIENT).unwrap();
        let restless = Pool::start(settings, 64, Duration::from_millis(20)).unwrap();
        assert_eq!(blocks_held(&patient.shared), 0, "nothing is reserved before the first job");

        for _ in 0..3 {
            patient.run(|workspace| hash(64, workspace)).await.unwrap();
            restless.run(|workspace| hash(64, workspace)).await.unwrap();
            eventually(|| blocks_held(&restless.shared) == 0);
            assert_eq!(blocks_held(&patient.shared), 64);
        }
    }

    #[tokio::test]
    async fn what_one_pass_leaves_is_wiped_before_the_next_job() {
        let pool = pool(1, 8, PATIENT);

        pool.run(|workspace| hash(64, workspace)).await.unwrap();

        assert!(pool.run(|workspace| Ok(workspace.is_tidy())).await.unwrap());
    }

    /// Allocators like to keep what is freed; this asks the system what the process really holds.
    /// It needs a process of its own, so it runs the test below in one.
    #[cfg(target_os = "linux")]
    #[test]
    fn released_memory_goes_back_to_the_system_time_after_time() {
        let (_, module) = module_path!().split_once("::").unwrap();
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", &format!("{module}::alone_in_its_process")])
            .output()
            .unwrap();

        let text = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && text.contains("1 passed"), "{text}");
    }

    #[cfg(target_os = "linux")]
    #[ignore = "run by the test above, in a process of its own"]
    #[tokio::test]
    async fn alone_in_its_process() {
        let resident_kib = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
            line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
        };
        let settings = PoolSettings { threads: 2, queue: 8, deadline: PATIENT };
        let pool = Pool::start(settings, 19_456, Duration::from_millis(200)).unwrap();
        let before = resident_kib();

        for _ in 0..3 {
            let one = pool.run(|workspace| hash(19_456, workspace));
            let other = pool.run(|workspace| hash(19_456, workspace));
            let (one, other) = tokio::join!(one, other);
            one.and(other).unwrap();
            assert!(resident_kib() > before + 19_456);
            eventually(|| resident_kib() < before + 4_096);
        }
    }

    /// F17: a foreign hash that needs more memory than ours does not leave it behind.
    #[tokio::test]
    async fn an_oversized_hash_gives_its_memory_back_at_once() {
        let pool = pool(1, 8, PATIENT);
        pool.run(|workspace| hash(64, workspace)).await.unwrap();

        let held = Arc::clone(&pool.shared);
        let during = pool.run(move |workspace| {
            hash(4_096, workspace)?;
            Ok(blocks_held(&held))
        });

        assert_eq!(during.await.unwrap(), 64);
        pool.run(|workspace| hash(32, workspace)).await.unwrap();
        assert_eq!(blocks_held(&pool.shared), 64);
    }

    #[tokio::test]
    async fn the_threads_end_with_the_pool() {
        let pool = pool(3, 8, PATIENT);
        pool.run(|workspace| hash(64, workspace)).await.unwrap();
        let shared: Weak<Shared> = Arc::downgrade(&pool.shared);

        drop(pool);

        eventually(|| shared.strong_count() == 0);
    }

    /// DS-10: the hashing threads step back; the thread that started them does not.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn only_the_hashing_threads_run_at_the_lowest_priority() {
        let nice = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let (head, fields) = stat.rsplit_once(") ").unwrap();
            let name = head.split_once('(').unwrap().1.to_owned();
            // Field 19 of proc_pid_stat(5); the state after the name is field 3.
            (name, fields.split(' ').nth(16).unwrap().parse::<i32>().unwrap())
        };
        let ours = nice().1;
        let pool = pool(2, 8, PATIENT);

        let (name, theirs) = pool.run(move |_| Ok(nice())).await.unwrap();

        assert!(name.starts_with("signet-hash-"), "{name}");
        assert_eq!(theirs, 19);
        assert_eq!(nice().1, ours);
        assert!(ours < 19);
    }
}
