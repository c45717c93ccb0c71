//! What every test stands on: a server of its own, a clock to turn, and answers to look at.

mod answer;
mod backup;
pub mod consents;
mod database;
mod dump;
pub mod forge;
pub mod forgeries;
pub mod oauth;
mod operations;
mod own_account;
mod process;
mod raw;
mod server;
mod status;
mod wait;

pub use answer::{Answer, Tokens};
pub use database::TestDatabase;
pub use operations::Operation;
pub use process::{Program, Serving};
pub use server::{PASSWORD, TestServer};
pub use status::{StatusList, StatusReference};
pub use wait::eventually;
