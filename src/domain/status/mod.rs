//! Token Status Lists (draft-ietf-oauth-status-list): local verifiers see that a session has ended.
//!
//! 1. A new session is allocated an entry of a list ([`StatusEntries`]); its access tokens refer to
//!    it.
//! 2. Ending the session marks the entry invalid in the same transaction ([`mark_invalid`]).
//! 3. Every instance reads new marks each second, and signs the lists that changed
//!    ([`StatusLists`]).
//! 4. A verifier fetches the list when its `ttl` is over, and refuses tokens whose entry is marked.
//!
//! An entry belongs to a session, not to a token. Access tokens carry `sub` anyway, so separate
//! entries would hide nothing (section 13.3 requires them where tokens must not be linkable).

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

/// Entries per list. All lists have the same size, so that it does not reveal the number of logins.
///
/// One list for a million sessions needs one fetch, one signature and one compression. Eight lists
/// of an eighth each would cost some 13 % more to transfer (docs/decisions.md).
pub const ENTRIES: usize = 1 << 20;

/// Entries per block, which an instance claims at once.
const BLOCK: usize = 512;

/// Blocks per list.
const BLOCKS: usize = ENTRIES / BLOCK;

/// The maximum access token lifetime under any settings: the upper limit of
/// `SIGNET_ACCESS_TOKEN_SECONDS`. Once a session ended longer ago, no verifier needs its entry.
pub const LONGEST_TOKEN_LIFE: Duration = Duration::from_hours(30 * 24);
