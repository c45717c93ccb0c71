//! Email addresses. All spellings of an address belong to the same account.
//!
//! | form | contents | purpose |
//! |---|---|---|
//! | spelling | the address as typed, in NFC, the domain as A-labels | the recipient of mails |
//! | canonical | the spelling in lower case | responses and claims |
//! | folded | the canonical form, its local part in NFKC and case-folded | uniqueness and lookup |
//!
//! Early versions had no folded form and looked up the canonical form, so an account is found by
//! either of the two.

use std::fmt;

use icu_casemap::CaseMapper;
use unicode_normalization::UnicodeNormalization;

use crate::naming::{
    ascii_domain, has_valid_joiners, is_joiner, is_letter_mark_or_number, is_mark,
};

/// Longest address after normalisation, in bytes (RFC 5321 §4.5.3.1.3 less the brackets).
const MAX_BYTES: usize = 254;

/// Longest address as typed, in characters.
const MAX_TYPED: usize = 255;

/// ASCII characters of an atom that are neither letters nor digits (RFC 5322 §3.2.3).
const ATOM_SYMBOLS: &str = "!#$%&'*+-/=?^_`{|}~";

/// An address that passed [`Email::parse`], or the address of an account that is older than the
/// current rules.
#[derive(Debug, Clone)]
pub struct Email {
    spelling: String,
    address: String,
    folded: Option<String>,
}

/// Two spellings of one address are equal.
impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        (&self.address, &self.folded) == (&other.address, &other.folded)
    }
}

impl Eq for Email {}

/// Why a text is not a valid address. The messages are for the user who typed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// More than 255 characters, or more than 254 bytes after normalisation.
    #[error("must be at most 255 characters")]
    TooLong,
    /// No `@`, or more than one.
    #[error("must contain exactly one @")]
    NotOneAt,
    /// The part before the `@` is empty, too long, or has a character that is not allowed there.
    #[error("has a part before the @ that is not valid")]
    LocalPart,
    /// The part after the `@` is not a domain name with a dot.
    #[error("has a domain that is not valid")]
    Domain,
}

impl Email {
    /// Normalises and checks the address of a new account: trimmed, NFC, lower case, the domain as
    /// A-labels (RFC 5891) without a trailing dot.
    ///
    /// Quoted local parts (`"a b"@…`) and domain literals are refused, because they are not used in
    /// practice and allow smuggling. Checks run after normalisation and again after case folding,
    /// so that both stored forms are checked.
    ///
    /// # Errors
    /// The rule that the address breaks.
    pub fn parse(typed: &str) -> Result<Self, EmailError> {
        let (local, domain) = split(typed)?;
        check_local_part(&local)?;
        let address = canonical(&local, &domain)?;
        let folded = folded(&address).ok_or(EmailError::LocalPart)?;
        if folded.len() > MAX_BYTES {
            return Err(EmailError::TooLong);
        }
        Ok(Self { spelling: format!("{local}@{domain}"), address, folded: Some(folded) })
    }

    /// Parses an address for lookup. Also accepts an address that only earlier versions accepted;
    /// such an address has no folded form, and is found by its canonical form.
    ///
    /// # Errors
    /// As [`Email::parse`], if no version ever accepted the address.
    pub fn parse_known(typed: &str) -> Result<Self, EmailError> {
        Self::parse(typed).or_else(|error| {
            let (local, domain) = split(typed)?;
            if !was_valid_local_part(&local) {
                return Err(error);
            }
            let address = canonical(&local, &domain)?;
            Ok(Self { spelling: format!("{local}@{domain}"), address, folded: None })
        })
    }

    /// The address of an account. `canonical` is the value of its column `email_canonical`.
    #[must_use]
    pub fn of_account(canonical: &str) -> Self {
        let folded = folded(canonical).filter(|folded| folded.len() <= MAX_BYTES);
        Self { spelling: canonical.to_owned(), address: canonical.to_owned(), folded }
    }

    /// The address as typed, in NFC and with the domain as A-labels. Accounts store this form as
    /// the recipient of mails, because a mail server may distinguish upper and lower case.
    #[must_use]
    pub fn spelling(&self) -> &str {
        &self.spelling
    }

    /// The canonical form, for display.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The folded form, in which all spellings of the address are equal. `None` if a new account
    /// cannot have this address.
    #[must_use]
    pub fn folded(&self) -> Option<&str> {
        self.folded.as_deref()
    }

    /// The folded form, or the canonical form if there is no folded form.
    #[must_use]
    pub fn key(&self) -> &str {
        self.folded().unwrap_or(&self.address)
    }

    /// The part after the `@`, as A-labels.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.address.split('@').nth(1).unwrap_or_default()
    }

    /// The part before the `@`, in lower case.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.address.split('@').next().unwrap_or_default()
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// The part before the `@` in NFC, and the domain as A-labels.
fn split(typed: &str) -> Result<(String, String), EmailError> {
    let trimmed = typed.trim();
    if trimmed.chars().count() > MAX_TYPED {
        return Err(EmailError::TooLong);
    }
    let text: String = trimmed.nfc().collect();
    let (local, domain) = text.split_once('@').ok_or(EmailError::NotOneAt)?;
    if domain.contains('@') {
        return Err(EmailError::NotOneAt);
    }
    if local.len() > 64 {
        return Err(EmailError::LocalPart);
    }
    Ok((local.to_owned(), ascii_domain(domain).ok_or(EmailError::Domain)?))
}

/// The canonical form. The column `email_canonical` has contained this form since the first
/// version. If its computation changed, stored accounts would no longer be found.
fn canonical(local: &str, domain: &str) -> Result<String, EmailError> {
    let address = format!("{}@{domain}", local.to_lowercase().nfc().collect::<String>());
    if address.len() > MAX_BYTES { Err(EmailError::TooLong) } else { Ok(address) }
}

/// RFC 5321 `Dot-string`, extended by letters, marks and numbers of any script (RFC 6531 §3.3).
/// Spaces, controls, bidirectional marks and look-alikes of `@` are refused. Joiners are accepted
/// where IDNA allows them.
fn check_local_part(local: &str) -> Result<(), EmailError> {
    let is_valid = local.split('.').all(is_atom) && has_valid_joiners(local);
    if is_valid { Ok(()) } else { Err(EmailError::LocalPart) }
}

fn is_atom(atom: &str) -> bool {
    let is_valid = |c: char| {
        let is_ascii_valid = c.is_ascii_alphanumeric() || ATOM_SYMBOLS.contains(c);
        is_ascii_valid || is_joiner(c) || (is_letter_mark_or_number(c) && !becomes_letter(c))
    };
    // A mark at the start would be rendered over the character before the address.
    atom.chars().next().is_some_and(|first| !is_mark(first)) && atom.chars().all(is_valid)
}

/// Whether `c` is a combining mark that case folding turns into a letter. Folding does this with
/// COMBINING GREEK YPOGEGRAMMENI, which remains after NFC if the letter before it has no composed
/// form with this mark.
fn becomes_letter(c: char) -> bool {
    is_mark(c) && !CaseMapper::new().fold_string(c.encode_utf8(&mut [0; 4])).chars().all(is_mark)
}

/// Whether early versions, which had no folded form, accepted the local part.
fn was_valid_local_part(local: &str) -> bool {
    let is_valid = |c: char| c.is_alphanumeric() || ATOM_SYMBOLS.contains(c);
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_valid))
}

/// The folded form of a canonical address. As in `toNFKC_Casefold` (Unicode §3.13.5), NFKC and full
/// case folding are applied until neither changes the text, and joiners are removed, because their
/// effect is often invisible. `None` if the result is not a valid address.
fn folded(address: &str) -> Option<String> {
    let (local, domain) = address.split_once('@')?;
    check_local_part(local).ok()?;
    let once = |text: &str| CaseMapper::new().fold_string(text).nfkc().collect::<String>();
    let is_joiner = |c: &char| matches!(c, '\u{200c}' | '\u{200d}');
    let local = once(&once(&local.chars().filter(|c| !is_joiner(c)).nfkc().collect::<String>()));
    check_local_part(&local).ok()?;
    Some(format!("{local}@{domain}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ID-01: spellings of one address have one canonical form.
    #[test]
    fn spellings_of_one_address_have_one_canonical_form() {
        let spellings = [
            "josé@bücher.example",
            "  josé@bücher.example\t",
            "JOSÉ@BÜCHER.EXAMPLE",
            "jose\u{301}@bu\u{308}cher.example",
            "josé@xn--bcher-kva.example.",
        ];

        for spelling in spellings {
            let email = Email::parse(spelling).unwrap();
            assert_eq!(email.address(), "josé@xn--bcher-kva.example", "{spelling:?}");
            assert_eq!(email.folded(), Some(email.address()), "{spelling:?}");
        }
    }

    /// ID-02: texts that are not addresses, or imitate another address, are refused.
    #[test]
    fn invalid_addresses_are_rejected() {
        let refused = [
            "",
            "@",
            "alice",
            "alice@",
            "@example.com",
            "a@b@example.com",
            "alice@example",
            "alice@.example.com",
            "alice@example..com",
            "alice@-example.com",
            "alice@exa mple.com",
            "alice@[127.0.0.1]",
            "alice@127.0.0.1",
            ".alice@example.com",
            "ali..ce@example.com",
            "\"alice\"@example.com",
            "ali ce@example.com",
            "alice\u{ff20}example.com",
            "alice\u{ff20}evil@example.com",
            "alice\u{202e}@example.com",
            "alice\u{200b}@example.com",
            "alice\0@example.com",
            "alice\r\nBcc: x@example.com",
            "alice@example.com\r\n.evil.com",
            "<alice@example.com>",
            "alice\u{3164}@example.com",
            "alice\u{115f}@example.com",
            "alice\u{1160}@example.com",
            "alice\u{ffa0}@example.com",
            "alice\u{345}@example.com",
            "alice\u{34f}@example.com",
            "alice\u{fe0f}@example.com",
            "alice\u{17b4}@example.com",
            "alice\u{16fe4}@example.com",
            "alice\u{200d}@example.com",
            "ali\u{200c}ce@example.com",
            "\u{301}alice@example.com",
            "\u{24d0}lice@example.com",
            "\u{37a}alice@example.com",
        ];

        for text in refused {
            assert!(Email::parse(text).is_err(), "{text:?}");
        }
    }

    /// ID-02: the length is that of the normalised form.
    #[test]
    fn addresses_of_more_than_254_bytes_are_rejected() {
        let domain = format!("{}.{}.{}.example", "a".repeat(63), "b".repeat(63), "c".repeat(54));
        let local = "x".repeat(254 - 1 - domain.len());

        assert!(Email::parse(&format!("{local}@{domain}")).is_ok());
        assert_eq!(Email::parse(&format!("{local}x@{domain}")), Err(EmailError::TooLong));
        assert_eq!(Email::parse(&"x".repeat(100_000)), Err(EmailError::TooLong));
    }

    /// W11: addresses that are equal after full case folding or NFKC are one address. The folded
    /// form is not shown.
    #[test]
    fn addresses_equal_after_case_folding_are_one_address() {
        for (folded, spellings) in [
            ("νίκοσ.p@example.com", ["νίκος.p@example.com", "ΝΊΚΟΣ.P@example.com"]),
            ("strasse@example.com", ["straße@example.com", "STRASSE@example.com"]),
            ("ff@example.com", ["\u{fb00}@example.com", "FF@example.com"]),
            ("joe@example.com", ["\u{ff2a}\u{ff4f}\u{ff45}@example.com", "joe@example.com"]),
            ("i\u{307}x@example.com", ["\u{130}x@example.com", "i\u{307}x@example.com"]),
            ("α\u{3b9}@example.com", ["\u{1fb3}@example.com", "ΑΙ@example.com"]),
        ] {
            for spelling in spellings {
                let email = Email::parse(spelling).unwrap();
                assert_eq!(email.folded(), Some(folded), "{spelling:?}");
                assert_eq!(Email::of_account(email.address()), email, "{spelling:?}");
            }
        }
        assert_eq!(Email::parse("STRAßE@Example.com").unwrap().address(), "straße@example.com");
    }

    /// B1: characters of the Unicode categories L, M and N are accepted.
    #[test]
    fn addresses_in_any_script_are_accepted() {
        for typed in [
            "संपर्क@डाटामेल.भारत",
            "ผู้ใช้@example.com",
            "தமிழ்@example.com",
            "می\u{200c}خواهم@example.com",
            "क\u{94d}\u{200d}ष@example.com",
            "用户@例え.テスト",
        ] {
            assert!(Email::parse(typed).is_ok(), "{typed}");
        }
    }

    /// The canonical form, by which the account is found, is the only form of such an address.
    #[test]
    fn address_that_only_earlier_versions_accepted_is_parsed_for_lookup() {
        let typed = "Alice\u{3164}@example.com";

        let email = Email::parse_known(typed).unwrap();

        assert_eq!(email.address(), "alice\u{3164}@example.com");
        assert_eq!((email.folded(), email.key()), (None, email.address()));
        assert_eq!(Email::of_account(email.address()), email);
        assert_eq!(Email::parse_known("ali ce@example.com"), Err(EmailError::LocalPart));
        assert_eq!(Email::parse_known("νίκος@example.com"), Email::parse("νίκος@example.com"));
    }

    /// Folding must not change a folded form, because accounts are found by the folded form.
    #[test]
    fn folding_is_idempotent() {
        let is_changed = |c: &char| {
            let text = c.to_string();
            is_mark(*c) || CaseMapper::new().fold_string(&text) != text || text.nfkc().ne([*c])
        };
        let all = ('\0'..=char::MAX).filter(|c| is_letter_mark_or_number(*c));
        for c in all.filter(is_changed) {
            for text in [format!("x{c}"), format!("α{c}"), format!("{c}\u{345}\u{301}")] {
                assert_folds_once(&text, c);
            }
        }
    }

    fn assert_folds_once(text: &str, c: char) {
        let text: String = text.to_lowercase().nfc().collect();
        let Some(once) = folded(&format!("{text}@example.com")) else { return };
        assert_eq!(folded(&once).as_ref(), Some(&once), "U+{:04X}", u32::from(c));
    }
}
