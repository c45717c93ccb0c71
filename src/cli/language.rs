//! The language of a mail, as an option of a command.

use anyhow::Context;

use crate::domain::language::Language;

/// Parses the tag of a language: `en` or `de`.
///
/// # Errors
/// If Signet has no texts in this language.
pub(super) fn parse_language(text: &str) -> anyhow::Result<Language> {
    Language::of_tag(text).context("must be en or de")
}
