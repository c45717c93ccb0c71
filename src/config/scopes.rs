//! Settings: the operator's descriptions of scopes.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::naming::is_name;
use crate::scope::{IDENTITY, is_scope_token};

/// Maximum length of a description, in characters. The consent page lists several descriptions.
const MAX_DESCRIPTION: usize = 80;

/// Descriptions by scope; each continues the words “it may”.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeDescriptions(BTreeMap<String, String>);

impl ScopeDescriptions {
    /// The description of a scope, if it has one.
    #[must_use]
    pub fn of(&self, scope: &str) -> Option<&str> {
        self.0.get(scope).map(String::as_str)
    }
}

impl FromStr for ScopeDescriptions {
    type Err = String;

    /// Parses `scope=description` items separated by semicolons or line breaks; empty items are
    /// skipped.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut descriptions = BTreeMap::new();
        let items = text.split([';', '\n']).map(str::trim).filter(|item| !item.is_empty());
        for item in items {
            let (scope, description) = parse(item).map_err(|why| format!("{item:?}: {why}"))?;
            if descriptions.insert(scope.to_owned(), description.to_owned()).is_some() {
                return Err(format!("{scope:?} is described twice"));
            }
        }
        Ok(Self(descriptions))
    }
}

fn parse(item: &str) -> Result<(&str, &str), String> {
    let (scope, description) = item.split_once('=').ok_or("must be scope=description")?;
    let (scope, description) = (scope.trim_end(), description.trim_start());
    if !is_scope_token(scope) {
        return Err("the text before the = is no scope (RFC 6749 section 3.3)".to_owned());
    }
    // The pages have built-in descriptions of these.
    if IDENTITY.contains(&scope) {
        return Err("scopes of OpenID Connect have descriptions of their own".to_owned());
    }
    if !is_name(description, MAX_DESCRIPTION) {
        return Err(format!("a description must be 1 to {MAX_DESCRIPTION} visible characters"));
    }
    Ok((scope, description))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_descriptions_are_separated_by_semicolons_or_line_breaks() {
        let text =
            " tasks:read = see your tasks, and when they are due;\n tasks:write=change them;;";

        let read: ScopeDescriptions = text.parse().unwrap();

        assert_eq!(read.of("tasks:read"), Some("see your tasks, and when they are due"));
        assert_eq!(read.of("tasks:write"), Some("change them"));
        assert_eq!((read.of("tasks"), read.of("openid")), (None, None));
        assert_eq!("".parse(), Ok(ScopeDescriptions::default()));
    }

    #[test]
    fn invalid_scope_descriptions_are_rejected() {
        for (text, why) in [
            ("tasks:read", "scope=description"),
            ("=see", "no scope"),
            ("two words=see", "no scope"),
            ("openid=see who you are", "of their own"),
            ("a=", "1 to 80"),
            ("a=see\u{202e}", "1 to 80"),
            ("a=see;a=change", "twice"),
        ] {
            let refused = text.parse::<ScopeDescriptions>().unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
        assert!(format!("a={}", "x".repeat(81)).parse::<ScopeDescriptions>().is_err());
    }
}
