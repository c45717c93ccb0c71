//! Renders the login page.

use askama::Template;
use poem::Response;
use poem::http::StatusCode;

use crate::http::app::App;
use crate::http::pages::layout::Page;
use crate::http::pages::pending_request::PendingRequest;
use crate::http::pages::visitor::Visitor;
use crate::http::request_language;
use crate::http::texts::{self, Texts};

/// The pages that a login may redirect to. The first is the default.
pub(super) const NEXT_PAGES: [&str; 6] = [
    "account",
    "edit-profile",
    "change-password",
    "change-email",
    "download-data",
    "delete-account",
];

/// `/login`.
#[derive(Clone, Copy, Template)]
#[template(path = "login.html")]
pub(super) struct Form<'a> {
    pub(super) texts: &'static Texts,
    /// The value of `ui_locales` for the next page; may be empty.
    pub(super) ui_locales: &'static str,
    pub(super) app: &'a App,
    pub(super) visitor: &'a Visitor,
    pub(super) pending_request: Option<&'a PendingRequest>,
    /// The relative path from the page to the root of the pages; may be empty.
    pub(super) root: &'a str,
    /// The page to redirect to if no request is pending.
    pub(super) next_page: &'static str,
    /// The submitted address, or the client's `login_hint`.
    pub(super) username: &'a str,
    /// The error of the last attempt; empty before the first.
    pub(super) problem: &'a str,
}

impl<'a> Form<'a> {
    /// The form before the first attempt.
    pub(super) fn of(
        app: &'a App,
        visitor: &'a Visitor,
        pending_request: Option<&'a PendingRequest>,
    ) -> Self {
        let username = pending_request.and_then(|it| it.pending.request.login_hint.as_deref());
        let (username, next_page) = (username.unwrap_or_default(), NEXT_PAGES[0]);
        let (texts, ui_locales) = (texts::current(), request_language::ui_locales());
        Self {
            texts,
            ui_locales,
            app,
            visitor,
            pending_request,
            root: "",
            next_page,
            username,
            problem: "",
        }
    }

    /// Whether the error is that the credentials are wrong.
    fn has_wrong_credentials(&self) -> bool {
        self.problem == self.texts.login.refused
    }

    pub(super) fn answer(&self) -> Response {
        let is_first = self.problem.is_empty();
        let status = if is_first { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        let destinations =
            self.pending_request.map(PendingRequest::destinations).unwrap_or_default();
        Page::of_form(self.texts.common.log_in, !is_first)
            .towards(&destinations)
            .answer(status, self)
    }
}
