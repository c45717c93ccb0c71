//! The counts of an import.

use std::collections::BTreeMap;

use crate::domain::password::{Class, Unreadable};

/// How many records had which result. Every record is counted in exactly one of `created`,
/// `changed`, `unchanged`, `kept`, `deleted` and `refused`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Accounts that were created.
    pub created: u64,
    /// Accounts that had been imported before, and were changed to the state of the source.
    pub changed: u64,
    /// Accounts that are as in the source.
    pub unchanged: u64,
    /// Accounts that were not changed, because they were changed here since the last import, or were
    /// never imported.
    pub kept: u64,
    /// Accounts that were deleted here and stay deleted.
    pub deleted: u64,
    /// Records that were refused.
    pub refused: u64,
    /// Of the records that were not refused, how many have a hash of each class.
    pub classes: BTreeMap<Class, u64>,
    /// Of these records, how many have a hash that cannot be verified here.
    pub unusable: BTreeMap<Unreadable, u64>,
    /// Of these records, how many have no password.
    pub without_password: u64,
}

impl Summary {
    /// The number of records.
    #[must_use]
    pub fn records(&self) -> u64 {
        let Self { created, changed, unchanged, kept, deleted, refused, .. } = self;
        created + changed + unchanged + kept + deleted + refused
    }
}
