//! What an import reports: findings about single records, and counts.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use tokio::sync::oneshot;

use crate::cli::output::{print, print_to_stderr, printable_line};
use crate::database::NewFile;
use crate::domain::id;
use crate::domain::import::{EventSummary, Finding, Summary};
use crate::domain::password::{Class, measure};
use crate::timestamp::Timestamp;

/// The first line of a report, by which a later import recognises a file that it may replace.
const HEAD: &str = "# Report of signet import accounts";

/// Where findings are written.
pub(super) enum Report {
    Stderr,
    /// A file that gets its name when the import has ended, so that a report is never incomplete.
    File(NewFile),
}

impl Report {
    /// Creates the file at `path`, which may replace an earlier report. Without `path`, findings
    /// are written to standard error.
    pub(super) fn create(path: Option<&Path>, now: Timestamp) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::Stderr) };
        check_replaceable(path)?;
        let failed = |error: io::Error| cannot_write(path, &error);
        let mut file = NewFile::create(path, true, id::new(now)).map_err(failed)?;
        writeln!(file.file(), "{HEAD}, begun at {}", now.to_rfc3339()).map_err(failed)?;
        Ok(Self::File(file))
    }

    /// Writes a line for each finding.
    pub(super) fn write(
        &mut self,
        findings: &[(u64, Finding)],
        places: &HashMap<u64, String>,
    ) -> anyhow::Result<()> {
        if findings.is_empty() {
            return Ok(());
        }
        let line = |(number, finding): &(u64, Finding)| {
            let place = places.get(number).map_or("", |place| place);
            printable_line(&format!("{place}: {finding}"))
        };
        let lines = findings.iter().map(line).collect::<Vec<_>>().join("\n");
        match self {
            Self::Stderr => print_to_stderr(&lines),
            Self::File(file) => {
                let written = writeln!(file.file(), "{lines}");
                written.map_err(|error| cannot_write(file.target(), &error))?;
            }
        }
        Ok(())
    }

    /// Completes the file. If the import stopped, the file says so.
    pub(super) fn finish(self, is_complete: bool) -> anyhow::Result<()> {
        let Self::File(mut file) = self else { return Ok(()) };
        let path = file.target().to_owned();
        let last_line = if is_complete { "# complete" } else { "# incomplete: the import stopped" };
        let written = writeln!(file.file(), "{last_line}").and_then(|()| file.publish());
        written.map_err(|error| cannot_write(&path, &error))
    }
}

/// Refuses a file that is not the report of an import, such as the file to be imported.
fn check_replaceable(path: &Path) -> anyhow::Result<()> {
    let found = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(|error| cannot_write(path, &error))?,
    };
    let mut head = String::new();
    if found.is_file() {
        let file = File::open(path).map_err(|error| cannot_write(path, &error))?;
        // A file that is not UTF-8 is no report either.
        let _ = file.take(HEAD.len() as u64).read_to_string(&mut head);
    }
    if head != HEAD {
        let path = path.display();
        bail!("{path} exists and is not the report of an import: name another file for the report");
    }
    Ok(())
}

fn cannot_write(path: &Path, error: &io::Error) -> anyhow::Error {
    anyhow!("cannot write the report {}: {error}", path.display())
}

/// Prints the counts. After a dry run, also how long a login with each kind of hash takes.
pub(super) async fn print_summary(summary: &Summary, is_dry_run: bool) -> anyhow::Result<()> {
    if is_dry_run {
        print("dry run: nothing was written")?;
    }
    let [created, changed] =
        if is_dry_run { ["would be created", "would be changed"] } else { ["created", "changed"] };
    print(&format!("{:>9}  records:", summary.records()))?;
    for (count, label) in [
        (summary.created, created),
        (summary.changed, changed),
        (summary.unchanged, "unchanged"),
        (summary.kept, "kept, because they were changed or created here"),
        (summary.deleted, "not imported, because they were deleted here"),
        (summary.refused, "refused"),
    ] {
        print(&format!("{count:>9}  {label}"))?;
    }
    print("passwords of the accounts that are not refused:")?;
    for (class, count) in &summary.classes {
        let time = if is_dry_run { login_time(*class).await? } else { String::new() };
        print(&format!("{count:>9}  {class}{time}"))?;
    }
    for (reason, count) in &summary.unusable {
        print(&format!("{count:>9}  need a reset: {reason}"))?;
    }
    print(&format!("{:>9}  have no password", summary.without_password))?;
    Ok(())
}

/// Prints the counts of events.
pub(super) fn print_event_summary(
    summary: &EventSummary,
    since: Option<Timestamp>,
    is_dry_run: bool,
) -> anyhow::Result<()> {
    let since_text = since.map_or_else(String::new, Timestamp::to_rfc3339);
    let older = format!("left out, because they are older than {since_text}");
    print("audit events:")?;
    for (count, label) in [
        (summary.imported, if is_dry_run { "would be imported" } else { "imported" }),
        (summary.present, "imported before"),
        (summary.without_user, "left out, because they have no user"),
        (summary.without_account, "left out, because their user has no account here"),
        (summary.older, older.as_str()),
        (summary.refused, "refused"),
    ] {
        if since.is_some() || label != older {
            print(&format!("{count:>9}  {label}"))?;
        }
    }
    Ok(())
}

/// The computing time of a login with a hash of this class, measured on a separate thread.
async fn login_time(class: Class) -> anyhow::Result<String> {
    let (sender, measured) = oneshot::channel();
    let measuring = move || drop(sender.send(measure(class)));
    thread::Builder::new().spawn(measuring).context("cannot start a thread")?;
    let took: Duration = measured.await??;
    Ok(format!(", {:.1} ms of computing time at login", took.as_secs_f64() * 1_000.0))
}
