//! The parameters of a protocol request, from a query or a body.

use std::collections::BTreeMap;

/// The only parameter that may be repeated (RFC 8707 §2).
const REPEATABLE: &str = "resource";

/// Parameters by name. A parameter without a value counts as missing (RFC 6749 §3.1, §3.2).
#[derive(Debug, Clone, Default)]
pub struct Params {
    values: BTreeMap<String, Vec<String>>,
}

impl Params {
    /// Collects decoded pairs in their order.
    pub fn of(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut values = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in pairs {
            let values = values.entry(name).or_default();
            values.push(value);
        }
        Self { values }
    }

    /// The value of a parameter. `None` if it is empty, missing or repeated.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        match self.values.get(name).map(Vec::as_slice) {
            Some([only]) if !only.is_empty() => Some(only),
            _ => None,
        }
    }

    /// All values of a parameter that may be repeated.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.values.get(name).map_or(&[][..], Vec::as_slice);
        values.iter().map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All names and values, in the order of the names.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().flat_map(|(name, values)| {
            values.iter().map(move |value| (name.as_str(), value.as_str()))
        })
    }

    /// Whether the parameter is repeated.
    #[must_use]
    pub fn repeats(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|values| values.len() > 1)
    }

    /// Whether any parameter is repeated except `resource`.
    #[must_use]
    pub fn repeats_any(&self) -> bool {
        self.values.iter().any(|(name, values)| values.len() > 1 && name != REPEATABLE)
    }
}
