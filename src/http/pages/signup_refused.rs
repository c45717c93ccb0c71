//! The page that refuses a sign-up.

use askama::Template;
use poem::Response;
use poem::http::StatusCode;

use crate::domain::sign_up_policy::SignUpRefusal;
use crate::http::app::App;
use crate::http::pages::layout::Page;
use crate::http::pages::pending_request::PendingRequest;
use crate::http::pages::visitor::Visitor;

/// Says why the sign-up is refused, and links to the login, which continues the pending request.
#[derive(Template)]
#[template(path = "signup_refused.html")]
pub(super) struct Refused<'a> {
    pub(super) app: &'a App,
    pub(super) visitor: &'a Visitor,
    pub(super) pending_request: Option<&'a PendingRequest>,
    /// The relative path from the page to the root of the pages; may be empty.
    pub(super) root: &'a str,
    /// The reason.
    pub(super) text: &'static str,
}

impl Refused<'_> {
    pub(super) fn answer(&self) -> Response {
        let destinations =
            self.pending_request.map(PendingRequest::destinations).unwrap_or_default();
        Page::titled("Sign up").towards(&destinations).answer(StatusCode::FORBIDDEN, self)
    }
}

/// The reason for an invite that cannot be used, for users.
pub(super) const INVALID_INVITE: &str = "This invitation is not valid. It may have been used or revoked, may have \
     expired, or may be for another email address.";

/// The reason of a refusal, for users.
pub(super) fn text_of(refusal: SignUpRefusal) -> &'static str {
    match refusal {
        SignUpRefusal::Closed => "Nobody can sign up here at present.",
        SignUpRefusal::InviteRequired => {
            "You can sign up here only with an invitation. If you have one, open its link."
        }
        SignUpRefusal::DomainNotAllowed => {
            "You cannot sign up with an email address of this domain."
        }
    }
}
