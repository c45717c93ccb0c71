//! Texts of database errors for operators. A text has each cause once, without the position in
//! PostgreSQL's source code that PostgreSQL reports.

use std::error::Error;

use sea_orm::sqlx;
use sea_orm::{DbErr, RuntimeErr};

/// How errors of the database library begin.
const PREFIXES: [&str; 3] = ["Connection Error: ", "Execution Error: ", "Query Error: "];

/// The message of an error, for operators.
#[must_use]
pub(super) fn message_of(error: &DbErr) -> String {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => message_of_driver(error),
        other => other.to_string(),
    }
}

fn message_of_driver(error: &sqlx::Error) -> String {
    // The text of an error of PostgreSQL contains the line of PostgreSQL's own source.
    if let Some(error) = error.as_database_error() {
        return error.message().to_owned();
    }
    // The other errors repeat their cause.
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// An error with its causes, each once, for operators.
#[must_use]
pub fn text_with_causes<'a>(causes: impl Iterator<Item = &'a (dyn Error + 'static)>) -> String {
    let mut text = String::new();
    let mut replaced = None;
    for cause in causes {
        let part = cause.to_string();
        if !text.contains(&part) {
            text = if text.is_empty() { part } else { format!("{text}: {part}") };
        }
        if let Some(RuntimeErr::SqlxError(error)) = cause.downcast_ref::<RuntimeErr>() {
            replaced = Some((error.to_string(), message_of_driver(error)));
        }
    }
    let Some((long, short)) = replaced else { return text };
    PREFIXES.iter().fold(text.replace(&long, &short), |text, prefix| text.replace(prefix, ""))
}
