//! The verifier that fetches by itself, against a real server and a clock that stands still.

mod answers;
mod axum;
mod bounds;
mod cases;
mod issuer;
mod keys;
mod poem;
mod statuses;
mod together;
mod typ_jwt;
