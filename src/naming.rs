//! The characters that are allowed in names on which users base decisions: client names on the
//! consent page, the service's name, names in a profile, and email addresses.
//!
//! Characters that are invisible, or that change the order of other characters, can make one name
//! look like another (spoofing). The tables of characters are those of Unicode, from ICU4X.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};
use idna::uts46::{AsciiDenyList, Hyphens, Uts46};

/// Characters that render as blank although Unicode does not classify them as ignorable: BRAILLE
/// PATTERN BLANK, MUSICAL SYMBOL NULL NOTEHEAD and KHITAN SMALL SCRIPT FILLER.
const BLANK: [char; 3] = ['\u{2800}', '\u{1d159}', '\u{16fe4}'];

/// ZERO WIDTH NON-JOINER and ZERO WIDTH JOINER, which some scripts require.
const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];

/// Whether a text is a single-line name of at most `max_chars` characters, all of them visible.
#[must_use]
pub fn is_name(text: &str, max_chars: usize) -> bool {
    let is_trimmed = !text.is_empty() && text.trim() == text;
    let is_printable =
        text.chars().all(|c| is_printable(c) || is_joiner(c)) && has_valid_joiners(text);
    is_trimmed && text.chars().count() <= max_chars && is_printable
}

/// Whether all characters of a text are visible or spaces, and none changes the order of other
/// characters. Joiners are allowed where they change how a word looks (IDNA CONTEXTJ, RFC 5892
/// appendix A).
#[must_use]
pub fn is_visible(text: &str) -> bool {
    text.chars().all(|c| is_visible_char(c) || is_joiner(c)) && has_valid_joiners(text)
}

/// Whether a character is a visible letter, mark or number of any script.
#[must_use]
pub fn is_letter_mark_or_number(c: char) -> bool {
    let category = category(c);
    let groups =
        [GeneralCategoryGroup::Letter, GeneralCategoryGroup::Mark, GeneralCategoryGroup::Number];
    groups.iter().any(|group| group.contains(category)) && is_visible_char(c)
}

/// Whether a character is a combining mark.
#[must_use]
pub fn is_mark(c: char) -> bool {
    GeneralCategoryGroup::Mark.contains(category(c))
}

/// Whether a character is a zero width joiner or non-joiner.
#[must_use]
pub fn is_joiner(c: char) -> bool {
    JOINERS.contains(&c)
}

/// Whether each joiner in a text is where IDNA CONTEXTJ allows it: between joining letters, or
/// after a virama (RFC 5892 appendix A.1, A.2).
#[must_use]
pub fn has_valid_joiners(text: &str) -> bool {
    // Each word is checked separately, because the other rules of IDNA are for labels, which
    // contain no punctuation.
    let is_between_words = |c: char| {
        let category = category(c);
        let is_of_word = GeneralCategoryGroup::Letter.contains(category)
            || GeneralCategoryGroup::Mark.contains(category);
        !is_of_word && !is_joiner(c)
    };
    text.split(is_between_words).filter(|word| word.contains(JOINERS)).all(|word| {
        let (_, checked) =
            Uts46::new().to_unicode(word.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow);
        checked.is_ok()
    })
}

/// Whether a character is visible and does not change the order of other characters. The plain
/// space counts as visible.
#[must_use]
pub fn is_printable(c: char) -> bool {
    // Other spaces look like the plain space, or are invisible.
    let is_odd_space = c.is_whitespace() && c != ' ';
    is_visible_char(c) && !is_odd_space
}

/// Whether a character is visible or a space: no control, format, private-use or unassigned
/// character, no line or paragraph separator, and none that renders as blank.
fn is_visible_char(c: char) -> bool {
    let category = category(c);
    let separators = [GeneralCategory::LineSeparator, GeneralCategory::ParagraphSeparator];
    !separators.contains(&category)
        && !GeneralCategoryGroup::Other.contains(category)
        && !CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        && !BLANK.contains(&c)
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

/// The domain of an email address in lower case, as A-labels (RFC 5891) without a trailing dot.
/// `None` if it is not a domain name with a dot.
#[must_use]
pub fn ascii_domain(domain: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii_strict(domain.strip_suffix('.').unwrap_or(domain)).ok()?;
    let has_letter = |label: &str| label.bytes().any(|byte| byte.is_ascii_alphabetic());
    let is_domain = ascii.contains('.')
        && ascii.len() <= 253
        && ascii.rsplit('.').next().is_some_and(has_letter)
        && ascii.split('.').all(|label| !label.is_empty() && label.len() <= 63);
    is_domain.then_some(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_must_be_visible_trimmed_and_within_the_limit() {
        for name in
            ["The shop", "Łódź & Söhne – №1", "東京ストア", "متجر", "Shop 🛒", "a", "O’Neill’s"]
        {
            assert!(is_name(name, 40), "{name}");
        }
        for hidden in [
            '\0',
            '\t',
            '\n',
            '\r',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{180e}',
            '\u{a0}',
            '\u{2003}',
            '\u{3000}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{2800}',
            '\u{3164}',
            '\u{e000}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{ffff}',
            '\u{1d173}',
            '\u{e0041}',
            '\u{e0100}',
            '\u{10ffff}',
            '\u{378}',
        ] {
            let name = format!("The sh{hidden}op");
            assert!(!is_name(&name, 40), "U+{:04X}", u32::from(hidden));
        }
        // A joiner is allowed between joining letters, or after a virama.
        for name in ["می\u{200c}خواهم", "क\u{94d}\u{200d}ष", "(می\u{200c}خواهم) 2"]
        {
            assert!(is_name(name, 40), "{name}");
        }
        for name in ["a\u{200c}b", "a\u{200d}", "\u{200c}می", "می\u{200c}", "م\u{200d}ی"] {
            assert!(!is_name(name, 40), "{name:?}");
        }
        assert!(!is_name(" Bank", 40) && !is_name("Bank ", 40));
        assert!(!is_name("", 40) && !is_name(" ", 40) && !is_name("\u{3000}", 40));
        assert!(is_name(&"é".repeat(40), 40) && !is_name(&"é".repeat(41), 40));
    }
}
