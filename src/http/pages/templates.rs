//! The pages' templates and their data. The engine escapes all values.

use askama::Template;
use poem::Response;
use poem::http::StatusCode;

use crate::http::pages::consent_text::Permission;
use crate::http::pages::layout::Page;
use crate::http::pages::password_hint::Rule;
use crate::http::request_context::RequestContext;

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

/// The confirmation form for a logout.
#[derive(Template)]
#[template(path = "logout.html")]
pub(super) struct LogoutPage<'a> {
    pub(super) csrf: &'a str,
    /// The relative path from the page to the root of the pages; may be empty.
    pub(super) up: &'a str,
    pub(super) email: &'a str,
    /// The parameters of the client's logout request that the form passes on.
    pub(super) fields: Vec<(&'a str, &'a str)>,
}

/// An error or a notice.
#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct MessagePage<'a> {
    pub(super) heading: &'a str,
    pub(super) text: &'a str,
    /// For the application's developer; may be empty.
    pub(super) details: &'a str,
    /// A link to continue: its address and text.
    pub(super) link: Option<(&'a str, &'a str)>,
    /// The request id in the log and the audit log after an error; may be empty.
    pub(super) request_id: String,
}

impl<'a> MessagePage<'a> {
    /// A notice.
    pub(super) fn new(heading: &'a str, text: &'a str, link: Option<(&'a str, &'a str)>) -> Self {
        Self { heading, text, details: "", link, request_id: String::new() }
    }

    /// An error of the current request.
    pub(super) fn of_error(heading: &'a str, text: &'a str) -> Self {
        let id = RequestContext::current().map(|context| context.id.to_string());
        Self { request_id: id.unwrap_or_default(), ..Self::new(heading, text, None) }
    }

    pub(super) fn answer(&self, status: StatusCode) -> Response {
        Page::titled(self.heading).answer(status, self)
    }
}

/// `/change-password`.
#[derive(Template)]
#[template(path = "password.html")]
pub(super) struct PasswordPage<'a> {
    pub(super) csrf: &'a str,
    pub(super) account: &'a str,
    /// The address of the account, for password managers.
    pub(super) username: &'a str,
    pub(super) current_problem: &'a str,
    pub(super) new_problem: &'a str,
    /// The rules for the new password.
    pub(super) rules: Vec<Rule>,
}

/// `/delete-account`.
#[derive(Template)]
#[template(path = "deletion.html")]
pub(super) struct DeletionPage<'a> {
    pub(super) csrf: &'a str,
    pub(super) account: &'a str,
    pub(super) email: &'a str,
    pub(super) problem: &'a str,
}

/// `/account`.
#[derive(Template)]
#[template(path = "account.html")]
pub(super) struct AccountPage<'a> {
    pub(super) csrf: &'a str,
    /// The confirmation of the last action; empty if there was none.
    pub(super) done: &'a str,
    pub(super) email: &'a str,
    /// The session of this browser, and some of the others.
    pub(super) first_sessions: Vec<SessionLine>,
    pub(super) more_sessions: Vec<SessionLine>,
    pub(super) consents: Vec<ConsentLine>,
}

/// A session, as its owner sees it.
pub(super) struct SessionLine {
    pub(super) id: String,
    /// The client; for a login on these pages, the browser.
    pub(super) heading: String,
    /// Machine-readable (RFC 3339).
    pub(super) since: String,
    /// For display.
    pub(super) since_in_words: String,
    pub(super) address: String,
    /// A browser, or another program; empty if the heading names it.
    pub(super) device: String,
    pub(super) is_this: bool,
}

/// A consent, as its owner sees it.
pub(super) struct ConsentLine {
    pub(super) client_id: String,
    pub(super) client_name: String,
    /// The client's host, since it can choose any name.
    pub(super) home: String,
    /// When consent was last given, machine-readable.
    pub(super) at: String,
    /// The same, for display.
    pub(super) at_in_words: String,
    pub(super) permissions: Vec<Permission>,
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
