//! Tests of `RemoteVerifier` with a real server, and with a clock that the test sets.

mod answers;
mod authorization;
mod axum;
mod bounds;
mod cases;
mod concurrency;
mod issuer;
mod keys;
mod poem;
mod statuses;
mod typ_jwt;
