//! The request of a client that waits while its person is at our pages.
//!
//! A page carries it in the field `flow`: sealed, in a form alone, or as the handle of a row, which
//! may be in an address, too.

use crate::domain::oauth::client::Client;
use crate::domain::oauth::pending_authorization::Pending;

/// A request that waits, and who asked.
#[derive(Clone)]
pub(in crate::http) struct PendingRequest {
    pub(in crate::http) pending: Pending,
    pub(in crate::http) client: Client,
    /// What pages carry: the sealed request or the handle of its row; empty if it has just come.
    pub(in crate::http) flow: String,
}

impl PendingRequest {
    /// Where the forms of a flow may end: at the client's redirect URI, and wherever the client
    /// leads from there, as far as it registered that.
    pub(super) fn destinations(&self) -> Vec<&str> {
        let client = &self.client;
        let registered = client.redirect_uris.0.iter().chain(&client.post_logout_redirect_uris.0);
        let on_the_web = registered.map(String::as_str).filter(|uri| uri.starts_with("https:"));
        [self.pending.request.to.redirect_uri.as_str()].into_iter().chain(on_the_web).collect()
    }
}
