//! The source of an import: a file or a database.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::thread;

use anyhow::{Context, bail};
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::cli::import::batch::{Batch, Batches, Record, Unreadable};
use crate::cli::import::limit::{Limited, Progress};
use crate::cli::import::{csv_file, json_file, lines};
use crate::config::DatabaseUrl;
use crate::database::{Row, SourceDatabase, UnreadableRow};
use crate::domain::import::{Format, Refusal};

/// Number of batches that are read in advance.
const AHEAD: usize = 2;

/// The table of accounts in the original application.
const DEFAULT_TABLE: &str = "users";

/// Byte order mark of UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A source that is read once from its beginning.
pub(super) enum Source {
    /// A file, which a thread reads, and its size in bytes.
    File { batches: Receiver<anyhow::Result<Batch>>, size: u64 },
    /// A table of a database, its size in rows, and how many of them were read.
    Database { table: Box<SourceDatabase>, size: u64, read: u64 },
}

/// How the records of a file are separated.
#[derive(Clone, Copy)]
enum Layout {
    /// NDJSON: a JSON object on each line.
    Lines,
    /// CSV, whose first line has the names of the columns.
    Csv,
    /// A JSON array of records.
    Array,
    /// A JSON object whose member `users` is the array of records (Firebase, Keycloak).
    UsersObject,
}

impl Source {
    pub(super) async fn open(
        format: Format,
        source: &str,
        table: Option<&str>,
    ) -> anyhow::Result<Self> {
        if format == Format::FastApi {
            let url = source.parse::<DatabaseUrl>();
            let url = url.map_err(|reason| anyhow::anyhow!("the URL to import from {reason}"))?;
            let table = SourceDatabase::open(&url, table.unwrap_or(DEFAULT_TABLE)).await?;
            let size = table.count().await?;
            return Ok(Self::Database { table: Box::new(table), size, read: 0 });
        }
        if table.is_some() {
            bail!("only the format fastapi reads a table");
        }
        // The message must not contain a URL, which may contain a password.
        if source.contains("://") {
            bail!("the source is a URL, but the format {} is read from a file", format.name());
        }
        open_file(format, Path::new(source))
    }

    /// The size of the source in bytes or rows, for the progress bar.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::File { size, .. } | Self::Database { size, .. } => *size,
        }
    }

    /// The next records; `None` at the end.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Batch>> {
        match self {
            Self::File { batches, .. } => batches.recv().await.transpose(),
            Self::Database { table, read, .. } => {
                let rows = table.next().await?;
                if rows.is_empty() {
                    return Ok(None);
                }
                let records =
                    (*read + 1..).zip(rows.into_iter().map(to_record)).collect::<Vec<_>>();
                *read += u64::try_from(records.len())?;
                Ok(Some(Batch { records, unit: None, position: *read }))
            }
        }
    }
}

fn to_record(row: Row) -> Record {
    row.map_err(|UnreadableRow { reason, columns }| Unreadable {
        refusal: Refusal::NotARecord(reason),
        members: columns,
    })
}

fn open_file(format: Format, path: &Path) -> anyhow::Result<Source> {
    let failed = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(failed)?;
    let size = file.metadata().with_context(failed)?.len();
    let is_csv = path.extension().is_some_and(|it| it.eq_ignore_ascii_case("csv"));
    let (sender, batches) = mpsc::channel(AHEAD);
    thread::Builder::new()
        .name("signet-import".to_owned())
        .spawn(move || read_file(file, format, is_csv, sender))
        .context("cannot start a thread")?;
    Ok(Source::File { batches, size })
}

fn read_file(file: File, format: Format, is_csv: bool, sender: Sender<anyhow::Result<Batch>>) {
    let mut input = BufReader::with_capacity(64 * 1_024, file);
    let progress = Progress::default();
    let layout = match layout(&mut input, format, is_csv) {
        Ok(layout) => layout,
        Err(error) => return drop(sender.blocking_send(Err(error))),
    };
    let unit = match layout {
        Layout::Lines | Layout::Csv => "line",
        Layout::Array | Layout::UsersObject => "record",
    };
    let mut batches = Batches::new(sender, unit, progress.total.clone());
    let result = read_records(input, layout, &mut batches, &progress);
    batches.finish(result);
}

fn read_records(
    input: impl BufRead,
    layout: Layout,
    batches: &mut Batches,
    progress: &Progress,
) -> anyhow::Result<()> {
    if let Layout::Lines = layout {
        let total = &progress.total;
        return lines::read(input, batches, |bytes| total.set(total.get() + bytes));
    }
    let input = Limited::new(input, progress);
    match layout {
        Layout::Csv => csv_file::read(input, batches, progress),
        Layout::UsersObject => json_file::read(input, batches, progress, true),
        Layout::Array | Layout::Lines => json_file::read(input, batches, progress, false),
    }
}

/// Finds the layout of a file: CSV by its extension, otherwise by the first character that is not
/// white space. Skips a byte order mark and white space.
fn layout(input: &mut impl BufRead, format: Format, is_csv: bool) -> anyhow::Result<Layout> {
    let start = input.fill_buf().context("cannot read the file")?;
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        bail!("the file is UTF-16; convert it to UTF-8");
    }
    if start.starts_with(BOM) {
        input.consume(BOM.len());
    }
    if is_csv {
        return Ok(Layout::Csv);
    }
    loop {
        let buffer = input.fill_buf().context("cannot read the file")?;
        match buffer.first() {
            Some(byte) if byte.is_ascii_whitespace() => input.consume(1),
            Some(b'[') => return Ok(Layout::Array),
            Some(b'{') if format.is_users_object() => return Ok(Layout::UsersObject),
            None | Some(b'{') if !format.is_users_object() => return Ok(Layout::Lines),
            _ if format.is_users_object() => bail!("the file is not a JSON object"),
            _ => return Ok(Layout::Lines),
        }
    }
}
