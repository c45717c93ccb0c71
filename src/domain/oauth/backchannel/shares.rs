//! How much is under way to each client at a time, so that one that does not answer keeps no other
//! waiting, and is not asked more than need be.

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::oauth::backchannel::wait_after;
use crate::timestamp::Timestamp;

/// Deliveries at a time, to all clients.
const ALL: usize = 64;

/// Deliveries at a time to a client that answers.
const SHARE: usize = 4;

/// The longest time that a silent client is left alone, whatever is due to it.
const LONGEST_SILENCE: Duration = Duration::from_mins(1);

/// What became of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// There was one, whichever.
    Some,
    /// There was none in time.
    None,
}

/// What is under way.
#[derive(Debug, Default)]
pub struct Shares {
    clients: HashMap<String, Client>,
    under_way: usize,
    were_short: bool,
}

#[derive(Debug, Default)]
struct Client {
    under_way: usize,
    /// How often it was silent since it last answered.
    silences: u32,
    /// Until when it is left alone.
    rests_until: Option<Timestamp>,
}

impl Client {
    fn is_closed(&self, now: Timestamp) -> bool {
        // A client that was silent is asked once before it is told everything.
        let share = if self.silences > 0 { 1 } else { SHARE };
        self.under_way >= share || self.rests_until.is_some_and(|until| now < until)
    }

    fn is_forgettable(&self, now: Timestamp) -> bool {
        let is_over = self.rests_until.is_none_or(|until| now > until.plus(LONGEST_SILENCE));
        self.under_way == 0 && is_over
    }
}

impl Shares {
    /// Begins to look for what is due: forgets clients that nothing has been due to for a while.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.clients.retain(|_, client| !client.is_forgettable(now));
        self.were_short = false;
    }

    /// Whether something may be due that there was no room for when it was last looked for.
    #[must_use]
    pub const fn were_short(&self) -> bool {
        self.were_short
    }

    /// Whether nothing more may be sent for now.
    pub(super) const fn are_spent(&self) -> bool {
        self.under_way >= ALL
    }

    /// The clients that get no more for now.
    pub(super) fn closed(&self, now: Timestamp) -> Vec<String> {
        let closed = self.clients.iter().filter(|(_, client)| client.is_closed(now));
        closed.map(|(id, _)| id.clone()).collect()
    }

    /// Takes one of a client's share, if there is one left.
    pub(super) fn take(&mut self, client_id: &str, now: Timestamp) -> bool {
        let client = self.clients.entry(client_id.to_owned()).or_default();
        if self.under_way >= ALL || client.is_closed(now) {
            self.were_short = true;
            return false;
        }
        client.under_way += 1;
        self.under_way += 1;
        true
    }

    /// Gives back what was not needed.
    pub(super) fn give_back(&mut self, client_id: &str) {
        if let Some(client) = self.clients.get_mut(client_id) {
            client.under_way = client.under_way.saturating_sub(1);
            self.under_way = self.under_way.saturating_sub(1);
        }
    }

    /// A delivery is over.
    pub fn settle(&mut self, client_id: &str, answer: Answer, now: Timestamp) {
        self.give_back(client_id);
        let Some(client) = self.clients.get_mut(client_id) else { return };
        match answer {
            Answer::Some => (client.silences, client.rests_until) = (0, None),
            // Several that end at about the same time are one silence.
            Answer::None if client.rests_until.is_none_or(|until| now >= until) => {
                client.silences = client.silences.saturating_add(1);
                let rest = wait_after(client.silences).min(LONGEST_SILENCE);
                client.rests_until = Some(now.plus(rest));
            }
            Answer::None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    #[test]
    fn a_client_gets_its_share_and_all_of_them_what_there_is() {
        let mut shares = Shares::default();
        let now = second(0);

        let taken = (0..10).filter(|_| shares.take("one", now)).count();

        assert_eq!((taken, shares.closed(now)), (SHARE, vec!["one".to_owned()]));
        assert!(shares.were_short() && !shares.are_spent());
        shares.settle("one", Answer::Some, now);
        assert!(shares.take("one", now));
        let others = (0..ALL).filter(|number| shares.take(&number.to_string(), now)).count();
        assert_eq!((others, shares.are_spent()), (ALL - SHARE, true));
    }

    #[test]
    fn a_silent_client_rests_and_is_then_asked_once() {
        let mut shares = Shares::default();
        for _ in 0..SHARE {
            assert!(shares.take("silent", second(0)));
        }
        for _ in 0..SHARE {
            shares.settle("silent", Answer::None, second(5));
        }

        assert!(!shares.take("silent", second(9)));
        assert!(shares.take("silent", second(10)));
        assert!(!shares.take("silent", second(10)));
        shares.settle("silent", Answer::None, second(15));
        assert!(!shares.take("silent", second(24)));
        assert!(shares.take("silent", second(25)));
        shares.settle("silent", Answer::Some, second(25));
        let taken = (0..10).filter(|_| shares.take("silent", second(25))).count();
        assert_eq!(taken, SHARE);
    }

    #[test]
    fn a_silent_client_never_rests_for_more_than_a_minute() {
        let mut shares = Shares::default();
        let mut now = 0;
        for _ in 0..20 {
            assert!(shares.take("silent", second(now)));
            shares.settle("silent", Answer::None, second(now));
            now += 60;
        }
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let mut shares = Shares::default();
        for number in 0..ALL {
            assert!(shares.take(&number.to_string(), second(0)));
            shares.settle(&number.to_string(), Answer::None, second(0));
        }
        assert!(shares.take("5", second(60)));

        shares.begin(second(3_600));

        assert_eq!(shares.clients.len(), 1);
    }
}
