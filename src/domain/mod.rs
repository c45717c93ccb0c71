//! The rules. They know neither HTTP nor the clock: a function's arguments are all it can touch.
//!
//! `id`, `email`, `network` and `keys` stand alone, and `password` needs the last two; `audit` writes
//! what the others do; `outbox` has what follows from that; `attempt` limits; `status` publishes which sessions have ended; `session` starts and ends logins; `account`
//! makes people and their first login; `refresh` continues a login; `logins` shows people theirs;
//! `profile` keeps what they say of themselves; `confirm` asks for the password once more; `reset`
//! gives an account back to its owner; `operator` is what the command line may do; `oauth` is for other
//! programs: clients, the code flow, what becomes of it; `token` signs what
//! the others grant.

pub mod account;
pub mod administration;
pub mod attempt_limit;
pub mod audit;
pub mod email;
pub mod email_folding;
pub mod granted;
pub mod id;
pub mod keys;
pub mod network;
pub mod oauth;
pub mod outbox;
pub mod password;
pub mod password_reset;
pub mod profile;
pub mod reauthentication;
pub mod refresh;
pub mod restore;
pub mod scope;
pub mod session;
pub mod status;
pub mod token;
