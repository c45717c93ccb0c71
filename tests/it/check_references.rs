//! `docs/checks.md` defines every check that code, tests and docs refer to.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The directories that are searched for references.
const FOLDERS: [&str; 4] = ["src", "tests", "verifiers/rust", "docs"];

/// The types of files that contain references. Other files, such as fixtures, contain text that
/// resembles ids.
const EXTENSIONS: [&str; 3] = ["md", "py", "rs"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The ids in the first columns of the page's tables.
fn definitions() -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/checks.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    rows.filter(|id| parse(id).is_some()).map(str::to_owned).collect()
}

/// The family and the digits of an id: `RF-01` and `MUST-069`, or `W7` without a hyphen.
fn parse(id: &str) -> Option<(&str, &str)> {
    let digits_at = id.find(|c: char| c.is_ascii_digit())?;
    let (family, digits) = id.split_at(digits_at);
    let letters = family.trim_end_matches('-');
    let is_hyphenated = family.len() == letters.len() + 1;
    let is_long_enough = match (letters, digits.len()) {
        ("MUST", length) => is_hyphenated && length == 3,
        (_, length) if is_hyphenated => (2..=4).contains(&letters.len()) && length == 2,
        (_, length) => letters.len() == 1 && length <= 2,
    };
    let is_id = is_long_enough
        && letters.bytes().all(|b| b.is_ascii_uppercase())
        && digits.bytes().all(|b| b.is_ascii_digit());
    is_id.then_some((letters, digits))
}

/// The words of a line that may be ids, including the last id of a range (`CO-02..04`).
fn candidates(line: &str) -> BTreeSet<String> {
    let is_separator = |c: char| !(c.is_alphanumeric() || "-_.%".contains(c));
    let mut found = BTreeSet::new();
    for word in line.split(is_separator).filter(|it| it.contains(|c: char| c.is_ascii_digit())) {
        let (first, last) = word.split_once("..").unwrap_or((word, ""));
        let first = first.trim_end_matches('.');
        let last = last.trim_end_matches('.');
        found.insert(first.to_owned());
        if let Some((letters, digits)) = parse(first)
            && last.len() == digits.len()
        {
            found.insert(format!("{letters}-{last}"));
        }
    }
    found
}

/// Whether the line is a comment. Ids without a hyphen count as references only in comments.
fn is_comment(line: &str) -> bool {
    ["//", "\"\"\"", "#"].iter().any(|start| line.trim_start().starts_with(start))
}

/// The ids in a text whose families are in `known`.
fn references(text: &str, known: &BTreeSet<&str>) -> BTreeSet<String> {
    let in_line = |line: &str| {
        let is_comment = is_comment(line);
        let is_reference = |id: &String| {
            parse(id).is_some_and(|(family, _)| {
                known.contains(family) && (id.contains('-') || is_comment)
            })
        };
        candidates(line).into_iter().filter(is_reference).collect::<Vec<_>>()
    };
    text.lines().flat_map(in_line).collect()
}

/// The files below a directory, except installed and generated ones.
fn files(directory: &Path) -> Vec<PathBuf> {
    let is_source = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        !name.starts_with('.') && !["node_modules", "target"].contains(&name)
    };
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(is_source)
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .filter(|path| EXTENSIONS.iter().any(|it| path.extension().is_some_and(|is| is == *it)))
        .collect()
}

#[test]
fn every_referenced_check_is_defined() {
    let defined = definitions();
    let known: BTreeSet<_> = defined.iter().filter_map(|id| Some(parse(id)?.0)).collect();

    let mut referenced = BTreeSet::new();
    let mut undefined = Vec::new();
    for file in FOLDERS.iter().flat_map(|folder| files(&root().join(folder))) {
        for id in references(&fs::read_to_string(&file).unwrap(), &known) {
            if !defined.contains(&id) {
                undefined.push(format!("{}: {id}", file.display()));
            }
            referenced.insert(id);
        }
    }

    assert!(known.len() > 20, "{known:?}");
    assert!(referenced.len() > 300, "{}", referenced.len());
    assert!(undefined.is_empty(), "{undefined:#?}");
}

#[test]
fn no_check_is_defined_twice() {
    let defined = definitions();

    let duplicates: Vec<_> = defined
        .iter()
        .enumerate()
        .filter(|(at, id)| defined.iter().take(*at).any(|before| before == *id))
        .collect();

    assert!(duplicates.is_empty(), "{duplicates:?}");
}

#[test]
fn texts_that_resemble_ids_are_not_references() {
    let known = BTreeSet::from(["RS", "MUST", "CO", "A", "C"]);
    let ids = |text| references(text, &known).into_iter().collect::<Vec<_>>().join(" ");

    assert_eq!(ids("/// SHA-256, UTF-16, AES-256, RS-256, ISO-88, RS-1, MUST-12, %C3, x-A1"), "");
    assert_eq!(ids("/// RS-01, MUST-012. CO-02..04 (C3)."), "C3 CO-02 CO-04 MUST-012 RS-01");
    assert_eq!(ids("//! MUST-194..203, `RS-02`"), "MUST-194 MUST-203 RS-02");
    assert_eq!(ids("let c1 = \"A1 C3\"; // RS-03"), "RS-03");
}
