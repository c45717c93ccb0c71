//! The blocklist of common passwords.
//!
//! The list is a sorted text that is embedded in the binary and searched in place. A lookup takes
//! about sixteen comparisons and no heap memory, and nothing is computed at start-up.
//! `blocklist/README.md` names the sources of the list.

/// One lower-case entry of at least [`SHORTEST_STEM`] characters per line, sorted by bytes.
const COMMON: &str = include_str!("blocklist/common.txt");

/// Length of the shortest stem that is looked up, in characters. Shorter stems are not looked up,
/// because `Amy-8831` must not count as `amy`.
const SHORTEST_STEM: usize = 4;

/// Maximum number of trailing digits that are stripped, and of trailing punctuation marks.
const MAX_STRIPPED: usize = 4;

/// Whether a folded password is a common password, with or without a suffix of digits and
/// punctuation marks.
///
/// To satisfy composition rules, people capitalise a common word and append a number and a symbol.
/// So the password is looked up without case, and again after each trailing digit or ASCII
/// punctuation mark is stripped, up to four of each. For example, `Welcome2024!` counts as
/// `welcome`, and `Password@123` as `password`. Stems under four characters are not looked up.
pub(super) fn is_common(folded: &str) -> bool {
    let (mut stem, mut digits, mut marks) = (folded, 0, 0);
    loop {
        if stem.chars().nth(SHORTEST_STEM - 1).is_none() {
            return false;
        }
        if is_listed(stem) {
            return true;
        }
        let mut shorter = stem.chars();
        match shorter.next_back() {
            Some(c) if c.is_ascii_digit() => digits += 1,
            Some(c) if c.is_ascii_punctuation() => marks += 1,
            _ => return false,
        }
        if digits > MAX_STRIPPED || marks > MAX_STRIPPED {
            return false;
        }
        stem = shorter.as_str();
    }
}

/// Searches the list by bisection. Each step divides it at a line break.
fn is_listed(word: &str) -> bool {
    let word = word.as_bytes();
    let mut rest = COMMON.as_bytes();
    while !rest.is_empty() {
        let (front, _) = rest.split_at(rest.len() / 2);
        let line_start = front.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let (before, from_line) = rest.split_at(line_start);
        let line_end = from_line.iter().position(|&byte| byte == b'\n');
        let (line, after) = from_line.split_at(line_end.unwrap_or(from_line.len()));
        rest = match word.cmp(line) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => before,
            std::cmp::Ordering::Greater => after.get(1..).unwrap_or_default(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{COMMON, SHORTEST_STEM, is_common, is_listed};

    fn capitalised(word: &str) -> String {
        let mut rest = word.chars();
        rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
    }

    fn matches_compat_composition(password: &str) -> bool {
        password.chars().count() >= 8
            && password.chars().any(char::is_uppercase)
            && password.chars().any(char::is_lowercase)
            && password.chars().any(|c| c.is_ascii_digit())
    }

    /// The binary search relies on this form.
    #[test]
    fn blocklist_is_sorted_lower_case_and_has_no_short_entries() {
        let lines: Vec<&str> = COMMON.lines().collect();

        assert!(COMMON.ends_with('\n') && !COMMON.contains('\r'));
        assert!(lines.is_sorted_by(|one, next| one.as_bytes() < next.as_bytes()));
        for line in lines {
            assert_eq!(line, line.to_lowercase());
            assert!(line.chars().count() >= SHORTEST_STEM, "{line}");
        }
    }

    #[test]
    fn every_entry_is_found_and_no_other_text() {
        for line in COMMON.lines() {
            assert!(is_listed(line), "{line}");
            assert!(!is_listed(&format!("{line}\n")), "{line}");
        }
        for absent in
            ["", "\n", " ", "zzzzzzzzzzzz", "sunshineharpoon", "passwordd\u{301}", "\u{10ffff}"]
        {
            assert!(!is_listed(absent), "{absent:?}");
        }
    }

    /// PW-05: common passwords are refused even if they have eight characters, both cases and a
    /// digit.
    ///
    /// The list contains lower-case words, so the test counts the forms that people derive from
    /// these words.
    #[test]
    fn more_than_ten_thousand_policy_matching_passwords_are_rejected() {
        let mut bare = BTreeSet::new();
        let mut with_suffix = BTreeSet::new();
        for word in COMMON.lines().map(capitalised) {
            for ending in ["1", "12", "123", "2024!"] {
                with_suffix.insert(format!("{word}{ending}"));
            }
            bare.insert(word);
        }
        bare.retain(|password| matches_compat_composition(password));
        with_suffix.retain(|password| matches_compat_composition(password));

        assert!(bare.len() > 3_000, "{}", bare.len());
        assert!(with_suffix.len() > 100_000, "{}", with_suffix.len());
        for password in bare.iter().chain(&with_suffix) {
            assert!(is_common(&password.to_lowercase()), "{password}");
        }
    }

    #[test]
    fn up_to_four_digits_and_four_marks_are_ignored() {
        for common in ["password2024", "harpoon!!!!", "harpoon2024", "sunshine1", "welcome2024!"] {
            assert!(is_common(common), "{common}");
        }
        for other in ["harpoon20241", "harpoon!!!!!", "correct2024!", "amy12", "amy!2"] {
            assert!(!is_common(other), "{other}");
        }
    }
}
