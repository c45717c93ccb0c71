//! The authorization response to the client, in the query or in a form (RFC 6749 §4.1.2, OAuth 2.0
//! Form Post Response Mode), always with `iss` (RFC 9207).

use poem::Response;
use poem::http::StatusCode;

use crate::domain::oauth::authorization_request::{ErrorCode, Refusal, ReturnAddress};
use crate::domain::oauth::flow::Step;
use crate::http::app::App;
use crate::http::pages::layout;
use crate::http::pages::templates::FormPostPage;
use crate::http::redirect::{see_other, with_query};

/// Sends an error.
pub(in crate::http) fn refusal(app: &App, refusal: &Refusal) -> Response {
    let mut parameters = vec![("error", refusal.code.name().to_owned())];
    if !refusal.description.is_empty() {
        parameters.push(("error_description", refusal.description.to_owned()));
    }
    send(app, &refusal.to, parameters)
}

/// The response that ends a flow; `None` if the flow continues.
pub(in crate::http) fn outcome(app: &App, to: &ReturnAddress, step: &Step) -> Option<Response> {
    match step {
        Step::Code(code) => Some(send(app, to, vec![("code", code.clone())])),
        Step::Refuse(reason) => {
            let description = described(*reason);
            Some(refusal(app, &Refusal { to: to.clone(), code: *reason, description }))
        }
        Step::LogIn | Step::Consent => None,
    }
}

const fn described(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::AccessDenied => "the user denied the request",
        ErrorCode::LoginRequired => "the requested user is not logged in",
        ErrorCode::ConsentRequired => "the user has not given consent",
        _ => "the consent was withdrawn, or the client was deleted",
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
    let page = FormPostPage { action, returns_to: &layout::in_words(action), fields };
    layout::render_towards(StatusCode::OK, &page, &[action])
}
