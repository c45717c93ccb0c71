//! The layout and the headers of pages.
//!
//! An endpoint renders the body of its page, and the template engine escapes all values.
//! [`add_layout`] adds the layout with the service's name and logo. It also adds headers, so that
//! the page cannot be framed or cached, sends no referrer, and loads neither inline content nor
//! content of other origins, except for the operator's logo.

use askama::Template;
use poem::Response;
use poem::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use url::Url;

use crate::domain::language::Language;
use crate::http::app::App;
use crate::http::branding::Branding;
use crate::http::request_language;
use crate::http::texts::{self, Script};

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Maximum total length of the sources in `form-action`, in bytes; the first source may be longer.
/// Some proxies allow 4 KiB for all headers of a response (nginx's `proxy_buffer_size`).
const MAX_SOURCES: usize = 2 * 1024;

/// HSTS: browsers use https for a year after a visit by https.
const HSTS: &str = "max-age=31536000";

/// A page without its layout.
#[derive(Clone, Default)]
pub(super) struct Page {
    pub(super) title: String,
    /// The body as HTML, whose values are escaped.
    pub(super) main: String,
    /// Whether the page needs a wide layout.
    pub(super) is_wide: bool,
    /// Whether a script submits the form of the page.
    pub(super) submits_itself: bool,
    /// The origins other than this one to which its forms may lead, as CSP sources (CSP 3 §2.3.1).
    pub(super) form_targets: String,
    /// The language of the page and of its layout.
    pub(super) language: Language,
}

impl Page {
    /// A page whose forms lead to this origin only.
    pub(super) fn titled(title: &str) -> Self {
        Self { title: title.to_owned(), ..Self::default() }
    }

    /// A page with a form. If the form has a problem, the title begins with `Error:`, for users of
    /// screen readers.
    pub(super) fn of_form(title: &str, has_problem: bool) -> Self {
        let prefix = if has_problem { texts::current().common.error_prefix } else { "" };
        Self::titled(&format!("{prefix}{title}"))
    }

    /// Allows the forms of the page to lead to other URIs, the most important first. Chromium also
    /// applies `form-action` to all redirects after a form submission.
    pub(super) fn towards(self, destinations: &[&str]) -> Self {
        Self { form_targets: sources_of(destinations), ..self }
    }

    /// The response with this page, whose body is `main`. [`add_layout`] completes the response.
    pub(super) fn answer(self, status: StatusCode, main: &impl Template) -> Response {
        let Ok(main) = main.render() else {
            return Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).finish();
        };
        let mut response = Response::builder().status(status).finish();
        response.extensions_mut().insert(Self {
            main,
            language: request_language::current(),
            ..self
        });
        response
    }
}

/// The layout around all pages.
#[derive(Template)]
#[template(path = "frame.html")]
struct Layout<'a> {
    page: &'a Page,
    /// The relative path from the page to the root of the pages.
    root: &'a str,
    branding: &'a Branding,
    script: &'a Script,
    /// The URL of the logo; empty if there is none.
    logo: String,
}

/// Adds the layout to a page. Other responses stay unchanged. `root` is the relative path to the
/// root of the pages. Links are relative, since a proxy may serve the issuer below a path.
pub(in crate::http) fn add_layout(app: &App, mut response: Response, root: &str) -> Response {
    let Some(page) = response.extensions_mut().remove::<Page>() else { return response };
    let branding = &app.branding;
    let (script, logo) = (&texts::of(page.language).script, branding.logo(root));
    let Ok(html) = (Layout { page: &page, root, branding, script, logo }).render() else {
        return Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).finish();
    };
    response.set_body(html);
    add_headers(response.headers_mut(), &policy(&page, branding.image_source()), page.language);
    if app.issuer_url.starts_with("https:") {
        let value = HeaderValue::from_static(HSTS);
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    response
}

fn policy(page: &Page, image_source: &str) -> String {
    format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src {image_source}; \
         form-action 'self'{}; base-uri 'none'; frame-ancestors 'none'",
        page.form_targets
    )
}

fn add_headers(headers: &mut HeaderMap, policy: &str, language: Language) {
    if let Ok(policy) = HeaderValue::from_str(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_LANGUAGE, language.tag()),
        (header::VARY, "accept-language"),
        (OPENER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// The CSP sources of these URIs. The first source is always included, since the form itself leads
/// there. Further sources are included as far as they fit.
fn sources_of(uris: &[&str]) -> String {
    let mut sources: Vec<String> = Vec::new();
    let mut length = 0;
    for source in uris.iter().filter_map(|uri| source_of(uri)) {
        let has_room = sources.is_empty() || length + source.len() <= MAX_SOURCES;
        if has_room && !sources.contains(&source) {
            length += source.len();
            sources.push(source);
        }
    }
    sources.concat()
}

/// A URI as a CSP source (CSP 3 §2.3.1): its origin, or its scheme if the grammar cannot express
/// the origin.
fn source_of(uri: &str) -> Option<String> {
    let url = Url::parse(uri).ok()?;
    let origin = url.origin();
    let is_plain = origin.is_tuple() && !url.host_str().is_some_and(|host| host.starts_with('['));
    let source = if is_plain { origin.ascii_serialization() } else { format!("{}:", url.scheme()) };
    let is_safe = source.bytes().all(|b| b.is_ascii_graphic() && b != b';' && b != b',');
    is_safe.then(|| format!(" {source}"))
}

/// A URI for display: its host, or the words for a program on this device.
pub(super) fn host_for_display(uri: &str) -> String {
    let Ok(url) = Url::parse(uri) else { return String::new() };
    match url.host_str() {
        Some(host) if url.scheme() == "https" => host.to_owned(),
        _ => texts::current().form_post.program_here.to_owned(),
    }
}
