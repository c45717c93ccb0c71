//! The rules. They know neither HTTP nor the clock: a function's arguments are all it can touch.
//!
//! `id`, `email`, `password` and `keys` stand alone; `audit` writes what the others do; `attempt`
//! limits; `status` publishes which sessions have ended; `session` starts and ends logins; `account` makes people and their first login;
//! `refresh` continues a login; `reset` gives an account back to its owner; `token` signs what the
//! others grant.

pub mod account;
pub mod attempt;
pub mod audit;
pub mod email;
pub mod id;
pub mod keys;
pub mod password;
pub mod refresh;
pub mod reset;
pub mod session;
pub mod status;
pub mod token;
