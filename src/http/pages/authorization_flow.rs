//! Continues an authorization request at the pages: with a response to the client, or the next
//! page.

use std::sync::Arc;

use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::oauth::flow::{self, Decision, State, Step};
use crate::domain::oauth::pending_authorization::{self as pending, StoredIn};
use crate::domain::oauth::sealed;
use crate::http::app::App;
use crate::http::origin;
use crate::http::pages::page_request::PageRequest;
use crate::http::pages::pending_request::PendingRequest;
use crate::http::pages::visitor::Visitor;
use crate::http::pages::{authorization_response, login_form, message, signup_form};
use crate::http::redirect::see_other;

/// Advances a pending request as far as possible, for the login of `visitor`.
pub(in crate::http) async fn advance(
    app: &App,
    request: &Request,
    waiting: &PendingRequest,
    visitor: &Visitor,
    decision: Option<Decision>,
) -> Result<Step, Response> {
    let PendingRequest { pending, client, .. } = waiting;
    let (issuer, browser) = (app.issuer_url.as_str(), visitor.browser.as_ref());
    let origin = &origin::of(request);
    let state = State { client, issuer, pending, browser, decision, origin };
    flow::advance(&app.db, state, app.clock.now()).await.map_err(message::failed)
}

/// Advances the pending request of a page, up to a response to the client or the next page.
pub(super) async fn continue_flow(
    call: &PageRequest,
    waiting: PendingRequest,
    visitor: &Visitor,
    decision: Option<Decision>,
) -> Response {
    let step = match advance(&call.app, &call.request, &waiting, visitor, decision).await {
        Ok(step) => step,
        Err(page) => return page,
    };
    let PendingRequest { pending, .. } = &waiting;
    if let Some(answer) = authorization_response::outcome(&call.app, &pending.request.to, &step) {
        return answer;
    }
    match pending.stored_in {
        StoredIn::Row(_) if step == Step::Consent => call.redirect_to_page("consent"),
        StoredIn::Row(_) => call.redirect_to_page("login"),
        StoredIn::SealedForm | StoredIn::Nothing => {
            Box::pin(ask(&call.app, waiting, visitor, &step, "")).await
        }
    }
}

/// Shows the page that a request needs next, login or consent: the response to a new request or to
/// a login. `up` is the relative path to the root of the pages.
pub(in crate::http) async fn ask(
    app: &Arc<App>,
    mut waiting: PendingRequest,
    visitor: &Visitor,
    step: &Step,
    up: &str,
) -> Response {
    if let (Step::Consent, Some(browser)) = (step, &visitor.browser) {
        let account_id = browser.account.id;
        return match pending::store(&app.db, &waiting.pending, account_id, visitor.digest()).await {
            Ok(Some(handle)) => see_other(&format!("{up}consent?flow={handle}")),
            Ok(None) => message::bad_request(message::UNKNOWN_CLIENT),
            Err(error) => message::failed(error),
        };
    }
    // Encrypted again at each login, which changes the cookie.
    match sealed::seal(&app.request_sealer, &waiting.pending, &visitor.digest()) {
        Ok(flow) => waiting.flow = flow,
        Err(error) => return message::failed(error),
    }
    waiting.pending.stored_in = StoredIn::SealedForm;
    if waiting.pending.request.prompts("create") {
        let page = signup_form::Form { up, ..signup_form::Form::of(app, visitor, Some(&waiting)) };
        return visitor.remember(app, page.answer(StatusCode::OK));
    }
    let page = login_form::Form { up, ..login_form::Form::of(visitor, Some(&waiting)) };
    visitor.remember(app, page.answer())
}
