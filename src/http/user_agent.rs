//! Describes the `User-Agent` header to users.

use crate::domain::language::Language;
use crate::http::texts;

/// Browsers by their product token, the most specific first: most browsers also send tokens that
/// are further down in this list.
const BROWSERS: [(&str, &str); 9] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("Mozilla/", UNKNOWN),
];

/// Stands for an unknown browser, whose description is a text in each language.
const UNKNOWN: &str = "";

/// Systems by their token, the most specific first: an iPhone also sends `Mac OS X`, and Android
/// also sends `Linux`.
const SYSTEMS: [(&str, &str); 7] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

/// Maximum length of another program's name, in characters.
const MAX_NAME: usize = 40;

/// The browser and its system, such as `Firefox on Linux`, in a language. For other programs, the
/// first word of the header. Empty if the header is missing.
pub(super) fn describe(user_agent: &str, language: Language) -> String {
    describe_browser(user_agent, language).unwrap_or_else(|| {
        let word = user_agent.split_whitespace().next().unwrap_or_default();
        word.chars().take(MAX_NAME).collect()
    })
}

/// The browser and its system. `None` for other programs. Contains nothing from the header.
#[must_use]
pub fn describe_browser(user_agent: &str, language: Language) -> Option<String> {
    let find_in = |known: &[(&str, &'static str)]| {
        known.iter().find(|(token, _)| user_agent.contains(token)).map(|(_, name)| *name)
    };
    let texts = &texts::of(language).device;
    let browser = match find_in(&BROWSERS)? {
        UNKNOWN => texts.unknown_browser,
        name => name,
    };
    let system = find_in(&SYSTEMS);
    Some(system.map_or_else(|| browser.to_owned(), |system| (texts.on)(browser, system)))
}
