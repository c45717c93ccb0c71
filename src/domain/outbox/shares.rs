//! Concurrency limits per receiver, so that a slow or unresponsive receiver does not delay others,
//! and is not contacted more than necessary.
//!
//! Each receiver with due deliveries gets one slot before any receiver gets a second slot. A
//! quarter of the slots is reserved for receivers that responded promptly to the last delivery. A
//! receiver that was never contacted may use one reserved slot.

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::outbox::backoff::wait_after;
use crate::timestamp::Timestamp;

/// Maximum number of concurrent deliveries in total.
const SLOTS: usize = 64;

/// Number of slots that are reserved for receivers that responded promptly to the last delivery.
const RESERVED: usize = SLOTS / 4;

/// Maximum number of concurrent deliveries to one responsive receiver.
pub(super) const SHARE: usize = 4;

/// A response that takes less time than this is prompt.
const PROMPT: Duration = Duration::from_secs(1);

/// Longest pause for a receiver that does not respond. Each of its deliveries may be postponed for
/// longer ([`wait_after`]).
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How long a receiver stays in memory after a delivery to it was last due.
const RECEIVER_RETENTION: Duration = Duration::from_hours(1);

/// The outcome of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The receiver sent a response of any kind, after this duration.
    After(Duration),
    /// There was no response: a timeout, a failed connection, or an address that must not be
    /// contacted.
    None,
}

/// The deliveries under way.
#[derive(Debug, Default)]
pub struct Shares {
    receivers: HashMap<String, Receiver>,
    under_way: usize,
    /// How many slots have been allotted so far.
    turns: u64,
    /// Whether the last allotment had too few slots for the due deliveries.
    had_too_few_slots: bool,
}

#[derive(Debug, Default)]
struct Receiver {
    under_way: usize,
    /// Whether it responded promptly to the last delivery. `None` if it was never contacted.
    was_prompt: Option<bool>,
    /// The number of failures since its last response. Deliveries that fail at about the same time
    /// count once.
    failures: u32,
    /// The receiver gets no deliveries before this time.
    paused_until: Option<Timestamp>,
    /// The value of [`Shares::turns`] when it last got a slot.
    turn: u64,
    /// When a delivery to it was last due.
    used_at: Timestamp,
}

impl Receiver {
    fn is_prompt(&self) -> bool {
        self.was_prompt == Some(true)
    }

    fn share(&self, now: Timestamp) -> usize {
        if self.paused_until.is_some_and(|until| now < until) {
            return 0;
        }
        // A receiver that did not respond gets a single delivery as a test.
        if self.failures > 0 { 1 } else { SHARE }
    }
}

impl Shares {
    /// Whether the last allotment had too few slots for the due deliveries.
    #[must_use]
    pub const fn had_too_few_slots(&self) -> bool {
        self.had_too_few_slots
    }

    /// Allots slots to receivers with due deliveries. `due` has the number of due deliveries for
    /// each receiver, and the result has the number of allotted slots.
    pub(super) fn allot(
        &mut self,
        due: &[(String, usize)],
        now: Timestamp,
    ) -> Vec<(String, usize)> {
        self.receivers
            .retain(|_, it| it.under_way > 0 || now.since(it.used_at) < RECEIVER_RETENTION);
        for (name, _) in due {
            self.receivers.entry(name.clone()).or_default().used_at = now;
        }
        // The receiver that last got a slot the longest time ago comes first.
        let mut due: Vec<_> = due.iter().map(|(name, number)| (name, *number, 0)).collect();
        due.sort_by_key(|(name, ..)| self.receivers.get(*name).map(|it| it.turn));
        let slow = self.receivers.values().filter(|it| !it.is_prompt()).map(|it| it.under_way);
        let mut slow: usize = slow.sum();
        // Receivers with no delivery under way get a slot first, then those with one, and so on.
        // Among equals, the order above decides.
        for level in 0..SHARE {
            for (name, number, allotted) in &mut due {
                let is_taken = *allotted < *number && self.take(name, level, &mut slow, now);
                *allotted += usize::from(is_taken);
            }
        }
        self.had_too_few_slots = due.iter().any(|(_, number, allotted)| allotted < number);
        let allotted = due.into_iter().filter(|(.., allotted)| *allotted > 0);
        allotted.map(|(name, _, allotted)| (name.clone(), allotted)).collect()
    }

    /// Takes a slot for a receiver that has `level` slots, if another slot is available to it.
    fn take(&mut self, name: &str, level: usize, slow: &mut usize, now: Timestamp) -> bool {
        let Some(receiver) = self.receivers.get_mut(name) else { return false };
        let may_use_all = receiver.was_prompt.unwrap_or(level == 0);
        let has_room = self.under_way < SLOTS && (may_use_all || *slow < SLOTS - RESERVED);
        if !has_room || receiver.under_way != level || level >= receiver.share(now) {
            return false;
        }
        self.turns += 1;
        receiver.turn = self.turns;
        receiver.under_way += 1;
        self.under_way += 1;
        *slow += usize::from(!receiver.is_prompt());
        true
    }

    /// Gives back slots that were allotted but not used, or whose delivery has ended.
    pub(super) fn release(&mut self, name: &str, number: usize) {
        if let Some(receiver) = self.receivers.get_mut(name) {
            receiver.under_way = receiver.under_way.saturating_sub(number);
            self.under_way = self.under_way.saturating_sub(number);
        }
    }

    /// Records the end of a delivery.
    pub fn settle(&mut self, name: &str, answer: Answer, now: Timestamp) {
        self.release(name, 1);
        let Some(receiver) = self.receivers.get_mut(name) else { return };
        receiver.was_prompt = Some(matches!(answer, Answer::After(time) if time < PROMPT));
        match answer {
            Answer::After(_) => (receiver.failures, receiver.paused_until) = (0, None),
            // A delivery that fails during the pause began before it, so it does not count again.
            Answer::None if receiver.paused_until.is_none_or(|until| now >= until) => {
                receiver.failures = receiver.failures.saturating_add(1);
                let pause = wait_after(receiver.failures).min(LONGEST_PAUSE);
                receiver.paused_until = Some(now.plus(pause));
            }
            Answer::None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMMEDIATE: Answer = Answer::After(Duration::ZERO);

    fn second(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn due(names: impl IntoIterator<Item = usize>, number: usize) -> Vec<(String, usize)> {
        names.into_iter().map(|name| (name.to_string(), number)).collect()
    }

    /// The number of slots that are allotted if deliveries to only this receiver are due.
    fn allot_one(shares: &mut Shares, name: usize, number: usize, at: i64) -> usize {
        shares.allot(&due([name], number), second(at)).first().map_or(0, |it| it.1)
    }

    #[test]
    fn slots_are_shared_evenly_up_to_the_limit_per_receiver() {
        let mut shares = Shares::default();

        assert_eq!(allot_one(&mut shares, 1, 10, 0), SHARE);
        assert!(shares.had_too_few_slots());
        shares.settle("1", IMMEDIATE, second(0));
        assert_eq!(allot_one(&mut shares, 1, 10, 0), 1);

        let others = shares.allot(&due(2..42, 10), second(0));

        assert!(others.iter().all(|(_, slots)| *slots <= 2), "{others:?}");
        assert_eq!(others.len(), 40);
        assert_eq!(shares.under_way, SLOTS - RESERVED + SHARE);
    }

    /// W12: a receiver that responded promptly gets a slot, even if many receivers are slow.
    #[test]
    fn slots_are_reserved_for_receivers_that_respond_promptly() {
        let mut shares = Shares::default();
        assert_eq!(allot_one(&mut shares, 0, 1, 0), 1);
        shares.settle("0", IMMEDIATE, second(0));

        for (name, _) in shares.allot(&due(1..65, 1), second(0)) {
            shares.settle(&name, Answer::After(PROMPT), second(0));
        }
        let slow = shares.allot(&due(1..65, 10), second(0));

        assert_eq!(slow.iter().map(|it| it.1).sum::<usize>(), SLOTS - RESERVED);
        assert_eq!(allot_one(&mut shares, 0, 10, 0), SHARE);
        shares.settle("0", Answer::After(Duration::from_millis(4_500)), second(4));
        assert_eq!(allot_one(&mut shares, 0, 10, 4), 0);
    }

    #[test]
    fn longest_waiting_receiver_gets_the_next_slot() {
        let mut shares = Shares::default();
        let first = shares.allot(&due(0..100, 10), second(0));
        let first: Vec<_> = first.into_iter().map(|it| it.0).collect();

        let mut served = first.clone();
        for name in first {
            shares.settle(&name, IMMEDIATE, second(1));
        }
        while served.len() < 100 {
            let next = shares.allot(&due(0..100, 10), second(1));
            let new = next.iter().map(|it| it.0.clone()).filter(|name| !served.contains(name));
            let new: Vec<_> = new.collect();
            assert!(!new.is_empty(), "{next:?}");
            served.extend(new);
            for name in next.iter().flat_map(|(name, number)| vec![name; *number]) {
                shares.settle(name, Answer::After(PROMPT), second(1));
            }
        }
    }

    #[test]
    fn unresponsive_receiver_is_paused_and_then_gets_a_single_delivery_as_a_test() {
        let mut shares = Shares::default();
        assert_eq!(allot_one(&mut shares, 1, 10, 0), SHARE);
        for _ in 0..SHARE {
            shares.settle("1", Answer::None, second(5));
        }

        assert_eq!(allot_one(&mut shares, 1, 10, 9), 0);
        assert_eq!(allot_one(&mut shares, 1, 10, 10), 1);
        assert_eq!(allot_one(&mut shares, 1, 10, 10), 0);
        shares.settle("1", Answer::None, second(15));
        assert_eq!(allot_one(&mut shares, 1, 10, 24), 0);
        assert_eq!(allot_one(&mut shares, 1, 10, 25), 1);
        shares.settle("1", IMMEDIATE, second(25));
        assert_eq!(allot_one(&mut shares, 1, 10, 25), SHARE);
    }

    #[test]
    fn pause_of_an_unresponsive_receiver_is_at_most_a_minute() {
        let mut shares = Shares::default();
        for round in 0..20 {
            assert_eq!(allot_one(&mut shares, 1, 1, round * 60), 1);
            shares.settle("1", Answer::None, second(round * 60));
        }
    }

    #[test]
    fn receivers_without_due_deliveries_for_an_hour_are_removed_from_memory() {
        let mut shares = Shares::default();
        let taken = shares.allot(&due(0..10, 1), second(0));
        for (name, _) in taken {
            shares.settle(&name, Answer::None, second(0));
        }

        shares.allot(&due([5], 1), second(3_600));

        assert_eq!(shares.receivers.len(), 1);
    }
}
