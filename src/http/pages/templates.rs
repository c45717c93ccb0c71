//! The pages' templates and their data. The engine escapes all values.

use askama::Template;

use crate::http::pages::consent_text::Permission;

/// `/consent`.
#[derive(Template)]
#[template(path = "consent.html")]
pub(super) struct ConsentPage<'a> {
    pub(super) csrf: &'a str,
    pub(super) flow: &'a str,
    pub(super) client_name: &'a str,
    pub(super) email: &'a str,
    /// The destination of the response, for display.
    pub(super) returns_to: &'a str,
    /// The requested access, in words.
    pub(super) asked: Permission,
    /// The names of the individual claims among it, space-separated.
    pub(super) claims: &'a str,
}

/// An authorization response in `form_post` mode.
#[derive(Template)]
#[template(path = "form_post.html")]
pub(super) struct FormPostPage<'a> {
    pub(super) action: &'a str,
    /// The same, for display.
    pub(super) returns_to: &'a str,
    pub(super) fields: &'a [(&'static str, String)],
}
