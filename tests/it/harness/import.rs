//! Runs `signet import accounts` and reads what it prints.

use std::path::PathBuf;

use crate::harness::{Program, TestServer};

/// The result of an import.
pub struct Imported {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Imported {
    /// A count of the summary, by the start of its label.
    #[track_caller]
    pub fn count(&self, label: &str) -> u64 {
        let line = |line: &str| {
            let (count, text) = line.trim().split_once("  ")?;
            if text.starts_with(label) { count.parse().ok() } else { None }
        };
        let found = self.stdout.lines().find_map(line);
        found.unwrap_or_else(|| panic!("no {label:?} in {}{}", self.stdout, self.stderr))
    }

    /// The counts of events: imported, imported before, without a user, without an account, refused.
    #[track_caller]
    pub fn event_counts(&self) -> [u64; 5] {
        let (_, events) = self.stdout.split_once("audit events:\n").expect("no audit events");
        let events =
            Self { stdout: events.to_owned(), stderr: self.stderr.clone(), status: self.status };
        let imported =
            if self.stdout.starts_with("dry run") { "would be imported" } else { "imported" };
        [
            events.count(imported),
            events.count("imported before"),
            events.count("left out, because they have no user"),
            events.count("left out, because their user has no account"),
            events.count("refused"),
        ]
    }

    /// The counts of accounts: created, changed, unchanged, kept, not imported because they were
    /// deleted in Signet, refused.
    #[track_caller]
    pub fn counts(&self) -> [u64; 6] {
        let created = if self.stdout.starts_with("dry run") { "would be " } else { "" };
        [
            self.count(&format!("{created}created")),
            self.count(&format!("{created}changed")),
            self.count("unchanged"),
            self.count("kept"),
            self.count("not imported"),
            self.count("refused"),
        ]
    }
}

impl TestServer {
    /// Writes a file into the directory of the database.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.database.directory().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Runs `signet import accounts --from FORMAT …`.
    pub async fn import(&self, format: &str, arguments: &[&str]) -> Imported {
        let command = [&["import", "accounts", "--from", format], arguments].concat();
        // Concurrent imports wait for each other. On a slow machine, the default of this setting
        // would be too short.
        let program = Program::new(&self.database).with("SIGNET_DATABASE_WAIT_SECONDS", "30");
        let output = program.run(&command).await;
        let imported = Imported {
            status: output.status.code().expect("it was killed"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(!imported.stderr.contains("panicked"), "{}", imported.stderr);
        imported
    }

    /// Imports a file that is created with this content.
    pub async fn import_text(&self, format: &str, name: &str, content: &str) -> Imported {
        let path = self.file(name, content);
        self.import(format, &[path.to_str().unwrap()]).await
    }
}
