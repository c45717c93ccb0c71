//! How an import proceeds.

use crate::domain::import::format::Format;

/// How an import proceeds.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The system that the accounts are from.
    pub source: Format,
    /// Whether addresses that are verified in the source are verified here.
    pub trust_verified: bool,
    /// Whether nothing is written.
    pub is_dry_run: bool,
}
