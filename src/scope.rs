//! Scopes (RFC 6749 §3.3) and audiences (RFC 8707 §2). Both are sets of words. In requests, in
//! responses and in the database, the words are separated by spaces.

use std::fmt;

use sea_orm::DeriveValueType;
use serde::{Deserialize, Serialize};

/// The scope values of OpenID Connect (Core 1.0 §3.1.2.1, §5.4, §11). They require a user, so the
/// client credentials grant excludes them.
pub const IDENTITY: [&str; 6] =
    ["openid", "profile", "email", "address", "phone", "offline_access"];

/// Maximum length of a scope parameter, in bytes.
const MAX_LENGTH: usize = 4096;

/// A set of scope values, in the order of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, DeriveValueType)]
pub struct Scope(String);

/// The audiences of a token, in the order of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, DeriveValueType)]
pub struct Audiences(String);

/// The methods of both sets of words.
macro_rules! set_of_words {
    ($set:ident) => {
        impl $set {
            /// Whether the set contains this word.
            #[must_use]
            pub fn has(&self, word: &str) -> bool {
                self.iter().any(|it| it == word)
            }

            /// Whether the set is empty.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }

            /// The words that are in both sets.
            #[must_use]
            pub fn limited_to(&self, other: &Self) -> Self {
                self.iter().filter(|word| other.has(word)).collect()
            }

            /// The words of the set.
            pub fn iter(&self) -> impl Iterator<Item = &str> {
                words(&self.0)
            }

            /// The words of the set, separated by spaces.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<'a> FromIterator<&'a str> for $set {
            fn from_iter<I: IntoIterator<Item = &'a str>>(all: I) -> Self {
                let mut words = Vec::new();
                for word in all {
                    // Linear search is fast enough. `Scope::parse` accepts at most 4 KiB, which
                    // contain at most two thousand words, and audiences are few.
                    if !words.contains(&word) {
                        words.push(word);
                    }
                }
                Self(words.join(" "))
            }
        }

        impl fmt::Display for $set {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

set_of_words!(Scope);
set_of_words!(Audiences);

impl Scope {
    /// Parses a space-separated list. Returns `None` if the list contains a character that RFC 6749
    /// does not allow, or is longer than 4 KiB.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() <= MAX_LENGTH && words(text).all(is_scope_token)).then(|| words(text).collect())
    }

    /// Whether the scope is a subset of `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.iter().all(|value| other.has(value))
    }

    /// The scope without these values.
    #[must_use]
    pub fn without(&self, values: &[&str]) -> Self {
        self.iter().filter(|value| !values.contains(value)).collect()
    }

    /// The union of both scopes.
    #[must_use]
    pub fn joined_with(&self, other: &Self) -> Self {
        self.iter().chain(other.iter()).collect()
    }
}

impl Audiences {
    /// The claim `aud`.
    #[must_use]
    pub fn claim(&self) -> AudienceClaim<'_> {
        if self.0.contains(' ') {
            AudienceClaim::Many(self.iter().collect())
        } else {
            AudienceClaim::One(&self.0)
        }
    }
}

/// The claim `aud` (RFC 7519 §4.1.3): a string for one audience, an array for several.
#[derive(Serialize)]
#[serde(untagged)]
pub enum AudienceClaim<'a> {
    /// The only audience.
    One(&'a str),
    /// Several audiences.
    Many(Vec<&'a str>),
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| !word.is_empty())
}

/// Whether a text is a scope value (RFC 6749 §3.3): printable ASCII without space, quote and
/// backslash.
#[must_use]
pub fn is_scope_token(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}
