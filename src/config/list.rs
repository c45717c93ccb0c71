//! List-valued settings.

use std::ops::{Deref, DerefMut};

/// The items of a list-valued setting, separated by commas, spaces or line breaks, so that a list
/// may span several lines. Empty items are skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T>(Vec<T>);

impl<T> List<T> {
    /// Parses each item with `parse`; the error is that of the first invalid item.
    pub(super) fn parse(
        text: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Self, String> {
        let items = text.split(|c: char| c == ',' || c.is_whitespace());
        let items = items.filter(|item| !item.is_empty());
        let parsed = items.map(|item| parse(item).map_err(|error| format!("{item:?}: {error}")));
        parsed.collect::<Result<_, _>>().map(Self)
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        Self(items)
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for List<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}
