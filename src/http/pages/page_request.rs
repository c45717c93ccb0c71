//! A request for a page.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem::http::{Method, StatusCode};
use poem::{Request, Response};

use crate::domain::oauth::client;
use crate::domain::oauth::client::entitlement::{self, Outdated};
use crate::domain::oauth::params::Params;
use crate::domain::oauth::pending_authorization::{self as rows, Pending};
use crate::domain::oauth::sealed;
use crate::http::app::App;
use crate::http::endpoint::app_of;
use crate::http::form::{self, Unreadable};
use crate::http::pages::pending_request::PendingRequest;
use crate::http::pages::visitor::Visitor;
use crate::http::pages::{authorization_response, message};
use crate::http::redirect::see_other;
use crate::timestamp::Timestamp;

/// A request for a page, with what all pages need.
pub(super) struct PageRequest {
    pub(super) app: Arc<App>,
    pub(super) request: Request,
    pub(super) visitor: Visitor,
    pub(super) params: Params,
    /// Whether it is no form, or one of ours with a CSRF token of this browser's current login.
    pub(super) is_current: bool,
}

impl PageRequest {
    /// Reads a request. A form must have a valid CSRF token.
    pub(super) async fn read(request: Request) -> Result<Self, Response> {
        let call = Self::read_any(request).await?;
        if call.is_current { Ok(call) } else { Err(message::stale(&call.visitor)) }
    }

    /// Reads a request. A form that is not current must change nothing: it may be cross-site, if
    /// the browser does not send `Sec-Fetch-Site`, or a double submit whose first has changed the
    /// cookie.
    pub(super) async fn read_any(mut request: Request) -> Result<Self, Response> {
        let internal = |_| message::error(StatusCode::INTERNAL_SERVER_ERROR);
        let app = app_of(&request).map_err(internal)?;
        let visitor = Visitor::of(&app, &request).await.map_err(message::failed)?;
        let params = form::params(&mut request).await;
        let params = params.map_err(|Unreadable(_)| message::error(StatusCode::BAD_REQUEST))?;
        let is_post = request.method() == Method::POST;
        let site = request.header("sec-fetch-site");
        if is_post && site.is_some_and(|site| site != "same-origin") {
            return Err(message::stale(&visitor));
        }
        let is_current = !is_post || visitor.has_valid_csrf_token(&request, &params);
        Ok(Self { app, request, visitor, params, is_current })
    }

    /// Whether one of our own forms has just done this: a cross-site link cannot claim it.
    pub(super) fn has_done(&self, what: &str) -> bool {
        let site = self.request.header("sec-fetch-site");
        self.params.get("done") == Some(what) && site.is_none_or(|site| site == "same-origin")
    }

    /// Whether the browser sends that the request is same-origin; some browsers send nothing.
    pub(super) fn is_same_origin(&self) -> bool {
        self.request.header("sec-fetch-site") == Some("same-origin")
    }

    pub(super) fn is_post(&self) -> bool {
        self.request.method() == Method::POST
    }

    /// Whether this form only opens the page, like a link: links carry no encrypted request.
    pub(super) fn only_opens(&self) -> bool {
        self.params.get("open").is_some()
    }

    /// The pending request, limited to what its client may still have; `None` if the page was
    /// opened without one.
    pub(super) async fn waiting(&self) -> Result<Option<PendingRequest>, Response> {
        let Some(flow) = self.params.get("flow") else { return Ok(None) };
        let (app, now, browser) = (&self.app, self.app.clock.now(), self.visitor.digest());
        let found = match sealed::is_sealed(flow) {
            true if self.is_post() => self.open_sealed(flow, now),
            // Pages put it into forms only: URLs end up in logs and histories.
            true => None,
            false => rows::find(&app.db, flow, browser, now)
                .await
                .map_err(message::failed)?
                .map(|pending| (pending, flow.to_owned(), false)),
        };
        let (pending, flow, is_restored) = found.ok_or_else(|| message::stale(&self.visitor))?;
        let found =
            client::find(&app.db, &pending.request.client_id).await.map_err(message::failed)?;
        let client = found.ok_or_else(|| message::stale(&self.visitor))?;
        match entitlement::renewed(&client, pending.request, &app.issuer_url) {
            Ok(request) => {
                let pending = Pending { request, ..pending };
                Ok(Some(PendingRequest { pending, client, flow, is_restored }))
            }
            Err(Outdated::Nowhere) => Err(message::bad_request(message::NOT_REGISTERED)),
            Err(Outdated::Refused(refusal)) => Err(authorization_response::refusal(app, &refusal)),
        }
    }

    /// Decrypts a request that was encrypted for the current cookie of this browser, or for an
    /// earlier one, and then encrypts it for the current one: the page may predate a login, which
    /// stores the previous cookie, or a logout, and then the form has the digest of its cookie.
    /// That digest proves nothing, so such a request is shown to the user again, like one from a
    /// link to the authorization endpoint, and is not granted.
    fn open_sealed(&self, flow: &str, now: Timestamp) -> Option<(Pending, String, bool)> {
        let sealer = &self.app.request_sealer;
        let digest = self.visitor.digest();
        if let Some(pending) = sealed::open(sealer, flow, &digest, now) {
            return Some((pending, flow.to_owned(), false));
        }
        let said = self.params.get("sealed_for").filter(|_| !self.is_current);
        let said = said.and_then(|it| URL_SAFE_NO_PAD.decode(it).ok());
        let before = self.visitor.previous_digest();
        let before = before.and_then(|before| sealed::open(sealer, flow, before, now));
        let is_restored = before.is_none();
        let pending = before.or_else(|| sealed::open(sealer, flow, &said?, now))?;
        let flow = sealed::seal(sealer, &pending, &digest).ok()?;
        Some((pending, flow, is_restored))
    }

    /// Redirects to a page of ours, with the pending request.
    pub(super) fn redirect_to_page(&self, page: &str) -> Response {
        // Anything that is not a handle is not echoed.
        let is_handle =
            |flow: &&str| flow.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        match self.params.get("flow").filter(is_handle) {
            Some(flow) => see_other(&format!("{page}?flow={flow}")),
            None => see_other(page),
        }
    }
}
