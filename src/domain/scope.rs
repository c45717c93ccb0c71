//! Scopes (RFC 6749 §3.3).

use std::fmt;

/// Scope values about a user (OpenID Connect Core 1.0 §5.4, §11), excluded from the client
/// credentials grant.
pub const IDENTITY: [&str; 6] =
    ["openid", "profile", "email", "address", "phone", "offline_access"];

/// Maximum length of a scope parameter, in bytes.
const MAX_LENGTH: usize = 4096;

/// A set of scope values, in the order requested.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope(Vec<String>);

impl Scope {
    /// Parses a space-separated list. `None` if it contains a character that RFC 6749 does not
    /// allow, or is longer than 4 KiB.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let mut values: Vec<String> = Vec::new();
        for value in text.split(' ').filter(|value| !value.is_empty()) {
            if !is_token(value) {
                return None;
            }
            // Linear search is fast enough: 4 KiB contain two thousand values at most.
            if !values.iter().any(|known| known == value) {
                values.push(value.to_owned());
            }
        }
        Some(Self(values))
    }

    /// Creates a scope from stored values.
    #[must_use]
    pub fn of(values: &[String]) -> Self {
        Self(values.to_vec())
    }

    /// Whether it contains this value.
    #[must_use]
    pub fn has(&self, value: &str) -> bool {
        self.0.iter().any(|one| one == value)
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is a subset of `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.iter().all(|value| other.has(value))
    }

    /// Its values that are in `allowed`.
    #[must_use]
    pub fn limited_to(&self, allowed: &[String]) -> Self {
        Self(self.0.iter().filter(|value| allowed.contains(value)).cloned().collect())
    }

    /// Its values that are also in `other`.
    #[must_use]
    pub fn within(&self, other: &Self) -> Self {
        self.limited_to(&other.0)
    }

    /// The scope without one value.
    #[must_use]
    pub fn without(mut self, value: &str) -> Self {
        self.0.retain(|one| one != value);
        self
    }

    /// The scope without values about a user.
    #[must_use]
    pub fn without_identity(mut self) -> Self {
        self.0.retain(|one| !IDENTITY.contains(&one.as_str()));
        self
    }

    /// The union of both scopes.
    #[must_use]
    pub fn joined_with(mut self, other: Self) -> Self {
        for value in other.0 {
            if !self.has(&value) {
                self.0.push(value);
            }
        }
        self
    }

    /// Its values.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// RFC 6749 §3.3: printable ASCII without space, quote and backslash.
#[must_use]
pub fn is_token(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}
