//! Describes the `User-Agent` header to users.

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
    ("Mozilla/", "A browser"),
];

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

/// The browser and its system, such as `Firefox on Linux`. For other programs, the first word of
/// the header.
pub(super) fn describe(user_agent: &str) -> String {
    describe_browser(user_agent).unwrap_or_else(|| {
        let word = user_agent.split_whitespace().next().unwrap_or_default();
        word.chars().take(MAX_NAME).collect()
    })
}

/// The browser and its system. `None` for other programs. Contains nothing from the header.
#[must_use]
pub fn describe_browser(user_agent: &str) -> Option<String> {
    let find_in = |known: &[(&str, &'static str)]| {
        known.iter().find(|(token, _)| user_agent.contains(token)).map(|(_, name)| *name)
    };
    let browser = find_in(&BROWSERS)?;
    let system = find_in(&SYSTEMS);
    Some(system.map_or_else(|| browser.to_owned(), |system| format!("{browser} on {system}")))
}
