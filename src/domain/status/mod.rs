//! Token Status Lists (draft-ietf-oauth-status-list). By these lists, verifiers that check tokens
//! locally learn that a session has ended.
//!
//! 1. A new session gets an entry of a list ([`StatusEntries`]). The access tokens of the session
//!    refer to this entry.
//! 2. Ending the session marks the entry invalid in the same transaction ([`mark_invalid`]).
//! 3. Every instance reads new marks each second, and signs the lists that changed
//!    ([`StatusLists`]).
//! 4. A verifier fetches a list again when the `ttl` of its copy has passed, and refuses tokens
//!    whose entry is marked.
//!
//! All access tokens of a session refer to one entry. Section 13.3 requires separate entries for
//! tokens that must not be linkable. But access tokens contain `sub` anyway, so separate entries
//! would hide nothing.

mod bits;
mod closing;
mod entries;
mod lists;
mod marks;

use std::time::Duration;

pub use bits::Bits;
pub use closing::close_all;
pub use entries::{AllocationError, StatusEntries, ensure_first_list};
pub use lists::{ListError, Published, SignedList, StatusLists};
pub use marks::{mark_invalid, purge_lists, purge_marks};

/// Number of entries per list. All lists have this size, so that the size does not reveal the
/// number of logins.
///
/// One list for a million sessions needs one fetch, one signature and one compression. Eight lists
/// of an eighth each would have 13 % more bytes to transfer (docs/decisions.md).
pub const ENTRIES: usize = 1 << 20;

/// Number of entries per block. An instance always claims a whole block.
const BLOCK: usize = 512;

/// Number of blocks per list.
const BLOCKS: usize = ENTRIES / BLOCK;

/// The upper limit of `SIGNET_ACCESS_TOKEN_SECONDS`, the lifetime of access tokens. If a session
/// ended longer ago than this, no verifier needs its entry.
pub const LONGEST_TOKEN_LIFE: Duration = Duration::from_hours(30 * 24);
