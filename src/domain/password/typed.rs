//! A password as a value: bounded, normalised, wiped, never printed.

use std::fmt;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// Longest password accepted, in bytes of UTF-8 as typed.
const MAX_BYTES: usize = 1_024;

/// NFC never grows a UTF-8 string by more than this factor (Unicode Standard Annex #15, §11).
const NFC_GROWTH: usize = 3;

/// A password in Unicode normalisation form C.
///
/// Two keyboards may encode `é` as one code point or as two. Here, both are the same password (NIST
/// SP 800-63B-4 §3.1.1.2). Nothing else is changed: there is no trimming, case folding or
/// truncation.
///
/// If the text as typed differs from the normalised text, it is stored as well, because another
/// system may have hashed it. The bytes are overwritten when the value is dropped.
#[derive(Clone)]
pub struct Password {
    normalised: Zeroizing<String>,
    typed: Option<Zeroizing<String>>,
}

/// Why a typed password is not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusablePassword {
    /// More than 1,024 bytes of UTF-8 as typed. It is refused before anything is computed from it.
    #[error("is longer than 1024 bytes")]
    TooLong,
}

impl Password {
    /// Parses a password as typed.
    ///
    /// An empty password can be parsed, but no policy accepts it.
    ///
    /// # Errors
    /// [`UnusablePassword`] for more than 1,024 bytes, counted before normalisation.
    pub fn parse(typed: &str) -> Result<Self, UnusablePassword> {
        if typed.len() > MAX_BYTES {
            return Err(UnusablePassword::TooLong);
        }
        // The capacity suffices for the longest result, because a reallocation would leave an
        // unwiped copy.
        let mut normalised = Zeroizing::new(String::with_capacity(typed.len() * NFC_GROWTH));
        normalised.extend(typed.nfc());
        let typed = (*normalised != typed).then(|| Zeroizing::new(typed.to_owned()));
        Ok(Self { normalised, typed })
    }

    /// The text. Only the password module may use it.
    pub(super) fn as_str(&self) -> &str {
        &self.normalised
    }

    /// The bytes to hash. Only the password module may use them.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.normalised.as_bytes()
    }

    /// The one or two texts from which a stored hash may have been computed, the most likely first.
    pub(super) fn spellings(&self) -> impl Iterator<Item = &[u8]> {
        let typed = self.typed.as_ref().map(|typed| typed.as_bytes());
        [self.as_bytes()].into_iter().chain(typed)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_BYTES, NFC_GROWTH, Password, UnusablePassword};

    /// K5, PW-02: composed and decomposed spellings are one password.
    #[test]
    fn canonically_equivalent_spellings_are_the_same_password() {
        for (composed, decomposed) in [
            ("p\u{e9}ch\u{e9}", "pe\u{301}che\u{301}"),
            ("\u{212b}ngstr\u{f6}m", "A\u{30a}ngstro\u{308}m"),
            ("\u{d55c}\u{ad6d}", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}"),
            ("a\u{323}\u{307}", "a\u{307}\u{323}"),
        ] {
            let [first, second] = [composed, decomposed].map(|it| Password::parse(it).unwrap());

            assert_eq!(first.as_str(), second.as_str());
        }
    }

    /// K5: only NFC is applied. Compatibility characters, case and spaces stay as typed.
    #[test]
    fn spellings_that_are_not_canonically_equivalent_differ() {
        for typed in ["\u{ff30}ass", "\u{fb01}sh", "x\u{b2}", " Pass word ", "\u{1f511}", "\t"] {
            assert_eq!(Password::parse(typed).unwrap().as_str(), typed);
        }
    }

    /// PW-02, PW-03: the limit applies to the bytes as typed, before they are normalised.
    #[test]
    fn more_than_1024_typed_bytes_are_rejected() {
        // U+212B (three bytes) becomes U+00C5 (two bytes). 1,026 typed bytes become 684.
        let shrinks = "\u{212b}".repeat(342);
        // U+1D160 (four bytes) becomes three code points of four bytes. Growth is accepted.
        let grows = "\u{1d160}".repeat(256);

        assert!(Password::parse(&"x".repeat(MAX_BYTES)).is_ok());
        assert!(Password::parse(&grows).is_ok());
        for refused in ["x".repeat(MAX_BYTES + 1), "x".repeat(1_000_000), shrinks] {
            assert_eq!(Password::parse(&refused).unwrap_err(), UnusablePassword::TooLong);
        }
    }

    /// The text is never reallocated during normalisation, so no unwiped copy remains.
    #[test]
    fn normalisation_does_not_exceed_the_reserved_capacity() {
        for code_point in (1..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let typed = code_point.to_string();

            let normalised = Password::parse(&typed).unwrap();

            assert!(normalised.as_str().len() <= typed.len() * NFC_GROWTH, "{code_point:?}");
        }
    }

    #[test]
    fn debug_output_is_redacted() {
        let password = Password::parse("Correct-Horse7-Battery").unwrap();

        assert_eq!(format!("{password:?}"), "Password(redacted)");
        assert_eq!(format!("{:#?}", Some(password)), "Some(\n    Password(redacted),\n)");
    }
}
