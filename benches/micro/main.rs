//! Throughput on one core; each operation is compared with its bare cryptographic work: `cargo
//! bench`.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark that cannot be prepared has nothing to measure, and one shows the usual way"
)]

mod hash;
mod keys;
mod refresh;
mod status;
mod token;

fn main() {
    divan::main();
}
