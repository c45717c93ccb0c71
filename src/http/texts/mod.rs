//! The texts of the pages, one catalogue per language.
//!
//! A catalogue has the type [`Texts`], so the compiler rejects a language in which a text is
//! missing or has other arguments. Templates contain the markup, and escape all texts.

mod catalogue;
mod de;
mod en;
mod list;

use crate::domain::language::Language;
use crate::http::request_language;

pub(super) use catalogue::{Access, Account, Deletion, FormPost, Profile, Script, Texts};

/// The texts in the language of the current request.
pub(super) fn current() -> &'static Texts {
    of(request_language::current())
}

/// The texts in a language.
pub(super) fn of(language: Language) -> &'static Texts {
    match language {
        Language::En => &en::TEXTS,
        Language::De => &de::TEXTS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts that are the same in both languages: words, and the halves of pairs that have no
    /// words.
    const SAME: [&str; 4] = ["Code", "Name", "", "."];

    /// Checks texts without arguments. `tests/it/page_languages.rs` checks the others.
    #[test]
    fn no_text_is_the_same_in_both_languages() {
        let texts_of = |language| format!("{:#?}", of(language));
        let (english, german) = (texts_of(Language::En), texts_of(Language::De));
        let texts = |debug: &str| -> Vec<String> {
            let parts = debug.lines().filter_map(|line| line.split_once('"'));
            parts.map(|(_, text)| text.trim_end_matches([',', '"']).to_owned()).collect()
        };
        let (english, german) = (texts(&english), texts(&german));

        assert_eq!(english.len(), german.len());
        assert!(english.len() > 100, "{english:#?}");
        let same = english.iter().zip(&german).filter(|(english, german)| english == german);
        let same: Vec<_> = same.filter(|(text, _)| !SAME.contains(&text.as_str())).collect();
        assert!(same.is_empty(), "{same:#?}");
    }
}
