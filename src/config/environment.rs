//! The process environment: loads `.env` into it and refuses unknown `SIGNET_*` variables.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use clap::builder::Resettable;
use clap::{Arg, Command};

/// Removed settings, and what to do instead.
const REMOVED: [(&str, &str); 2] =
    [("SIGNET_HASH_QUEUE", USE_BACKLOG), ("SIGNET_HASH_WAIT_SECONDS", USE_BACKLOG)];

const USE_BACKLOG: &str =
    "delete it; SIGNET_HASH_BACKLOG_SECONDS (20) limits how much hashing is admitted";

/// `SIGNET_*` variables that are not settings: misspelled, or removed.
#[derive(Debug, thiserror::Error)]
#[error("{} (see `signet serve --help` or docs/configuration.md)", faults.join("; "))]
pub struct UnknownSettings {
    faults: Vec<String>,
}

/// Settings for which an empty value is an error instead of the default: the default could be
/// another database, master key, issuer or state file than the intended one.
const NEVER_UNSET: [&str; 5] = [
    "SIGNET_DATABASE_URL",
    "SIGNET_MASTER_KEY_FILE",
    "SIGNET_ISSUER",
    "SIGNET_STATE_FILE",
    "SIGNET_TARGET_DATABASE_URL",
];

/// Why `.env` could not be loaded. No message contains a value.
#[derive(Debug, thiserror::Error)]
pub enum DotenvError {
    /// The file exists but cannot be read.
    #[error("cannot read .env: {0}")]
    Unreadable(#[from] io::Error),
    /// A line is not `NAME=value`. The library's message is not used, because it repeats the line,
    /// passwords included.
    #[error("cannot read .env: a line is not NAME=value")]
    Malformed,
    /// A value contains a `$`. dotenvy would replace `$NAME` by the value of the variable `NAME`.
    #[error(
        "line {line} of .env has a $, which stands for a variable there: put the value in single \
         quotes, or write \\$"
    )]
    Substitution {
        /// The line number, from 1.
        line: usize,
    },
}

/// Loads `.env` from the working directory, if it exists; variables that are already set take
/// precedence.
///
/// # Errors
/// See [`DotenvError`].
pub fn load_dotenv() -> Result<(), DotenvError> {
    let file = Path::new(".env");
    if !file.exists() {
        return Ok(());
    }
    if let Some(line) = first_substitution(&std::fs::read_to_string(file)?) {
        return Err(DotenvError::Substitution { line });
    }
    dotenvy::from_path(file).map_err(|_| DotenvError::Malformed)
}

/// The line number of the first `$` that starts a substitution: a `$` that is not escaped, and is
/// outside of single quotes and comments.
fn first_substitution(text: &str) -> Option<usize> {
    let (mut quote, mut before, mut is_escaped, mut is_comment) = (None, '\n', false, false);
    let mut line = 1;
    for c in text.chars() {
        match c {
            '\n' => {
                line += 1;
                is_comment = false;
            }
            _ if is_comment => {}
            _ if is_escaped => is_escaped = false,
            '\\' if quote != Some('\'') => is_escaped = true,
            '\'' | '"' if quote.is_none() => quote = Some(c),
            '\'' | '"' if quote == Some(c) => quote = None,
            '#' if quote.is_none() && before.is_whitespace() => is_comment = true,
            '$' if quote != Some('\'') => return Some(line),
            _ => {}
        }
        before = c;
    }
    None
}

/// Treats an empty variable as unset, because `${X:-}` in Compose produces an empty variable. The
/// variables in `NEVER_UNSET` stay set, and their parsers refuse the empty value.
#[must_use]
pub fn unset_empty(arg: Arg) -> Arg {
    let is_empty = arg.get_env().is_some_and(|name| {
        let may_be_unset = name.to_str().is_some_and(|name| !NEVER_UNSET.contains(&name));
        may_be_unset && std::env::var_os(name).is_some_and(|value| value.is_empty())
    });
    if is_empty { arg.env(Resettable::Reset) } else { arg }
}

/// Refuses unknown `SIGNET_*` variables, so that a typo does not silently select a default.
///
/// # Errors
/// [`UnknownSettings`], which names every such variable.
pub fn refuse_unknown(command: &Command) -> Result<(), UnknownSettings> {
    let known: BTreeSet<String> = variables(command).into_iter().collect();
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut unknown: Vec<_> =
        names.filter(|name| name.starts_with("SIGNET_") && !known.contains(name)).collect();
    unknown.sort();
    let faults: Vec<_> = unknown.iter().map(|name| fault(name)).collect();
    if faults.is_empty() { Ok(()) } else { Err(UnknownSettings { faults }) }
}

/// The variables that `command` or one of its subcommands reads, including those of arguments
/// without a flag.
fn variables(command: &Command) -> Vec<String> {
    let variable = |arg: &Arg| Some(arg.get_env()?.to_str()?.to_owned());
    let own = command.get_arguments().filter_map(variable);
    own.chain(command.get_subcommands().flat_map(variables)).collect()
}

/// The error message for a variable that is not a setting.
fn fault(name: &str) -> String {
    match REMOVED.iter().find(|(removed, _)| *removed == name) {
        Some((_, instead)) => format!("{name} was removed: {instead}"),
        None => format!("unknown setting {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::first_substitution;

    #[test]
    fn first_dollar_sign_that_starts_a_substitution_is_found() {
        for (text, line) in [
            ("A=Pa$$w0rd", Some(1)),
            ("A=1\nB=\"x$y\"", Some(2)),
            ("A=${B}", Some(1)),
            ("A='Pa$$w0rd'", None),
            ("A=Pa\\$w0rd", None),
            ("A=1 # costs 5 $\n# $\nB=2", None),
            ("A='two\nlines' B\nC=it$", Some(3)),
            ("A=a#$", Some(1)),
        ] {
            assert_eq!(first_substitution(text), line, "{text}");
        }
    }
}
