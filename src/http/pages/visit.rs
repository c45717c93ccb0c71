//! A browser at our pages: its cookie, who is logged in to it, and the proof that a form is ours.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::memcmp;
use openssl::sha::sha256;
use poem::http::{HeaderValue, header};
use poem::{Request, Response};

use crate::domain::oauth::browser::{self, Browser};
use crate::domain::oauth::flow::FlowError;
use crate::domain::oauth::opaque::{Opaque, digest};
use crate::domain::oauth::params::Params;
use crate::http::App;

/// `__Host-`: from us over TLS, for this host alone, so that no neighbour can plant one.
const COOKIE: &str = "__Host-signet";

/// What cookies look like: the base64url of 32 bytes.
const COOKIE_LENGTH: usize = 43;

/// A browser, as one request shows it.
pub(in crate::http) struct Visit {
    /// Its cookie: what it came with, or a new one.
    cookie: String,
    /// Whether it is new to the browser.
    is_new: bool,
    /// Who is logged in to it.
    pub(in crate::http) browser: Option<Browser>,
}

impl Visit {
    /// Reads the cookie and looks up the login that it stands for, if it stands for one.
    pub(in crate::http) async fn of(app: &Arc<App>, request: &Request) -> Result<Self, FlowError> {
        match cookie_of(request) {
            Some(cookie) => Self::with(app, &cookie).await,
            None => Ok(Self { cookie: Opaque::draw("")?.text, is_new: true, browser: None }),
        }
    }

    /// The browser that has this cookie.
    pub(super) async fn with(app: &Arc<App>, cookie: &str) -> Result<Self, FlowError> {
        let idle_life = app.tokens.browser_idle_life();
        let browser = browser::come(&app.db, cookie, idle_life, app.clock.now()).await?;
        Ok(Self { cookie: cookie.to_owned(), is_new: false, browser })
    }

    /// Who is logged in, or was until that was idle for too long.
    pub(in crate::http) async fn last_login(
        &self,
        app: &Arc<App>,
    ) -> Result<Option<Browser>, FlowError> {
        match &self.browser {
            Some(browser) => Ok(Some(browser.clone())),
            None => Ok(browser::unended(&app.db, &self.cookie, app.clock.now()).await?),
        }
    }

    /// Whether the browser came without a cookie. To a form that may be another site's, which browsers send
    /// without it, none is given: it would take the place of the one they keep.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Whether a request comes with our cookie.
    pub(in crate::http) fn is_known(request: &Request) -> bool {
        cookie_of(request).is_some()
    }

    /// What a waiting request knows this browser by.
    pub(in crate::http) fn digest(&self) -> Vec<u8> {
        digest(&self.cookie)
    }

    /// The digest of the cookie that the browser had before its login.
    pub(super) fn previous_digest(&self) -> Option<&[u8]> {
        self.browser.as_ref()?.session.previous_cookie_digest.as_deref()
    }

    /// Gives the browser its cookie along with an answer, if it does not have it yet.
    pub(in crate::http) fn remember(&self, response: Response) -> Response {
        if self.is_new { with_cookie(response, &self.cookie) } else { response }
    }

    /// Takes the cookie away.
    pub(in crate::http) fn forget(response: Response) -> Response {
        set_cookie(response, &format!("{COOKIE}=; Max-Age=0"))
    }

    /// What our forms carry and foreign ones cannot: bound to the cookie, and so to the login.
    pub(super) fn csrf(&self) -> String {
        let message = format!("signet csrf v1\n{}", self.cookie);
        URL_SAFE_NO_PAD.encode(sha256(message.as_bytes()))
    }

    /// Whether a form was ours, filled in at this browser.
    pub(super) fn vouches(&self, request: &Request, params: &Params) -> bool {
        let sent = params.get("csrf").unwrap_or_default();
        let expected = self.csrf();
        let is_ours =
            sent.len() == expected.len() && memcmp::eq(sent.as_bytes(), expected.as_bytes());
        // `Origin` is `null` for our own forms: their pages send no referrer. This says more.
        let site = request.header("sec-fetch-site");
        is_ours && !self.is_new && site.is_none_or(|site| site == "same-origin")
    }
}

/// Gives the browser a cookie, for as long as it runs.
pub(super) fn with_cookie(response: Response, cookie: &str) -> Response {
    set_cookie(response, &format!("{COOKIE}={cookie}"))
}

fn set_cookie(mut response: Response, pair: &str) -> Response {
    let value = format!("{pair}; Path=/; Secure; HttpOnly; SameSite=Lax");
    if let Ok(value) = HeaderValue::from_str(&value) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// The one cookie of this name. Two would mean that somebody else set one of them.
fn cookie_of(request: &Request) -> Option<String> {
    let fields = request.headers().get_all(header::COOKIE).iter();
    let pairs = fields.filter_map(|field| field.to_str().ok()).flat_map(|field| field.split(';'));
    let mut values = pairs.filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    });
    let value = values.next()?;
    let is_one = values.next().is_none() && value.len() == COOKIE_LENGTH;
    is_one.then(|| value.to_owned())
}
