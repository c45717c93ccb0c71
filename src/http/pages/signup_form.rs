//! Renders the sign-up page.

use askama::Template;
use poem::Response;
use poem::http::StatusCode;

use crate::http::app::App;
use crate::http::pages::layout::Page;
use crate::http::pages::password_hint::{self, Rule};
use crate::http::pages::pending_request::PendingRequest;
use crate::http::pages::signup_refused::Refused;
use crate::http::pages::visitor::Visitor;
use crate::http::request_language;
use crate::http::texts::{self, Texts};

/// The page without an invite: the form, or the reason why nobody can sign up without an invite.
pub(super) fn open(
    app: &App,
    visitor: &Visitor,
    pending_request: Option<&PendingRequest>,
    root: &str,
) -> Response {
    match app.sign_up_policy.check(None) {
        Ok(()) => Form { root, ..Form::of(app, visitor, pending_request) }.answer(StatusCode::OK),
        Err(refusal) => {
            let text = (texts::current().signup.refusal)(refusal);
            Refused { root, ..Refused::of(app, visitor, pending_request, text) }.answer()
        }
    }
}

/// The errors of a form, by field; empty if there are none.
#[derive(Default)]
pub(super) struct Problems {
    /// An error that belongs to no field.
    pub(super) form: String,
    pub(super) email: String,
    /// Whether the address belongs to an account.
    pub(super) is_taken: bool,
    pub(super) password: String,
}

impl Problems {
    /// The address belongs to an account.
    pub(super) fn taken() -> Self {
        let email = texts::current().signup.taken.to_owned();
        Self { email, is_taken: true, ..Self::default() }
    }

    /// The invite is not valid for the address.
    pub(super) fn invalid_invite() -> Self {
        Self { form: texts::current().signup.invalid_invite.to_owned(), ..Self::default() }
    }
}

/// `/signup`.
#[derive(Template)]
#[template(path = "signup.html")]
pub(super) struct Form<'a> {
    pub(super) texts: &'static Texts,
    /// The value of `ui_locales` for the next page; may be empty.
    pub(super) ui_locales: &'static str,
    pub(super) app: &'a App,
    pub(super) visitor: &'a Visitor,
    pub(super) pending_request: Option<&'a PendingRequest>,
    /// The relative path from the page to the root of the pages; may be empty.
    pub(super) root: &'a str,
    /// The submitted address, or the client's `login_hint`.
    pub(super) username: &'a str,
    /// The invite; empty if there is none.
    pub(super) invite: &'a str,
    pub(super) problems: Problems,
}

impl<'a> Form<'a> {
    /// The form before the first attempt.
    pub(super) fn of(
        app: &'a App,
        visitor: &'a Visitor,
        pending_request: Option<&'a PendingRequest>,
    ) -> Self {
        let username = pending_request.and_then(|it| it.pending.request.login_hint.as_deref());
        Self {
            texts: texts::current(),
            ui_locales: request_language::ui_locales(),
            app,
            visitor,
            pending_request,
            root: "",
            username: username.unwrap_or_default(),
            invite: "",
            problems: Problems::default(),
        }
    }

    /// The rules for the password.
    fn rules(&self) -> Vec<Rule> {
        password_hint::rules(self.app.password_policy)
    }

    pub(super) fn answer(&self, status: StatusCode) -> Response {
        let Problems { form, email, password, .. } = &self.problems;
        let has_problem = [form, email, password].iter().any(|problem| !problem.is_empty());
        let destinations =
            self.pending_request.map(PendingRequest::destinations).unwrap_or_default();
        Page::of_form(self.texts.common.sign_up, has_problem)
            .towards(&destinations)
            .answer(status, self)
    }
}
