//! What a name may be made of that people decide by: of a client on the page that asks for their
//! consent, and of the service itself.
//!
//! A character that cannot be seen, or that changes the order of others, makes one name look like
//! another. That costs a few names that are none the worse for it (an emoji that is joined of several, a
//! Persian name with a non-joiner), and whoever registers one sees why.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// Letters, marks and symbols that show as nothing (`Default_Ignorable_Code_Point` of UAX #44), or as a
/// space.
const INVISIBLE: [(char, char); 11] = [
    ('\u{34f}', '\u{34f}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{2065}', '\u{2065}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{1d159}', '\u{1d159}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Whether a text is a name in one line, of at most `longest` characters, all of which can be seen.
#[must_use]
pub fn is_name(text: &str, longest: usize) -> bool {
    let is_trimmed = !text.is_empty() && text.trim() == text;
    is_trimmed && text.chars().count() <= longest && text.chars().all(is_seen)
}

/// Whether a character shows, as itself and without changing the order of others; the plain space does.
#[must_use]
pub fn is_seen(c: char) -> bool {
    let is_line = [GeneralCategory::LineSeparator, GeneralCategory::ParagraphSeparator]
        .contains(&c.general_category());
    // Control and format characters (bidi controls, joiners), surrogates, private use, unassigned.
    let is_other = c.general_category_group() == GeneralCategoryGroup::Other;
    // Of the spaces, the one that everybody types: the others look like it, or like none.
    let is_odd_space = c.is_whitespace() && c != ' ';
    !is_line
        && !is_odd_space
        && !is_other
        && !INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_nothing_in_it_that_cannot_be_seen() {
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
        assert!(!is_name(" Bank", 40) && !is_name("Bank ", 40));
        assert!(!is_name("", 40) && !is_name(" ", 40) && !is_name("\u{3000}", 40));
        assert!(is_name(&"é".repeat(40), 40) && !is_name(&"é".repeat(41), 40));
    }
}
