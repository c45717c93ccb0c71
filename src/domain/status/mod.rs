//! Logout that local verifiers honour: a Token Status List (draft-ietf-oauth-status-list).
//!
//! 1. A session that begins draws an entry of a list ([`StatusEntries`]); its access tokens name it.
//! 2. Whatever ends the session marks the entry invalid, in the same transaction
//!    ([`mark_invalid`]).
//! 3. Every instance looks each second what has been marked, and signs the lists that changed
//!    ([`StatusLists`]).
//! 4. A verifier fetches the list when its `ttl` is over, and refuses tokens whose entry is marked.
//!
//! One entry stands for a session and not for a token: access tokens carry `sub` anyway, so entries
//! of their own would hide nothing (section 13.3 asks for them where tokens must not be linkable).

mod bits;
mod closing;
mod entries;
mod lists;
mod marks;

use std::time::Duration;

pub use bits::Bits;
pub use closing::close_all;
pub use entries::{DrawError, StatusEntries, ensure_first_list};
pub use lists::{ListError, Published, SignedList, StatusLists};
pub use marks::{mark_invalid, purge_lists, purge_marks};

/// Entries of a list. All lists have one size, so that the number of logins does not show.
///
/// One list for a million sessions is one fetch, one signature and one run of compression: eight
/// lists of an eighth cost some 13 % more to transfer (docs/decisions.md).
pub const ENTRIES: usize = 1 << 20;

/// Entries that an instance takes at a time.
const BLOCK: usize = 512;

/// Blocks of a list.
const BLOCKS: usize = ENTRIES / BLOCK;

/// No access token lives longer, whatever the settings said when it was signed: the upper end of
/// `SIGNET_ACCESS_TOKEN_SECONDS`. So long after a session ended, nobody asks for its entry.
pub const LONGEST_TOKEN_LIFE: Duration = Duration::from_hours(30 * 24);
