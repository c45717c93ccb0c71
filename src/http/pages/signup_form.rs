//! The sign-up page, as it is shown.

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

/// What is wrong with what was typed, next to its field.
#[derive(Default)]
pub(super) struct Problems {
    /// With neither.
    pub(super) form: String,
    pub(super) email: String,
    pub(super) is_taken: bool,
    pub(super) password: String,
}

/// What the page shows.
pub(super) struct Form<'a> {
    pub(super) app: &'a App,
    pub(super) visitor: &'a Visitor,
    pub(super) waiting: Option<&'a PendingRequest>,
    /// What leads from the page to where the others are.
    pub(super) up: &'a str,
    /// What was typed, or who is expected.
    pub(super) username: &'a str,
    pub(super) problems: Problems,
}

impl<'a> Form<'a> {
    /// Before the first attempt.
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
