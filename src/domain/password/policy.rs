//! Policy for new passwords.
//!
//! Lengths are counted in code points of the NFC form. All policies but `Original` refuse common
//! passwords and the account's own words. No policy requires periodic changes.

use zeroize::Zeroizing;

use crate::config::PasswordPolicy as Policy;
use crate::domain::password::blocklist;
use crate::domain::password::typed::Password;

/// Longest password that any policy accepts, in code points.
const MAX_LENGTH: usize = 128;

/// Length of the shortest word of the account that is considered, in letters and digits. Shorter
/// words are ignored, because too many good passwords contain them.
const SHORTEST_OWN_WORD: usize = 4;

/// How many letters and digits a password must have besides the account's own words.
const MIN_REMAINDER: usize = 7;

/// A rule that a password breaks. Its text completes a sentence that begins with "password".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// Fewer code points than the policy requires.
    #[error("needs at least {minimum} characters")]
    TooShort {
        /// The policy's minimum.
        minimum: usize,
    },
    /// More than 128 code points.
    #[error("is longer than 128 characters")]
    TooLong,
    /// No character with the Unicode property `Uppercase`.
    #[error("needs an upper-case letter")]
    NoUpperCase,
    /// No character with the Unicode property `Lowercase`.
    #[error("needs a lower-case letter")]
    NoLowerCase,
    /// No character of the Unicode number categories. Digits of every script count.
    #[error("needs a digit")]
    NoDigit,
    /// A character that cannot be typed into a form field, such as a line break.
    #[error("has a control character")]
    Control,
    /// On the blocklist, with or without a suffix of digits and punctuation marks.
    #[error("is a common password")]
    Common,
    /// Too few letters and digits besides the account's own words.
    #[error("contains your email address or this service's name")]
    OwnWord,
}

impl Policy {
    /// Lists every rule that the password breaks, in the order of [`Weakness`].
    ///
    /// `context` contains the account's own words: its email address, the local part of the address
    /// and the name of the service. [`Weakness::OwnWord`] applies in these cases:
    ///
    /// - A word with an `@` (the whole address) must not occur in the password.
    /// - Any other word does not count towards the password: without it, at least seven letters and
    ///   digits must remain. Case and all characters except letters and digits are ignored. So
    ///   `Alice.Smith1` and `alice-smith-1990` both leave too little beside `alice.smith`, while a
    ///   long phrase that happens to contain a short name leaves enough.
    ///
    /// Words with fewer than four letters and digits are ignored.
    #[must_use]
    pub fn check(self, password: &Password, context: &[&str]) -> Vec<Weakness> {
        let minimum = match self {
            Self::Compat | Self::Original => 8,
            Self::Nist => 15,
        };
        let (has_composition, has_blocklist) = (self != Self::Nist, self != Self::Original);
        let text = password.as_str();
        let length = text.chars().count();
        let folded = fold(text);

        [
            (length < minimum, Weakness::TooShort { minimum }),
            (length > MAX_LENGTH, Weakness::TooLong),
            (has_composition && !text.chars().any(char::is_uppercase), Weakness::NoUpperCase),
            (has_composition && !text.chars().any(char::is_lowercase), Weakness::NoLowerCase),
            (has_composition && !text.chars().any(char::is_numeric), Weakness::NoDigit),
            (text.chars().any(char::is_control), Weakness::Control),
            (has_blocklist && blocklist::is_common(&folded), Weakness::Common),
            (has_blocklist && is_own_word(&folded, context), Weakness::OwnWord),
        ]
        .into_iter()
        .filter_map(|(is_broken, weakness)| is_broken.then_some(weakness))
        .collect()
    }
}

fn is_own_word(folded: &str, context: &[&str]) -> bool {
    let spelled = letters_and_digits(folded);
    let mut remainder = spelled.clone();
    for word in context.iter().map(|word| fold(word)) {
        let letters = letters_and_digits(&word);
        if letters.chars().nth(SHORTEST_OWN_WORD - 1).is_none() {
            continue;
        }
        if word.contains('@') {
            if folded.contains(word.as_str()) {
                return true;
            }
        } else {
            remainder = without(&remainder, &letters);
        }
    }
    remainder.len() < spelled.len() && remainder.chars().count() < MIN_REMAINDER
}

/// The text in lower case, in one allocation that is wiped.
fn fold(text: &str) -> Zeroizing<String> {
    // No lower-case mapping is longer than three times its character.
    let mut folded = Zeroizing::new(String::with_capacity(text.len() * 3));
    folded.extend(text.chars().flat_map(char::to_lowercase));
    folded
}

fn without(text: &str, word: &str) -> Zeroizing<String> {
    let mut remainder = Zeroizing::new(String::with_capacity(text.len()));
    remainder.extend(text.split(word));
    remainder
}

fn letters_and_digits(folded: &str) -> Zeroizing<String> {
    let mut filtered = Zeroizing::new(String::with_capacity(folded.len()));
    filtered.extend(folded.chars().filter(|c| c.is_alphanumeric()));
    filtered
}

#[cfg(test)]
mod tests {
    use super::{Policy, Weakness, fold};
    use crate::domain::password::typed::Password;

    const OWN: &[&str] = &["alice.smith@example.com", "alice.smith", "Signet"];

    fn check(policy: Policy, typed: &str) -> Vec<Weakness> {
        policy.check(&Password::parse(typed).unwrap(), OWN)
    }

    fn messages(policy: Policy, typed: &str) -> Vec<String> {
        check(policy, typed).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_violations_are_listed_in_a_fixed_order() {
        assert_eq!(
            messages(Policy::Compat, ""),
            [
                "needs at least 8 characters",
                "needs an upper-case letter",
                "needs a lower-case letter",
                "needs a digit",
            ]
        );
        assert_eq!(messages(Policy::Compat, "Violet-Harpoon"), ["needs a digit"]);
        assert_eq!(messages(Policy::Compat, "violet-harpoon-3"), ["needs an upper-case letter"]);
        assert_eq!(messages(Policy::Compat, "VIOLET-HARPOON-3"), ["needs a lower-case letter"]);
        assert_eq!(
            messages(Policy::Compat, "signet"),
            [
                "needs at least 8 characters",
                "needs an upper-case letter",
                "needs a digit",
                "contains your email address or this service's name",
            ]
        );
        assert_eq!(
            messages(Policy::Nist, "Password1"),
            ["needs at least 15 characters", "is a common password",]
        );
    }

    #[test]
    fn original_policy_accepts_what_compat_rejects() {
        assert_eq!(check(Policy::Original, "Password123"), []);
        assert_eq!(check(Policy::Original, "Alice.smith1"), []);
        assert_eq!(check(Policy::Original, "password"), check(Policy::Compat, "violet-harpoon-"));
        assert_eq!(check(Policy::Original, "Pass-word1\n"), [Weakness::Control]);
    }

    /// PW-02: lengths are code points of the NFC form; spaces and all of Unicode count.
    #[test]
    fn length_is_counted_in_normalised_code_points() {
        let seven = "Aa3e\u{301}-\u{1f511} ";
        let eight = "Aa3e\u{301}-\u{1f511} \u{e9}";

        assert_eq!(check(Policy::Compat, seven), [Weakness::TooShort { minimum: 8 }]);
        assert_eq!(check(Policy::Compat, eight), []);
        assert_eq!(
            check(Policy::Nist, &"\u{1f511}".repeat(14)),
            [Weakness::TooShort { minimum: 15 }]
        );
        assert_eq!(check(Policy::Nist, &"\u{1f511}".repeat(15)), []);
        for policy in [Policy::Compat, Policy::Nist] {
            assert_eq!(check(policy, &format!("Aa3{}", "e\u{301}".repeat(125))), []);
            assert_eq!(check(policy, &format!("Aa3{}", "-".repeat(126))), [Weakness::TooLong]);
        }
    }

    #[test]
    fn letters_and_digits_of_every_script_count() {
        let cyrillic = "\u{416}\u{443}\u{440}\u{43d}\u{430}\u{43b}-\u{664}\u{664}";
        let greek = "\u{3a9}\u{3bc}\u{3ad}\u{3b3}\u{3b1}-\u{967}\u{96d}";

        for typed in [cyrillic, greek] {
            assert_eq!(check(Policy::Compat, typed), [], "{typed}");
        }
    }

    /// B3: characters that a form field cannot contain are refused in new passwords. Existing
    /// passwords that contain them stay valid.
    #[test]
    fn control_characters_are_rejected() {
        for text in ["Correct-\u{0}Horse7", "Correct-\nHorse7", "Correct-\u{85}Horse7"] {
            assert_eq!(check(Policy::Compat, text), [Weakness::Control], "{text:?}");
        }
        assert_eq!(check(Policy::Compat, "Correct \u{200d}Horse7"), []);
    }

    /// PW-05, N-04: words of the blocklist with a suffix of digits and punctuation marks.
    #[test]
    fn common_passwords_with_a_suffix_are_rejected() {
        for common in [
            "Password1",
            "Passw0rd",
            "Passw0rd!",
            "P@ssw0rd",
            "P@ssw0rd123",
            "Password@2024!",
            "Qwerty123",
            "Welcome2024!",
            "Sunshine1",
            "Iloveyou2",
            "Abcd1234",
            "Aa123456",
            "1Qaz2wsx",
            "Zaq12wsx",
            "Letmein99",
            "Jennifer2001",
            "Chelsea08",
            "Admin@123",
        ] {
            assert_eq!(check(Policy::Compat, common), [Weakness::Common], "{common}");
        }
        assert_eq!(check(Policy::Nist, "qwerty123456789"), [Weakness::Common]);
        assert_eq!(check(Policy::Nist, "123456789987654321"), [Weakness::Common]);
    }

    #[test]
    fn strong_passwords_are_accepted() {
        for good in [
            "Correct-Horse7-Battery",
            "tr0ub4dor&3X9",
            "Violet Harpoon 3",
            "kZ7#mQ2pLw",
            "My dog eats 40 passwords",
            "xkcd 936: Four words",
        ] {
            assert_eq!(check(Policy::Compat, good), [], "{good}");
        }
        for good in ["correct horse battery staple", "violet harpoon drifts"] {
            assert_eq!(check(Policy::Nist, good), [], "{good}");
        }
    }

    /// PW-05, N-10: the account's own words.
    #[test]
    fn words_of_the_account_are_rejected() {
        for own in [
            "Alice.smith1",
            "Alice.Smith@example.com1",
            "My-alice.smith@example.com-is-my-address-7",
            "AliceSmith1990!",
            "1Alice_Smith",
            "Signet42",
            "Signet2024!",
            "MySignet1",
            "SignetSignet1",
            "Alice-Smith-Signet-77",
        ] {
            assert_eq!(check(Policy::Compat, own), [Weakness::OwnWord], "{own}");
        }
    }

    #[test]
    fn passphrase_containing_a_word_of_the_account_is_accepted() {
        for good in ["Signet-Harpoon-3", "A cold signet ring in 1987", "Alice in Wonderland 7"] {
            assert_eq!(check(Policy::Compat, good), [], "{good}");
        }
    }

    /// The folded copy is never reallocated, so no unwiped copy remains.
    #[test]
    fn folding_does_not_exceed_the_reserved_capacity() {
        for code_point in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let text = code_point.to_string();

            assert!(fold(&text).len() <= text.len() * 3, "{code_point:?}");
        }
    }

    #[test]
    fn words_under_four_letters_and_digits_are_ignored() {
        let password = Password::parse("Bo-b-harp3").unwrap();

        for word in ["bob", "b.o.b", "", "...", "@", "b@b", "\u{1f511}\u{1f511}\u{1f511}\u{1f511}"]
        {
            assert_eq!(Policy::Compat.check(&password, &[word]), [], "{word}");
        }
    }
}
