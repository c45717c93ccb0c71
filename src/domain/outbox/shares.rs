//! How much is under way to each receiver at a time, so that one that answers slowly or not at all keeps
//! no other waiting, and is not asked more than need be.
//!
//! Each receiver with something due gets one slot before any gets a second, and a quarter of the slots
//! is for receivers that answered promptly the last time, or were never asked: of those, for one slot.

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::outbox::backoff::wait_after;
use crate::timestamp::Timestamp;

/// Deliveries at a time, to all receivers.
const SLOTS: usize = 64;

/// Slots that only receivers get that answered promptly the last time.
const RESERVED: usize = SLOTS / 4;

/// Deliveries at a time to a receiver that answers.
pub(super) const SHARE: usize = 4;

/// Within which an answer is prompt.
const PROMPT: Duration = Duration::from_secs(1);

/// The longest time that a silent receiver is left alone, whatever is due to it.
const LONGEST_SILENCE: Duration = Duration::from_mins(1);

/// How long a receiver is remembered that nothing has been due to.
const MEMORY: Duration = Duration::from_hours(1);

/// What became of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// There was one, whichever, after this time.
    After(Duration),
    /// There was none in time.
    None,
}

/// What is under way.
#[derive(Debug, Default)]
pub struct Shares {
    receivers: HashMap<String, Receiver>,
    under_way: usize,
    /// How many slots were given so far.
    turns: u64,
    were_short: bool,
}

#[derive(Debug, Default)]
struct Receiver {
    under_way: usize,
    /// Whether its last answer was prompt; none if it was never asked.
    was_prompt: Option<bool>,
    /// How often it was silent since it last answered.
    silences: u32,
    /// Until when it is left alone.
    rests_until: Option<Timestamp>,
    /// When it last got a slot, by the number of slots given.
    turn: u64,
    /// When something was last due to it.
    used_at: Timestamp,
}

impl Receiver {
    fn is_prompt(&self) -> bool {
        self.was_prompt == Some(true)
    }

    fn share(&self, now: Timestamp) -> usize {
        if self.rests_until.is_some_and(|until| now < until) {
            return 0;
        }
        // One that was silent is asked once before it is told everything.
        if self.silences > 0 { 1 } else { SHARE }
    }
}

impl Shares {
    /// Whether something was due that there was no room for when it was last looked for.
    #[must_use]
    pub const fn were_short(&self) -> bool {
        self.were_short
    }

    /// Gives slots to receivers that have something due, so many each, and says how many each got.
    pub(super) fn allot(
        &mut self,
        due: &[(String, usize)],
        now: Timestamp,
    ) -> Vec<(String, usize)> {
        self.receivers.retain(|_, it| it.under_way > 0 || now.since(it.used_at) < MEMORY);
        for (name, _) in due {
            self.receivers.entry(name.clone()).or_default().used_at = now;
        }
        // Whoever has waited longest for a turn comes first.
        let mut due: Vec<_> = due.iter().map(|(name, number)| (name, *number, 0)).collect();
        due.sort_by_key(|(name, ..)| self.receivers.get(*name).map(|it| it.turn));
        let slow = self.receivers.values().filter(|it| !it.is_prompt()).map(|it| it.under_way);
        let mut slow: usize = slow.sum();
        // Level by level: whoever has least under way comes first.
        for level in 0..SHARE {
            for (name, number, allotted) in &mut due {
                let is_taken = *allotted < *number && self.take(name, level, &mut slow, now);
                *allotted += usize::from(is_taken);
            }
        }
        self.were_short = due.iter().any(|(_, number, allotted)| allotted < number);
        let allotted = due.into_iter().filter(|(.., allotted)| *allotted > 0);
        allotted.map(|(name, _, allotted)| (name.clone(), allotted)).collect()
    }

    /// Takes a slot for a receiver that has `level` of them, if there is one for it.
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

    /// Gives back what was not needed.
    pub(super) fn give_back(&mut self, name: &str, number: usize) {
        if let Some(receiver) = self.receivers.get_mut(name) {
            receiver.under_way = receiver.under_way.saturating_sub(number);
            self.under_way = self.under_way.saturating_sub(number);
        }
    }

    /// A delivery is over.
    pub fn settle(&mut self, name: &str, answer: Answer, now: Timestamp) {
        self.give_back(name, 1);
        let Some(receiver) = self.receivers.get_mut(name) else { return };
        receiver.was_prompt = Some(matches!(answer, Answer::After(time) if time < PROMPT));
        match answer {
            Answer::After(_) => (receiver.silences, receiver.rests_until) = (0, None),
            // Several that end at about the same time are one silence.
            Answer::None if receiver.rests_until.is_none_or(|until| now >= until) => {
                receiver.silences = receiver.silences.saturating_add(1);
                let rest = wait_after(receiver.silences).min(LONGEST_SILENCE);
                receiver.rests_until = Some(now.plus(rest));
            }
            Answer::None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Answer = Answer::After(Duration::ZERO);

    fn second(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn due(names: impl IntoIterator<Item = usize>, number: usize) -> Vec<(String, usize)> {
        names.into_iter().map(|name| (name.to_string(), number)).collect()
    }

    fn one(shares: &mut Shares, name: usize, number: usize, at: i64) -> usize {
        shares.allot(&due([name], number), second(at)).first().map_or(0, |it| it.1)
    }

    #[test]
    fn a_receiver_gets_its_share_and_each_one_slot_before_any_a_second() {
        let mut shares = Shares::default();

        assert_eq!(one(&mut shares, 1, 10, 0), SHARE);
        assert!(shares.were_short());
        shares.settle("1", AT_ONCE, second(0));
        assert_eq!(one(&mut shares, 1, 10, 0), 1);

        let others = shares.allot(&due(2..42, 10), second(0));

        assert!(others.iter().all(|(_, slots)| *slots <= 2), "{others:?}");
        assert_eq!(others.len(), 40);
        assert_eq!(shares.under_way, SLOTS - RESERVED + SHARE);
    }

    /// W12: however many receivers are slow, those that answered promptly find a slot.
    #[test]
    fn slots_are_reserved_for_receivers_that_answer_promptly() {
        let mut shares = Shares::default();
        assert_eq!(one(&mut shares, 0, 1, 0), 1);
        shares.settle("0", AT_ONCE, second(0));

        for (name, _) in shares.allot(&due(1..65, 1), second(0)) {
            shares.settle(&name, Answer::After(PROMPT), second(0));
        }
        let slow = shares.allot(&due(1..65, 10), second(0));

        assert_eq!(slow.iter().map(|it| it.1).sum::<usize>(), SLOTS - RESERVED);
        assert_eq!(one(&mut shares, 0, 10, 0), SHARE);
        shares.settle("0", Answer::After(Duration::from_millis(4_500)), second(4));
        assert_eq!(one(&mut shares, 0, 10, 4), 0);
    }

    #[test]
    fn whoever_has_waited_longest_gets_the_next_slot() {
        let mut shares = Shares::default();
        let first = shares.allot(&due(0..100, 10), second(0));
        let first: Vec<_> = first.into_iter().map(|it| it.0).collect();

        let mut told = first.clone();
        for name in first {
            shares.settle(&name, AT_ONCE, second(1));
        }
        while told.len() < 100 {
            let next = shares.allot(&due(0..100, 10), second(1));
            let new = next.iter().map(|it| it.0.clone()).filter(|name| !told.contains(name));
            let new: Vec<_> = new.collect();
            assert!(!new.is_empty(), "{next:?}");
            told.extend(new);
            for name in next.iter().flat_map(|(name, number)| vec![name; *number]) {
                shares.settle(name, Answer::After(PROMPT), second(1));
            }
        }
    }

    #[test]
    fn a_silent_receiver_rests_and_is_then_asked_once() {
        let mut shares = Shares::default();
        assert_eq!(one(&mut shares, 1, 10, 0), SHARE);
        for _ in 0..SHARE {
            shares.settle("1", Answer::None, second(5));
        }

        assert_eq!(one(&mut shares, 1, 10, 9), 0);
        assert_eq!(one(&mut shares, 1, 10, 10), 1);
        assert_eq!(one(&mut shares, 1, 10, 10), 0);
        shares.settle("1", Answer::None, second(15));
        assert_eq!(one(&mut shares, 1, 10, 24), 0);
        assert_eq!(one(&mut shares, 1, 10, 25), 1);
        shares.settle("1", AT_ONCE, second(25));
        assert_eq!(one(&mut shares, 1, 10, 25), SHARE);
    }

    #[test]
    fn a_silent_receiver_never_rests_for_more_than_a_minute() {
        let mut shares = Shares::default();
        for round in 0..20 {
            assert_eq!(one(&mut shares, 1, 1, round * 60), 1);
            shares.settle("1", Answer::None, second(round * 60));
        }
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let mut shares = Shares::default();
        let taken = shares.allot(&due(0..10, 1), second(0));
        for (name, _) in taken {
            shares.settle(&name, Answer::None, second(0));
        }

        shares.allot(&due([5], 1), second(3_600));

        assert_eq!(shares.receivers.len(), 1);
    }
}
