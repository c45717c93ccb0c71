//! The rule for passwords, in the words of whoever chooses one.

use std::fmt::Display;

use crate::domain::password::Policy;

/// What to choose, before anything is wrong.
pub(super) const fn hint(policy: Policy) -> &'static str {
    match policy {
        Policy::Compat => {
            "At least 8 characters, with an upper-case letter, a lower-case letter and a digit."
        }
        Policy::Nist => "At least 15 characters. A few words that belong to nobody else do well.",
    }
}

/// What is wrong with the one that was chosen, each part as the end of a sentence; empty if nothing is.
pub(super) fn problem(parts: &[impl Display]) -> String {
    let parts: Vec<_> = parts.iter().map(ToString::to_string).collect();
    match parts.as_slice() {
        [] => String::new(),
        [one] => format!("The password {one}."),
        [first @ .., last] => format!("The password {} and {last}.", first.join(", ")),
    }
}
