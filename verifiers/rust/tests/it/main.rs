//! Black-box tests of the verifier: the input is a token, the output is its claims or an error.
//!
//! Each process generates a key, so the sources contain no private key.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy exempts #[test] functions, but not the functions that they call"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "tests hand over a header or claims that they have just created, and do not need \
              them afterwards"
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
