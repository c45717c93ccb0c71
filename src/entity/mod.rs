//! The tables, one file each: columns, and finders that encode a rule.
//!
//! Rows never implement `Serialize`, so a column cannot leak into a response by a derive.

pub mod account;
pub mod attempt;
pub mod auth_event;
pub mod authorization_code;
pub mod client;
pub mod consent;
pub mod invalid_status;
pub mod lease;
pub mod logout_notice;
pub mod outbox;
pub mod pending_authorization;
pub mod session;
pub mod signing_key;
pub mod status_list;
pub mod used_assertion;
