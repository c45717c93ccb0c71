//! Black-box tests of the verifier: the input is a token, the output are claims or an error.
//!
//! Keys are generated, one per process; the sources contain no private key.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy knows #[test] functions, but not the functions that they call"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "a test hands over the header or the claims it has just spoiled"
)]

mod algorithm;
mod audience;
mod cases;
mod claims;
mod encoding;
mod harness;
mod header;
mod key_set;
mod mutation;
#[cfg(all(feature = "axum", feature = "poem"))]
mod remote;
mod size;
mod status;
mod time;
mod token;
mod typ_jwt;
