//! Renders the sign-up page.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem::Response;
use poem::http::StatusCode;

use crate::http::app::App;
use crate::http::pages::layout::render_towards;
use crate::http::pages::password_hint;
use crate::http::pages::pending_request::PendingRequest;
use crate::http::pages::templates::SignupPage;
use crate::http::pages::visitor::Visitor;

/// The errors of a form, by field.
#[derive(Default)]
pub(super) struct Problems {
    /// An error that belongs to no field.
    pub(super) form: String,
    pub(super) email: String,
    pub(super) is_taken: bool,
    pub(super) password: String,
}

/// The state of the form.
pub(super) struct Form<'a> {
    pub(super) app: &'a App,
    pub(super) visitor: &'a Visitor,
    pub(super) waiting: Option<&'a PendingRequest>,
    /// The relative path from the page to the root of the pages.
    pub(super) up: &'a str,
    /// The submitted address, or the client's `login_hint`.
    pub(super) username: &'a str,
    pub(super) problems: Problems,
}

impl<'a> Form<'a> {
    /// The form before the first attempt.
    pub(super) fn of(
        app: &'a App,
        visitor: &'a Visitor,
        waiting: Option<&'a PendingRequest>,
    ) -> Self {
        let username = waiting.and_then(|it| it.pending.request.login_hint.as_deref());
        let (username, problems) = (username.unwrap_or_default(), Problems::default());
        Self { app, visitor, waiting, up: "", username, problems }
    }

    pub(super) fn render(&self, status: StatusCode) -> Response {
        let page = SignupPage {
            csrf: &self.visitor.csrf(),
            up: self.up,
            flow: self.waiting.map_or("", |it| &it.flow),
            sealed_for: &URL_SAFE_NO_PAD.encode(self.visitor.digest()),
            client_name: self.waiting.map_or("", |it| &it.client.name),
            username: self.username,
            problem: &self.problems.form,
            email_problem: &self.problems.email,
            is_taken: self.problems.is_taken,
            password_problem: &self.problems.password,
            rules: password_hint::rules(self.app.password_policy),
        };
        let destinations = self.waiting.map(PendingRequest::destinations).unwrap_or_default();
        render_towards(status, &page, &destinations)
    }
}
