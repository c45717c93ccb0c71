use super::*;
use crate::domain::password::cost::Cost;

const A: u128 = 1;
const B: u128 = 2;
const C: u128 = 3;

fn live() -> Class {
    Class::of_new(Cost::default())
}

/// Two threads, 100 ms a hash: 20 hashes a second, 400 in a backlog of 20 s.
fn queue() -> Queue<u32> {
    let limits = Limits { backlog: Duration::from_secs(20), threads: 2 };
    let mut meter = Meter::new(live());
    meter.record(live(), Duration::from_millis(100));
    Queue::new(limits, meter)
}

/// Submits `jobs` of one hash each; returns how many are admitted, and the first refused job's
/// wait.
fn fill(queue: &mut Queue<u32>, client: u128, jobs: u32) -> (usize, Option<Duration>) {
    let now = Instant::now();
    let outcomes = (0..jobs).map(|job| queue.admit(client, &[live()], job, now));
    let outcomes: Vec<_> = outcomes.collect();
    let admitted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    (admitted, outcomes.into_iter().find_map(Result::err))
}

fn do_next(queue: &mut Queue<u32>) -> u128 {
    let (ticket, _) = queue.take().unwrap();
    queue.finish(&ticket, &[(live(), Duration::from_millis(100))]);
    ticket.client
}

/// A5: the work of 20 s is admitted, and no more.
#[test]
fn single_client_may_use_the_whole_backlog() {
    let mut queue = queue();

    // The last job is admitted at 20 s of work, or slightly less, and exceeds it.
    let (admitted, _) = fill(&mut queue, A, 1_000);

    assert!((400..=402).contains(&admitted), "{admitted}");
    for _ in 0..100 {
        do_next(&mut queue);
    }
    assert_eq!(fill(&mut queue, A, 1_000).0, 100);
}

/// A5: a thousand concurrent logins from as many addresses, at 140 hashes a second.
#[test]
fn thousand_concurrent_logins_are_all_admitted() {
    let mut meter = Meter::new(live());
    meter.record(live(), Duration::from_millis(14));
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
    let admitted = (0..1_000).filter(|_| queue.admit(A, &[live(), live()], 0, now).is_ok()).count();
    assert!((200..=201).contains(&admitted), "{admitted}");
}

/// On a slower machine less is admitted, and the work admitted before counts as slower, too.
#[test]
fn admission_follows_the_measured_rate() {
    let mut queue = queue();
    fill(&mut queue, A, 250);
    assert_eq!(fill(&mut queue, A, 1).0, 1);

    for _ in 0..20 {
        let (ticket, _) = queue.take().unwrap();
        queue.finish(&ticket, &[(live(), Duration::from_millis(300))]);
    }

    assert_eq!(fill(&mut queue, A, 1).0, 0);
}

/// A second client is admitted however much the first has queued, and is next.
#[test]
fn client_that_filled_the_backlog_leaves_room_for_another() {
    let mut queue = queue();
    fill(&mut queue, A, 1_000);

    let (admitted, _) = fill(&mut queue, B, 1_000);

    // 2.5 s of the reserve of 5 s: two clients share it.
    assert!((50..=51).contains(&admitted), "{admitted}");
    assert_eq!(fill(&mut queue, A, 1).0, 0);
    assert!((1..=2).contains(&(0..2).filter(|_| do_next(&mut queue) == B).count()));
    let turns: Vec<_> = (0..40).map(|_| do_next(&mut queue)).collect();
    assert_eq!(turns.iter().filter(|client| **client == B).count(), 20);
}

/// While other clients wait, one with more than its share gets no freed capacity.
#[test]
fn freed_capacity_goes_to_clients_below_their_share() {
    let mut queue = queue();
    fill(&mut queue, A, 1_000);
    fill(&mut queue, B, 20);
    for _ in 0..60 {
        do_next(&mut queue);
    }

    fill(&mut queue, B, 1);
    assert_eq!(fill(&mut queue, A, 1).0, 0, "it has 360 of 400");
    assert!(fill(&mut queue, B, 40).0 >= 38);
    assert!(fill(&mut queue, C, 40).0 > 0);
}

/// Three clients with continuous jobs get a third each, in turn.
#[test]
fn clients_take_turns() {
    let mut queue = queue();
    for client in [A, A, A, A, A, A, B, C] {
        fill(&mut queue, client, 3);
    }

    let turns: Vec<_> = (0..9).map(|_| do_next(&mut queue)).collect();

    for client in [A, B, C] {
        assert_eq!(turns.iter().filter(|turn| **turn == client).count(), 3, "{turns:?}");
    }
    assert!((0..15).all(|_| do_next(&mut queue) == A));
    assert!(queue.is_empty());
}

/// Turns are measured in time, not in jobs: one costly hash counts as many cheap ones.
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

/// Even with many addresses, clients without waiting jobs are admitted before clients with some.
#[test]
fn reserve_is_bounded() {
    let mut queue = queue();
    fill(&mut queue, A, 1_000);

    let admitted = (10..1_010).filter(|client| fill(&mut queue, *client, 1).0 == 1).count();

    assert!((100..=101).contains(&admitted), "a quarter more at most: {admitted}");
}

/// A dropped job frees its capacity, unless it has begun.
#[test]
fn job_of_a_dropped_caller_is_removed_unless_it_has_begun() {
    let mut queue = queue();
    let now = Instant::now();
    let tickets: Vec<_> = (0..3).map(|job| queue.admit(A, &[live()], job, now).unwrap()).collect();
    let (begun, _) = queue.take().unwrap();

    assert_eq!(queue.withdraw(&tickets[0]), None, "it has begun");
    assert_eq!(queue.withdraw(&tickets[1]), Some(1));
    assert_eq!(queue.withdraw(&tickets[1]), None, "it is already removed");

    assert_eq!(queue.jobs(), 2);
    assert_eq!(queue.take().unwrap().1, 2);
    queue.finish(&begun, &[]);
    queue.finish(&tickets[2], &[]);
    assert_eq!((queue.jobs(), queue.outstanding), (0, Work::default()));
    assert!(queue.clients.is_empty());
}

/// Refused callers are told to retry one after the other, as there will be room.
#[test]
fn rejection_contains_the_time_to_retry() {
    let mut queue = queue();
    fill(&mut queue, A, 401);
    let now = Instant::now();
    let mut refused = || queue.admit(A, &[live()], 0, now).unwrap_err();

    let waits: Vec<_> = (0..1_000).map(|_| refused().as_millis()).collect();

    assert!(waits.is_sorted());
    // One after the other at 20 a second, and no later than the time of a backlog.
    assert!((50..=150).contains(&waits[0]), "{}", waits[0]);
    assert!((950..=1_150).contains(&(waits[119] - waits[99])), "{}", waits[119] - waits[99]);
    assert_eq!(waits[999], 20_000);
    // The waits given before expire.
    let later = now + Duration::from_secs(30);
    let told = queue.admit(A, &[live()], 0, later).unwrap_err();
    assert!(told < Duration::from_millis(200), "{told:?}");
}

/// Memory is bounded, however quick hashes are.
#[test]
fn number_of_jobs_is_bounded() {
    let mut meter = Meter::new(live());
    meter.record(live(), Duration::from_nanos(1));
    let mut queue = Queue::new(Limits { backlog: Duration::from_secs(20), threads: 64 }, meter);

    let (admitted, told) = fill(&mut queue, A, 20_000);

    assert_eq!(admitted, MOST_JOBS);
    assert!(told.is_some());
}
