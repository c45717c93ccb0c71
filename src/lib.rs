//! Signet, a standalone identity token service.
//!
//! The three main layers are [`http`] (the wire format) → [`domain`] (the rules) → [`entity`] (the
//! tables). Imports go only in this direction, which `tests/it/architecture.rs` checks. An endpoint
//! checks the attempt limits, and then calls the domain. ARCHITECTURE.md describes the layers.

// The metadata document has more members than `json!` can expand within the default limit of 128.
#![recursion_limit = "256"]

pub mod cli;
pub mod clock;
pub mod config;
pub mod database;
pub mod domain;
pub mod entity;
pub mod http;
pub mod naming;
pub mod scope;
pub mod server;
pub mod telemetry;
pub mod timestamp;
