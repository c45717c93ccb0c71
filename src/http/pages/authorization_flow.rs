//! Continues an authorization request until the client gets a response, or the user gets the next
//! page.

use std::sync::Arc;

use poem::{Request, Response};

use crate::domain::oauth::authorize;
use crate::domain::oauth::flow::{self, Decision, FlowInput, Step};
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
    pending_request: &PendingRequest,
    visitor: &Visitor,
    decision: Option<Decision>,
) -> Result<Step, Response> {
    let PendingRequest { pending, client, .. } = pending_request;
    let (issuer, browser) = (app.issuer_url.as_str(), visitor.browser.as_ref());
    let origin = &origin::of(request);
    let state = FlowInput { client, issuer, pending, browser, decision, origin };
    flow::advance(&app.db, state, app.clock.now()).await.map_err(message::failed)
}

/// Advances the pending request of a page. The result is a response to the client or the next page.
pub(super) async fn continue_flow(
    call: &PageRequest,
    pending_request: PendingRequest,
    visitor: &Visitor,
    decision: Option<Decision>,
) -> Response {
    let step = match advance(&call.app, &call.request, &pending_request, visitor, decision).await {
        Ok(step) => step,
        Err(page) => return page,
    };
    let PendingRequest { pending, .. } = &pending_request;
    if let Some(answer) = authorization_response::outcome(&call.app, &pending.request.to, &step) {
        return answer;
    }
    match pending.stored_in {
        StoredIn::Row(_) if step == Step::Consent => call.redirect_to_page("consent"),
        StoredIn::Row(_) => call.redirect_to_page("login"),
        StoredIn::SealedForm | StoredIn::Nothing => {
            Box::pin(show_next_page(&call.app, pending_request, visitor, &step, "")).await
        }
    }
}

/// Shows the page that the pending request needs next: login, sign-up or consent. `root` is the
/// relative path to the root of the pages.
pub(in crate::http) async fn show_next_page(
    app: &Arc<App>,
    mut pending_request: PendingRequest,
    visitor: &Visitor,
    step: &Step,
    root: &str,
) -> Response {
    if let (Step::Consent, Some(browser)) = (step, &visitor.browser) {
        let account_id = browser.account.id;
        return match pending::store(
            &app.db,
            &pending_request.pending,
            account_id,
            visitor.cookie_digest(),
        )
        .await
        {
            Ok(Some(handle)) => see_other(&format!("{root}consent?flow={handle}")),
            Ok(None) => message::bad_request(message::UNKNOWN_CLIENT),
            Err(error) => message::failed(error),
        };
    }
    // The request is encrypted again at each login, because a login changes the cookie.
    match sealed::seal(&app.request_sealer, &pending_request.pending, &visitor.cookie_digest()) {
        Ok(flow) => pending_request.flow = flow,
        Err(error) => return message::failed(error),
    }
    pending_request.pending.stored_in = StoredIn::SealedForm;
    if pending_request.pending.request.prompts(authorize::CREATE) {
        let page = signup_form::open(app, visitor, Some(&pending_request), root);
        return visitor.set_cookie(app, page);
    }
    let page =
        login_form::Form { root, ..login_form::Form::of(app, visitor, Some(&pending_request)) };
    visitor.set_cookie(app, page.answer())
}
