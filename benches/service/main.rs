//! Compares the rates of the service with reference rates, such as bare RSA signatures on the same
//! machine. `scripts/bench` starts it.
//!
//! The service and its reference are measured in turns in the same run, so that other load on the
//! machine, and its temperature, affect both alike. `docs/performance.md` explains each row.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, waits and reads the clock"
)]

mod baseline;
mod breakdown;
mod client;
mod clients;
mod comparison;
mod cpu;
mod drawings;
mod load;
mod pgbench;
mod plan;
mod postgres;
mod priority;
mod process;
mod ratios;
mod reference;
mod report;
mod results;
mod run;
mod server;
mod static_server;
mod svg;
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
    /// Draw the results of runs as SVG files.
    Draw {
        /// Files that `run --json` or tests/growth/operations.py wrote.
        files: Vec<PathBuf>,
        /// The folder of the SVG files.
        #[arg(long, default_value = "docs/images")]
        output: PathBuf,
    },
    /// Serve the bytes of a file with poem but without Signet, as the reference for the JWKS.
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
        Some(Task::Draw { files, output }) => drawings::draw(&files, &output),
        Some(Task::ServeStatic { port, body }) => static_server::serve(port, &body),
        None => {
            println!("to measure the service: scripts/bench");
            Ok(())
        }
    }
}
