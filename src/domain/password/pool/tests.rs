use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::{HashError, Pending, Pool, PoolSettings, Shared};
use crate::domain::password::class::Class;
use crate::domain::password::cost::Cost;
use crate::domain::password::failure::Failure;
use crate::domain::password::threads;
use crate::domain::password::workspace::Workspace;

const LONG: Duration = Duration::from_mins(1);

const SETTINGS: PoolSettings =
    PoolSettings { threads: 1, backlog: LONG, patience: LONG, ipv6_prefix: 64 };

/// A pool for jobs of a nominal 23 ms each.
fn pool(threads: u32, backlog: Duration) -> Pool {
    pool_with_idle_timeout(threads, backlog, 64, LONG)
}

fn pool_with_idle_timeout(
    threads: u32,
    backlog: Duration,
    block_count: usize,
    idle_timeout: Duration,
) -> Pool {
    start(PoolSettings { threads, backlog, ..SETTINGS }, block_count, idle_timeout)
}

fn start(settings: PoolSettings, block_count: usize, idle_timeout: Duration) -> Pool {
    Pool::start(settings, Class::of_new(Cost::default()), block_count, idle_timeout).unwrap()
}

fn submit<T: Send + 'static>(
    pool: &Pool,
    work: impl FnOnce(&mut Workspace) -> Result<T, Failure> + Send + 'static,
) -> Result<Pending<T>, HashError> {
    pool.submit(1, &[Class::of_new(Cost::default())], work)
}

async fn run<T: Send + 'static>(
    pool: &Pool,
    work: impl FnOnce(&mut Workspace) -> Result<T, Failure> + Send + 'static,
) -> Result<T, HashError> {
    pool.run(1, &[Class::of_new(Cost::default())], work).await
}

fn jobs(pool: &Pool) -> usize {
    pool.shared.lock().queue.jobs()
}

/// Occupies one thread until the sender is dropped.
fn occupy(pool: &Pool) -> (Sender<()>, Pending<()>) {
    let (began, has_begun) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    let answer = submit(pool, move |_| {
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

fn blocks_allocated(shared: &Shared) -> usize {
    shared.tally.blocks_allocated.load(Ordering::Relaxed)
}

/// Waits until a condition is met, for at most two minutes. A thread frees its memory, or leaves
/// the queue, possibly a moment after it sent its result, so this polls.
fn eventually(mut is_met: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_mins(2);
    while !is_met() {
        assert!(Instant::now() < end, "timeout");
        thread::yield_now();
    }
}

/// DS-11: work beyond the backlog is refused immediately and never run.
#[tokio::test]
async fn full_queue_rejects_immediately() {
    // Work is admitted until the backlog is exceeded. A hash nominally takes 23 ms: four (92 ms) do
    // not exceed 100 ms, so a fifth is admitted; five (115 ms) do.
    let pool = pool(1, Duration::from_millis(100));
    let (end, first) = occupy(&pool);
    let waiting: Vec<_> = (1..5).map(|turn| submit(&pool, move |_| Ok(turn)).unwrap()).collect();

    let refused = run(&pool, |_| Ok(9)).await;

    let Err(HashError::Busy { retry_after }) = refused else { panic!("{refused:?}") };
    assert!(retry_after > Duration::ZERO && retry_after <= LONG, "{retry_after:?}");
    drop(end);
    first.answer().await.unwrap();
    for (answer, expected) in waiting.into_iter().zip(1..) {
        assert_eq!(answer.answer().await.unwrap(), expected);
    }
    assert_eq!(run(&pool, |_| Ok(4)).await.unwrap(), 4);
}

/// A caller that has its result may submit another job immediately, even if the queue was full.
#[tokio::test]
async fn job_leaves_the_queue_before_its_result_is_sent() {
    let pool = pool(1, Duration::ZERO);

    for _ in 0..500 {
        run(&pool, |_| Ok(())).await.unwrap();
    }
}

#[tokio::test]
async fn unlimited_backlog_is_possible() {
    assert_eq!(run(&pool(1, Duration::MAX), |_| Ok(1)).await.unwrap(), 1);
}

/// PW-04, F18: a job that has begun counts until it ends, even if its caller is dropped.
#[tokio::test]
async fn running_job_of_a_dropped_caller_still_counts() {
    let pool = pool(2, Duration::from_millis(20));
    let (end_first, first) = occupy(&pool);
    let (end_second, second) = occupy(&pool);
    drop((first, second));

    let refused = run(&pool, |_| Ok(())).await;

    assert!(matches!(refused, Err(HashError::Busy { .. })));
    assert_eq!(jobs(&pool), 2);
    drop((end_first, end_second));
    eventually(|| jobs(&pool) == 0);
}

/// A caller that waits longer than `patience` gets `Busy`, so that it can retry before its request
/// times out. This happens if other programs slow the hashes down.
#[tokio::test]
async fn job_that_waits_too_long_is_rejected_and_not_run() {
    let settings = PoolSettings { patience: Duration::from_millis(20), ..SETTINGS };
    let pool = start(settings, 64, LONG);
    let (end, first) = occupy(&pool);
    let runs = Arc::new(AtomicUsize::new(0));

    let counted = Arc::clone(&runs);
    let late = run(&pool, move |_| Ok(counted.fetch_add(1, Ordering::Relaxed))).await;

    let Err(HashError::Busy { retry_after }) = late else { panic!("{late:?}") };
    assert_eq!(retry_after, settings.backlog);
    assert_eq!(jobs(&pool), 1, "the late job has left the queue");
    drop(end);
    first.answer().await.unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 0);
}

/// F18: a job whose caller is dropped before the job begins is not run, and leaves the queue
/// immediately.
#[tokio::test]
async fn job_of_a_dropped_caller_is_skipped() {
    let pool = pool(1, Duration::from_millis(100));
    let (end, first) = occupy(&pool);
    let runs = Arc::new(AtomicUsize::new(0));

    for _ in 0..1_000 {
        let runs = Arc::clone(&runs);
        drop(submit(&pool, move |_| Ok(runs.fetch_add(1, Ordering::Relaxed))).unwrap());
    }

    assert_eq!(jobs(&pool), 1);
    drop(end);
    first.answer().await.unwrap();
    run(&pool, |_| Ok(())).await.unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 0);
}

/// A burst of one client does not block another client, so that the other client's login is not
/// slow (A5).
#[tokio::test]
async fn burst_of_one_client_does_not_delay_others() {
    let pool = pool(1, LONG);
    let (end, first) = occupy(&pool);
    let order = Arc::new(Mutex::new(Vec::new()));
    let submit_for = |client: u128| {
        let order = Arc::clone(&order);
        pool.submit(client, &[Class::of_new(Cost::default())], move |_| {
            order.lock().unwrap().push(client);
            Ok(())
        })
    };
    let burst: Vec<_> = (0..100).map(|_| submit_for(1).unwrap()).collect();
    let other = submit_for(2).unwrap();

    drop(end);

    first.answer().await.unwrap();
    other.answer().await.unwrap();
    for job in burst {
        job.answer().await.unwrap();
    }
    let position = order.lock().unwrap().iter().position(|client| *client == 2);
    assert!(position.unwrap() <= 1, "{position:?}");
}

/// The number of jobs that run now, and the maximum so far.
#[derive(Default)]
struct Gauge {
    now: AtomicUsize,
    max: AtomicUsize,
}

/// Submits jobs repeatedly, and drops two of three pending results.
async fn submit_and_drop(pool: Arc<Pool>, gauge: Arc<Gauge>) {
    for turn in 0..200 {
        let gauge = Arc::clone(&gauge);
        let answer = submit(&pool, move |workspace| {
            gauge.max.fetch_max(gauge.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let outcome = hash(64, workspace);
            gauge.now.fetch_sub(1, Ordering::SeqCst);
            outcome
        });
        if let (0, Ok(answer)) = (turn % 3, answer) {
            answer.answer().await.unwrap();
        }
        tokio::task::yield_now().await;
    }
}

/// PW-04, F18: many callers are dropped while their jobs wait or run.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dropped_callers_do_not_cause_more_jobs_than_threads() {
    let (pool, gauge) = (Arc::new(pool(2, LONG)), Arc::new(Gauge::default()));

    let spawn = || tokio::spawn(submit_and_drop(Arc::clone(&pool), Arc::clone(&gauge)));
    for caller in [spawn(), spawn(), spawn(), spawn()] {
        caller.await.unwrap();
    }

    eventually(|| jobs(&pool) == 0);
    assert_eq!(gauge.now.load(Ordering::SeqCst), 0);
    assert!((1..=2).contains(&gauge.max.load(Ordering::SeqCst)));
}

#[tokio::test]
async fn panicking_job_is_reported_and_the_pool_continues() {
    let pool = pool(1, LONG);

    for turn in 0..4 {
        let failed = run::<()>(&pool, |_| panic!("on purpose")).await;

        assert!(matches!(failed, Err(HashError::Failed(Failure::Panicked))));
        assert_eq!(run(&pool, move |_| Ok(turn)).await.unwrap(), turn);
    }
    assert_eq!(jobs(&pool), 0);
    assert!(!pool.shared.state.is_poisoned());
}

#[tokio::test]
async fn memory_is_reused_between_jobs_and_released_when_idle() {
    let retaining = pool(1, LONG);
    let releasing = pool_with_idle_timeout(1, LONG, 64, Duration::from_millis(20));
    assert_eq!(blocks_allocated(&retaining.shared), 0, "nothing is reserved before the first job");

    for _ in 0..3 {
        run(&retaining, |workspace| hash(64, workspace)).await.unwrap();
        run(&releasing, |workspace| hash(64, workspace)).await.unwrap();
        eventually(|| blocks_allocated(&releasing.shared) == 0);
        assert_eq!(blocks_allocated(&retaining.shared), 64);
    }
}

#[tokio::test]
async fn hash_memory_is_wiped_before_the_next_job() {
    let pool = pool(1, LONG);

    run(&pool, |workspace| hash(64, workspace)).await.unwrap();

    assert!(run(&pool, |workspace| Ok(workspace.is_wiped())).await.unwrap());
}

/// Runs the test below in a process of its own. That test asks the system for the memory use of its
/// process, because allocators may retain freed memory. Other tests in the process would change the
/// figure.
#[cfg(target_os = "linux")]
#[test]
fn freed_memory_test_passes_in_its_own_process() {
    let (_, module) = module_path!().split_once("::").unwrap();
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--ignored",
            &format!("{module}::freed_memory_is_returned_to_the_system"),
        ])
        .output()
        .unwrap();

    let text = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && text.contains("1 passed"), "{text}");
}

#[cfg(target_os = "linux")]
#[ignore = "the test above runs it in a separate process"]
#[tokio::test]
async fn freed_memory_is_returned_to_the_system() {
    // `RssAnon` excludes the pages of the program itself, which are loaded when they are needed.
    let resident_kib = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
    };
    let pool = pool_with_idle_timeout(2, LONG, 19_456, Duration::from_millis(200));
    let before = resident_kib();

    for _ in 0..3 {
        let first = run(&pool, |workspace| hash(19_456, workspace));
        let second = run(&pool, |workspace| hash(19_456, workspace));
        let (first, second) = tokio::join!(first, second);
        first.and(second).unwrap();
        assert!(resident_kib() > before + 19_456);
        eventually(|| resident_kib() < before + 4_096);
    }
}

/// F17: the extra memory of a costly foreign hash is freed immediately.
#[tokio::test]
async fn memory_of_an_oversized_hash_is_released_immediately() {
    let pool = pool(1, LONG);
    run(&pool, |workspace| hash(64, workspace)).await.unwrap();

    let shared = Arc::clone(&pool.shared);
    let allocated = run(&pool, move |workspace| {
        hash(4_096, workspace)?;
        Ok(blocks_allocated(&shared))
    });

    assert_eq!(allocated.await.unwrap(), 64);
    run(&pool, |workspace| hash(32, workspace)).await.unwrap();
    assert_eq!(blocks_allocated(&pool.shared), 64);
}

#[tokio::test]
async fn threads_end_with_the_pool() {
    let pool = pool(3, LONG);
    run(&pool, |workspace| hash(64, workspace)).await.unwrap();
    let shared: Weak<Shared> = Arc::downgrade(&pool.shared);

    drop(pool);

    eventually(|| shared.strong_count() == 0);
}

/// DS-10: only the hashing threads lower their priority, not the thread that started them.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn only_hashing_threads_lower_their_priority() {
    let nice = || {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (head, fields) = stat.rsplit_once(") ").unwrap();
        let name = head.split_once('(').unwrap().1.to_owned();
        // Field 19 of proc_pid_stat(5); the state after the name is field 3.
        (name, fields.split(' ').nth(16).unwrap().parse::<i32>().unwrap())
    };
    let own_nice = nice().1;
    let pool = pool(2, LONG);

    let (name, thread_nice) = run(&pool, move |_| Ok(nice())).await.unwrap();

    assert!(name.starts_with("signet-hash-"), "{name}");
    assert_eq!(thread_nice, threads::NICE);
    assert_eq!(nice().1, own_nice);
    assert!(own_nice <= threads::NICE);
}
