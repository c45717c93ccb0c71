//! E-mail addresses: one canonical form, so that one address is one account.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// Longest address after normalisation, in bytes (RFC 5321 §4.5.3.1.3 less the brackets).
const MAX_BYTES: usize = 254;

/// Longest address as typed, in characters.
const MAX_TYPED: usize = 255;

/// An address that passed [`Email::parse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    address: String,
    canonical: String,
}

/// Why a text is no address. The messages are for whoever typed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// More than 255 characters, or 254 bytes once normalised.
    #[error("must be at most 255 characters")]
    TooLong,
    /// No `@`, or more than one.
    #[error("must contain exactly one @")]
    NotOneAt,
    /// The part before the `@` is empty, too long, or holds a character that addresses don't.
    #[error("has a part before the @ that is not valid")]
    LocalPart,
    /// The part after the `@` is not a domain name with a dot.
    #[error("has a domain that is not valid")]
    Domain,
}

impl Email {
    /// Normalises and checks an address: trimmed, NFC, the domain as lower-case A-labels
    /// (RFC 5891) without a trailing dot.
    ///
    /// Quoted local parts (`"a b"@…`) and domain literals are refused: nobody has one, and they
    /// are a way to smuggle. Checks run after normalisation, so what is stored is what was checked.
    ///
    /// # Errors
    /// Says which rule is broken.
    pub fn parse(typed: &str) -> Result<Self, EmailError> {
        let trimmed = typed.trim();
        if trimmed.chars().count() > MAX_TYPED {
            return Err(EmailError::TooLong);
        }
        let text: String = trimmed.nfc().collect();
        let (local, domain) = text.split_once('@').ok_or(EmailError::NotOneAt)?;
        if domain.contains('@') {
            return Err(EmailError::NotOneAt);
        }
        check_local_part(local)?;
        let domain = ascii_domain(domain)?;
        let address = format!("{local}@{domain}");
        let canonical = format!("{}@{domain}", local.to_lowercase().nfc().collect::<String>());
        if address.len() > MAX_BYTES || canonical.len() > MAX_BYTES {
            return Err(EmailError::TooLong);
        }
        Ok(Self { address, canonical })
    }

    /// The address as its owner wrote it, normalised.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The form in which two spellings of one address are equal: lower case throughout.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// What stands before the `@`, in lower case.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.canonical.split('@').next().unwrap_or_default()
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// RFC 5321 `Dot-string`, extended by letters and digits of any script (RFC 6531 §3.3). Spaces,
/// controls, bidirectional marks and look-alikes of `@` are neither.
fn check_local_part(local: &str) -> Result<(), EmailError> {
    let is_atom = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    let atoms_are_valid =
        local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom));
    if local.len() <= 64 && atoms_are_valid { Ok(()) } else { Err(EmailError::LocalPart) }
}

fn ascii_domain(domain: &str) -> Result<String, EmailError> {
    let ascii = idna::domain_to_ascii_strict(domain.strip_suffix('.').unwrap_or(domain))
        .map_err(|_| EmailError::Domain)?;
    let has_letter = |label: &str| label.bytes().any(|byte| byte.is_ascii_alphabetic());
    let is_domain = ascii.contains('.')
        && ascii.len() <= 253
        && ascii.rsplit('.').next().is_some_and(has_letter)
        && ascii.split('.').all(|label| !label.is_empty() && label.len() <= 63);
    if is_domain { Ok(ascii) } else { Err(EmailError::Domain) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ID-01: spellings of one address have one canonical form.
    #[test]
    fn spellings_of_one_address_are_equal() {
        let spellings = [
            "josé@bücher.example",
            "  josé@bücher.example\t",
            "JOSÉ@BÜCHER.EXAMPLE",
            "jose\u{301}@bu\u{308}cher.example",
            "josé@xn--bcher-kva.example.",
        ];

        for spelling in spellings {
            let email = Email::parse(spelling).unwrap();
            assert_eq!(email.canonical(), "josé@xn--bcher-kva.example", "{spelling:?}");
        }
    }

    /// ID-02: what is no address, or pretends to be another, is refused.
    #[test]
    fn texts_that_are_no_address_are_refused() {
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
        ];

        for text in refused {
            assert!(Email::parse(text).is_err(), "{text:?}");
        }
    }

    /// ID-02: the length is that of the normalised form.
    #[test]
    fn addresses_of_more_than_254_bytes_are_refused() {
        let domain = format!("{}.{}.{}.example", "a".repeat(63), "b".repeat(63), "c".repeat(54));
        let local = "x".repeat(254 - 1 - domain.len());

        assert!(Email::parse(&format!("{local}@{domain}")).is_ok());
        assert_eq!(Email::parse(&format!("{local}x@{domain}")), Err(EmailError::TooLong));
        assert_eq!(Email::parse(&"x".repeat(100_000)), Err(EmailError::TooLong));
    }
}
