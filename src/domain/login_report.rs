//! How the next login to an account would end. The report is for a support person whose user cannot
//! log in. It changes nothing and counts no attempt.

use std::fmt;

use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use unicode_security::confusable_detection::skeleton;
use uuid::Uuid;

use crate::database::Db;
use crate::domain::attempt_limit::{self, AttemptKey};
use crate::domain::email::Email;
use crate::domain::password::{Class, Unreadable, class_of};
use crate::domain::session;
use crate::entity::{account, auth_event};
use crate::timestamp::Timestamp;

/// Number of events in a report.
const LAST_EVENTS: u64 = 5;

/// Maximum number of similar addresses in a report.
const MAX_SIMILAR: usize = 5;

/// Number of typing errors (characters inserted, left out, replaced or swapped with a neighbour)
/// up to which two addresses are similar.
const MAX_TYPING_ERRORS: usize = 2;

/// Accounts per query while similar addresses are searched.
const PORTION: u64 = 500;

/// The state of an account, as far as it matters for a login.
#[derive(Debug)]
pub struct LoginReport {
    /// The account; `None` if there is none with the address.
    pub account: Option<account::Model>,
    /// The state of the password; `None` if there is no account.
    pub password: Option<StoredPassword>,
    /// If there is no account: addresses of accounts that look like the address, or differ from it
    /// by one or two typing errors.
    pub similar: Vec<String>,
    /// The time until which attempts on the account are refused, from all client addresses. `None`
    /// if they are admitted.
    pub limited_until: Option<Timestamp>,
    /// Whether the server requires a verified address.
    pub requires_verified_email: bool,
    /// The last events of the account, and the last attempts and requests with its address, newest
    /// first.
    pub events: Vec<auth_event::Model>,
}

/// The state of an account's password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredPassword {
    /// No password is set.
    None,
    /// The stored hash can be checked.
    Hash(Class),
    /// The stored hash cannot be checked, so no password is accepted.
    Unusable(Unreadable),
}

/// What happens at the next login with the right password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeds, unless the limit of the client address is exceeded.
    Succeeds,
    /// It is refused with 429 until this time.
    Limited(Timestamp),
    /// It is refused because no account has the address.
    NoAccount,
    /// It is refused because the account is disabled.
    Disabled,
    /// It is refused because the account has no password, or a hash that cannot be checked.
    NoPassword,
    /// It is refused because the address is not verified, which the server requires.
    EmailNotVerified,
}

impl LoginReport {
    /// Reads the state of the account of `email`. `attempts` is the number of attempts that are
    /// admitted per account and minute. `requires_verified_email` says whether the server requires
    /// a verified address. If there is no account, this reads the addresses of all accounts, to
    /// find similar ones.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn read(
        db: &Db,
        email: &Email,
        key: &AttemptKey,
        (attempts, requires_verified_email): (u32, bool),
    ) -> Result<Self, DbErr> {
        let account = session::find_account(db, email).await?;
        let similar = match &account {
            Some(_) => Vec::new(),
            None => find_similar(db, email).await?,
        };
        Ok(Self {
            password: account.as_ref().map(StoredPassword::of),
            similar,
            limited_until: attempt_limit::limited_until(db, key, attempts).await?,
            requires_verified_email,
            events: last_events(db, account.as_ref().map(|it| it.id), key).await?,
            account,
        })
    }

    /// What happens at the next login with the right password. The limit is checked first, as at a
    /// login.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if let Some(until) = self.limited_until {
            return Outcome::Limited(until);
        }
        match (&self.account, self.password) {
            (None, _) => Outcome::NoAccount,
            (Some(account), _) if !account.is_enabled() => Outcome::Disabled,
            (Some(account), Some(StoredPassword::Hash(_))) => {
                let is_verified = account.email_claims().email_verified;
                if self.requires_verified_email && !is_verified {
                    Outcome::EmailNotVerified
                } else {
                    Outcome::Succeeds
                }
            }
            (Some(_), _) => Outcome::NoPassword,
        }
    }
}

impl StoredPassword {
    fn of(account: &account::Model) -> Self {
        match account.password_hash.as_deref().map(class_of) {
            None => Self::None,
            Some(Ok(class)) => Self::Hash(class),
            Some(Err(reason)) => Self::Unusable(reason),
        }
    }
}

impl fmt::Display for StoredPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Hash(class) => class.fmt(f),
            Self::Unusable(reason) => reason.fmt(f),
        }
    }
}

impl Outcome {
    /// The name of the outcome in JSON output. Names never change.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeds => "succeeds",
            Self::Limited(_) => "limited",
            Self::NoAccount => "no_account",
            Self::Disabled => "disabled",
            Self::NoPassword => "no_password",
            Self::EmailNotVerified => "email_not_verified",
        }
    }
}

/// The last events of an account, and the last events that have the keyed digest of its address:
/// failed attempts, and requests of mails. Events from before the account was created have only the
/// digest.
async fn last_events(
    db: &Db,
    account_id: Option<Uuid>,
    key: &AttemptKey,
) -> Result<Vec<auth_event::Model>, DbErr> {
    use auth_event::Column;

    let newest = |condition| {
        let events = auth_event::Entity::find().filter(condition);
        events.order_by_desc(Column::Id).limit(LAST_EVENTS)
    };
    // Two queries, because each has an index.
    let mut conditions = vec![Column::EmailDigest.eq(key.digest())];
    conditions.extend(account_id.map(|id| Column::AccountId.eq(id)));
    let mut found = Vec::new();
    for query in conditions.into_iter().map(newest) {
        found.extend(db.read(|db| async move { query.all(&db).await }).await?);
    }
    found.sort_by_key(|event| std::cmp::Reverse(event.id));
    found.dedup_by_key(|event| event.id);
    found.truncate(usize::try_from(LAST_EVENTS).unwrap_or(usize::MAX));
    Ok(found)
}

/// Addresses of accounts that are similar to `email`, the most similar first.
async fn find_similar(db: &Db, email: &Email) -> Result<Vec<String>, DbErr> {
    let wanted = visual_form(email.key());
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = account::Entity::find()
            .select_only()
            .columns([account::Column::Id, account::Column::EmailCanonical])
            .filter(account::Column::DeletedAt.is_null())
            .apply_if(after, |page, id: Uuid| page.filter(account::Column::Id.gt(id)))
            .order_by_asc(account::Column::Id)
            .limit(PORTION)
            .into_tuple::<(Uuid, String)>();
        let page = db.read(|db| async move { page.all(&db).await }).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        found.extend(page.into_iter().filter_map(|(_, address)| {
            let errors = typing_errors(&wanted, &address)?;
            Some((errors, address))
        }));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, address)| address).take(MAX_SIMILAR).collect())
}

/// The number of typing errors between an address in its visual form and the address of an
/// account. `None` if there are too many.
fn typing_errors(wanted: &str, address: &str) -> Option<usize> {
    // The distance of two texts is at least the difference of their lengths. The visual form of a
    // character may be longer than the character, so the margin is generous.
    if wanted.len().abs_diff(address.len()) > wanted.len() / 2 + MAX_TYPING_ERRORS {
        return None;
    }
    let address = Email::of_account(address);
    let errors = strsim::osa_distance(wanted, &visual_form(address.key()));
    (errors <= MAX_TYPING_ERRORS).then_some(errors)
}

/// The form in which look-alikes are equal (the skeleton of UTS #39 section 4).
fn visual_form(address: &str) -> String {
    skeleton(address).collect()
}
