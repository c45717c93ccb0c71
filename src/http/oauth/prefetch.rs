//! Prefetch requests, which a browser sends before the user opens the page (Fetch Standard,
//! `Sec-Purpose`; older browsers send `Purpose` or `X-Moz`). A prefetch request must not end a
//! login or issue a code.

use poem::http::{StatusCode, header};
use poem::{Request, Response};

/// The rejection of a prefetch request; `None` for other requests. The browser discards the
/// response, and requests the page again when the user opens it.
pub(super) fn rejected(request: &Request) -> Option<Response> {
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
