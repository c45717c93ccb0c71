//! An authentic token and the client that presented it.

use crate::config::RefreshReuse;
use crate::domain::refresh::codec::Presented;

/// An authentic token and the client that presented it.
#[derive(Clone)]
pub(super) struct RefreshAttempt {
    pub(super) token: Presented,
    pub(super) by: String,
    pub(super) is_server: bool,
    pub(super) reuse: RefreshReuse,
}
