//! The test harness: a server per test, a clock that tests advance, and assertions on responses.

mod answer;
mod backup;
pub mod consents;
mod database;
mod dump;
pub mod forge; // the private key of a server, and functions that sign with it
pub mod forgeries; // lists of faulty tokens
mod import;
pub mod mailed;
pub mod oauth;
mod operations;
pub mod original;
mod own_account;
mod process;
mod raw;
mod server;
pub mod smtp;
mod status;
mod wait;

pub use answer::{Answer, Tokens};
pub use database::TestDatabase;
pub use import::Imported;
pub use operations::Operation;
pub use process::{Program, ServerProcess};
pub use server::{PASSWORD, TestServer};
pub use status::{StatusList, StatusReference};
pub use wait::eventually;
