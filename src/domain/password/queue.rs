//! Admission and scheduling of hashing jobs. Runs nothing itself.
//!
//! *Admission.* Work is admitted while the unfinished admitted work takes at most the backlog, by
//! the estimates of [`Meter`]. One client may use the whole backlog while no other client has jobs.
//! While others do, a client with more than its equal share of the backlog is refused once half of
//! the backlog is used. A reserve of a quarter of the backlog lies above the limit, for clients
//! with little work, so that a second client is admitted however much the first has queued.
//! Admitted work is never evicted, so the longest wait is one and a quarter of the backlog.
//!
//! *Order.* Start-time fair queueing (Goyal, Vin and Cheng, 1996): a job's tag is the virtual time
//! at which it would begin if each client had its own machine; the lowest tag is next. So clients
//! take turns by the time that their hashes take, however many jobs each has waiting.
//!
//! *Refusal.* A refused caller gets the time at which there will be room, after all callers refused
//! before.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::domain::password::class::Class;
use crate::domain::password::meter::{Meter, Work};

/// Largest number of admitted jobs, however quick they are: bounds memory to some 20 MiB.
const MOST_JOBS: usize = 16_384;

/// The reserve above the limit, for clients with little work, as a fraction of the backlog: 1/4.
const RESERVE: u32 = 4;

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
    admitted: u64,
    /// When there is room for the last caller that was refused.
    room_at: Option<Instant>,
}

/// Limits of admission.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How long the admitted work may take.
    pub(super) backlog: Duration,
    /// How many jobs run at once.
    pub(super) threads: u32,
}

/// A job's position in the order; unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    start: Duration,
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

    /// Admits a job of `client` that computes hashes of these classes, or returns after which time
    /// to retry.
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
        let holder = self.clients.entry(client).or_default();
        let start = holder.finish.max(self.virtual_time);
        holder.finish = start + self.meter.time(work);
        holder.jobs += 1;
        holder.work.add(work);
        self.outstanding.add(work);
        self.jobs += 1;
        self.admitted += 1;
        let ticket = Ticket { turn: Turn { start, number: self.admitted }, client, work };
        self.waiting.insert(ticket.turn, Waiting { ticket, job });
        Ok(ticket)
    }

    /// The next job; it must be [`finish`](Self::finish)ed.
    pub(super) fn take(&mut self) -> Option<(Ticket, J)> {
        let (turn, Waiting { ticket, job }) = self.waiting.pop_first()?;
        self.virtual_time = turn.start;
        Some((ticket, job))
    }

    /// Removes a job whose caller has gone, unless it has been started; its work no longer counts.
    pub(super) fn withdraw(&mut self, ticket: &Ticket) -> Option<J> {
        let waiting = self.waiting.remove(&ticket.turn)?;
        self.forget(ticket);
        Some(waiting.job)
    }

    /// Removes a finished job and records how long its hashes took.
    pub(super) fn finish(&mut self, ticket: &Ticket, took: &[(Class, Duration)]) {
        for (class, took) in took {
            self.meter.record(*class, *took);
        }
        self.forget(ticket);
    }

    /// Whether no job is waiting.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Admitted, unfinished jobs.
    #[cfg(test)]
    pub(super) fn jobs(&self) -> usize {
        self.jobs
    }

    /// By how much this client's next job exceeds its limit; `None` if it does not.
    fn excess(&self, client: u128) -> Option<Duration> {
        let backlog = self.limits.backlog;
        let total = self.time(self.outstanding);
        if self.jobs >= MOST_JOBS {
            return Some(total.saturating_sub(backlog));
        }
        let own = self.clients.get(&client);
        let others = self.clients.len() - usize::from(own.is_some());
        let sharing = u32::try_from(others).unwrap_or(u32::MAX).saturating_add(1);
        let own = own.map_or(Duration::ZERO, |own| self.time(own.work));
        if total > backlog {
            let reserve = backlog / RESERVE;
            let is_small = total <= backlog + reserve && own <= reserve / sharing;
            return (others == 0 || !is_small).then(|| total.saturating_sub(backlog));
        }
        let share = backlog / sharing;
        (others > 0 && total > backlog / 2 && own > share).then(|| own.saturating_sub(share))
    }

    /// When to retry: once there is room, after all callers refused before. It is advice: no place
    /// is reserved, and the wait is at most the time that a backlog takes.
    fn refuse(&mut self, excess: Duration, work: Work, now: Instant) -> Duration {
        let next = now + excess;
        let room_at = self.room_at.map_or(next, |before| before.max(next)) + self.time(work);
        let room_at = room_at.min(now + self.limits.backlog.max(excess));
        self.room_at = Some(room_at);
        room_at - now
    }

    fn forget(&mut self, ticket: &Ticket) {
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

    /// The time that all threads together take.
    fn time(&self, work: Work) -> Duration {
        self.meter.time(work) / self.limits.threads.max(1)
    }
}

#[cfg(test)]
mod tests;
