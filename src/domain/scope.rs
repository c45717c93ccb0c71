//! What a token is good for (RFC 6749 §3.3).

use std::fmt;

/// Scope values that speak of a person (OpenID Connect Core 1.0 §5.4, §11). A client that speaks
/// for itself gets none of them.
pub const IDENTITY: [&str; 6] =
    ["openid", "profile", "email", "address", "phone", "offline_access"];

/// Longest list, in bytes, and longest value in it.
const MAX_LENGTH: usize = 4096;

/// A set of scope values, in the order in which they were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope(Vec<String>);

impl Scope {
    /// Reads a space-separated list. `None` if a character is in it that scope values don't have,
    /// or it is longer than 4 KiB.
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
            // Short lists: 4 KiB hold two thousand values at most, and no client has that many.
            if !values.iter().any(|known| known == value) {
                values.push(value.to_owned());
            }
        }
        Some(Self(values))
    }

    /// The set of these values, as stored.
    #[must_use]
    pub fn of(values: &[String]) -> Self {
        Self(values.to_vec())
    }

    /// Whether this very value is in it.
    #[must_use]
    pub fn has(&self, value: &str) -> bool {
        self.0.iter().any(|one| one == value)
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all of it is in `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.iter().all(|value| other.has(value))
    }

    /// What of it is in `allowed`.
    #[must_use]
    pub fn limited_to(&self, allowed: &[String]) -> Self {
        Self(self.0.iter().filter(|value| allowed.contains(value)).cloned().collect())
    }

    /// What of it is in another scope.
    #[must_use]
    pub fn within(&self, other: &Self) -> Self {
        self.limited_to(&other.0)
    }

    /// This without one value.
    #[must_use]
    pub fn without(mut self, value: &str) -> Self {
        self.0.retain(|one| one != value);
        self
    }

    /// This without what speaks of a person.
    #[must_use]
    pub fn without_identity(mut self) -> Self {
        self.0.retain(|one| !IDENTITY.contains(&one.as_str()));
        self
    }

    /// This and what else is in `other`.
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
