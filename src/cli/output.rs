//! Output of the commands.
//!
//! Values come from the database and the network and are untrusted: invisible characters and
//! terminal control characters are escaped in all output.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::anyhow;

use crate::database::text_with_causes;
use crate::naming;

/// Maximum time that a blocked standard error may delay the exit of a command.
const STDERR_TIMEOUT: Duration = Duration::from_secs(2);

/// Standard output could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output (completed changes are not undone): {0}")]
pub(super) struct OutputError(#[from] io::Error);

/// Prints one line. A line break in it belongs to a value and is escaped.
///
/// # Errors
/// If it cannot be written.
pub(super) fn print(line: &str) -> Result<(), OutputError> {
    write(&printable(line, &[]))
}

/// Prints a text of several lines.
///
/// # Errors
/// If it cannot be written.
pub(super) fn print_lines(text: &str) -> Result<(), OutputError> {
    write(&printable(text, &['\n']))
}

/// Prints JSON. Invisible characters are written as JSON escapes (RFC 8259 section 7), so the value
/// stays the same.
///
/// # Errors
/// If it cannot be written.
pub(super) fn print_json(json: &str) -> Result<(), OutputError> {
    write(&printable_json(json))
}

/// The error if a file that must not exist cannot be created.
pub(super) fn cannot_create(path: &Path, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::AlreadyExists => {
            anyhow!("{} exists already; nothing was written", path.display())
        }
        _ => anyhow!("cannot write {}: {error}", path.display()),
    }
}

/// Prints an error to standard error.
pub(super) fn print_error(error: &anyhow::Error) {
    print_to_stderr(&format!("error: {}", text_with_causes(error.chain())));
}

/// Prints to standard error, for human readers; machine-readable output goes to standard output. A
/// broken or blocked standard error must not prevent the program from exiting.
pub(super) fn print_to_stderr(text: &str) {
    let text = printable(text, &['\n']);
    let (done, is_done) = mpsc::channel();
    let printing = thread::Builder::new().spawn(move || {
        let _ = writeln!(io::stderr(), "{text}");
        let _ = done.send(());
    });
    if printing.is_ok() {
        let _ = is_done.recv_timeout(STDERR_TIMEOUT);
    }
}

/// Whether the program stopped because the reader of its output closed the pipe (`… | head -1`).
pub(super) fn is_reader_gone(error: &anyhow::Error) -> bool {
    let output = error.downcast_ref::<OutputError>();
    output.is_some_and(|OutputError(error)| error.kind() == ErrorKind::BrokenPipe)
}

/// A line with its invisible characters escaped, line breaks included.
pub(super) fn printable_line(line: &str) -> String {
    printable(line, &[])
}

fn write(text: &str) -> Result<(), OutputError> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    // Without flushing, a write error at exit would go unnoticed.
    Ok(stdout.flush()?)
}

fn printable(text: &str, allowed: &[char]) -> String {
    escaped(text, allowed, |text, c| text.extend(c.escape_unicode()))
}

/// JSON whose invisible characters are written as JSON escapes (RFC 8259 section 7).
pub(super) fn printable_json(json: &str) -> String {
    // Outside of strings, JSON contains only visible characters and these three.
    escaped(json, &['\n', '\r', '\t'], |text, c| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(text, "\\u{unit:04x}");
        }
    })
}

fn escaped(text: &str, allowed: &[char], escape: impl Fn(&mut String, char)) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if naming::is_printable(c) || allowed.contains(&c) {
            printable.push(c);
        } else {
            escape(&mut printable, c);
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_invisible_characters_are_escaped() {
        for (text, expected) in [
            ("Łódź → 東京 🛒 O’Neill", "Łódź → 東京 🛒 O’Neill"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("a\r\nb\tc", "a\\u{d}\\u{a}b\\u{9}c"),
            ("pay\u{202e}gnp", "pay\\u{202e}gnp"),
            ("\u{2066}x\u{2069}\u{200b}\u{feff}", "\\u{2066}x\\u{2069}\\u{200b}\\u{feff}"),
            ("\u{a0}\u{3164}\u{e0041}", "\\u{a0}\\u{3164}\\u{e0041}"),
        ] {
            assert_eq!(printable(text, &[]), expected);
        }
    }

    #[test]
    fn escaped_json_has_the_same_value() {
        let value = serde_json::json!({ "name": "a\u{202e}b\u{e0041}\u{9b}\u{1b}\n\u{7f}é" });
        let json = serde_json::to_string_pretty(&value).unwrap();

        let printed = printable_json(&json);

        assert!(printed.chars().all(|c| naming::is_printable(c) || c == '\n'), "{printed}");
        assert!(printed.contains("\\u202e") && printed.contains('é'), "{printed}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&printed).unwrap(), value);
    }
}
