//! The cookie that identifies a browser: its name, and how it is read and set.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem::http::{HeaderValue, header};
use poem::{Request, Response};

use crate::domain::secret::digest;

/// With `__Host-`, browsers accept the cookie only from this host and only over TLS, so that
/// another host of the domain cannot set it (RFC 6265bis, section 4.1.3.2).
const PREFIX: &str = "__Host-signet";

/// The length of a cookie value, in characters: 32 bytes in base64url.
const VALUE_LENGTH: usize = 43;

/// How many bytes of the issuer's digest are in the name.
const ISSUER_BYTES: usize = 6;

/// The cookie of the hosted pages of one issuer.
///
/// Its name depends on the issuer, because browsers send a cookie to all ports of a host: two
/// installations on `localhost` would overwrite each other's login. Version 0.1 used
/// `__Host-signet` for all issuers. The cookie with that old name is read if the cookie with the
/// current name belongs to no live login. Both cookies are set, so that browsers stay logged in
/// during a rolling upgrade and after a rollback.
pub struct BrowserCookie {
    name: String,
}

impl BrowserCookie {
    /// The cookie of an issuer.
    #[must_use]
    pub fn of_issuer(issuer: &str) -> Self {
        let digest = digest(&format!("signet cookie v1\n{issuer}"));
        let suffix = URL_SAFE_NO_PAD.encode(digest.split_at(ISSUER_BYTES).0);
        Self { name: format!("{PREFIX}-{suffix}") }
    }

    /// The values of the cookie in a request: the value under the current name first.
    pub(super) fn values(&self, request: &Request) -> Vec<String> {
        let mut values: Vec<String> =
            [&*self.name, PREFIX].iter().filter_map(|name| value(request, name)).collect();
        values.dedup();
        values
    }

    /// Whether a request has this value under both names. Instances of the previous version read
    /// only the old name.
    pub(super) fn has_under_both_names(&self, request: &Request, wanted: &str) -> bool {
        [&*self.name, PREFIX].iter().all(|name| value(request, name).as_deref() == Some(wanted))
    }

    /// Whether a request has the cookie.
    pub(in crate::http) fn is_in(&self, request: &Request) -> bool {
        !self.values(request).is_empty()
    }

    /// Sets a session cookie with this value.
    pub(super) fn set(&self, response: Response, value: &str) -> Response {
        self.add(response, value, "")
    }

    /// Removes the cookie.
    pub(in crate::http) fn remove(&self, response: Response) -> Response {
        self.add(response, "", "; Max-Age=0")
    }

    fn add(&self, mut response: Response, value: &str, max_age: &str) -> Response {
        for name in [&*self.name, PREFIX] {
            let cookie = format!("{name}={value}{max_age}; Path=/; Secure; HttpOnly; SameSite=Lax");
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
        }
        response
    }
}

/// The value of the cookie with this name. `None` if the request has several such cookies, because
/// another party may have set one of them.
fn value(request: &Request, name: &str) -> Option<String> {
    let fields = request.headers().get_all(header::COOKIE).iter();
    let pairs = fields.filter_map(|field| field.to_str().ok()).flat_map(|field| field.split(';'));
    let mut values = pairs.filter_map(|pair| {
        let (found, value) = pair.trim().split_once('=')?;
        (found == name).then_some(value)
    });
    let value = values.next()?;
    let is_valid = values.next().is_none() && value.len() == VALUE_LENGTH;
    is_valid.then(|| value.to_owned())
}
