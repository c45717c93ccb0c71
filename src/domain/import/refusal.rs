//! Why a record is not imported, or not completely.

use uuid::Uuid;

use crate::domain::email::EmailError;
use crate::domain::password::Unreadable;

/// Why a record is not imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The reader could not read a record. The text contains nothing of the record.
    #[error("{0}")]
    NotARecord(String),
    /// A member that Signet's own format does not have.
    #[error("the member {0} is not known")]
    UnknownMember(String),
    /// No id, or an empty one.
    #[error("there is no id")]
    NoId,
    /// The id is longer than 255 characters, or is the nil UUID.
    #[error("the id is not valid")]
    Id,
    /// No address, or an empty one.
    #[error("there is no email address")]
    NoEmail,
    /// An address that no account can have.
    #[error("the email address {0}")]
    Email(EmailError),
    /// A member with a value of the wrong type or format.
    #[error("the member {0} is not valid")]
    Member(String),
    /// A required member is missing or empty.
    #[error("the member {0} is missing")]
    Missing(String),
    /// The type of an audit event is not one of those that the original has.
    #[error("the event type {0} is not known")]
    UnknownEvent(String),
    /// The source marks the account as one that has no login.
    #[error("not a login account: {0}")]
    NoLogin(&'static str),
    /// An earlier record of the same source has this id.
    #[error("an earlier record has the same id")]
    RepeatedId,
    /// An earlier record of the same source has this address.
    #[error("an earlier record has the same email address")]
    RepeatedEmail,
    /// Another account has this address.
    #[error("the email address belongs to the account {0}")]
    EmailTaken(Uuid),
    /// An account with this id has another address.
    #[error("an account with this id has another email address")]
    IdTaken,
}

/// What an operator should know about a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// It was not imported.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// It was imported without its password hash, because the hash cannot be verified here.
    #[error("needs a password reset: {0}")]
    UnusableHash(Unreadable),
    /// It differs from the account, which was changed here since the last import, or was never
    /// imported.
    #[error("kept as it is, because the account was changed here since, or created here")]
    Kept,
    /// The account was deleted here, and stays deleted.
    #[error("not imported again, because the account was deleted here")]
    Deleted,
    /// It was imported without a claim of its profile that is not valid.
    #[error("imported without {0}, which is not valid")]
    InvalidClaim(String),
}
