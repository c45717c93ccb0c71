//! The authorization response to the client, in the query or in a form (RFC 6749 §4.1.2, OAuth 2.0
//! Form Post Response Mode), always with `iss` (RFC 9207).

use askama::Template;
use poem::Response;
use poem::http::StatusCode;

use crate::domain::oauth::authorization_request::{Reason, Refusal, ReturnAddress};
use crate::domain::oauth::flow::Step;
use crate::http::app::App;
use crate::http::pages::layout::{self, Page};
use crate::http::redirect::{see_other, with_query};
use crate::http::texts::{self, FormPost};

/// An authorization response in `form_post` mode.
#[derive(Template)]
#[template(path = "form_post.html")]
struct FormPostPage<'a> {
    texts: &'static FormPost,
    action: &'a str,
    /// The host of `action`, for display.
    returns_to: &'a str,
    fields: &'a [(&'static str, String)],
}

/// The error response to a refused request.
pub(in crate::http) fn refusal(app: &App, Refusal { to, reason }: &Refusal) -> Response {
    error(app, to, *reason)
}

fn error(app: &App, to: &ReturnAddress, (code, description): Reason) -> Response {
    let code = code.name().to_owned();
    send(app, to, vec![("error", code), ("error_description", description.to_owned())])
}

/// The response that ends a flow; `None` if the flow continues.
pub(in crate::http) fn outcome(app: &App, to: &ReturnAddress, step: &Step) -> Option<Response> {
    match step {
        Step::Code(code) => Some(send(app, to, vec![("code", code.clone())])),
        Step::Refuse(reason) => Some(error(app, to, *reason)),
        Step::LogIn | Step::Consent => None,
    }
}

fn send(app: &App, to: &ReturnAddress, mut parameters: Vec<(&'static str, String)>) -> Response {
    if let Some(state) = &to.state {
        parameters.push(("state", state.clone()));
    }
    parameters.push(("iss", app.issuer_url.clone()));
    if to.by_form_post {
        return form_post(&to.redirect_uri, &parameters);
    }
    see_other(&with_query(&to.redirect_uri, &parameters))
}

/// An authorization response in `form_post` mode.
fn form_post(action: &str, fields: &[(&'static str, String)]) -> Response {
    let texts = &texts::current().form_post;
    let page =
        FormPostPage { texts, action, returns_to: &layout::host_for_display(action), fields };
    let frame = Page { submits_itself: true, ..Page::titled(texts.title) };
    frame.towards(&[action]).answer(StatusCode::OK, &page)
}
