//! A record that passed all checks that need no database.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::domain::email::Email;
use crate::domain::import::refusal::{Finding, Refusal};
use crate::domain::import::value::{Record, boolean, text, time};
use crate::domain::password::{ForeignHash, Unreadable};
use crate::domain::profile::{Profile, ProfilePatch};
use crate::timestamp::Timestamp;

/// Longest id that a record may have, in characters.
const MAX_ID: usize = 255;

/// The members of Signet's own format.
const MEMBERS: [&str; 14] = [
    "id",
    "email",
    "email_as_typed",
    "email_folded",
    "email_ambiguous",
    "email_verified",
    "email_verified_at",
    "password_hash",
    "disabled",
    "disabled_at",
    "created_at",
    "last_login_at",
    "profile",
    "profile_updated_at",
];

/// An account to be imported.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The id of the account.
    pub id: Uuid,
    /// Its email address.
    pub email: Email,
    /// The value of the column `email`.
    pub(super) email_as_stored: String,
    /// The folded form to store. It may be missing if the address is ambiguous.
    pub(super) folded: Option<String>,
    /// Whether the account is found only by the canonical form of its address
    /// ([`email_ambiguous`](crate::entity::account::Model::email_ambiguous)).
    pub(super) is_ambiguous: bool,
    /// The password hash, or why it cannot be verified. `None` for an account without a password.
    pub hash: Option<Result<ForeignHash, Unreadable>>,
    pub(super) verified: Flag,
    pub(super) disabled: Flag,
    pub(super) created_at: Option<Timestamp>,
    pub(super) last_login_at: Option<Timestamp>,
    pub(super) profile: Map<String, Value>,
    pub(super) profile_updated_at: Option<Timestamp>,
    /// What an operator should know about the record.
    pub findings: Vec<Finding>,
}

/// Whether an account is disabled, or its address verified, and since when if the source says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flag {
    pub(super) is_set: bool,
    pub(super) since: Option<Timestamp>,
}

impl Flag {
    /// Reads the flag `name`. If the record has only the time `time_name`, the flag is set.
    fn of(record: &Record, name: &str, time_name: &str) -> Result<Self, Refusal> {
        let since = time(record, time_name)?;
        let is_set = boolean(record, name)?.unwrap_or(since.is_some());
        Ok(Self { is_set, since })
    }

    /// The time since which the flag is set, or `default` if the source does not have this time.
    /// `None` if the flag is not set.
    pub(super) fn time(self, default: Timestamp) -> Option<Timestamp> {
        self.is_set.then(|| self.since.unwrap_or(default))
    }
}

impl Candidate {
    /// Checks a record in Signet's own format. `namespace` is the name of the source's format. An
    /// id that is not a UUID becomes one that depends on this name. If `is_strict`, unknown members
    /// are refused.
    ///
    /// # Errors
    /// The first reason not to import the record.
    pub fn parse(record: &Record, namespace: &str, is_strict: bool) -> Result<Self, Refusal> {
        let unknown = record.keys().find(|name| !MEMBERS.contains(&name.as_str()));
        if let (Some(name), true) = (unknown, is_strict) {
            return Err(Refusal::UnknownMember(name.chars().take(40).collect()));
        }
        let id = account_id(&text(record, "id")?.ok_or(Refusal::NoId)?, namespace)?;
        let typed = text(record, "email")?.ok_or(Refusal::NoEmail)?;
        let email = Email::parse_known(&typed).map_err(Refusal::Email)?;
        let hash = text(record, "password_hash")?.map(|text| ForeignHash::parse(&text));
        let mut findings = Vec::new();
        if let Some(Err(reason)) = hash {
            findings.push(Finding::UnusableHash(reason));
        }
        Ok(Self {
            id,
            email_as_stored: email_as_stored(record, &email)?,
            folded: folded(record, &email)?,
            is_ambiguous: is_ambiguous(record, &email)?,
            email,
            hash,
            verified: Flag::of(record, "email_verified", "email_verified_at")?,
            disabled: Flag::of(record, "disabled", "disabled_at")?,
            created_at: time(record, "created_at")?,
            last_login_at: time(record, "last_login_at")?,
            profile: profile(record, &mut findings)?,
            profile_updated_at: time(record, "profile_updated_at")?,
            findings,
        })
    }

    /// The value that this account will have in the unique index of addresses.
    pub(super) fn address_key(&self) -> &str {
        self.folded.as_deref().unwrap_or(self.email.address())
    }

    /// The hash to store.
    pub(super) fn stored_hash(&self) -> Option<&str> {
        self.hash.as_ref().and_then(|hash| hash.as_ref().ok()).map(ForeignHash::as_stored)
    }
}

/// Whether the address is ambiguous, as is each address that only earlier versions accepted.
fn is_ambiguous(record: &Record, email: &Email) -> Result<bool, Refusal> {
    Ok(boolean(record, "email_ambiguous")?.unwrap_or(false) || email.folded().is_none())
}

/// The folded form to store. Of several ambiguous addresses with the same folded form, only one
/// stores this form.
fn folded(record: &Record, email: &Email) -> Result<Option<String>, Refusal> {
    let stored = text(record, "email_folded")?;
    if stored.is_some() && stored.as_deref() != email.folded() {
        return Err(Refusal::Member("email_folded".to_owned()));
    }
    let is_stored = stored.is_some() || !is_ambiguous(record, email)?;
    Ok(email.folded().filter(|_| is_stored).map(str::to_owned))
}

/// The address as the user typed it, which records of early versions have, or the address itself.
fn email_as_stored(record: &Record, email: &Email) -> Result<String, Refusal> {
    let Some(typed) = text(record, "email_as_typed")? else {
        return Ok(email.address().to_owned());
    };
    let is_same = Email::parse_known(&typed).is_ok_and(|it| it.address() == email.address());
    if is_same { Ok(typed) } else { Err(Refusal::Member("email_as_typed".to_owned())) }
}

/// A UUID stays. Any other id becomes a UUID of version 5 (RFC 9562 §5.5) with the namespace of URLs
/// and the name `namespace:id`, so that it is the same in every import.
pub(super) fn account_id(text: &str, namespace: &str) -> Result<Uuid, Refusal> {
    if text.chars().count() > MAX_ID {
        return Err(Refusal::Id);
    }
    let id = Uuid::try_parse(text.trim()).unwrap_or_else(|_| {
        let name = format!("{namespace}:{}", text.trim());
        let hashed = [Uuid::NAMESPACE_URL.as_bytes(), name.as_bytes()].concat();
        let bytes = openssl::sha::sha1(&hashed).first_chunk().copied().unwrap_or_default();
        uuid::Builder::from_sha1_bytes(bytes).into_uuid()
    });
    if id.is_nil() { Err(Refusal::Id) } else { Ok(id) }
}

/// The claims of the profile. A claim that is not valid is left out, and is a finding.
fn profile(record: &Record, findings: &mut Vec<Finding>) -> Result<Map<String, Value>, Refusal> {
    let mut claims = match record.get("profile") {
        None | Some(Value::Null) => return Ok(Map::new()),
        Some(Value::Object(claims)) => claims.clone(),
        Some(_) => return Err(Refusal::Member("profile".to_owned())),
    };
    loop {
        match ProfilePatch::parse(&claims) {
            Ok(patch) => return Ok(Profile::default().patched(&patch).into_claims()),
            Err(invalid) => {
                let before = claims.len();
                for it in invalid {
                    let name = it.name.split('.').next().unwrap_or_default().to_owned();
                    claims.remove(&name);
                    findings.push(Finding::InvalidClaim(name));
                }
                // Each error names a claim, so this only guards against an endless loop.
                if claims.len() == before {
                    return Err(Refusal::Member("profile".to_owned()));
                }
            }
        }
    }
}
