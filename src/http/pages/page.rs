//! A page as an answer: its headers keep it out of frames, caches and referrers, and keep anything
//! from elsewhere, or inline, out of it.

use askama::Template;
use poem::Response;
use poem::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use url::Url;

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Browsers come back by https for a year once they came so.
const TRANSPORT: &str = "max-age=31536000";

/// Renders a page whose forms lead to us alone.
pub(super) fn render(status: StatusCode, template: &impl Template) -> Response {
    render_towards(status, template, None)
}

/// Renders a page whose forms may end at another address: Chromium holds `form-action` against the
/// redirects that follow a form, too.
pub(super) fn render_towards(
    status: StatusCode,
    template: &impl Template,
    destination: Option<&str>,
) -> Response {
    let Ok(body) = template.render() else {
        return Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).finish();
    };
    let mut response =
        Response::builder().status(status).content_type("text/html; charset=utf-8").body(body);
    add_headers(response.headers_mut(), destination, "");
    response
}

/// Renders a form that a script of ours posts elsewhere.
pub(super) fn render_form_post(template: &impl Template, destination: &str) -> Response {
    let mut response = render_towards(StatusCode::OK, template, Some(destination));
    add_headers(response.headers_mut(), Some(destination), "script-src 'self'; ");
    response
}

fn add_headers(headers: &mut HeaderMap, destination: Option<&str>, scripts: &str) {
    let destination = destination.and_then(source_of).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; {scripts}form-action 'self'{destination}; \
         base-uri 'none'; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::STRICT_TRANSPORT_SECURITY, TRANSPORT),
        (OPENER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// An address as a source of CSP 3 §2.3.1: the origin, or the scheme if it has none that the
/// grammar can say.
fn source_of(uri: &str) -> Option<String> {
    let url = Url::parse(uri).ok()?;
    let origin = url.origin();
    let is_plain = origin.is_tuple() && !url.host_str().is_some_and(|host| host.starts_with('['));
    let source = if is_plain { origin.ascii_serialization() } else { format!("{}:", url.scheme()) };
    let is_safe = source.bytes().all(|b| b.is_ascii_graphic() && b != b';' && b != b',');
    is_safe.then(|| format!(" {source}"))
}
