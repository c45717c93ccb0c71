//! The pending authorization request of a client while its user is at the hosted pages.
//!
//! A page carries it in the field `flow`: encrypted, in forms only, or as the handle of a row,
//! which may be in a URL, too.

use crate::domain::oauth::client::Client;
use crate::domain::oauth::pending_authorization::Pending;

/// A pending request and its client.
#[derive(Clone)]
pub(in crate::http) struct PendingRequest {
    pub(in crate::http) pending: Pending,
    pub(in crate::http) client: Client,
    /// What pages carry: the encrypted request or the handle of its row; empty for a new request.
    pub(in crate::http) flow: String,
    /// Whether it was encrypted for a cookie that this browser does not have, and is not known to
    /// have had: by `sealed_for` of its form alone.
    pub(in crate::http) is_restored: bool,
}

impl PendingRequest {
    /// Where the forms of a flow may lead: to the client's redirect URI, and to the registered URIs
    /// that the client may redirect to from there.
    pub(super) fn destinations(&self) -> Vec<&str> {
        let client = &self.client;
        let registered = client.redirect_uris.0.iter().chain(&client.post_logout_redirect_uris.0);
        let on_the_web = registered.map(String::as_str).filter(|uri| uri.starts_with("https:"));
        [self.pending.request.to.redirect_uri.as_str()].into_iter().chain(on_the_web).collect()
    }
}
