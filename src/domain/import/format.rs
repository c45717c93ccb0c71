//! The formats of other systems: the names of their members, and other differences from Signet's
//! own format.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::domain::import::candidate::Candidate;
use crate::domain::import::hash_config::FirebaseHashConfig;
use crate::domain::import::keycloak;
use crate::domain::import::refusal::Refusal;
use crate::domain::import::value::{Record, boolean, text, time};
use crate::timestamp::Timestamp;

/// The system that an export is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The original application, or another application with a table of users.
    FastApi,
    /// `manage.py dumpdata auth.user`, or the table `auth_user` as CSV.
    Django,
    /// An export of users, or the export of password hashes that Auth0's support makes.
    Auth0,
    /// `firebase auth:export --format=json`.
    Firebase,
    /// The table `auth.users`.
    Supabase,
    /// A realm export with users.
    Keycloak,
    /// Signet's own format.
    Ndjson,
}

/// How the records of a source are read.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// The system that the source is from.
    pub format: Format,
    /// Maps members of Signet's own format to the source's members that have unusual names.
    pub names: BTreeMap<String, String>,
    /// The parameters of a Firebase project.
    pub firebase: Option<FirebaseHashConfig>,
    /// The current time, to decide whether a temporary ban has ended.
    pub now: Timestamp,
}

/// A required column that the table of users does not have.
#[derive(Debug, thiserror::Error)]
#[error(
    "the table of users has no column {column}: name the column in the file of --map, as `{member}`. \
     Nothing was imported"
)]
pub struct MissingUserColumn {
    member: &'static str,
    column: String,
}

/// Claims of the profile whose names in the source `--map` can give.
const CLAIMS: [&str; 6] =
    ["name", "given_name", "family_name", "preferred_username", "phone_number", "picture"];

/// The other members whose names in the source `--map` can give. `enabled` is the opposite of
/// `disabled`.
const MEMBERS: [&str; 10] = [
    "id",
    "email",
    "email_verified",
    "email_verified_at",
    "password_hash",
    "disabled",
    "disabled_at",
    "enabled",
    "created_at",
    "last_login_at",
];

impl Format {
    /// All formats.
    pub const ALL: [Self; 7] = [
        Self::FastApi,
        Self::Django,
        Self::Auth0,
        Self::Firebase,
        Self::Supabase,
        Self::Keycloak,
        Self::Ndjson,
    ];

    /// The name on the command line and in the database. It is part of the ids of imported
    /// accounts, so it never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FastApi => "fastapi",
            Self::Django => "django",
            Self::Auth0 => "auth0",
            Self::Firebase => "firebase",
            Self::Supabase => "supabase",
            Self::Keycloak => "keycloak",
            Self::Ndjson => "ndjson",
        }
    }

    /// Whether `--map` can give the names of the members of its records.
    #[must_use]
    pub const fn is_mappable(self) -> bool {
        matches!(self, Self::FastApi | Self::Django | Self::Supabase | Self::Ndjson)
    }

    /// Whether its records are the elements of the member `users` of one JSON object.
    #[must_use]
    pub const fn is_users_object(self) -> bool {
        matches!(self, Self::Firebase | Self::Keycloak)
    }

    /// The members of Signet's own format that have other names in this format, with these names.
    const fn usual_names(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::FastApi => &[
                ("password_hash", "hashed_password"),
                ("last_login_at", "last_login"),
                ("enabled", "is_active"),
                ("email_verified", "is_verified"),
            ],
            Self::Django => &[
                ("password_hash", "password"),
                ("created_at", "date_joined"),
                ("last_login_at", "last_login"),
                ("enabled", "is_active"),
                ("given_name", "first_name"),
                ("family_name", "last_name"),
            ],
            Self::Supabase => &[
                ("password_hash", "encrypted_password"),
                ("email_verified_at", "email_confirmed_at"),
                ("last_login_at", "last_sign_in_at"),
            ],
            Self::Keycloak => &[
                ("email_verified", "emailVerified"),
                ("created_at", "createdTimestamp"),
                ("given_name", "firstName"),
                ("family_name", "lastName"),
            ],
            Self::Firebase => &[
                ("id", "localId"),
                ("email_verified", "emailVerified"),
                ("created_at", "createdAt"),
                ("last_login_at", "lastSignedInAt"),
                ("name", "displayName"),
                ("picture", "photoUrl"),
                ("phone_number", "phoneNumber"),
            ],
            Self::Auth0 => &[("last_login_at", "last_login"), ("disabled", "blocked")],
            Self::Ndjson => &[],
        }
    }
}

impl SourceSettings {
    /// The keys of `names` that are no members of Signet's own format, or cannot be mapped.
    pub fn unknown_names(&self) -> impl Iterator<Item = &String> {
        let is_known = |name: &str| MEMBERS.contains(&name) || CLAIMS.contains(&name);
        self.names.keys().filter(move |name| !is_known(name))
    }

    /// Checks that a row of a table has the columns without which no account can be imported.
    ///
    /// # Errors
    /// The first column that is missing.
    pub fn check_columns(&self, row: &Record) -> Result<(), MissingUserColumn> {
        for member in ["id", "email", "password_hash"] {
            let usual = self.format.usual_names().iter().find(|(name, _)| *name == member);
            let usual = usual.map_or(member, |(_, usual)| usual);
            let column = self.names.get(member).map_or(usual, |name| name);
            if !row.contains_key(column) {
                return Err(MissingUserColumn { member, column: column.to_owned() });
            }
        }
        Ok(())
    }

    /// Reads a record of the source.
    ///
    /// # Errors
    /// The first reason not to import the record.
    pub fn read(&self, record: &Record) -> Result<Candidate, Refusal> {
        let name = self.format.name();
        if self.format == Format::Ndjson && self.names.is_empty() {
            return Candidate::parse(record, name, true);
        }
        Candidate::parse(&self.normalise(record)?, name, false)
    }

    /// The record in Signet's own format.
    fn normalise(&self, record: &Record) -> Result<Record, Refusal> {
        match self.format {
            Format::FastApi | Format::Ndjson => self.rename(record),
            Format::Django => self.django(record),
            Format::Supabase => self.supabase(record),
            Format::Keycloak => self.keycloak(record),
            Format::Firebase => self.firebase(record),
            Format::Auth0 => self.auth0(record),
        }
    }

    /// Renames the members as `names` and the format say. Claims become members of `profile`.
    fn rename(&self, record: &Record) -> Result<Record, Refusal> {
        let (mut renamed, mut profile) = (Record::new(), Map::new());
        let usual = self.format.usual_names();
        for ours in MEMBERS.into_iter().chain(CLAIMS) {
            let mapped = self.names.get(ours).map(String::as_str);
            let usual = || usual.iter().find(|(name, _)| *name == ours).map(|(_, theirs)| *theirs);
            let theirs = mapped.or_else(usual).unwrap_or(ours);
            let Some(value) = record.get(theirs).filter(|value| !value.is_null()) else { continue };
            if ours == "enabled" {
                let is_enabled = boolean(record, theirs)?;
                renamed.extend(is_enabled.map(|it| ("disabled".to_owned(), Value::Bool(!it))));
            } else if CLAIMS.contains(&ours) {
                let text = text(record, theirs)?.filter(|text| !text.trim().is_empty());
                profile.extend(text.map(|text| (ours.to_owned(), Value::String(text))));
            } else {
                renamed.insert(ours.to_owned(), value.clone());
            }
        }
        if !profile.is_empty() {
            renamed.insert("profile".to_owned(), Value::Object(profile));
        }
        Ok(renamed)
    }

    /// Objects of `dumpdata` have the columns in `fields`, and the id beside them. An unusable
    /// password begins with `!`.
    fn django(&self, record: &Record) -> Result<Record, Refusal> {
        let renamed = match (record.get("fields"), record.get("pk")) {
            (Some(Value::Object(fields)), Some(pk)) => {
                if !fields.contains_key(self.names.get("password_hash").map_or("password", |it| it))
                {
                    return Err(Refusal::NoLogin("an object without a password"));
                }
                let mut columns = fields.clone();
                columns.insert("id".to_owned(), pk.clone());
                self.rename(&columns)?
            }
            _ => self.rename(record)?,
        };
        Ok(without_hash(renamed, |hash| hash.starts_with('!')))
    }

    /// Accounts can be anonymous, marked as deleted, or banned until a time.
    fn supabase(&self, record: &Record) -> Result<Record, Refusal> {
        if text(record, "deleted_at")?.is_some() {
            return Err(Refusal::NoLogin("deleted"));
        }
        if boolean(record, "is_anonymous")? == Some(true) {
            return Err(Refusal::NoLogin("anonymous"));
        }
        let mut renamed = self.rename(record)?;
        if time(record, "banned_until")?.is_some_and(|until| until > self.now) {
            renamed.insert("disabled".to_owned(), Value::Bool(true));
        }
        Ok(renamed)
    }

    fn keycloak(&self, user: &Record) -> Result<Record, Refusal> {
        if user.contains_key("serviceAccountClientId") {
            return Err(Refusal::NoLogin("a service account"));
        }
        let mut renamed = self.rename(user)?;
        let hash = keycloak::password_hash(user);
        renamed.extend(hash.map(|hash| ("password_hash".to_owned(), Value::String(hash))));
        Ok(renamed)
    }

    fn firebase(&self, user: &Record) -> Result<Record, Refusal> {
        let mut renamed = self.rename(user)?;
        let (hash, salt) = (text(user, "passwordHash")?, text(user, "salt")?);
        if let (Some(hash), Some(config)) = (hash, &self.firebase) {
            let notation = config.notation(salt.as_deref().unwrap_or_default(), &hash);
            renamed.insert("password_hash".to_owned(), Value::String(notation));
        }
        Ok(renamed)
    }

    /// The export of password hashes has the id without the prefix `auth0|`, which the ids in
    /// Auth0's tokens have. It may have the email address only among the identifiers.
    fn auth0(&self, user: &Record) -> Result<Record, Refusal> {
        let mut renamed = self.rename(user)?;
        let of_string = |value: Option<String>| value.map(Value::String);
        let at = |path: &[&str]| text_at(user, path);
        let id = text(user, "user_id")?.or_else(|| {
            let id = at(&["alt_id"]).or_else(|| at(&["_id", "$oid"])).or_else(|| at(&["_id"]));
            id.map(|id| format!("auth0|{id}"))
        });
        renamed.extend(of_string(id).map(|id| ("id".to_owned(), id)));
        let hash = at(&["passwordHash"])
            .or_else(|| at(&["password_hash"]))
            .or_else(|| at(&["custom_password_hash", "hash", "value"]));
        renamed.extend(of_string(hash).map(|hash| ("password_hash".to_owned(), hash)));
        let identifiers = user.get("identifiers").and_then(Value::as_array);
        let email = identifiers
            .into_iter()
            .flatten()
            .find(|it| it.get("type").is_some_and(|it| it == "email"));
        if let (Some(email), false) = (email, renamed.contains_key("email")) {
            let member = |name| email.get(name).cloned().unwrap_or_default();
            renamed.insert("email".to_owned(), member("value"));
            renamed.insert("email_verified".to_owned(), member("verified"));
        }
        // Auth0 uses the email address as the name of users who have no name.
        if let Some(Value::Object(profile)) = renamed.get_mut("profile") {
            profile.retain(|_, claim| !claim.as_str().is_some_and(|text| text.contains('@')));
        }
        Ok(renamed)
    }
}

/// The text that nested objects have at a path of member names.
fn text_at(user: &Record, path: &[&str]) -> Option<String> {
    let (first, rest) = path.split_first()?;
    let value = rest.iter().try_fold(user.get(*first)?, |value, name| value.get(*name))?;
    value.as_str().map(str::to_owned)
}

/// Removes the password hash if it means that there is no password.
fn without_hash(mut record: Record, is_none: impl Fn(&str) -> bool) -> Record {
    let hash = record.get("password_hash").and_then(Value::as_str);
    if hash.is_some_and(is_none) {
        record.remove("password_hash");
    }
    record
}
