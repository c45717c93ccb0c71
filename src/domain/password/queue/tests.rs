use super::*;
use crate::domain::password::cost::Cost;

const A: u128 = 1;
const B: u128 = 2;
const C: u128 = 3;

fn current() -> Class {
    Class::of_new(Cost::default())
}

/// A queue of two threads, with 100 ms per hash: 20 hashes per second, and 400 in a backlog of 20
/// s.
fn queue() -> Queue<u32> {
    let limits = Limits { backlog: Duration::from_secs(20), threads: 2 };
    let mut meter = Meter::new(current());
    meter.record(current(), Duration::from_millis(100));
    Queue::new(limits, meter)
}

/// Submits `jobs` of one hash each. Returns how many are admitted, and the retry time of the first
/// refused job.
fn fill(queue: &mut Queue<u32>, client: u128, jobs: u32) -> (usize, Option<Duration>) {
    let now = Instant::now();
    let outcomes = (0..jobs).map(|job| queue.admit(client, &[current()], job, now));
    let outcomes: Vec<_> = outcomes.collect();
    let admitted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    (admitted, outcomes.into_iter().find_map(Result::err))
}

fn run_next(queue: &mut Queue<u32>) -> u128 {
    let (ticket, _) = queue.take().unwrap();
    queue.finish(&ticket, &[(current(), Duration::from_millis(100))]);
    ticket.client
}

/// A5: work of 20 s is admitted, and no more.
#[test]
fn single_client_may_use_the_whole_backlog() {
    let mut queue = queue();

    // The last job is admitted while the work takes at most 20 s, and may exceed this limit.
    let (admitted, _) = fill(&mut queue, A, 1_000);

    assert!((400..=402).contains(&admitted), "{admitted}");
    for _ in 0..100 {
        run_next(&mut queue);
    }
    assert_eq!(fill(&mut queue, A, 1_000).0, 100);
}

/// A5: a thousand concurrent logins from as many addresses, at 140 hashes a second.
#[test]
fn thousand_concurrent_logins_are_all_admitted() {
    let mut meter = Meter::new(current());
    meter.record(current(), Duration::from_millis(14));
    let limits = Limits { backlog: Duration::from_secs(20), threads: 2 };
    let mut queue = Queue::new(limits, meter);

    for client in 0..1_000 {
        assert_eq!(fill(&mut queue, client, 1), (1, None));
    }
}

/// Admission depends on the cost of the work, not on the number of jobs.
#[test]
fn admission_depends_on_the_cost_of_each_class() {
    let costly = Class::Bcrypt { cost: 14 };
    let mut queue = queue();
    queue.meter.record(costly, Duration::from_secs(2));
    let now = Instant::now();

    let admitted = (0..1_000).filter(|_| queue.admit(A, &[costly], 0, now).is_ok()).count();

    assert_eq!(admitted, 21);
    // Both hashes of a login that replaces an old hash.
    let mut queue = self::queue();
    let admitted =
        (0..1_000).filter(|_| queue.admit(A, &[current(), current()], 0, now).is_ok()).count();
    assert!((200..=201).contains(&admitted), "{admitted}");
}

/// If hashes become slower, less work is admitted, and work that was admitted before counts as
/// slower.
#[test]
fn admission_follows_the_measured_rate() {
    let mut queue = queue();
    fill(&mut queue, A, 250);
    assert_eq!(fill(&mut queue, A, 1).0, 1);

    for _ in 0..20 {
        let (ticket, _) = queue.take().unwrap();
        queue.finish(&ticket, &[(current(), Duration::from_millis(300))]);
    }

    assert_eq!(fill(&mut queue, A, 1).0, 0);
}

/// A second client is admitted even if the first has used the whole backlog, and its job is next.
#[test]
fn client_that_filled_the_backlog_leaves_room_for_another() {
    let mut queue = queue();
    fill(&mut queue, A, 1_000);

    let (admitted, _) = fill(&mut queue, B, 1_000);

    // 2.5 s of the reserve of 5 s: two clients share it.
    assert!((50..=51).contains(&admitted), "{admitted}");
    assert_eq!(fill(&mut queue, A, 1).0, 0);
    assert!((1..=2).contains(&(0..2).filter(|_| run_next(&mut queue) == B).count()));
    let turns: Vec<_> = (0..40).map(|_| run_next(&mut queue)).collect();
    assert_eq!(turns.iter().filter(|client| **client == B).count(), 20);
}

/// While other clients wait, a client with more than its share gets no freed capacity.
#[test]
fn freed_capacity_goes_to_clients_below_their_share() {
    let mut queue = queue();
    fill(&mut queue, A, 1_000);
    fill(&mut queue, B, 20);
    for _ in 0..60 {
        run_next(&mut queue);
    }

    fill(&mut queue, B, 1);
    assert_eq!(fill(&mut queue, A, 1).0, 0, "A has 360 of 400");
    assert!(fill(&mut queue, B, 40).0 >= 38);
    assert!(fill(&mut queue, C, 40).0 > 0);
}

/// While three clients have waiting jobs, each of them gets a third of the turns.
#[test]
fn clients_take_turns() {
    let mut queue = queue();
    for client in [A, A, A, A, A, A, B, C] {
        fill(&mut queue, client, 3);
    }

    let turns: Vec<_> = (0..9).map(|_| run_next(&mut queue)).collect();

    for client in [A, B, C] {
        assert_eq!(turns.iter().filter(|turn| **turn == client).count(), 3, "{turns:?}");
    }
    assert!((0..15).all(|_| run_next(&mut queue) == A));
    assert!(queue.is_empty());
}

/// Turns are measured in time, not in jobs, so a costly hash counts as much as many cheap hashes.
#[test]
fn client_with_costly_hashes_gets_fewer_turns() {
    let costly = Class::Bcrypt { cost: 12 };
    let mut queue = queue();
    queue.meter.record(costly, Duration::from_secs(1));
    for job in 0..10 {
        queue.admit(A, &[costly], job, Instant::now()).unwrap();
    }
    fill(&mut queue, B, 40);

    let turns: Vec<_> = (0..33).map(|_| queue.take().unwrap().0.client).collect();

    assert_eq!(turns.iter().filter(|client| **client == A).count(), 3, "{turns:?}");
}

/// If many clients without waiting jobs arrive, at most the reserve is admitted beyond the backlog.
#[test]
fn reserve_is_bounded() {
    let mut queue = queue();
    fill(&mut queue, A, 1_000);

    let admitted = (10..1_010).filter(|client| fill(&mut queue, *client, 1).0 == 1).count();

    assert!((100..=101).contains(&admitted), "a quarter more at most: {admitted}");
}

/// The job of a dropped caller frees its capacity, unless it has begun.
#[test]
fn job_of_a_dropped_caller_is_removed_unless_it_has_begun() {
    let mut queue = queue();
    let now = Instant::now();
    let tickets: Vec<_> =
        (0..3).map(|job| queue.admit(A, &[current()], job, now).unwrap()).collect();
    let (begun, _) = queue.take().unwrap();

    assert_eq!(queue.withdraw(&tickets[0]), None, "the job has begun");
    assert_eq!(queue.withdraw(&tickets[1]), Some(1));
    assert_eq!(queue.withdraw(&tickets[1]), None, "the job is already removed");

    assert_eq!(queue.jobs(), 2);
    assert_eq!(queue.take().unwrap().1, 2);
    queue.finish(&begun, &[]);
    queue.finish(&tickets[2], &[]);
    assert_eq!((queue.jobs(), queue.outstanding), (0, Work::default()));
    assert!(queue.clients.is_empty());
}

/// Refused callers are asked to retry one after the other, when there will be room.
#[test]
fn rejection_contains_the_time_to_retry() {
    let mut queue = queue();
    fill(&mut queue, A, 401);
    let now = Instant::now();
    let mut refused = || queue.admit(A, &[current()], 0, now).unwrap_err();

    let waits: Vec<_> = (0..1_000).map(|_| refused().as_millis()).collect();

    assert!(waits.is_sorted());
    // One after the other at 20 per second, and not later than the time of a full backlog.
    assert!((50..=150).contains(&waits[0]), "{}", waits[0]);
    assert!((950..=1_150).contains(&(waits[119] - waits[99])), "{}", waits[119] - waits[99]);
    assert_eq!(waits[999], 20_000);
    // After this time, the earlier refusals no longer count.
    let later = now + Duration::from_secs(30);
    let wait = queue.admit(A, &[current()], 0, later).unwrap_err();
    assert!(wait < Duration::from_millis(200), "{wait:?}");
}

/// Memory is bounded even if hashes are quick.
#[test]
fn number_of_jobs_is_bounded() {
    let mut meter = Meter::new(current());
    meter.record(current(), Duration::from_nanos(1));
    let mut queue = Queue::new(Limits { backlog: Duration::from_secs(20), threads: 64 }, meter);

    let (admitted, wait) = fill(&mut queue, A, 20_000);

    assert_eq!(admitted, MAX_JOBS);
    assert!(wait.is_some());
}
