//! Pages without a form: errors and notices.

use askama::Template;
use poem::Response;
use poem::http::{HeaderValue, StatusCode, header};

use crate::domain::attempt_limit::AttemptError;
use crate::domain::oauth::pending_authorization::FlowError;
use crate::http::error::Problem;
use crate::http::pages::layout::Page;
use crate::http::pages::visitor::Visitor;
use crate::http::request_context::RequestContext;
use crate::http::texts::{self, Texts};

/// An error or a notice.
#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct MessagePage<'a> {
    heading: &'a str,
    text: &'a str,
    /// The reason for the application's developer; may be empty.
    details: &'a str,
    /// A link with which the user can continue: its URL and text.
    link: Option<(&'a str, &'a str)>,
    /// The request id in the log and the audit log after an error; may be empty.
    request_id: String,
    quote_request_id: &'static str,
}

impl<'a> MessagePage<'a> {
    /// A notice.
    pub(super) fn new(heading: &'a str, text: &'a str, link: Option<(&'a str, &'a str)>) -> Self {
        let quote_request_id = texts::current().message.quote_request_id;
        let request_id = String::new();
        Self { heading, text, details: "", link, request_id, quote_request_id }
    }

    /// An error of the current request.
    fn of_error(heading: &'a str, text: &'a str) -> Self {
        let id = RequestContext::current().map(|context| context.id.to_string());
        Self { request_id: id.unwrap_or_default(), ..Self::new(heading, text, None) }
    }

    pub(super) fn answer(&self, status: StatusCode) -> Response {
        Page::titled(self.heading).answer(status, self)
    }
}

/// The error page for a bare status.
pub(in crate::http) fn error(status: StatusCode) -> Response {
    let wait = if status == StatusCode::SERVICE_UNAVAILABLE { 1 } else { 60 };
    let Texts { message: texts, common, .. } = texts::current();
    let (heading, text) = match status {
        StatusCode::METHOD_NOT_ALLOWED => (texts.does_not_work, texts.method_not_allowed),
        StatusCode::NOT_FOUND => (texts.not_found, texts.nothing_here),
        StatusCode::URI_TOO_LONG => (texts.does_not_work, texts.address_too_long),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            (texts.too_many_cookies, texts.delete_cookies)
        }
        StatusCode::TOO_MANY_REQUESTS => return too_many(wait),
        StatusCode::SERVICE_UNAVAILABLE => (texts.try_again, texts.busy),
        status if status.is_client_error() => (texts.does_not_work, texts.unreadable),
        _ => (texts.went_wrong, texts.internal_error),
    };
    let link = if status.is_server_error() { None } else { Some(("account", common.your_account)) };
    let page = MessagePage { link, ..MessagePage::of_error(heading, text) };
    let mut response = page.answer(status);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
    }
    response
}

fn too_many(seconds: u64) -> Response {
    let texts = &texts::current().message;
    let text = (texts.wait)(seconds);
    let page = MessagePage::of_error(texts.too_many_attempts, &text);
    let mut response = page.answer(StatusCode::TOO_MANY_REQUESTS);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// 429 with the time to wait if a rate limit is exceeded; 503 if the limits cannot be checked.
pub(in crate::http) fn limited(refused: &AttemptError) -> Response {
    match refused {
        AttemptError::Refused(refusal) => too_many(refusal.seconds().get()),
        AttemptError::Database(_) => unavailable(refused),
    }
}

/// As [`limited`], but with the submitted form instead of a message. `form` renders the form with
/// an error.
pub(super) fn limited_on(refused: &AttemptError, form: impl FnOnce(&str) -> Response) -> Response {
    let AttemptError::Refused(refusal) = refused else { return unavailable(refused) };
    let seconds = refusal.seconds().get();
    let texts = &texts::current().message;
    // The attempts may be those of another user at the same client address.
    let too_many = match refusal.quota_name {
        "address" => texts.too_many_attempts_from_network,
        _ => texts.too_many_attempts,
    };
    let mut response = form(&format!("{too_many}. {}", (texts.wait)(seconds)));
    response.set_status(StatusCode::TOO_MANY_REQUESTS);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// The error page for an internal failure, which [`Problem::failed`] logs.
pub(super) fn unavailable(cause: &(dyn std::error::Error + 'static)) -> Response {
    let mut response = error(StatusCode::SERVICE_UNAVAILABLE);
    if let Some(seconds) = Problem::failed(cause).retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.get().into());
    }
    response
}

/// The error of a request whose redirect URI is not registered.
pub(in crate::http) const NOT_REGISTERED: &str = "redirect_uri is not registered for the client";

/// The error page for a client's request that must not be redirected. It states the reason, and
/// repeats nothing from the request. The reason is for developers, and always in English.
pub(in crate::http) fn bad_request(why: &str) -> Response {
    tracing::info!("request refused: {why}");
    let texts = &texts::current().message;
    let page = MessagePage::of_error(texts.does_not_work, texts.client_mistake);
    MessagePage { details: why, ..page }.answer(StatusCode::BAD_REQUEST)
}

/// The page for a form without a valid CSRF token, or with an expired request.
pub(super) fn stale(visitor: &Visitor) -> Response {
    tracing::info!("form refused: out of date, or from another browser");
    let Texts { message: texts, common, .. } = texts::current();
    let link = match visitor.browser {
        Some(_) => ("account", common.your_account),
        None => ("login", common.log_in),
    };
    MessagePage::new(texts.start_again, texts.stale, Some(link)).answer(StatusCode::BAD_REQUEST)
}

/// As [`unavailable`], for the internal failures that the pages have in common ([`FlowError`]).
pub(in crate::http) fn failed(cause: impl Into<FlowError>) -> Response {
    let cause: FlowError = cause.into();
    unavailable(&cause)
}

/// The error of a request whose client is not registered, or is no longer registered.
pub(in crate::http) const UNKNOWN_CLIENT: &str = "the client is not known";
