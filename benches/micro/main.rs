//! The time of single operations on one core. Hashes and signatures are also measured without
//! Signet, for comparison. Run it with `cargo bench`.

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
