//! The verifier that fetches documents itself, with a real server and a manual clock.

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
