//! The pending authorization request of a client while its user is at the hosted pages.
//!
//! A page contains the request in the field `flow`: either encrypted, which is allowed in forms
//! only, or as the handle of a row, which is also allowed in URLs.

use std::sync::Arc;

use crate::domain::oauth::client::Client;
use crate::domain::oauth::pending_authorization::Pending;

/// A pending request and its client.
#[derive(Clone)]
pub(in crate::http) struct PendingRequest {
    pub(in crate::http) pending: Pending,
    pub(in crate::http) client: Arc<Client>,
    /// The value of the field `flow`: the encrypted request or the handle of its row. Empty for a
    /// new request.
    pub(in crate::http) flow: String,
    /// Whether the request was encrypted for a cookie that this browser does not have, and that
    /// only the field `sealed_for` of the form names as an earlier cookie of this browser.
    pub(in crate::http) is_restored: bool,
}

impl PendingRequest {
    /// The URIs to which the forms of a flow may lead: the redirect URI of the request, and the
    /// registered URIs to which the client may then redirect.
    pub(super) fn destinations(&self) -> Vec<&str> {
        let client = &self.client;
        let registered = client.redirect_uris.0.iter().chain(&client.post_logout_redirect_uris.0);
        let https_uris = registered.map(String::as_str).filter(|uri| uri.starts_with("https:"));
        [self.pending.request.to.redirect_uri.as_str()].into_iter().chain(https_uris).collect()
    }
}
