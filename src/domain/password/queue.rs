//! Which hashing is taken on, and in which order it is done. Runs nothing itself.
//!
//! *Admission.* Work is admitted while what has been admitted and is not done takes at most the
//! backlog, by the estimates of [`Meter`]. One client may hold all of it while nobody else asks.
//! While others do, a client that holds more than its equal share of the backlog gets no more once
//! half of the backlog is taken; and a quarter of the backlog lies above the limit for clients that
//! hold little, so that whoever comes second finds room however much the first has taken. Nothing
//! that was admitted is given up again, so the longest wait is one and a quarter of the backlog.
//!
//! *Order.* Start-time fair queueing (Goyal, Vin and Cheng, 1996): a job's tag is the virtual time
//! at which it would begin if each client had a machine of its own; the lowest tag is next. So
//! clients take turns by the time that their hashes take, whatever each of them has waiting.
//!
//! *Refusal.* Whoever is refused is told when there will be room, after all who were refused before.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::domain::password::class::Class;
use crate::domain::password::meter::{Meter, Work};

/// Jobs that are admitted at most, however quick they are: a bound of memory, some 20 MiB.
const MOST_JOBS: usize = 16_384;

/// What part of the backlog lies above its limit, for clients that hold little.
const RESERVE: u32 = 4;

/// What has been admitted and is not done.
pub(super) struct Queue<J> {
    limits: Limits,
    meter: Meter,
    waiting: BTreeMap<Turn, Waiting<J>>,
    clients: HashMap<u128, Client>,
    /// All that was admitted and is not done.
    outstanding: Work,
    jobs: usize,
    /// The tag of the job that was taken last.
    virtual_time: Duration,
    admitted: u64,
    /// When there is room for the last one that was refused.
    room_at: Option<Instant>,
}

/// How much may be admitted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How long what is admitted may take.
    pub(super) backlog: Duration,
    /// How many jobs are done at once.
    pub(super) threads: u32,
}

/// A job's place in the order; no two have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    start: Duration,
    number: u64,
}

/// A job that was admitted.
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

/// What a client has that is not done.
#[derive(Default)]
struct Client {
    jobs: usize,
    work: Work,
    /// The virtual time at which the last of it would be done.
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

    /// Admits a job of `client` that computes hashes of these classes, or says after which time to
    /// ask again.
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

    /// The job whose turn it is; it must be [`finish`](Self::finish)ed.
    pub(super) fn take(&mut self) -> Option<(Ticket, J)> {
        let (turn, Waiting { ticket, job }) = self.waiting.pop_first()?;
        self.virtual_time = turn.start;
        Some((ticket, job))
    }

    /// The job that nobody waits for any more, unless it has been taken: it leaves nothing behind.
    pub(super) fn withdraw(&mut self, ticket: &Ticket) -> Option<J> {
        let waiting = self.waiting.remove(&ticket.turn)?;
        self.forget(ticket);
        Some(waiting.job)
    }

    /// The job is done; this is how long its hashes took.
    pub(super) fn finish(&mut self, ticket: &Ticket, took: &[(Class, Duration)]) {
        for (class, took) in took {
            self.meter.record(*class, *took);
        }
        self.forget(ticket);
    }

    /// Whether no job waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Jobs that were admitted and are not done.
    #[cfg(test)]
    pub(super) fn jobs(&self) -> usize {
        self.jobs
    }

    /// By how much this client's next job is too much; none if it is not.
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

    /// When to come back: once there is room, behind all who were told so before. It is advice:
    /// nobody's place is kept, and nobody is sent away for longer than a backlog takes.
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

    /// How long all threads together take.
    fn time(&self, work: Work) -> Duration {
        self.meter.time(work) / self.limits.threads.max(1)
    }
}

#[cfg(test)]
mod tests;
