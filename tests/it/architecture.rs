//! The layers of modules that ARCHITECTURE.md describes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::oauth::PAGES;

/// `(module, modules it may import)`. A module that is not listed may import no other module.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("clock", &["timestamp"]),
    ("config", &["naming", "scope"]),
    ("entity", &["scope", "timestamp"]),
    ("database", &["clock", "config", "timestamp"]),
    ("telemetry", &["config"]),
    ("domain", &["config", "database", "entity", "naming", "scope", "timestamp"]),
    (
        "http",
        &["clock", "config", "database", "domain", "naming", "scope", "telemetry", "timestamp"],
    ),
    ("server", &["clock", "config", "database", "domain", "http", "timestamp"]),
    (
        "cli",
        &[
            "clock",
            "config",
            "database",
            "domain",
            "http",
            "naming",
            "scope",
            "server",
            "telemetry",
            "timestamp",
            "entity",
        ],
    ),
    ("main", &["cli"]),
];

/// `(external crate, the only paths under src/ that may use it)`.
const RESTRICTED_TO: &[(&str, &[&str])] = &[
    ("anyhow", &["cli/"]),
    ("argon2", &["domain/password/"]),
    ("askama", &["http/branding.rs", "http/pages/"]),
    ("bcrypt", &["domain/password/"]),
    ("clap", &["cli/", "config/"]),
    ("csv", &["cli/import/"]),
    ("flate2", &["domain/status/", "http/status_lists.rs"]),
    ("governor", &["http/rate_limit.rs"]),
    ("icu_casemap", &["domain/email.rs"]),
    ("icu_properties", &["naming.rs"]),
    ("indicatif", &["cli/import/"]),
    (
        "josekit",
        &[
            "domain/keys/",
            "domain/oauth/assertion.rs",
            "domain/oauth/request_object.rs",
            "domain/token.rs",
        ],
    ),
    ("lettre", &["server/mail_delivery/mailer.rs"]),
    ("migration", &["database/"]),
    ("minijinja", &["server/mail_delivery/templates.rs"]),
    (
        "openssl",
        &[
            "database/copy/rows.rs",
            "domain/",
            "http/document.rs",
            "http/pages/visitor.rs",
            "http/status_lists.rs",
            "server/",
        ],
    ),
    ("poem", &["http/", "server/"]),
    ("reqwest", &["cli/doctor/", "server/backchannel_delivery/"]),
    ("poem_openapi", &["http/"]),
    ("sea_orm", &["database/", "domain/", "entity/", "scope.rs", "timestamp.rs"]),
    ("signet_verifier", &["cli/doctor/", "domain/keys/", "domain/token.rs", "http/"]),
    ("strsim", &["domain/login_report.rs"]),
    ("toml", &["cli/client.rs", "cli/import/"]),
    ("tracing_subscriber", &["telemetry/"]),
    ("unicode_security", &["domain/login_report.rs"]),
];

/// Functions that pass text to the database as a statement. Only `database/` may use them, for
/// statements that the query builder cannot express.
const RAW_SQL: &[&str] = &[
    "execute_unprepared",
    "Statement::from_",
    "execute_raw",
    "query_one_raw",
    "query_all_raw",
    "stream_raw",
    "raw_sql!",
    "Expr::cust",
    "SimpleExpr::Custom",
    "from_raw_sql",
    "find_by_statement",
    "sqlx::",
];

/// IJ-06: SQL is built by a library that binds all values.
#[test]
fn raw_sql_is_written_only_in_database() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");

    let mut found = Vec::new();
    for file in rust_files(&source).iter().filter(|it| !it.starts_with(source.join("database"))) {
        let text = fs::read_to_string(file).unwrap();
        let words = RAW_SQL.iter().filter(|word| text.contains(**word));
        found.extend(words.map(|word| format!("{}: {word}", file.display())));
    }

    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// `(file, why the number of rows deleted in one statement is bounded)`. Other files use
/// `database/portions.rs`.
const DELETES_MANY: &[(&str, &str)] = &[
    ("database/portions.rs", "deletes in batches"),
    ("domain/email_challenge/mod.rs", "challenges of one account, at most one per purpose"),
    ("domain/invite.rs", "the invite of one address, which is unique"),
    ("domain/mail/mod.rs", "mails of one account, whose number per day is limited"),
    ("domain/oauth/code.rs", "codes of one user for one request, valid for a minute"),
    (
        "domain/oauth/consent.rs",
        "pending requests of one user at one client, valid for half an hour",
    ),
    ("domain/session/logout_outbox.rs", "the notices of one batch, by their keys"),
    ("domain/session/unfinished.rs", "a batch of the rows that refer to a deleted account"),
];

/// W5: a statement that deletes an unbounded number of rows blocks other statements or times out.
#[test]
fn bulk_deletes_are_batched() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");

    let mut found = Vec::new();
    for file in rust_files(&source) {
        let path = file.strip_prefix(&source).unwrap().to_str().unwrap().replace('\\', "/");
        let text = fs::read_to_string(&file).unwrap();
        if ["delete_many(", "Query::delete("].iter().any(|it| text.contains(it)) {
            found.push(path);
        }
    }
    found.sort();

    let expected: Vec<_> = DELETES_MANY.iter().map(|(file, _)| *file).collect();
    assert_eq!(found, expected);
}

/// Tests of all pages loop over `PAGES`.
#[test]
fn every_hosted_page_is_in_the_list_of_the_tests() {
    let source = fs::read_to_string("src/http/pages/mod.rs").unwrap();
    let paths = source.split("page(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let paths: Vec<_> = paths.collect();

    assert!(paths.len() > 10, "{paths:?}");
    for path in paths {
        assert!(PAGES.contains(&path), "{path} is not in PAGES of tests/it/harness/oauth.rs");
    }
}

#[test]
fn modules_import_only_what_their_layer_allows() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");

    let found: Vec<_> = rust_files(&source).iter().flat_map(|f| violations(&source, f)).collect();

    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// A test that imports the domain proves nothing about the behaviour through HTTP.
#[test]
fn integration_tests_do_not_import_internals() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");

    for file in rust_files(&tests).iter().filter(|file| !file.ends_with("architecture.rs")) {
        let text = fs::read_to_string(file).unwrap();
        for forbidden in ["signet::domain", "signet::entity", "signet::database"] {
            assert!(!text.contains(forbidden), "{} names {forbidden}", file.display());
        }
    }
}

fn violations(source: &Path, file: &Path) -> Vec<String> {
    let path = file.strip_prefix(source).unwrap().to_str().unwrap().replace('\\', "/");
    let module = path.split(['/', '.']).next().unwrap();
    if module == "lib" {
        return Vec::new();
    }
    let allowed = MAY_IMPORT.iter().find(|(name, _)| *name == module).map_or(&[][..], |it| it.1);
    let text = fs::read_to_string(file).unwrap();
    let mut found = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let code = line.split("//").next().unwrap();
        let mut report = |what: String| found.push(format!("src/{path}:{number}: {what}"));
        if code.contains("super::super") {
            report("write the path from `crate`".to_owned());
        }
        for target in words_after(code, "crate::") {
            // `crate::{…}` would hide the imported modules from this check.
            if target.is_empty() {
                report("write one `use crate::module::…` per module".to_owned());
            } else if !target.is_empty() && target != module && !allowed.contains(&target) {
                report(format!("`{module}` may not import `{target}`"));
            }
        }
        for (name, paths) in RESTRICTED_TO {
            if names_crate(code, name) && !paths.iter().any(|home| path.starts_with(home)) {
                report(format!("`{name}` may be named only in {paths:?}"));
            }
        }
    }
    found
}

fn words_after<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    let ends_word = |c: char| !c.is_alphanumeric() && c != '_';
    code.split(prefix).skip(1).map(|rest| rest.split(ends_word).next().unwrap()).collect()
}

/// Whether `code` refers to the crate itself, not to a module or an item of that name.
fn names_crate(code: &str, name: &str) -> bool {
    let word = format!("{name}::");
    code.match_indices(&word)
        .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}
