//! PostgreSQL's own programs for backups, as lines to run in a shell.

use std::path::Path;

use crate::config::DatabaseUrl;

/// Says where these programs find the password. The printed lines omit it, because other users can
/// see the command lines of running programs.
pub(super) const PASSWORD: &str =
    "the password is not on the line: put it in ~/.pgpass or in PGPASSWORD";

/// The command that backs up a database to a file.
pub(super) fn dump_line(url: &DatabaseUrl, file: &Path) -> String {
    let (file, url) = (quoted(&file.to_string_lossy()), quoted(&url.without_password()));
    format!("(umask 077; pg_dump --format=custom --file={file} --dbname={url})")
}

/// The command that restores such a file into an empty database.
pub(super) fn restore_line(url: &DatabaseUrl, file: &Path) -> String {
    let (file, url) = (quoted(&file.to_string_lossy()), quoted(&url.without_password()));
    format!("pg_restore --exit-on-error --single-transaction --no-owner --dbname={url} {file}")
}

/// The text as one word of a shell command.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "%+,-./:=@_".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain) {
        return text.to_owned();
    }
    // A leading hyphen would be read as an option.
    let text = if text.starts_with('-') { format!("./{text}") } else { text.to_owned() };
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (text, word) in [
            ("/var/backup-1.dump", "/var/backup-1.dump"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("-rf", "'./-rf'"),
            ("$(x)", "'$(x)'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(text), word);
        }
    }
}
