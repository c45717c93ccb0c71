//! Admission and scheduling of hashing jobs. This module does not run the jobs.
//!
//! *Admission.* The backlog is a duration. Work is admitted while the unfinished admitted work
//! takes at most this time, by the estimates of [`Meter`]. One client may use the whole backlog
//! while no other client has jobs. While other clients have jobs, a client that uses more than its
//! equal share of the backlog is refused as soon as more than half of the backlog is used.
//!
//! For clients with little work, there is a reserve of a quarter of the backlog in addition. So a
//! second client is admitted even if the first has used the whole backlog. Admitted work is never
//! evicted, so the longest wait is one and a quarter of the backlog.
//!
//! *Order.* Jobs are ordered by start-time fair queueing (Goyal, Vin and Cheng, 1996). The tag of a
//! job is the virtual time at which it would begin if each client had its own machine. The job with
//! the lowest tag is next. So clients take turns by the time that their hashes take, regardless of
//! how many jobs each of them has waiting.
//!
//! *Refusal.* A refused caller gets the time at which there will be room for it, after all callers
//! that were refused before.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::domain::password::class::Class;
use crate::domain::password::meter::{Meter, Work};

/// Maximum number of admitted jobs. It bounds the memory of the queue to about 20 MiB, even if each
/// job takes little time.
const MAX_JOBS: usize = 16_384;

/// The reserve for clients with little work is the backlog divided by this number.
const RESERVE_DIVISOR: u32 = 4;

/// The admitted, unfinished work.
pub(super) struct Queue<J> {
    limits: Limits,
    meter: Meter,
    waiting: BTreeMap<Turn, Waiting<J>>,
    clients: HashMap<u128, Client>,
    /// All admitted, unfinished work.
    outstanding: Work,
    jobs: usize,
    /// The tag of the job that was started last.
    virtual_time: Duration,
    /// The number of jobs that were admitted so far.
    admitted: u64,
    /// When there will be room for the caller that was refused last.
    room_at: Option<Instant>,
}

/// Limits of admission.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How long the admitted work may take.
    pub(super) backlog: Duration,
    /// How many jobs run at the same time.
    pub(super) threads: u32,
}

/// A job's unique position in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    /// The tag: the virtual time at which the job would begin.
    start: Duration,
    /// Orders jobs with equal tags by their admission.
    number: u64,
}

/// Identifies an admitted job.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    turn: Turn,
    client: u128,
    work: Work,
}

struct Waiting<J> {
    ticket: Ticket,
    job: J,
}

/// A client's unfinished work.
#[derive(Default)]
struct Client {
    jobs: usize,
    work: Work,
    /// The virtual time at which its last job would finish.
    finish: Duration,
}

impl<J> Queue<J> {
    pub(super) fn new(limits: Limits, meter: Meter) -> Self {
        Self {
            limits,
            meter,
            waiting: BTreeMap::new(),
            clients: HashMap::new(),
            outstanding: Work::default(),
            jobs: 0,
            virtual_time: Duration::ZERO,
            admitted: 0,
            room_at: None,
        }
    }

    /// Admits a job of `client` that computes hashes of these classes. If the job is refused,
    /// returns the time after which the caller should retry.
    pub(super) fn admit(
        &mut self,
        client: u128,
        classes: &[Class],
        job: J,
        now: Instant,
    ) -> Result<Ticket, Duration> {
        let work = self.meter.work(classes);
        if let Some(excess) = self.excess(client) {
            return Err(self.refuse(excess, work, now));
        }
        let entry = self.clients.entry(client).or_default();
        let start = entry.finish.max(self.virtual_time);
        entry.finish = start + self.meter.time(work);
        entry.jobs += 1;
        entry.work.add(work);
        self.outstanding.add(work);
        self.jobs += 1;
        self.admitted += 1;
        let ticket = Ticket { turn: Turn { start, number: self.admitted }, client, work };
        self.waiting.insert(ticket.turn, Waiting { ticket, job });
        Ok(ticket)
    }

    /// Takes the next job. The caller must call [`finish`](Self::finish) afterwards.
    pub(super) fn take(&mut self) -> Option<(Ticket, J)> {
        let (turn, Waiting { ticket, job }) = self.waiting.pop_first()?;
        self.virtual_time = turn.start;
        Some((ticket, job))
    }

    /// Removes a job whose caller was dropped, unless the job has started. Its work no longer
    /// counts.
    pub(super) fn withdraw(&mut self, ticket: &Ticket) -> Option<J> {
        let waiting = self.waiting.remove(&ticket.turn)?;
        self.remove_work(ticket);
        Some(waiting.job)
    }

    /// Removes a finished job and records how long its hashes took.
    pub(super) fn finish(&mut self, ticket: &Ticket, took: &[(Class, Duration)]) {
        for (class, took) in took {
            self.meter.record(*class, *took);
        }
        self.remove_work(ticket);
    }

    /// Whether no job is waiting.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The number of admitted, unfinished jobs.
    #[cfg(test)]
    pub(super) fn jobs(&self) -> usize {
        self.jobs
    }

    /// The time by which the admitted work exceeds the limit for this client. `None` if the next
    /// job of the client may be admitted.
    fn excess(&self, client: u128) -> Option<Duration> {
        let backlog = self.limits.backlog;
        let total = self.time(self.outstanding);
        if self.jobs >= MAX_JOBS {
            return Some(total.saturating_sub(backlog));
        }
        let own = self.clients.get(&client);
        let others = self.clients.len() - usize::from(own.is_some());
        let sharing = u32::try_from(others).unwrap_or(u32::MAX).saturating_add(1);
        let own = own.map_or(Duration::ZERO, |own| self.time(own.work));
        if total > backlog {
            let reserve = backlog / RESERVE_DIVISOR;
            let is_small = total <= backlog + reserve && own <= reserve / sharing;
            return (others == 0 || !is_small).then(|| total.saturating_sub(backlog));
        }
        let share = backlog / sharing;
        (others > 0 && total > backlog / 2 && own > share).then(|| own.saturating_sub(share))
    }

    /// The time after which a refused caller should retry: when there is room for it, after all
    /// callers that were refused before. No room is reserved for the caller. The time is at most
    /// the backlog, or the excess if that is longer.
    fn refuse(&mut self, excess: Duration, work: Work, now: Instant) -> Duration {
        let next = now + excess;
        let room_at = self.room_at.map_or(next, |before| before.max(next)) + self.time(work);
        let room_at = room_at.min(now + self.limits.backlog.max(excess));
        self.room_at = Some(room_at);
        room_at - now
    }

    fn remove_work(&mut self, ticket: &Ticket) {
        self.outstanding.remove(ticket.work);
        self.jobs = self.jobs.saturating_sub(1);
        if let Some(client) = self.clients.get_mut(&ticket.client) {
            client.jobs = client.jobs.saturating_sub(1);
            client.work.remove(ticket.work);
            if client.jobs == 0 {
                self.clients.remove(&ticket.client);
            }
        }
    }

    /// The time that all threads together take for this work.
    fn time(&self, work: Work) -> Duration {
        self.meter.time(work) / self.limits.threads.max(1)
    }
}

#[cfg(test)]
mod tests;
