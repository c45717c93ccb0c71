//! The rule for passwords, in the words of whoever chooses one.

use crate::domain::password::{Policy, UnusablePassword, Weakness};

/// A rule, as the page lists it and its script ticks it off.
pub(super) struct Rule {
    /// What the script knows it by.
    pub(super) name: &'static str,
    /// In words.
    pub(super) text: &'static str,
    /// Characters, of the rule of the length.
    pub(super) minimum: u32,
}

/// What to choose, before anything is wrong.
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
            rule("", "A few words that belong to nobody else do well"),
        ],
    }
}

/// What is wrong with the one that was chosen; empty if nothing is.
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

/// What is wrong with a text that can be no password.
pub(super) fn unreadable(error: UnusablePassword) -> String {
    format!("The password {error}.")
}
