//! Decoys: dummy hashes against which passwords for unknown accounts are checked.
//!
//! A check takes the time of the stored hash, and imported hashes may take a hundred times as long
//! as new hashes. If unknown accounts were always checked at the current cost, a slow response
//! would reveal that the account exists.
//!
//! So an HMAC under a secret key assigns a hash class to each email address. It selects among the
//! classes that accounts have, in proportion to their frequency. The response time for an address
//! does not change between attempts, so it reveals nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::keys::MacKey;
use crate::domain::password::class::Class;
use crate::domain::password::failure::Failure;
use crate::domain::password::stored::Stored;

/// Maximum number of classes that have a decoy. The most frequent classes have one.
const MAX_CLASSES: usize = 32;

/// The decoys of all known classes.
pub(super) struct Decoys {
    key: MacKey,
    /// The decoy of the class of new hashes. It is used while no class of accounts is known.
    current: Arc<Stored>,
    known: RwLock<BTreeMap<Class, Decoy>>,
}

struct Decoy {
    accounts: u64,
    stored: Arc<Stored>,
}

impl Decoys {
    /// Creates the decoy of the class of new hashes, and no other decoys.
    pub(super) fn new(key: MacKey, current: Class) -> Result<Self, Failure> {
        Ok(Self::of(key, Stored::decoy(current)?))
    }

    /// Uses this decoy until other classes are known.
    pub(super) fn of(key: MacKey, current: Stored) -> Self {
        Self { key, current: Arc::new(current), known: RwLock::default() }
    }

    /// Sets how many accounts have each class. Existing decoys remain, so that the decoy of an
    /// address changes only when necessary.
    pub(super) fn set(&self, accounts: &BTreeMap<Class, u64>) {
        let mut frequent: Vec<_> = accounts.iter().filter(|(_, count)| **count > 0).collect();
        frequent.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *known);
        for (class, count) in frequent.into_iter().take(MAX_CLASSES) {
            let decoy = before.remove(class).map(|it| it.stored);
            if let Some(stored) = decoy.or_else(|| self.create(*class)) {
                known.insert(*class, Decoy { accounts: *count, stored });
            }
        }
    }

    /// Adds the class of an account, if the last count did not include this class.
    pub(super) fn learn(&self, class: Class) {
        let is_known =
            |known: &BTreeMap<_, _>| known.contains_key(&class) || known.len() >= MAX_CLASSES;
        if is_known(&self.known.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let Some(stored) = self.create(class) else { return };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(class).or_insert(Decoy { accounts: 1, stored });
    }

    /// The decoy for this email address.
    ///
    /// This is weighted rendezvous hashing. For each class, the address and the key determine a
    /// number, which is exponentially distributed with the frequency of the class as rate. The
    /// class with the lowest number is selected. If the frequency of one class changes, no address
    /// moves between two other classes.
    pub(super) fn draw(&self, address: &str) -> Arc<Stored> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let drawn = known.iter().map(|(class, decoy)| {
            let weight = f64::from(u32::try_from(decoy.accounts).unwrap_or(u32::MAX));
            (self.number(*class, address) / weight, &decoy.stored)
        });
        let drawn = drawn.min_by(|(a, _), (b, _)| a.total_cmp(b));
        Arc::clone(drawn.map_or(&self.current, |(_, stored)| stored))
    }

    /// The number of a class and an address, exponentially distributed with rate one.
    fn number(&self, class: Class, address: &str) -> f64 {
        // If the HMAC fails, all addresses get the same number.
        let code = self.key.mac(format!("{class}\n{address}").as_bytes()).unwrap_or_default();
        let (head, _) = code.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
        let fraction = (f64::from(u32::from_be_bytes(*head)) + 0.5) / (f64::from(u32::MAX) + 1.0);
        -fraction.ln()
    }

    fn create(&self, class: Class) -> Option<Arc<Stored>> {
        if class == self.current.class() {
            return Some(Arc::clone(&self.current));
        }
        let decoy = Stored::decoy(class);
        decoy
            .inspect_err(|error| tracing::warn!(%error, "no decoy for {class}: {error}"))
            .ok()
            .map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::password::cost::Cost;

    const BCRYPT_10: Class = Class::Bcrypt { cost: 10 };
    const BCRYPT_12: Class = Class::Bcrypt { cost: 12 };

    fn current() -> Class {
        Class::of_new(Cost::default())
    }

    fn decoys() -> Decoys {
        Decoys::new(MacKey::from_bytes(&[7; 32]).unwrap(), current()).unwrap()
    }

    fn draw_all(decoys: &Decoys) -> Vec<Class> {
        (0..10_000).map(|it| decoys.draw(&format!("nobody{it}@example.test")).class()).collect()
    }

    fn count(drawn: &[Class], class: Class) -> usize {
        drawn.iter().filter(|it| **it == class).count()
    }

    #[test]
    fn without_accounts_every_decoy_has_the_current_class() {
        assert_eq!(count(&draw_all(&decoys()), current()), 10_000);
    }

    /// W17: classes are assigned in proportion to accounts. An address always gets the same class.
    #[test]
    fn classes_are_assigned_in_proportion_to_accounts() {
        let decoys = decoys();
        decoys.set(&BTreeMap::from([(current(), 700), (BCRYPT_10, 250), (BCRYPT_12, 50)]));

        let drawn = draw_all(&decoys);

        // Within five standard deviations.
        assert!((6_770..7_230).contains(&count(&drawn, current())));
        assert!((2_283..2_717).contains(&count(&drawn, BCRYPT_10)));
        assert!((391..609).contains(&count(&drawn, BCRYPT_12)));
        assert_eq!(draw_all(&decoys), drawn);
        let other_key = Decoys::new(MacKey::from_bytes(&[8; 32]).unwrap(), current()).unwrap();
        other_key.set(&BTreeMap::from([(current(), 700), (BCRYPT_10, 250), (BCRYPT_12, 50)]));
        assert_ne!(draw_all(&other_key), drawn);
    }

    /// When imported hashes are upgraded, addresses leave the class of these hashes, as accounts
    /// do. No address leaves a class whose frequency has not changed.
    #[test]
    fn addresses_leave_only_classes_that_accounts_leave() {
        let decoys = decoys();
        decoys.set(&BTreeMap::from([(current(), 500), (BCRYPT_10, 300), (BCRYPT_12, 200)]));
        let before = draw_all(&decoys);

        decoys.set(&BTreeMap::from([(current(), 500), (BCRYPT_10, 150), (BCRYPT_12, 200)]));

        let moved = before.iter().zip(draw_all(&decoys)).filter(|(old, new)| **old != *new);
        assert!(moved.clone().count() > 500);
        assert!(moved.clone().all(|(old, _)| *old == BCRYPT_10));
    }

    #[test]
    fn observed_class_is_used_before_the_next_count() {
        let decoys = decoys();
        decoys.set(&BTreeMap::from([(current(), 9)]));

        decoys.learn(BCRYPT_12);

        assert!((850..1_150).contains(&count(&draw_all(&decoys), BCRYPT_12)));
    }

    #[test]
    fn number_of_classes_is_bounded() {
        let decoys = decoys();
        let class = |memory_kib| Class::Argon2 {
            algorithm: argon2::Algorithm::Argon2id,
            version: argon2::Version::V0x13,
            cost: Cost { memory_kib, iterations: 1, parallelism: 1 },
        };
        decoys.set(&(1..1_000).map(|it| (class(8 + it), u64::from(it))).collect());
        decoys.learn(BCRYPT_10);

        assert_eq!(decoys.known.read().unwrap().len(), MAX_CLASSES);
        assert!(draw_all(&decoys).iter().all(|it| *it >= class(8 + 968)));
    }

    #[test]
    fn decoy_has_its_class_and_is_unique() {
        for class in [current(), BCRYPT_10, BCRYPT_12] {
            let (first, second) = (Stored::decoy(class).unwrap(), Stored::decoy(class).unwrap());

            assert_eq!(first.class(), class);
            assert_eq!(first.is_current(Cost::default()), class == current());
            if let (Stored::Bcrypt { hash, .. }, Stored::Bcrypt { hash: second, .. }) =
                (&first, &second)
            {
                assert!(matches!(Stored::parse(hash), Ok(parsed) if parsed.class() == class));
                assert_ne!(hash, second);
            }
        }
    }
}
