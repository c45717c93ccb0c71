//! The cookie that a browser is known by: its name, and how it is read and set.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem::http::{HeaderValue, header};
use poem::{Request, Response};

use crate::domain::oauth::secret::digest;

/// `__Host-`: from us over TLS, for this host alone, so that no neighbour can plant one (RFC 6265bis,
/// section 4.1.3.2).
const PREFIX: &str = "__Host-signet";

/// The base64url of 32 bytes.
const VALUE_LENGTH: usize = 43;

/// Bytes of the issuer's digest in the name.
const ISSUER_BYTES: usize = 6;

/// The cookie of the hosted pages of one issuer.
///
/// Its name tells issuers apart, since browsers do not tell ports apart: two Signets on `localhost`
/// would take each other's login away. Version 0.1 had one name for all, `__Host-signet`: it is read where
/// the other says of nobody that they are logged in, and set along with it, so that browsers stay logged
/// in while instances are replaced, and if they are put back.
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

    /// The values a request has of it, that of the present name first.
    pub(super) fn values(&self, request: &Request) -> Vec<String> {
        let mut values: Vec<String> =
            [&*self.name, PREFIX].iter().filter_map(|name| value(request, name)).collect();
        values.dedup();
        values
    }

    /// Whether a request has this value by both names: instances of the version before know one of them.
    pub(super) fn is_settled(&self, request: &Request, settled: &str) -> bool {
        [&*self.name, PREFIX].iter().all(|name| value(request, name).as_deref() == Some(settled))
    }

    /// Whether a request comes with it.
    pub(in crate::http) fn is_in(&self, request: &Request) -> bool {
        !self.values(request).is_empty()
    }

    /// Gives the browser a value, for as long as it runs.
    pub(super) fn set(&self, response: Response, value: &str) -> Response {
        self.add(response, value, "")
    }

    /// Takes it away.
    pub(in crate::http) fn remove(&self, response: Response) -> Response {
        self.add(response, "", "; Max-Age=0")
    }

    fn add(&self, mut response: Response, value: &str, life: &str) -> Response {
        for name in [&*self.name, PREFIX] {
            let cookie = format!("{name}={value}{life}; Path=/; Secure; HttpOnly; SameSite=Lax");
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
        }
        response
    }
}

/// The one cookie of this name. Two would mean that somebody else set one of them.
fn value(request: &Request, name: &str) -> Option<String> {
    let fields = request.headers().get_all(header::COOKIE).iter();
    let pairs = fields.filter_map(|field| field.to_str().ok()).flat_map(|field| field.split(';'));
    let mut values = pairs.filter_map(|pair| {
        let (found, value) = pair.trim().split_once('=')?;
        (found == name).then_some(value)
    });
    let value = values.next()?;
    let is_one = values.next().is_none() && value.len() == VALUE_LENGTH;
    is_one.then(|| value.to_owned())
}
