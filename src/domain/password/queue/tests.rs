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

/// As many as are admitted of so many jobs of one hash each, and what the first refused is told.
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

/// A5: what can be done in 20 s is admitted, and nothing more.
#[test]
fn a_lone_client_may_have_the_whole_backlog() {
    let mut queue = queue();

    // The last one finds 20 s of work, or a rounding less, and makes it more.
    let (admitted, _) = fill(&mut queue, A, 1_000);

    assert!((400..=402).contains(&admitted), "{admitted}");
    for _ in 0..100 {
        do_next(&mut queue);
    }
    assert_eq!(fill(&mut queue, A, 1_000).0, 100);
}

/// A5: a thousand logins at once from as many addresses, on a machine that does 140 a second.
#[test]
fn a_thousand_people_at_once_are_all_admitted() {
    let mut meter = Meter::new(live());
    meter.record(live(), Duration::from_millis(14));
    let limits = Limits { backlog: Duration::from_secs(20), threads: 2 };
    let mut queue = Queue::new(limits, meter);

    for client in 0..1_000 {
        assert_eq!(fill(&mut queue, client, 1), (1, None));
    }
}

/// What the work costs decides, not the number of jobs.
#[test]
fn the_cost_of_each_class_counts() {
    let costly = Class::Bcrypt { cost: 14 };
    let mut queue = queue();
    queue.meter.record(costly, Duration::from_secs(2));
    let now = Instant::now();

    let admitted = (0..1_000).filter(|_| queue.admit(A, &[costly], 0, now).is_ok()).count();

    assert_eq!(admitted, 21);
    // Both hashes of a login that renews an old one.
    let mut queue = self::queue();
    let admitted = (0..1_000).filter(|_| queue.admit(A, &[live(), live()], 0, now).is_ok()).count();
    assert!((200..=201).contains(&admitted), "{admitted}");
}

/// A machine that has become slower admits less, and what it has admitted counts as slower, too.
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

/// Whoever comes second finds room however much the first has taken, and is next.
#[test]
fn a_client_that_took_everything_leaves_room_for_another() {
    let mut queue = queue();
    fill(&mut queue, A, 1_000);

    let (admitted, _) = fill(&mut queue, B, 1_000);

    // 2.5 s of the reserve of 5 s: there are two that share it.
    assert!((50..=51).contains(&admitted), "{admitted}");
    assert_eq!(fill(&mut queue, A, 1).0, 0);
    assert!((1..=2).contains(&(0..2).filter(|_| do_next(&mut queue) == B).count()));
    let turns: Vec<_> = (0..40).map(|_| do_next(&mut queue)).collect();
    assert_eq!(turns.iter().filter(|client| **client == B).count(), 20);
}

/// While others wait, a client that has more than its share gets no more of what becomes free.
#[test]
fn what_becomes_free_goes_to_those_who_have_less() {
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

/// Three clients that ask all the time get a third each, in the order of turns.
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

/// Turns are of time, not of jobs: a costly hash is one turn of many cheap ones.
#[test]
fn a_client_with_costly_hashes_has_fewer_turns() {
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

/// Even among many addresses, one that has nothing waiting gets in before one that has.
#[test]
fn the_reserve_is_bounded() {
    let mut queue = queue();
    fill(&mut queue, A, 1_000);

    let admitted = (10..1_010).filter(|client| fill(&mut queue, *client, 1).0 == 1).count();

    assert!((100..=101).contains(&admitted), "a quarter more, and not without end: {admitted}");
}

/// A client that hangs up frees what it had, unless it is being done.
#[test]
fn what_nobody_waits_for_is_forgotten() {
    let mut queue = queue();
    let now = Instant::now();
    let tickets: Vec<_> = (0..3).map(|job| queue.admit(A, &[live()], job, now).unwrap()).collect();
    let (begun, _) = queue.take().unwrap();

    assert_eq!(queue.withdraw(&tickets[0]), None, "it has begun");
    assert_eq!(queue.withdraw(&tickets[1]), Some(1));
    assert_eq!(queue.withdraw(&tickets[1]), None, "it is gone");

    assert_eq!(queue.jobs(), 2);
    assert_eq!(queue.take().unwrap().1, 2);
    queue.finish(&begun, &[]);
    queue.finish(&tickets[2], &[]);
    assert_eq!((queue.jobs(), queue.outstanding), (0, Work::default()));
    assert!(queue.clients.is_empty());
}

/// Those who are refused are told to come one after the other, as there will be room.
#[test]
fn a_refusal_says_when_there_is_room() {
    let mut queue = queue();
    fill(&mut queue, A, 401);
    let now = Instant::now();
    let mut refused = || queue.admit(A, &[live()], 0, now).unwrap_err();

    let waits: Vec<_> = (0..1_000).map(|_| refused().as_millis()).collect();

    assert!(waits.is_sorted());
    // One after the other at 20 a second, and no later than a backlog takes.
    assert!((50..=150).contains(&waits[0]), "{}", waits[0]);
    assert!((950..=1_150).contains(&(waits[119] - waits[99])), "{}", waits[119] - waits[99]);
    assert_eq!(waits[999], 20_000);
    // What was told goes by as time does.
    let later = now + Duration::from_secs(30);
    let told = queue.admit(A, &[live()], 0, later).unwrap_err();
    assert!(told < Duration::from_millis(200), "{told:?}");
}

/// However quick hashes are, memory is bounded.
#[test]
fn the_number_of_jobs_is_bounded() {
    let mut meter = Meter::new(live());
    meter.record(live(), Duration::from_nanos(1));
    let mut queue = Queue::new(Limits { backlog: Duration::from_secs(20), threads: 64 }, meter);

    let (admitted, told) = fill(&mut queue, A, 20_000);

    assert_eq!(admitted, MOST_JOBS);
    assert!(told.is_some());
}
