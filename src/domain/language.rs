//! The languages of mails and hosted pages.

use serde::{Deserialize, Serialize};

use crate::entity::account;

/// A language of mails and hosted pages. The names are stored, so they never change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// German.
    De,
}

impl Language {
    /// All languages.
    pub const ALL: [Self; 2] = [Self::En, Self::De];

    /// The primary language subtag (RFC 5646 §2.2.1).
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }

    /// The language of a language tag such as `de-AT`.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next()?;
        Self::ALL.into_iter().find(|language| primary.eq_ignore_ascii_case(language.tag()))
    }

    /// The language of the claim `locale` of an account. `None` if the account has no such claim,
    /// or one in another language.
    #[must_use]
    pub fn of_account(account: &account::Model) -> Option<Self> {
        Self::of_tag(account.profile.as_ref()?.get("locale")?.as_str()?)
    }

    /// The first supported language in `ui_locales`, a list of language tags separated by spaces
    /// (OpenID Connect Core 1.0 §3.1.2.1).
    #[must_use]
    pub fn of_ui_locales(tags: &str) -> Option<Self> {
        tags.split(' ').find_map(Self::of_tag)
    }

    /// The supported language with the highest weight in `Accept-Language` (RFC 9110 §12.5.4).
    /// English if the field names no supported language.
    #[must_use]
    pub fn of_accept_language(field: &str) -> Self {
        let mut best = (Self::default(), 0.0);
        for range in field.split(',') {
            let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
            let weight = weight.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok());
            let weight = weight.unwrap_or(0.0);
            if let Some(language) = Self::of_tag(tag.trim()).filter(|_| weight > best.1) {
                best = (language, weight);
            }
        }
        best.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_supported_language_of_ui_locales_is_chosen() {
        for (tags, expected) in [
            ("de", Some(Language::De)),
            ("fr-CA de-CH en", Some(Language::De)),
            ("en de", Some(Language::En)),
            ("fr", None),
            ("", None),
            ("german", None),
        ] {
            assert_eq!(Language::of_ui_locales(tags), expected, "{tags}");
        }
    }

    #[test]
    fn supported_language_with_the_highest_weight_is_chosen() {
        for (field, expected) in [
            ("", Language::En),
            ("de", Language::De),
            ("de-AT,en;q=0.8", Language::De),
            ("fr, en;q=0.3, DE;q=0.5", Language::De),
            ("en-GB,de;q=0.9", Language::En),
            ("fr,*", Language::En),
            ("den", Language::En),
            ("de;q=0", Language::En),
            ("de;q=x, ;;;,", Language::En),
        ] {
            assert_eq!(Language::of_accept_language(field), expected, "{field}");
        }
    }
}
