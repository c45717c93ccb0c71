//! The page that refuses a sign-up.

use askama::Template;
use poem::Response;
use poem::http::StatusCode;

use crate::http::app::App;
use crate::http::pages::layout::Page;
use crate::http::pages::pending_request::PendingRequest;
use crate::http::pages::visitor::Visitor;
use crate::http::request_language;
use crate::http::texts::{self, Texts};

/// Says why the sign-up is refused, and links to the login, which continues the pending request.
#[derive(Template)]
#[template(path = "signup_refused.html")]
pub(super) struct Refused<'a> {
    pub(super) texts: &'static Texts,
    /// The value of `ui_locales` for the next page; may be empty.
    pub(super) ui_locales: &'static str,
    pub(super) app: &'a App,
    pub(super) visitor: &'a Visitor,
    pub(super) pending_request: Option<&'a PendingRequest>,
    /// The relative path from the page to the root of the pages; may be empty.
    pub(super) root: &'a str,
    /// The reason.
    pub(super) text: &'static str,
}

impl<'a> Refused<'a> {
    /// The page with this reason.
    pub(super) fn of(
        app: &'a App,
        visitor: &'a Visitor,
        pending_request: Option<&'a PendingRequest>,
        text: &'static str,
    ) -> Self {
        let (texts, ui_locales) = (texts::current(), request_language::ui_locales());
        Self { texts, ui_locales, app, visitor, pending_request, root: "", text }
    }

    pub(super) fn answer(&self) -> Response {
        let destinations =
            self.pending_request.map(PendingRequest::destinations).unwrap_or_default();
        Page::titled(self.texts.common.sign_up)
            .towards(&destinations)
            .answer(StatusCode::FORBIDDEN, self)
    }
}
