//! Signet, a standalone identity token service.
//!
//! Three folders carry the architecture: [`http`] (what the wire looks like) → [`domain`] (the
//! rules) → [`entity`] (the tables). Imports go only that way. A request makes two hops: an
//! endpoint calls one domain function. ARCHITECTURE.md has the map; `tests/it/architecture.rs`
//! checks it.

pub mod cli;
pub mod clock;
pub mod config;
pub mod database;
pub mod domain;
pub mod entity;
pub mod http;
pub mod naming;
pub mod server;
pub mod telemetry;
pub mod timestamp;
