//! The tables, one file each: the columns, and queries and conditions that implement a rule.
//!
//! Rows never implement `Serialize`, so that a derive cannot disclose a column in a response.

pub mod account;
pub mod attempt;
pub mod auth_event;
pub mod authorization_code;
pub mod client;
pub mod consent;
pub mod email_challenge;
pub mod imported_account;
pub mod invalid_status;
pub mod invite;
pub mod lease;
pub mod logout_notice;
pub mod outbox;
pub mod pending_authorization;
pub mod session;
pub mod signing_key;
pub mod status_list;
pub mod used_assertion;
