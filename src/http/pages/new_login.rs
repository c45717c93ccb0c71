//! The cookie of a new login, and the login that follows the confirmation of a sign-up.

use poem::Response;
use uuid::Uuid;

use crate::domain::oauth::hosted_login::{self, LoginContext};
use crate::domain::oauth::pending_authorization::FlowError;
use crate::domain::secret::Secret;
use crate::domain::session::BrowserCookie;
use crate::http::origin;
use crate::http::pages::authorization_flow::continue_flow;
use crate::http::pages::message::{self, unavailable};
use crate::http::pages::page_request::PageRequest;
use crate::http::pages::pending_request::PendingRequest;
use crate::http::pages::visitor::Visitor;
use crate::http::redirect::see_other;
use crate::http::request_context::RequestContext;
use crate::http::request_language;

/// The new cookie of a new login. A login never keeps the browser's cookie, which prevents session
/// fixation.
pub(super) struct NewCookie {
    value: String,
    pub(super) context: LoginContext,
}

impl NewCookie {
    pub(super) fn of(
        call: &PageRequest,
        pending_request: Option<&PendingRequest>,
    ) -> Result<Self, FlowError> {
        let secret = Secret::generate("")?;
        let received_at = RequestContext::current().map(|request| request.at);
        let cookie = BrowserCookie {
            digest: secret.digest,
            previous_digest: call.visitor.cookie_digest(),
            received_at: received_at.unwrap_or_else(|| call.app.clock.now()),
        };
        let client_id = pending_request.map(|it| it.client.id.clone());
        Ok(Self { value: secret.text, context: LoginContext { cookie, client_id } })
    }

    /// Sets the cookie of the new login, and continues the pending request or redirects to `page`.
    pub(super) async fn set_and_continue(
        self,
        call: &PageRequest,
        pending_request: Option<PendingRequest>,
        page: &str,
    ) -> Result<Response, Response> {
        let next = match pending_request {
            None => see_other(page),
            Some(pending_request) => {
                let visitor = Visitor::of_cookie(&call.app, &self.value, &call.request).await;
                let visitor = visitor.map_err(message::failed)?;
                Box::pin(continue_flow(call, pending_request, &visitor, None)).await
            }
        };
        Ok(call.app.cookie.set(next, &self.value))
    }
}

/// Logs the user in whose account was just created, and continues the pending request or redirects
/// to the account page.
pub(super) async fn log_in_confirmed(
    call: &PageRequest,
    pending_request: Option<PendingRequest>,
    account_id: Uuid,
) -> Result<Response, Response> {
    let (app, now, origin) = (&call.app, call.app.clock.now(), origin::of(&call.request));
    let cookie = NewCookie::of(call, pending_request.as_ref()).map_err(message::failed)?;
    let (entries, login) = (&app.status_entries, (account_id, cookie.context.clone()));
    let login = hosted_login::log_in_confirmed(&app.db, entries, login, &origin, &app.tokens, now);
    match login.await.map_err(|error| unavailable(&error))? {
        Some(_) => cookie.set_and_continue(call, pending_request, "account").await,
        None => Ok(see_other(&request_language::keep_in("login"))),
    }
}
