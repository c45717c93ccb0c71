//! The service against the limits of the machine it runs on: started by `scripts/bench`.
//!
//! Each figure of the service stands beside what the machine can do at all, measured in the same
//! run, in turns: neighbours on the machine and the heat of its cores change both alike.
//! `docs/performance.md` says what each row means.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measuring program prints, waits and reads the clock"
)]

mod breakdown;
mod client;
mod limits;
mod load;
mod plan;
mod priority;
mod process;
mod report;
mod run;
mod stand_in;
mod tables;
mod users;
mod workload;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::run::Run;

#[derive(Parser)]
struct Arguments {
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Subcommand)]
enum Task {
    /// Measure a release build of signet.
    Run(Run),
    /// Serve a file's bytes with nothing but poem: the limit of the JWKS.
    ServeStatic {
        /// On 127.0.0.1.
        #[arg(long)]
        port: u16,
        /// What every request gets.
        #[arg(long)]
        body: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Some(Task::Run(run)) => plan::measure(&run),
        Some(Task::ServeStatic { port, body }) => stand_in::serve(port, &body),
        None => {
            println!("to measure the service: scripts/bench");
            Ok(())
        }
    }
}
