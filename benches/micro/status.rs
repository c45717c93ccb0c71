//! Rebuilding the status list of a million sessions, of which one in a hundred has ended.

use std::collections::BTreeSet;

use divan::Bencher;
use signet::clock::Clock;
use signet::config::StatusSettings;
use signet::domain::granted::StatusEntry;
use signet::domain::status::{self, Bits, ENTRIES, StatusLists};

use crate::keys::Keys;

const SETTINGS: StatusSettings =
    StatusSettings { status_ttl_seconds: 10, status_list_seconds: 3600 };

/// The indexes of ten thousand pseudo-random entries among a million, from a linear congruential
/// generator with Knuth's 64-bit constants.
fn ended_entries() -> impl Iterator<Item = usize> {
    let next = |state: &u64| {
        Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    };
    let indexes = std::iter::successors(Some(1_u64), next).map(|state| (state >> 33) % 1_000_000);
    // More than ten thousand, because some of them are equal.
    let indexes: BTreeSet<_> = indexes.take(10_050).collect();
    indexes.into_iter().take(10_000).map(|index| usize::try_from(index).unwrap())
}

/// Reads all marks from the database and signs the list, as an instance does at its start and after
/// a failed read.
#[divan::bench]
fn read_and_sign(bencher: Bencher) {
    let keys = Keys::create().unwrap();
    let db = keys.storage.db.clone();
    let now = Clock::System.now();
    keys.runtime.block_on(async {
        status::ensure_first_list(&db).await.unwrap();
        db.write((), move |txn, now, ()| {
            let entries = ended_entries()
                .map(|index| StatusEntry { list: 1, index: i32::try_from(index).unwrap() });
            Box::pin(async move { status::mark_invalid(txn, entries, now).await })
        })
        .await
        .unwrap();
    });
    bencher.bench_local(|| {
        keys.runtime.block_on(StatusLists::open(&db, &keys.issuer, SETTINGS, now)).unwrap()
    });
}

/// Compresses the list without reading or signing it.
#[divan::bench]
fn pack(bencher: Bencher) {
    let mut bits = Bits::all_valid(ENTRIES);
    ended_entries().for_each(|index| {
        bits.set(index);
    });
    bencher.bench_local(|| bits.to_lst().unwrap());
}
