//! Throughput on one core. Each operation is compared with its bare cryptographic work. Run it with
//! `cargo bench`.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "failed preparations abort a benchmark, and one measures tokio's blocking threads"
)]

mod hash;
mod keys;
mod refresh;
mod status;
mod token;

fn main() {
    divan::main();
}
