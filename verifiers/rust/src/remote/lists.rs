//! The cached status lists, one slot each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::remote::slot::Slot;
use crate::status_list::StatusList;

/// Largest number of cached lists. Only tokens signed by the issuer can name one.
const MAX_LISTS: usize = 64;

type Lists = BTreeMap<Box<str>, Arc<Slot<StatusList>>>;

/// Lookups take no lock; the map is replaced when a list is added.
#[derive(Default)]
pub(super) struct StatusLists(ArcSwap<Lists>);

impl StatusLists {
    pub(super) fn slot(&self, uri: &str) -> Arc<Slot<StatusList>> {
        if let Some(slot) = self.0.load().get(uri) {
            return Arc::clone(slot);
        }
        let new = Arc::new(Slot::new());
        let before = self.0.rcu(|lists| {
            let mut lists = Lists::clone(lists);
            if !lists.contains_key(uri) {
                make_room(&mut lists);
                lists.insert(uri.into(), Arc::clone(&new));
            }
            lists
        });
        before.get(uri).map_or(new, Arc::clone)
    }
}

/// Evicts the lists that were fetched the longest time ago.
fn make_room(lists: &mut Lists) {
    while lists.len() >= MAX_LISTS {
        let asked_at = |slot: &Slot<_>| slot.held().map_or(Duration::ZERO, |held| held.asked_at);
        let oldest = lists.iter().min_by_key(|(_, slot)| asked_at(slot));
        let Some(uri) = oldest.map(|(uri, _)| uri.clone()) else { return };
        lists.remove(&uri);
    }
}
