//! What one core can do, each job of ours beside the bare work at its heart: `cargo bench`.

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
