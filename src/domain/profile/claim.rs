//! Validation of the standard claims (OpenID Connect Core 1.0 §5.1, §5.1.1).

use time::Date;
use time::macros::format_description;
use unicode_normalization::UnicodeNormalization;
use url::Url;

use crate::naming::is_visible;

/// Maximum length of a single-line text, in characters.
const MAX_LINE: usize = 255;

/// Maximum length of a multi-line text, in characters.
const MAX_LINES: usize = 1_024;

/// Maximum length of a URL: in characters as entered, and in bytes as serialized.
const MAX_URL: usize = 2_048;

/// The format of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// One line.
    Line,
    /// One or more lines.
    Lines,
    /// The URL of a web page or an image.
    Url,
    /// A date, a date without its year, or a year.
    Birthdate,
    /// A name in the time zone database.
    TimeZone,
    /// A language tag.
    Language,
    /// A phone number.
    Phone,
}

/// The claims with string values.
pub(super) const CLAIMS: [(&str, Rule); 14] = [
    ("name", Rule::Line),
    ("given_name", Rule::Line),
    ("family_name", Rule::Line),
    ("middle_name", Rule::Line),
    ("nickname", Rule::Line),
    ("preferred_username", Rule::Line),
    ("profile", Rule::Url),
    ("picture", Rule::Url),
    ("website", Rule::Url),
    ("gender", Rule::Line),
    ("birthdate", Rule::Birthdate),
    ("zoneinfo", Rule::TimeZone),
    ("locale", Rule::Language),
    ("phone_number", Rule::Phone),
];

/// The members of the claim `address`.
pub(super) const ADDRESS: [(&str, Rule); 6] = [
    ("formatted", Rule::Lines),
    ("street_address", Rule::Lines),
    ("locality", Rule::Line),
    ("region", Rule::Line),
    ("postal_code", Rule::Line),
    ("country", Rule::Line),
];

/// Why a text is not valid as a claim. The messages are shown to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Empty, or only spaces.
    #[error("must not be empty; null removes it")]
    Empty,
    /// Too many characters.
    #[error("must be at most {0} characters")]
    TooLong(usize),
    /// Control characters. Line feeds are allowed in multi-line texts.
    #[error("must not contain control characters")]
    Control,
    /// Invisible characters, or characters that change the order of other characters.
    #[error("must not contain invisible characters or text direction controls")]
    Invisible,
    /// Not an `http` or `https` URL with a host, or a URL with a user name or password.
    #[error("must be an http or https URL without a user name")]
    Url,
    /// Not a valid date or year.
    #[error("must be a date as YYYY-MM-DD, 0000-MM-DD or YYYY")]
    Birthdate,
    /// Not in the format of time zone names.
    #[error("must be the name of a time zone, such as Europe/London")]
    TimeZone,
    /// Not in the format of language tags (RFC 5646).
    #[error("must be a language tag, such as en-GB")]
    Language,
    /// Not in E.164 format.
    #[error("must be + and 7 to 15 digits")]
    Phone,
}

impl Rule {
    /// Validates a text. Returns the text to store: trimmed and in NFC, or a URL in the form in
    /// which the parser serializes it.
    pub(super) fn check(self, typed: &str) -> Result<String, ClaimError> {
        let max = match self {
            Self::Lines => MAX_LINES,
            Self::Url => MAX_URL,
            _ => MAX_LINE,
        };
        if typed.chars().count() > max {
            return Err(ClaimError::TooLong(max));
        }
        let text: String = typed.trim().replace("\r\n", "\n").nfc().collect();
        if text.is_empty() {
            return Err(ClaimError::Empty);
        }
        if text.chars().any(|c| c.is_control() && !(c == '\n' && self == Self::Lines)) {
            return Err(ClaimError::Control);
        }
        if !text.lines().all(is_visible) {
            return Err(ClaimError::Invisible);
        }
        match self {
            Self::Line | Self::Lines => Ok(text),
            Self::Url => url(&text),
            Self::Birthdate => text_if(is_birthdate(&text), text, ClaimError::Birthdate),
            Self::TimeZone => text_if(is_time_zone(&text), text, ClaimError::TimeZone),
            Self::Language => text_if(is_language(&text), text, ClaimError::Language),
            Self::Phone => text_if(is_phone(&text), text, ClaimError::Phone),
        }
    }
}

fn text_if(is_valid: bool, text: String, error: ClaimError) -> Result<String, ClaimError> {
    if is_valid { Ok(text) } else { Err(error) }
}

/// Validates a web URL. A script URL is refused. So is a URL with credentials, because other users
/// would see them.
fn url(text: &str) -> Result<String, ClaimError> {
    let url = Url::parse(text).map_err(|_| ClaimError::Url)?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    let has_no_credentials = url.username().is_empty() && url.password().is_none();
    let is_short = url.as_str().len() <= MAX_URL;
    if is_web && has_no_credentials && is_short { Ok(url.into()) } else { Err(ClaimError::Url) }
}

fn is_birthdate(text: &str) -> bool {
    if text.len() == 4 {
        return text.bytes().all(|byte| byte.is_ascii_digit()) && text != "0000";
    }
    // The year 0000 means no year, and counts as a leap year. A year with a sign would be longer
    // than 10 bytes.
    let format = format_description!("[year]-[month]-[day]");
    text.len() == 10 && Date::parse(text, format).is_ok()
}

fn is_time_zone(text: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte))
    };
    text.len() <= 64 && text.split('/').count() <= 3 && text.split('/').all(is_part)
}

/// Checks the format of a language tag: a language, followed by parts of up to 8 characters. Does
/// not check whether the parts are registered.
fn is_language(text: &str) -> bool {
    let mut parts = text.split('-');
    let is_language = |part: &str| {
        (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    let is_part = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    text.len() <= 64 && parts.next().is_some_and(is_language) && parts.all(is_part)
}

fn is_phone(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_values_are_accepted_and_normalised() {
        for (rule, typed, expected) in [
            (Rule::Line, "  Ada Lovelace ", "Ada Lovelace"),
            (Rule::Line, "Jose\u{301}", "José"),
            (Rule::Line, "می\u{200c}خواهم", "می\u{200c}خواهم"),
            (Rule::Line, "東京\u{3000}一郎", "東京\u{3000}一郎"),
            (Rule::Lines, "12 St James's Square\r\nLondon", "12 St James's Square\nLondon"),
            (Rule::Url, "https://ada.example", "https://ada.example/"),
            (
                Rule::Url,
                "HTTP://bücher.example/ü?q=1#a",
                "http://xn--bcher-kva.example/%C3%BC?q=1#a",
            ),
            (Rule::Birthdate, "1815-12-10", "1815-12-10"),
            (Rule::Birthdate, "0000-02-29", "0000-02-29"),
            (Rule::Birthdate, "1815", "1815"),
            (Rule::TimeZone, "Europe/London", "Europe/London"),
            (Rule::TimeZone, "America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
            (Rule::TimeZone, "Etc/GMT+1", "Etc/GMT+1"),
            (Rule::Language, "de", "de"),
            (Rule::Language, "zh-Hant-TW", "zh-Hant-TW"),
            (Rule::Language, "de-CH-1996-x-ada", "de-CH-1996-x-ada"),
            (Rule::Phone, "+441632960961", "+441632960961"),
        ] {
            assert_eq!(rule.check(typed).as_deref(), Ok(expected), "{typed}");
        }
    }

    #[test]
    fn invalid_values_are_rejected() {
        use ClaimError as Error;
        for (rule, typed, error) in [
            (Rule::Line, "", Error::Empty),
            (Rule::Line, " \t ", Error::Empty),
            (Rule::Line, "two\nlines", Error::Control),
            (Rule::Lines, "a\0b", Error::Control),
            (Rule::Lines, "a\u{85}b", Error::Control),
            // W16: characters that are invisible, or that change the order of other characters.
            (Rule::Line, "Ada\u{202e}ecalevoL", Error::Invisible),
            (Rule::Line, "Ada\u{2066}", Error::Invisible),
            (Rule::Line, "Ada\u{200b}Lovelace", Error::Invisible),
            (Rule::Line, "Ada\u{200d}Lovelace", Error::Invisible),
            (Rule::Line, "\u{3164}", Error::Invisible),
            (Rule::Lines, "London\n\u{200f}SW1", Error::Invisible),
            (Rule::Url, "https://ada.example/\u{202e}", Error::Invisible),
            (Rule::Url, "javascript:alert(1)", Error::Url),
            (Rule::Url, "java\tscript:alert(1)", Error::Control),
            (Rule::Url, "data:text/html,x", Error::Url),
            (Rule::Url, "//ada.example", Error::Url),
            (Rule::Url, "ada.example", Error::Url),
            (Rule::Url, "https://", Error::Url),
            (Rule::Url, "https://ada:secret@ada.example/", Error::Url),
            (Rule::Url, "https://paypal.com@ada.example/", Error::Url),
            (Rule::Birthdate, "1815-02-29", Error::Birthdate),
            (Rule::Birthdate, "1815-13-01", Error::Birthdate),
            (Rule::Birthdate, "1815-1-1", Error::Birthdate),
            (Rule::Birthdate, "10.12.1815", Error::Birthdate),
            (Rule::Birthdate, "0000", Error::Birthdate),
            (Rule::Birthdate, "1815-12", Error::Birthdate),
            (Rule::Birthdate, "1815-12-10T00:00", Error::Birthdate),
            (Rule::Birthdate, "١٨١٥", Error::Birthdate),
            (Rule::TimeZone, "../../etc/passwd", Error::TimeZone),
            (Rule::TimeZone, "Europe/", Error::TimeZone),
            (Rule::TimeZone, "+01:00", Error::TimeZone),
            (Rule::Language, "en_GB", Error::Language),
            (Rule::Language, "e", Error::Language),
            (Rule::Language, "en-", Error::Language),
            (Rule::Phone, "0163 2960961", Error::Phone),
            (Rule::Phone, "+0163296096", Error::Phone),
            (Rule::Phone, "+12345678901234567", Error::Phone),
        ] {
            assert_eq!(rule.check(typed), Err(error), "{typed:?}");
        }
        let long = "ä".repeat(MAX_LINE);
        assert!(Rule::Line.check(&long).is_ok());
        assert_eq!(Rule::Line.check(&format!("{long}x")), Err(Error::TooLong(MAX_LINE)));
        // The limit also applies to the serialized URL, in which percent-encoding takes more space.
        let grows = format!("https://ada.example/{}", "ü".repeat(500));
        assert_eq!(Rule::Url.check(&grows), Err(Error::Url));
    }
}
