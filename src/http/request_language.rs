//! The language of the response to the request in progress.
//!
//! It is stored in a task-local variable, like the
//! [`RequestContext`](crate::http::request_context::RequestContext), because error pages are
//! rendered in functions that get neither the request nor its user. JSON responses are in English
//! only.

use std::cell::Cell;

use poem::Request;
use poem::http::header;
use tokio::task::futures::TaskLocalFuture;

use crate::domain::language::Language;

tokio::task_local! {
    static CURRENT: Cell<Choice>;
}

/// Who chose a language. Each source takes precedence over those above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// The browser, by `Accept-Language` (RFC 9110 §12.5.4).
    Browser,
    /// The logged-in account, by the claim `locale` of its profile.
    Account,
    /// The client, or the page before, by the parameter `ui_locales`.
    Parameter,
}

/// A language, and who chose it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    source: Source,
    language: Language,
}

impl Choice {
    /// The choice of the browser.
    pub(super) fn of_browser(request: &Request) -> Self {
        let field = request.header(header::ACCEPT_LANGUAGE);
        let language = field.map(Language::of_accept_language).unwrap_or_default();
        Self { source: Source::Browser, language }
    }

    /// Runs `work` as part of a request with this language.
    pub(super) fn scope<F: Future>(self, work: F) -> TaskLocalFuture<Cell<Self>, F> {
        CURRENT.scope(Cell::new(self), work)
    }
}

/// The language of the current request; English outside of [`Choice::scope`].
pub(super) fn current() -> Language {
    choice().map(|choice| choice.language).unwrap_or_default()
}

/// Uses `language` for the rest of the current request, unless a source that takes precedence has
/// chosen one. `None` if the source chooses no language.
pub(super) fn choose(source: Source, language: Option<Language>) {
    let Some(language) = language else { return };
    // Outside of a request there is nothing to set.
    let _ = CURRENT.try_with(|current| {
        if source >= current.get().source {
            current.set(Choice { source, language });
        }
    });
}

/// Uses the first language of `ui_locales` that is supported (OpenID Connect Core 1.0 §3.1.2.1).
pub(super) fn choose_by_parameter(ui_locales: Option<&str>) {
    choose(Source::Parameter, ui_locales.and_then(Language::of_ui_locales));
}

/// The value of `ui_locales` that keeps the current language on the next page; empty if the next
/// page has this language anyway.
pub(super) fn ui_locales() -> &'static str {
    match choice() {
        Some(Choice { source: Source::Account | Source::Parameter, language }) => language.tag(),
        _ => "",
    }
}

/// The relative URL of the next page, with `ui_locales` if the page needs it to keep the language.
pub(super) fn keep_in(url: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    match ui_locales() {
        "" => url.to_owned(),
        tag => format!("{url}{separator}ui_locales={tag}"),
    }
}

fn choice() -> Option<Choice> {
    CURRENT.try_with(Cell::get).ok()
}
