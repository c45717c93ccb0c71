//! Renders the login page.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem::Response;
use poem::http::StatusCode;

use crate::http::pages::layout::render_towards;
use crate::http::pages::pending_request::PendingRequest;
use crate::http::pages::templates::LoginPage;
use crate::http::pages::visitor::Visitor;

/// The same for an unknown address, a wrong password and a disabled account.
pub(super) const REFUSED: &str = "The email address or the password is not right.";

/// Pages that a login may redirect to, if requested.
pub(super) const WANTED: [&str; 3] = ["account", "change-password", "delete-account"];

/// The state of the form.
#[derive(Clone, Copy)]
pub(super) struct Form<'a> {
    pub(super) visitor: &'a Visitor,
    pub(super) waiting: Option<&'a PendingRequest>,
    /// The relative path from the page to the root of the pages.
    pub(super) up: &'a str,
    /// The page to redirect to if no request is pending.
    pub(super) then: &'static str,
    /// The submitted address, or the client's `login_hint`.
    pub(super) username: &'a str,
    /// The error of the last attempt.
    pub(super) problem: Option<&'a str>,
}

impl<'a> Form<'a> {
    /// The form before the first attempt.
    pub(super) fn of(visitor: &'a Visitor, waiting: Option<&'a PendingRequest>) -> Self {
        let username = waiting.and_then(|it| it.pending.request.login_hint.as_deref());
        let (username, then) = (username.unwrap_or_default(), WANTED[0]);
        Self { visitor, waiting, up: "", then, username, problem: None }
    }

    pub(super) fn render(&self) -> Response {
        let page = LoginPage {
            csrf: &self.visitor.csrf(),
            up: self.up,
            flow: self.waiting.map_or("", |it| &it.flow),
            sealed_for: &URL_SAFE_NO_PAD.encode(self.visitor.digest()),
            then: self.then,
            client_name: self.waiting.map_or("", |it| &it.client.name),
            username: self.username,
            problem: self.problem.unwrap_or_default(),
            is_wrong: self.problem == Some(REFUSED),
        };
        let status = if self.problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        let destinations = self.waiting.map(PendingRequest::destinations).unwrap_or_default();
        render_towards(status, &page, &destinations)
    }
}
