//! The command line. Each command calls the same functions as everything else.

mod account;
mod client;
mod config;
mod doctor;
mod health;
mod keys;
mod migrate;
mod output;
mod restored;
mod runtime;
mod serve;

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::cli::output::{OutputError, print_json};
use crate::cli::runtime::block_on;
use crate::config::{Config, load_dotenv, refuse_unknown, unset_empty};
use crate::http;

/// Signet, an identity token service: people sign up and log in here, other services check their
/// tokens with nothing but a public key.
#[derive(Debug, Parser)]
#[command(name = "signet", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve requests; what `signet` does without a command.
    ///
    /// Needs no setting to try out: makes the database, the master key and the first signing key
    /// if they are not there.
    Serve(Box<Config>),
    /// Change or show the version of the database schema. `serve` brings it up by itself.
    Migrate {
        #[command(subcommand)]
        action: migrate::Migrate,
    },
    /// List accounts, switch them off and on, delete them, and help their owners.
    Account {
        #[command(subcommand)]
        action: account::Account,
    },
    /// Register, change and remove the programs that may ask for tokens.
    Client {
        #[command(subcommand)]
        action: client::Client,
    },
    /// List, replace, revoke, bring along or seal anew the signing keys.
    Keys {
        #[command(subcommand)]
        action: keys::Keys,
    },
    /// Say that the database is a backup that was restored: nothing issued before works any more.
    ///
    /// To be run after a backup of the database was restored, before `serve`, which refuses an
    /// older database until then. All sessions of everybody end, all signing keys are revoked and a
    /// new one signs, and refresh tokens, reset tokens, codes, cookies and access tokens of before
    /// are void: some of them ended after the backup was made, and nobody knows which. It asks
    /// nothing, may be run again, and prints what has to be looked after by hand.
    Restored(Box<restored::Restored>),
    /// Look at a running Signet as a service does, and say what is wrong and how to mend it.
    ///
    /// Discovery, key set, caching, CORS, clock, readiness, and the address it sees; with a
    /// database, also its schema and the schedule of its keys. Exits with 1 if there is a fault.
    Doctor(doctor::Doctor),
    /// Ask a Signet on this host whether it is ready; exits with 0 if so.
    Health(health::Health),
    /// Print the OpenAPI description of the JSON API.
    Openapi,
    /// Print the reference of all settings.
    Config {
        #[command(subcommand)]
        action: config::Reference,
    },
}

/// What a shell says of a program that wrote to a pipe without a reader: 128 and the number of SIGPIPE.
const KILLED_BY_SIGPIPE: u8 = 141;

/// Runs the program; prints what stopped it.
#[must_use]
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        // A reader that has seen enough is no failure to speak of.
        Err(error) if output::is_reader_gone(&error) => ExitCode::from(KILLED_BY_SIGPIPE),
        Err(error) => {
            output::print_error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    load_dotenv()?;
    // A value that cannot be parsed is reported under the name of its variable.
    let mut command = Cli::command().mut_subcommands(|it| it.mut_args(named_after_variable));
    command = command
        .mut_subcommands(|it| it.mut_subcommands(|below| below.mut_args(named_after_variable)));
    refuse_unknown(&command)?;
    let command = command.mut_subcommands(|it| {
        it.mut_args(unset_empty).mut_subcommands(|below| below.mut_args(unset_empty))
    });
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if arguments.len() < 2 {
        arguments.push("serve".into());
    }
    let matches = match command.try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return show(&without_secret(error)),
    };
    match Cli::from_arg_matches(&matches)?.command {
        Command::Serve(config) => serve::run(*config),
        Command::Migrate { action } => block_on(action.run()),
        Command::Account { action } => block_on(action.run()),
        Command::Client { action } => block_on(action.run()),
        Command::Keys { action } => block_on(action.run()),
        Command::Restored(restored) => block_on(restored.run()),
        Command::Doctor(doctor) => block_on(doctor.run()),
        Command::Health(health) => block_on(health.run()),
        Command::Openapi => Ok(print_json(http::openapi_document("").trim_end())?),
        Command::Config { action } => action.run(),
    }
}

/// Help, the version, or what is wrong with the command line; for the last, the program ends here.
fn show(error: &clap::Error) -> anyhow::Result<()> {
    let shown = error.print();
    if error.use_stderr() {
        error.exit();
    }
    shown.map_err(OutputError::from)?;
    Ok(())
}

/// A database URL that cannot be parsed may hold a password all the same.
fn without_secret(mut error: clap::Error) -> clap::Error {
    let argument = error.get(ContextKind::InvalidArg).map(ToString::to_string);
    if argument.is_some_and(|argument| argument.contains("SIGNET_DATABASE_URL")) {
        error.insert(ContextKind::InvalidValue, ContextValue::String("(not shown)".to_owned()));
    }
    error
}

fn named_after_variable(arg: clap::Arg) -> clap::Arg {
    let variable = arg.get_env().and_then(|name| name.to_str()).map(str::to_owned);
    match variable {
        Some(variable) => arg.value_name(variable),
        None => arg,
    }
}
