//! Import of accounts from other systems.
//!
//! A record of a source is processed in three steps:
//!
//! 1. [`Format`] renames the members of the record, so that it has the form of Signet's
//!    own format (`signet export accounts`).
//! 2. [`Candidate::parse`] checks it. Each rule exists once, for all formats.
//! 3. [`Importer::take`] compares the candidates with the accounts that exist, and writes in
//!    portions, so that logins continue meanwhile.
//!
//! Rules:
//!
//! - **Nothing is merged.** An address that another account has is refused, and so is an id of an
//!   account with another address.
//! - **An import may be repeated.** It changes an account only if the account is as the last import
//!   left it (`imported_account`). An account that was changed or deleted in Signet stays as it is.
//! - **A hash is not trusted.** A hash whose verification would need too much time or memory is not
//!   stored; the account then needs a password reset.
//!
//! [`EventImporter`] imports the audit events of the original application, after its accounts.

mod candidate;
mod digest;
mod event;
mod event_importer;
mod format;
mod hash_config;
mod imported;
mod keycloak;
mod options;
mod plan;
mod refusal;
mod summary;
mod take;
mod value;
mod write;

pub use candidate::Candidate;
pub use event::{EventSettings, MissingColumn, SourceEvent, parse_since};
pub use event_importer::{EventImporter, EventSummary};
pub use format::{Format, MissingUserColumn, SourceSettings};
pub use hash_config::{FirebaseHashConfig, InvalidHashConfig};
pub use imported::{ImportedAccount, ImportedState, list_imported};
pub use options::Options;
pub use refusal::{Finding, Refusal};
pub use summary::Summary;
pub use take::{ImportError, Importer, Numbered};
