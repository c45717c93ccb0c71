//! Requests that a browser sends before anybody has asked for the page (Fetch Standard, `Sec-Purpose`;
//! older browsers send `Purpose` or `X-Moz`). A GET that ends a login or issues a code must not do that
//! for a page that is perhaps never looked at.

use poem::http::{StatusCode, header};
use poem::{Request, Response};

/// Refuses a request that is speculative. The browser forgets the answer, and asks again once somebody
/// wants the page.
pub(super) fn refused(request: &Request) -> Option<Response> {
    let is_prefetch = |name| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.to_ascii_lowercase().contains("prefetch"))
    };
    ["sec-purpose", "purpose", "x-moz"].into_iter().any(is_prefetch).then(|| {
        Response::builder()
            .status(StatusCode::SERVICE_UNAVAILABLE)
            .header(header::CACHE_CONTROL, "no-store")
            .finish()
    })
}
