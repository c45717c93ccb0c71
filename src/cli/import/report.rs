//! What an import reports: findings about single records, and counts.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::oneshot;

use crate::cli::output::{print, print_to_stderr, printable_line};
use crate::domain::import::{EventSummary, Finding, Summary};
use crate::domain::password::{Class, measure};
use crate::timestamp::Timestamp;

/// Where findings are written.
pub(super) enum Report {
    Stderr,
    File(BufWriter<File>),
}

impl Report {
    /// Creates the file, which must not exist, or writes to standard error.
    pub(super) fn create(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::Stderr) };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.with_context(|| format!("cannot create the report {}", path.display()))?;
        Ok(Self::File(BufWriter::new(file)))
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
                writeln!(file, "{lines}").context("cannot write the report")?;
                file.flush().context("cannot write the report")?;
            }
        }
        Ok(())
    }
}

/// Prints the counts. After a dry run, also how long a login with each kind of hash takes.
pub(super) async fn print_summary(summary: &Summary, is_dry_run: bool) -> anyhow::Result<()> {
    if is_dry_run {
        print("dry run: nothing was written")?;
    }
    let [created, changed] =
        if is_dry_run { ["would be created", "would be changed"] } else { ["created", "changed"] };
    for (count, label) in [
        (summary.created, created),
        (summary.changed, changed),
        (summary.unchanged, "unchanged"),
        (summary.kept, "kept, because they were changed here since"),
        (summary.deleted, "not imported, because they were deleted here"),
        (summary.refused, "refused"),
    ] {
        print(&format!("{count:>9}  {label}"))?;
    }
    print("passwords of the accounts that are not refused:")?;
    for (class, count) in &summary.classes {
        let time = if is_dry_run { time(*class).await? } else { String::new() };
        print(&format!("{count:>9}  {class}{time}"))?;
    }
    for (reason, count) in &summary.unusable {
        print(&format!("{count:>9}  need a reset: {reason}"))?;
    }
    print(&format!("{:>9}  have no password", summary.without_password))?;
    Ok(())
}

/// Prints the counts of events.
pub(super) fn print_events(
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

/// How long a login takes, measured on a separate thread.
async fn time(class: Class) -> anyhow::Result<String> {
    let (sender, measured) = oneshot::channel();
    let measuring = move || drop(sender.send(measure(class)));
    thread::Builder::new().spawn(measuring).context("cannot start a thread")?;
    let took: Duration = measured.await??;
    Ok(format!(", {:.1} ms of computing time at login", took.as_secs_f64() * 1_000.0))
}
