//! Redirects.

use poem::Response;
use poem::http::{StatusCode, header};
use url::form_urlencoded;

/// Adds parameters to a URI and preserves its query.
pub(in crate::http) fn with_query(uri: &str, parameters: &[(&'static str, String)]) -> String {
    let mut encoded = form_urlencoded::Serializer::new(String::new());
    encoded.extend_pairs(parameters);
    let separator = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{separator}{}", encoded.finish())
}

/// A redirect with 303: the browser follows it with a GET without a body, whatever the method of
/// the current request is (RFC 9700 §4.12).
pub(in crate::http) fn see_other(location: &str) -> Response {
    Response::builder()
        .status(StatusCode::SEE_OTHER)
        .header(header::LOCATION, location)
        .header(header::REFERRER_POLICY, "no-referrer")
        .finish()
}
