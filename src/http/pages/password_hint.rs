//! The texts for users about the password policy.

use crate::domain::password::{Policy, UnusablePassword, Weakness};

/// A rule that the page lists and its script checks off.
pub(super) struct Rule {
    /// The name by which the script checks the rule; empty for a rule that it cannot check.
    pub(super) name: &'static str,
    /// The text of the rule.
    pub(super) text: &'static str,
    /// The minimum number of characters, for the length rule.
    pub(super) minimum: u32,
}

/// The rules that the page lists before the first attempt.
pub(super) fn rules(policy: Policy) -> Vec<Rule> {
    let rule = |name, text| Rule { name, text, minimum: 0 };
    match policy {
        Policy::Compat | Policy::Original => vec![
            Rule { name: "length", text: "At least 8 characters", minimum: 8 },
            rule("upper", "An upper-case letter"),
            rule("lower", "A lower-case letter"),
            rule("digit", "A digit"),
        ],
        Policy::Nist => vec![
            Rule { name: "length", text: "At least 15 characters", minimum: 15 },
            rule("", "A few unrelated words make a good password"),
        ],
    }
}

/// The errors of a password; empty if there are none.
pub(super) fn problem(weaknesses: &[Weakness]) -> String {
    let is_common = weaknesses.contains(&Weakness::Common);
    let others = weaknesses.iter().filter(|it| **it != Weakness::Common);
    let parts: Vec<_> = others.map(ToString::to_string).collect();
    let sentence = match parts.as_slice() {
        [] => String::new(),
        [one] => format!("The password {one}."),
        [first @ .., last] => format!("The password {} and {last}.", first.join(", ")),
    };
    let common = if is_common { "Too common. Choose another." } else { "" };
    [sentence.as_str(), common].join(" ").trim().to_owned()
}

/// The error of a text that cannot be a password.
pub(super) fn unusable(error: UnusablePassword) -> String {
    format!("The password {error}.")
}
