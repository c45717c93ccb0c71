//! What every test stands on: a server of its own, a clock to turn, and answers to look at.

mod answer;
mod database;
mod operations;
mod raw;
mod server;

pub use answer::{Answer, Tokens};
pub use database::TestDatabase;
pub use operations::Operation;
pub use server::{PASSWORD, TestServer};
