//! `docs/conformance.md` names the tests of each statement. The named tests and files must exist.

use std::fs;
use std::path::PathBuf;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The rows of all tables whose first column is a number or an id.
fn rows() -> Vec<(String, String)> {
    let page = fs::read_to_string(root().join("docs/conformance.md")).unwrap();
    let (_, tables) = page.split_once("## Statements and their tests").unwrap();
    let rows = tables.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = rows.map(|row| row.split_once(" | ").unwrap());
    rows.map(|(id, tests)| (id.to_owned(), tests.to_owned()))
        .filter(|(id, _)| id.contains(|c: char| c.is_ascii_digit()))
        .collect()
}

/// The texts in backticks of a row.
fn names_in(row: &str) -> impl Iterator<Item = &str> {
    row.split('`').skip(1).step_by(2)
}

/// The error if a name cannot be resolved.
fn unresolved(name: &str) -> Option<String> {
    let tests = root().join("tests/it");
    if let Some((module, test)) = name.split_once("::") {
        let text = fs::read_to_string(tests.join(format!("{module}.rs"))).unwrap_or_default();
        return (!text.contains(&format!("fn {test}("))).then(|| format!("no test {name}"));
    }
    if name.contains('/') {
        let roots = [root(), root().join("src")];
        let is_there = roots.iter().any(|place| place.join(name).exists());
        return (!is_there).then(|| format!("no file {name}"));
    }
    let is_module = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let is_there = tests.join(format!("{name}.rs")).exists() || WORDS.contains(&name);
    (is_module && !is_there).then(|| format!("no module {name}"))
}

/// Texts in backticks that are not modules: protocol terms, and functions of the harness.
const WORDS: [&str; 12] = [
    "client_id",
    "expect_oauth_error",
    "kid",
    "location",
    "memcmp",
    "null",
    "parts",
    "redirect_uri",
    "sent_to",
    "sig",
    "typ",
    "use",
];

#[test]
fn every_test_and_file_named_on_the_page_exists() {
    let rows = rows();
    let found: Vec<_> = rows
        .iter()
        .flat_map(|(id, row)| names_in(row).filter_map(unresolved).map(move |it| (id, it)))
        .collect();

    assert!(rows.len() > 150, "{}", rows.len());
    assert!(found.is_empty(), "{found:#?}");
}

/// The numbers of a first column such as `163–164, 166`; none for an id.
fn numbers(ids: &str) -> Vec<u32> {
    let ranges = ids.split(", ").map(|it| it.split_once('–').unwrap_or((it, it)));
    let ranges = ranges.filter_map(|(first, last)| Some(first.parse().ok()?..=last.parse().ok()?));
    ranges.flatten().collect()
}

/// Each statement has one row that names its test, or a reason for having none.
#[test]
fn every_statement_has_a_row() {
    let rows = rows();
    let mut found: Vec<_> = rows.iter().flat_map(|(ids, _)| numbers(ids)).collect();
    found.sort_unstable();

    assert_eq!(found, (1..=215).collect::<Vec<_>>());
    assert!(rows.iter().all(|(_, row)| row.len() > 5), "{rows:?}");
}
