//! List-valued settings.

/// The items of a list-valued setting. If a setting had the type `Vec`, clap would treat it as an
/// argument that may be repeated.
pub type List<T> = Vec<T>;

/// A parser of lists: the items are separated by commas, spaces or line breaks, so that a list may
/// span several lines. Empty items are skipped. The error is that of the first invalid item.
pub(super) fn list_of<T>(
    parse: fn(&str) -> Result<T, String>,
) -> impl Fn(&str) -> Result<List<T>, String> + Clone {
    move |text| {
        let items = text.split(|c: char| c == ',' || c.is_whitespace());
        let items = items.filter(|item| !item.is_empty());
        items.map(|item| parse(item).map_err(|error| format!("{item:?}: {error}"))).collect()
    }
}
