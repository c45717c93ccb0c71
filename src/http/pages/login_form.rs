//! Renders the login page.

use askama::Template;
use poem::Response;
use poem::http::StatusCode;

use crate::http::pages::layout::Page;
use crate::http::pages::pending_request::PendingRequest;
use crate::http::pages::visitor::Visitor;

/// The same for an unknown address, a wrong password and a disabled account.
pub(super) const REFUSED: &str = "The email address or the password is not right.";

/// Pages that a login may redirect to, if requested.
pub(super) const WANTED: [&str; 3] = ["account", "change-password", "delete-account"];

/// `/login`.
#[derive(Clone, Copy, Template)]
#[template(path = "login.html")]
pub(super) struct Form<'a> {
    pub(super) visitor: &'a Visitor,
    pub(super) waiting: Option<&'a PendingRequest>,
    /// The relative path from the page to the root of the pages; may be empty.
    pub(super) up: &'a str,
    /// The page to redirect to if no request is pending.
    pub(super) then: &'static str,
    /// The submitted address, or the client's `login_hint`.
    pub(super) username: &'a str,
    /// The error of the last attempt; empty before the first.
    pub(super) problem: &'a str,
}

impl<'a> Form<'a> {
    /// The form before the first attempt.
    pub(super) fn of(visitor: &'a Visitor, waiting: Option<&'a PendingRequest>) -> Self {
        let username = waiting.and_then(|it| it.pending.request.login_hint.as_deref());
        let (username, then) = (username.unwrap_or_default(), WANTED[0]);
        Self { visitor, waiting, up: "", then, username, problem: "" }
    }

    /// Whether the error is wrong credentials.
    fn is_wrong(&self) -> bool {
        self.problem == REFUSED
    }

    pub(super) fn answer(&self) -> Response {
        let is_first = self.problem.is_empty();
        let status = if is_first { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        let destinations = self.waiting.map(PendingRequest::destinations).unwrap_or_default();
        Page::of_form("Log in", !is_first).towards(&destinations).answer(status, self)
    }
}
