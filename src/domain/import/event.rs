//! An audit event of the original application, from its table `auth_events`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use uuid::Uuid;

use crate::domain::audit::{Event, Kind, Origin, PastEvent};
use crate::domain::import::candidate::account_id;
use crate::domain::import::format::Format;
use crate::domain::import::refusal::Refusal;
use crate::domain::import::value::{Record, parse_time, text, time};
use crate::timestamp::Timestamp;

/// The members of an event, each with the usual names of its column. `address` is an IP address.
const MEMBERS: [(&str, &[&str]); 6] = [
    ("id", &["id"]),
    ("type", &["event_type", "type", "event"]),
    ("at", &["created_at", "timestamp", "occurred_at", "at"]),
    ("account_id", &["user_id"]),
    ("address", &["ip_address", "ip"]),
    ("user_agent", &["user_agent"]),
];

/// The members without which no event can be imported.
const REQUIRED: [&str; 4] = ["id", "type", "at", "account_id"];

/// The types of events that the original records. Signet's audit log has them by the same names.
const KINDS: [Kind; 4] = [Kind::SignUp, Kind::LogIn, Kind::LogInFailed, Kind::LogOut];

/// Latest time that fits into the 48 bits of a `UUIDv7` (RFC 9562 §5.7), in milliseconds.
const MAX_MILLIS: u64 = (1 << 48) - 1;

/// How the events of a source are read.
#[derive(Debug, Clone)]
pub struct EventSettings {
    /// The system that the source is from.
    pub format: Format,
    /// The names of the source's columns by `id`, `type`, `at`, `account_id`, `address` and
    /// `user_agent`, where they are not the usual ones.
    pub names: BTreeMap<String, String>,
    /// Events before this time are not imported.
    pub since: Option<Timestamp>,
}

/// A required column that the table does not have.
#[derive(Debug, thiserror::Error)]
#[error(
    "the table of events has no column {usual}: name the column in the section [auth_events] of \
     --map, as `{member}`"
)]
pub struct MissingColumn {
    member: &'static str,
    usual: String,
}

/// An event of a source.
#[derive(Debug, Clone)]
pub enum SourceEvent {
    /// It is older than [`EventSettings::since`].
    Older,
    /// It has no user.
    WithoutUser,
    /// It may be imported, if the account exists.
    OfAccount(Box<AccountEvent>),
}

/// An event of an account.
#[derive(Debug, Clone)]
pub struct AccountEvent {
    pub(super) id: Uuid,
    pub(super) account_id: Uuid,
    at: Timestamp,
    kind: Kind,
    reason: String,
    origin: Origin,
}

impl EventSettings {
    /// A key of `names` that is not a member of events.
    #[must_use]
    pub fn unknown_name(&self) -> Option<&String> {
        let is_known = |name: &str| MEMBERS.iter().any(|(member, _)| *member == name);
        self.names.keys().find(|name| !is_known(name))
    }

    /// The name of the column with the id.
    #[must_use]
    pub fn id_column(&self) -> &str {
        self.names.get("id").map_or("id", |name| name)
    }

    /// Checks whether a record has all columns that are required.
    ///
    /// # Errors
    /// The first column that is missing.
    pub fn check(&self, record: &Record) -> Result<(), MissingColumn> {
        for (member, _) in MEMBERS.into_iter().filter(|(member, _)| REQUIRED.contains(member)) {
            let columns = self.columns(member);
            if !columns.iter().any(|column| record.contains_key(*column)) {
                return Err(MissingColumn { member, usual: columns.join(" or ") });
            }
        }
        Ok(())
    }

    /// Reads a record of the source.
    ///
    /// # Errors
    /// The first reason not to import the event.
    pub fn read(&self, record: &Record) -> Result<SourceEvent, Refusal> {
        let name = self.format.name();
        let source_id = text(record, self.column(record, "id"))?.ok_or(Refusal::NoId)?;
        let at_column = self.column(record, "at");
        let missing = || Refusal::Missing(at_column.to_owned());
        let at = time(record, at_column)?.ok_or_else(missing)?;
        let id = id(name, &source_id, at).ok_or_else(|| Refusal::Member(at_column.to_owned()))?;
        if self.since.is_some_and(|since| at < since) {
            return Ok(SourceEvent::Older);
        }
        let kind = self.kind(record)?;
        let Some(account) = text(record, self.column(record, "account_id"))? else {
            return Ok(SourceEvent::WithoutUser);
        };
        let account_id = account_id(&account, name)?;
        let ip_address = text(record, self.column(record, "address"))?;
        let ip_address: Option<IpAddr> = ip_address.and_then(|text| text.trim().parse().ok());
        let origin = Origin {
            address: ip_address.map(|address| address.to_canonical()),
            user_agent: text(record, self.column(record, "user_agent"))?,
            ..Origin::default()
        };
        let reason = format!("imported from {name}");
        let event = AccountEvent { id, account_id, at, kind, reason, origin };
        Ok(SourceEvent::OfAccount(Box::new(event)))
    }

    fn kind(&self, record: &Record) -> Result<Kind, Refusal> {
        let column = self.column(record, "type");
        let name = text(record, column)?.ok_or_else(|| Refusal::Missing(column.to_owned()))?;
        let lower = name.trim().to_ascii_lowercase();
        let kind = KINDS.into_iter().find(|kind| kind.name() == lower);
        kind.ok_or_else(|| Refusal::UnknownEvent(name.chars().take(40).collect()))
    }

    /// The columns that a member may be in.
    fn columns(&self, member: &str) -> Vec<&str> {
        if let Some(name) = self.names.get(member) {
            return vec![name.as_str()];
        }
        let usual = MEMBERS.iter().find(|(name, _)| *name == member);
        usual.map(|(_, names)| names.to_vec()).unwrap_or_default()
    }

    /// The column that a member of this record is in.
    fn column<'s>(&'s self, record: &Record, member: &'s str) -> &'s str {
        let columns = self.columns(member);
        let found = columns.iter().find(|column| record.contains_key(**column));
        found.or(columns.first()).copied().unwrap_or(member)
    }
}

impl AccountEvent {
    /// The event as the audit log records it.
    pub(super) fn past_event(&self) -> PastEvent {
        let event = Event::new(self.kind).account(self.account_id).reason(self.reason.clone());
        PastEvent { id: self.id, at: self.at, event, origin: self.origin.clone() }
    }
}

/// A `UUIDv7` whose random bits are a digest of the source's id, so that it is the same in each
/// import and sorts by time. `None` if the time does not fit into the 48 bits.
fn id(namespace: &str, source_id: &str, at: Timestamp) -> Option<Uuid> {
    let millis = u64::try_from(at.as_micros() / 1_000).ok().filter(|it| *it <= MAX_MILLIS)?;
    let name = format!("{namespace}:auth_events:{}", source_id.trim());
    let digest = openssl::sha::sha256(name.as_bytes());
    let bits = digest.first_chunk::<10>()?;
    Some(uuid::Builder::from_unix_timestamp_millis(millis, bits).into_uuid())
}

/// Reads the value of `--auth-events-since`: a date, which stands for its beginning in UTC, or a
/// point in time (RFC 3339).
///
/// # Errors
/// If the text is neither.
pub fn parse_since(text: &str) -> Result<Timestamp, &'static str> {
    let with_time = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = parse_time(&with_time).filter(|_| !is_number);
    parsed.ok_or("is not a date such as 2026-01-31, nor a time such as 2026-01-31T10:00:00Z")
}
