//! The texts for users about the password policy.

use crate::domain::password::{Policy, UnusablePassword, Weakness};
use crate::http::texts;

/// A rule that the page lists. The script of the page marks it when the typed password meets it.
pub(super) struct Rule {
    /// The name by which the script checks the rule; empty for a rule that it cannot check.
    pub(super) name: &'static str,
    /// The text of the rule.
    pub(super) text: String,
    /// The minimum number of characters, for the length rule.
    pub(super) minimum: u32,
}

/// The rules that the page lists below the field for a new password.
pub(super) fn rules(policy: Policy) -> Vec<Rule> {
    let texts = &texts::current().password_rules;
    let rule = |name, text: &str| Rule { name, text: text.to_owned(), minimum: 0 };
    let length = |minimum| Rule { name: "length", text: (texts.at_least)(minimum), minimum };
    match policy {
        Policy::Compat | Policy::Original => vec![
            length(8),
            rule("upper", texts.upper_case),
            rule("lower", texts.lower_case),
            rule("digit", texts.digit),
        ],
        Policy::Nist => vec![length(15), rule("", texts.unrelated_words)],
    }
}

/// The errors of a password; empty if there are none.
pub(super) fn problem(weaknesses: &[Weakness]) -> String {
    (texts::current().password_rules.broken)(weaknesses)
}

/// The error of a text that cannot be a password.
pub(super) fn unusable(error: UnusablePassword) -> String {
    (texts::current().password_rules.unusable)(error).to_owned()
}
