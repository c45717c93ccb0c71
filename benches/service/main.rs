//! The service compared with the limits of its machine: started by `scripts/bench`.
//!
//! Each result of the service stands beside the corresponding limit of the machine, measured in the
//! same run, alternately: other load on the machine and its temperature affect both alike.
//! `docs/performance.md` explains each row.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measuring program prints, waits and reads the clock"
)]

mod breakdown;
mod client;
mod comparison;
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
    /// Added by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Subcommand)]
enum Task {
    /// Measure a release build of signet.
    Run(Run),
    /// Serve a file's bytes with bare poem: the limit for the JWKS.
    ServeStatic {
        /// The port on 127.0.0.1.
        #[arg(long)]
        port: u16,
        /// The file with the body of every response.
        #[arg(long)]
        body: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Some(Task::Run(run)) => match &run.against {
            Some(against) => comparison::compare(&run, against),
            None => plan::measure(&run),
        },
        Some(Task::ServeStatic { port, body }) => stand_in::serve(port, &body),
        None => {
            println!("to measure the service: scripts/bench");
            Ok(())
        }
    }
}
