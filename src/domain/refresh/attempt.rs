//! The input of a refresh.

use crate::config::RefreshReuse;
use crate::domain::refresh::codec::Presented;

/// An authentic token and the client that presented it.
#[derive(Clone)]
pub(super) struct RefreshAttempt {
    pub(super) token: Presented,
    /// The ID of the client that presented the token.
    pub(super) client_id: String,
    /// Whether the request comes from a server, not from the user's device.
    pub(super) is_server: bool,
    /// What the reuse of a token causes.
    pub(super) reuse: RefreshReuse,
}
