//! A browser at the hosted pages: its cookie, its login, and the CSRF protection.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::memcmp;
use openssl::sha::sha256;
use poem::{Request, Response};

use crate::domain::language::Language;
use crate::domain::oauth::browser_session::{self, Browser};
use crate::domain::oauth::params::Params;
use crate::domain::oauth::pending_authorization::FlowError;
use crate::domain::secret::{Secret, digest};
use crate::http::app::App;
use crate::http::origin;
use crate::http::request_language::{self, Source};

/// The browser that sent a request.
pub(in crate::http) struct Visitor {
    /// The value of its cookie: the value that it sent, or a new value.
    cookie: String,
    /// Whether the browser sent no cookie.
    is_new: bool,
    /// Whether the response must set the cookie, because the browser lacks it under one or both
    /// names.
    is_to_be_set: bool,
    /// The login of its cookie, if there is one.
    pub(in crate::http) browser: Option<Browser>,
    /// Whether this server sends mail, so that a forgotten password can be reset.
    pub(super) can_reset_password: bool,
}

impl Visitor {
    /// Reads the cookie and looks up its login. If there is a login, also chooses the language of
    /// its account for the response.
    pub(in crate::http) async fn of(app: &Arc<App>, request: &Request) -> Result<Self, FlowError> {
        let mut first = None;
        for cookie in app.cookie.values(request) {
            let visitor = Self::of_cookie(app, &cookie, request).await?;
            let is_to_be_set = !app.cookie.has_under_both_names(request, &cookie);
            let visitor = Self { is_to_be_set, ..visitor };
            if visitor.browser.is_some() {
                return Ok(visitor);
            }
            first.get_or_insert(visitor);
        }
        if let Some(visitor) = first {
            return Ok(visitor);
        }
        let cookie = Secret::generate("")?.text;
        let can_reset_password = app.mail.is_on();
        Ok(Self { cookie, is_new: true, is_to_be_set: true, browser: None, can_reset_password })
    }

    /// The browser with this cookie, which sent `request`.
    pub(super) async fn of_cookie(
        app: &Arc<App>,
        cookie: &str,
        request: &Request,
    ) -> Result<Self, FlowError> {
        let (idle_timeout, now) = (app.tokens.browser_idle_life(), app.clock.now());
        let origin = origin::of(request);
        let browser = browser_session::visit(&app.db, cookie, idle_timeout, &origin, now).await?;
        let account = browser.as_ref().map(|browser| &browser.account);
        request_language::choose(Source::Account, account.and_then(Language::of_account));
        Ok(Self {
            cookie: cookie.to_owned(),
            is_new: false,
            is_to_be_set: false,
            browser,
            can_reset_password: app.mail.is_on(),
        })
    }

    /// The login of its cookie, even if the idle timeout of the login has passed.
    pub(in crate::http) async fn last_login(
        &self,
        app: &Arc<App>,
    ) -> Result<Option<Browser>, FlowError> {
        match &self.browser {
            Some(browser) => Ok(Some(browser.clone())),
            None => Ok(browser_session::unended(&app.db, &self.cookie, app.clock.now()).await?),
        }
    }

    /// Whether the browser sent no cookie. Browsers send a cross-site form without the cookie, so
    /// the response to a form that may be cross-site must not set a new cookie: it would replace
    /// the existing one.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// The digest of the cookie, to which a pending request is bound.
    pub(in crate::http) fn cookie_digest(&self) -> Vec<u8> {
        digest(&self.cookie)
    }

    /// The digest of the cookie in base64url, for a form.
    pub(super) fn encoded_cookie_digest(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.cookie_digest())
    }

    /// The digest of the cookie that the browser had before its login.
    pub(super) fn previous_cookie_digest(&self) -> Option<&[u8]> {
        self.browser.as_ref()?.session.previous_cookie_digest.as_deref()
    }

    /// Sets the cookie in a response, if the browser does not have it yet.
    pub(in crate::http) fn set_cookie(&self, app: &App, response: Response) -> Response {
        if self.is_to_be_set { app.cookie.set(response, &self.cookie) } else { response }
    }

    /// The CSRF token of the forms. It is bound to the cookie, and so to the login.
    pub(super) fn csrf(&self) -> String {
        let message = format!("signet csrf v1\n{}", self.cookie);
        URL_SAFE_NO_PAD.encode(sha256(message.as_bytes()))
    }

    /// Whether a form has a valid CSRF token and is not cross-site.
    pub(super) fn has_valid_csrf_token(&self, request: &Request, params: &Params) -> bool {
        let sent = params.get("csrf").unwrap_or_default();
        let expected = self.csrf();
        let is_token_valid =
            sent.len() == expected.len() && memcmp::eq(sent.as_bytes(), expected.as_bytes());
        // `Origin` is not checked: it is `null` for our own forms, since their pages send no
        // referrer.
        let site = request.header("sec-fetch-site");
        is_token_valid && !self.is_new && site.is_none_or(|site| site == "same-origin")
    }
}
