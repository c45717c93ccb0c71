//! A request for a page.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem::http::{Method, StatusCode};
use poem::{Request, Response};

use crate::domain::oauth::client::entitlement::{self, Outdated};
use crate::domain::oauth::params::Params;
use crate::domain::oauth::pending_authorization::{self as rows, Pending};
use crate::domain::oauth::sealed;
use crate::domain::repeated_form::{self, FormDigest};
use crate::http::app::App;
use crate::http::endpoint::app_of;
use crate::http::form::{self, Unreadable};
use crate::http::pages::pending_request::PendingRequest;
use crate::http::pages::visitor::Visitor;
use crate::http::pages::{authorization_response, message};
use crate::http::redirect::see_other;
use crate::http::request_language;
use crate::timestamp::Timestamp;

/// A request for a page, with the values that all pages need.
pub(super) struct PageRequest {
    pub(super) app: Arc<App>,
    pub(super) request: Request,
    pub(super) visitor: Visitor,
    pub(super) params: Params,
    /// False for a form without a CSRF token for this browser's current cookie: such a form must
    /// change nothing. True for all other requests.
    pub(super) is_current: bool,
}

impl PageRequest {
    /// Reads a request. A form must have a valid CSRF token.
    pub(super) async fn read(request: Request) -> Result<Self, Response> {
        let call = Self::read_any(request).await?;
        if call.is_current { Ok(call) } else { Err(message::stale(&call.visitor)) }
    }

    /// Reads a request, even a form without a valid CSRF token, which must change nothing
    /// ([`is_current`](Self::is_current) is false). The first of two submissions may have changed
    /// the cookie. Or the form is cross-site, and the browser does not send `Sec-Fetch-Site`.
    pub(super) async fn read_any(mut request: Request) -> Result<Self, Response> {
        let internal = |_| message::error(StatusCode::INTERNAL_SERVER_ERROR);
        let app = app_of(&request).map_err(internal)?;
        let visitor = Visitor::of(&app, &request).await.map_err(message::failed)?;
        let params = form::params(&mut request).await;
        let params = params.map_err(|Unreadable(_)| message::error(StatusCode::BAD_REQUEST))?;
        request_language::choose_by_parameter(params.get("ui_locales"));
        let is_post = request.method() == Method::POST;
        let site = request.header("sec-fetch-site");
        if is_post && site.is_some_and(|site| site != "same-origin") {
            return Err(message::stale(&visitor));
        }
        let is_current = !is_post || visitor.has_valid_csrf_token(&request, &params);
        Ok(Self { app, request, visitor, params, is_current })
    }

    /// Whether the URL says that a form has just completed this action. A cross-site link can also
    /// say so, but is believed only from a browser that does not send `Sec-Fetch-Site`.
    pub(super) fn has_completed(&self, action: &str) -> bool {
        let site = self.request.header("sec-fetch-site");
        self.params.get("done") == Some(action) && site.is_none_or(|site| site == "same-origin")
    }

    /// Whether the browser states that the request is same-origin. Some browsers state nothing.
    pub(super) fn is_same_origin(&self) -> bool {
        self.request.header("sec-fetch-site") == Some("same-origin")
    }

    /// The digest of the form, by which a repetition of the form is recognized.
    pub(super) fn form_digest(&self) -> Option<FormDigest> {
        let fields: Vec<_> = self.params.pairs().collect();
        FormDigest::of(self.app.limits.key(), self.request.uri().path(), &fields)
    }

    /// Whether an equal form has just used its link or code.
    pub(super) async fn is_repetition(&self) -> Result<bool, Response> {
        let Some(form) = self.form_digest() else { return Ok(false) };
        let found = repeated_form::is_repetition(&self.app.db, &form, self.app.clock.now()).await;
        found.map_err(message::failed)
    }

    pub(super) fn is_post(&self) -> bool {
        self.request.method() == Method::POST
    }

    /// Whether this form only opens the page, like a link. A form is used instead of a link if the
    /// request contains an encrypted authorization request.
    pub(super) fn only_opens(&self) -> bool {
        self.params.get("open").is_some()
    }

    /// The pending request, limited to what its client may still have. Also chooses the language
    /// that the pending request names in `ui_locales`. `None` if the page was opened without a
    /// pending request.
    pub(super) async fn pending_request(&self) -> Result<Option<PendingRequest>, Response> {
        let Some(flow) = self.params.get("flow") else { return Ok(None) };
        let (app, now, browser) = (&self.app, self.app.clock.now(), self.visitor.cookie_digest());
        let found = match sealed::is_sealed(flow) {
            true if self.is_post() => self.open_sealed(flow, now),
            // A sealed request is accepted only from forms, because URLs are logged and stored in
            // histories.
            true => None,
            false => rows::find(&app.db, flow, browser, now)
                .await
                .map_err(message::failed)?
                .map(|pending| (pending, flow.to_owned(), false)),
        };
        let (pending, flow, is_restored) = found.ok_or_else(|| message::stale(&self.visitor))?;
        let found = app.clients.find(&pending.request.client_id).await.map_err(message::failed)?;
        let client = found.ok_or_else(|| message::stale(&self.visitor))?;
        request_language::choose_by_parameter(pending.request.ui_locale.as_deref());
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
    /// earlier cookie. In the second case the request is encrypted again for the current cookie.
    ///
    /// If the page predates a login, the login has stored the digest of the earlier cookie. If the
    /// page predates a logout, only the form contains this digest, and anyone can make such a form.
    /// So the request is shown to the user again, like a request from a link to the authorization
    /// endpoint, and is not granted.
    ///
    /// Returns the request, the value of the field `flow` for the current cookie, and whether only
    /// the form names the earlier cookie ([`PendingRequest::is_restored`]).
    fn open_sealed(&self, flow: &str, now: Timestamp) -> Option<(Pending, String, bool)> {
        let sealer = &self.app.request_sealer;
        let digest = self.visitor.cookie_digest();
        if let Some(pending) = sealed::open(sealer, flow, &digest, now) {
            return Some((pending, flow.to_owned(), false));
        }
        let claimed_digest = self.params.get("sealed_for").filter(|_| !self.is_current);
        let claimed_digest = claimed_digest.and_then(|it| URL_SAFE_NO_PAD.decode(it).ok());
        let previous_digest = self.visitor.previous_cookie_digest();
        let before_login =
            previous_digest.and_then(|digest| sealed::open(sealer, flow, digest, now));
        let is_restored = before_login.is_none();
        let pending = before_login.or_else(|| sealed::open(sealer, flow, &claimed_digest?, now))?;
        let flow = sealed::seal(sealer, &pending, &digest).ok()?;
        Some((pending, flow, is_restored))
    }

    /// Redirects to a hosted page, with the pending request.
    pub(super) fn redirect_to_page(&self, page: &str) -> Response {
        // Only a handle is repeated in the URL.
        let is_handle =
            |flow: &&str| flow.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        match self.params.get("flow").filter(is_handle) {
            Some(flow) => see_other(&format!("{page}?flow={flow}")),
            None => see_other(&request_language::keep_in(page)),
        }
    }
}
