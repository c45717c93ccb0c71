//! The cached status lists, each in its own slot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;

use crate::remote::slot::Slot;
use crate::status_list::StatusList;

/// Largest number of cached lists. A list is added only for a token that the issuer signed.
const MAX_LISTS: usize = 64;

type Lists = BTreeMap<Box<str>, Arc<Entry>>;

struct Entry {
    slot: Arc<Slot<StatusList>>,
    /// The value of `StatusLists::uses` when the list was last used.
    last_use: AtomicU64,
}

/// Lookups take no lock. To add a list, the whole map is replaced.
#[derive(Default)]
pub(super) struct StatusLists {
    lists: ArcSwap<Lists>,
    uses: AtomicU64,
}

impl StatusLists {
    pub(super) fn slot(&self, uri: &str) -> Arc<Slot<StatusList>> {
        let this_use = self.uses.fetch_add(1, Ordering::Relaxed);
        if let Some(entry) = self.lists.load().get(uri) {
            entry.last_use.store(this_use, Ordering::Relaxed);
            return Arc::clone(&entry.slot);
        }
        let slot = Arc::new(Slot::new());
        let new = Arc::new(Entry { slot, last_use: AtomicU64::new(this_use) });
        let before = self.lists.rcu(|lists| {
            let mut lists = Lists::clone(lists);
            if !lists.contains_key(uri) {
                evict_least_recently_used(&mut lists);
                lists.insert(uri.into(), Arc::clone(&new));
            }
            lists
        });
        Arc::clone(&before.get(uri).unwrap_or(&new).slot)
    }
}

/// Evicts lists until there is space for one more.
fn evict_least_recently_used(lists: &mut Lists) {
    while lists.len() >= MAX_LISTS {
        let oldest = lists.iter().min_by_key(|(_, entry)| entry.last_use.load(Ordering::Relaxed));
        let Some(uri) = oldest.map(|(uri, _)| uri.clone()) else { return };
        lists.remove(&uri);
    }
}
