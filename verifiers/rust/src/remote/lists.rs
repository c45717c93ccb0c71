//! The status lists that tokens have named, each in a slot of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::remote::slot::Slot;
use crate::status_list::StatusList;

/// Most lists that are held. Only tokens that the issuer signed can name one.
const MAX_LISTS: usize = 64;

type Lists = BTreeMap<Box<str>, Arc<Slot<StatusList>>>;

/// Finding a list takes no lock; the map is replaced when a list joins it.
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

/// Drops the lists that were fetched the longest time ago.
fn make_room(lists: &mut Lists) {
    while lists.len() >= MAX_LISTS {
        let asked_at = |slot: &Slot<_>| slot.held().map_or(Duration::ZERO, |held| held.asked_at);
        let oldest = lists.iter().min_by_key(|(_, slot)| asked_at(slot));
        let Some(uri) = oldest.map(|(uri, _)| uri.clone()) else { return };
        lists.remove(&uri);
    }
}
