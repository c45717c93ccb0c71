//! The cached status lists, each in its own slot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::remote::slot::Slot;
use crate::status_list::StatusList;

/// Largest number of cached lists. Only tokens signed by the issuer can name one.
const MAX_LISTS: usize = 64;

type Lists = BTreeMap<Box<str>, Arc<Slot<StatusList>>>;

/// Lookups take no lock. To add a list, the whole map is replaced.
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
                evict_oldest(&mut lists);
                lists.insert(uri.into(), Arc::clone(&new));
            }
            lists
        });
        before.get(uri).map_or(new, Arc::clone)
    }
}

/// Evicts the lists with the oldest fetches until there is space for one more.
fn evict_oldest(lists: &mut Lists) {
    while lists.len() >= MAX_LISTS {
        let requested_at =
            |slot: &Slot<_>| slot.cached().map_or(Duration::ZERO, |cached| cached.requested_at);
        let oldest = lists.iter().min_by_key(|(_, slot)| requested_at(slot));
        let Some(uri) = oldest.map(|(uri, _)| uri.clone()) else { return };
        lists.remove(&uri);
    }
}
