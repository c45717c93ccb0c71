//! Times of single operations on one core, compared with their cryptographic primitives alone.
//! Run it with `cargo bench`.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failed setup aborts a benchmark, and one benchmark uses tokio's blocking threads"
)]

mod hash;
mod keys;
mod refresh;
mod status;
mod token;

fn main() {
    divan::main();
}
