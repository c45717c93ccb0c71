//! The command line. Commands call the same domain functions as the HTTP endpoints.

mod account;
mod backup;
mod client;
mod config;
mod database;
mod database_command;
mod doctor;
mod export;
mod health;
mod import;
mod invite;
mod keys;
mod language;
mod mail;
mod migrate;
mod output;
mod postgres_tools;
mod restore;
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

/// Signet, an identity token service: users sign up and log in here, and resource servers verify
/// their tokens with only a public key.
#[derive(Debug, Parser)]
#[command(name = "signet", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server; the default without a command.
    ///
    /// Needs no settings: creates the database, the master key and the first signing key if they do
    /// not exist.
    Serve(Box<Config>),
    /// Migrate the database schema, or show its version. `serve` applies pending migrations itself.
    #[command(subcommand)]
    Migrate(migrate::Migrate),
    /// Create, invite, list, show, change, disable, enable and delete accounts, end their sessions,
    /// reset passwords.
    #[command(subcommand)]
    Account(account::Account),
    /// List and revoke invites, which `account invite` creates.
    #[command(subcommand)]
    Invite(invite::Invite),
    /// Register, change and delete OAuth clients.
    #[command(subcommand)]
    Client(client::Client),
    /// Import accounts from another system.
    #[command(subcommand)]
    Import(import::Import),
    /// Export accounts, to move to another system or another installation.
    #[command(subcommand)]
    Export(export::Export),
    /// List, rotate, revoke, import, export or re-encrypt the signing keys.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Create a new database, or copy the database to another one.
    #[command(subcommand)]
    Database(database_command::Database),
    /// Back up a SQLite database to a file, while servers run.
    ///
    /// The backup contains every change that was acknowledged before the command was started. It
    /// does not contain the master key, which must be backed up separately. For PostgreSQL, prints
    /// the `pg_dump` command to use, and exits with 1.
    Backup(Box<backup::Backup>),
    /// Check a backup, and put it in the place of a SQLite database.
    ///
    /// Servers must be stopped. A copy of the backup is checked and migrated, and then replaces the
    /// database in one step; the old database is kept under another name. Like `signet restored`,
    /// the command ends all sessions and revokes all signing keys, because the backup does not
    /// contain which of them ended after it was made. For PostgreSQL, prints the commands to use,
    /// and exits with 1.
    Restore(Box<restore::Restore>),
    /// Send a test mail, or list and resend the mails that could not be sent.
    #[command(subcommand)]
    Mail(mail::Mail),
    /// Declare that the database was restored from a backup: everything that was issued before
    /// becomes invalid.
    ///
    /// Run it after restoring a backup of the database and before `serve`, which refuses an older
    /// database until then. It ends all sessions of all accounts, revokes all signing keys, and
    /// creates a new signing key. It invalidates all earlier refresh tokens, reset tokens,
    /// authorization codes, cookies and access tokens, because the restored database does not
    /// contain which of them became invalid after the backup was made. It does not ask for
    /// confirmation, may be repeated, and prints what must be corrected by hand.
    Restored(Box<restored::Restored>),
    /// Check a running Signet as a resource server sees it, and report faults and how to fix them.
    ///
    /// Checks the proxy and the documents on which resource servers depend, from discovery to the
    /// status lists, and the SMTP server if mail is on. If a database is given, also checks its
    /// schema, keys, clocks, waiting mails and restores. Exits with 1 if there is a fault.
    Doctor(doctor::Doctor),
    /// Check whether Signet on this host is ready; exits with 0 if it is.
    Health(health::Health),
    /// Print the OpenAPI description of the JSON API.
    Openapi,
    /// Print generated reference pages.
    #[command(subcommand)]
    Config(config::Reference),
}

/// The exit code that a shell reports for a program killed by SIGPIPE: 128 plus the signal number.
const KILLED_BY_SIGPIPE: u8 = 141;

/// Runs the program and prints the error if it fails.
#[must_use]
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        // A closed output pipe (`… | head`) is not reported as an error.
        Err(error) if output::is_reader_gone(&error) => ExitCode::from(KILLED_BY_SIGPIPE),
        Err(error) => {
            output::print_error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    load_dotenv()?;
    let command = Cli::command();
    refuse_unknown(&command)?;
    // Parse errors name the variable of a setting.
    let prepared = |arg| unset_empty(named_after_variable(arg));
    let command = command.mut_subcommands(|it| {
        it.mut_args(prepared).mut_subcommands(|below| below.mut_args(prepared))
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
        Command::Migrate(action) => block_on(action.run()),
        Command::Account(action) => block_on(action.run()),
        Command::Invite(action) => block_on(action.run()),
        Command::Client(action) => block_on(action.run()),
        Command::Import(action) => block_on(action.run()),
        Command::Export(action) => block_on(action.run()),
        Command::Keys(action) => block_on(action.run()),
        Command::Database(action) => block_on(Box::pin(action.run())),
        Command::Backup(backup) => block_on(backup.run()),
        Command::Restore(restore) => block_on(Box::pin(restore.run())),
        Command::Mail(action) => block_on(action.run()),
        Command::Restored(restored) => block_on(restored.run()),
        Command::Doctor(doctor) => block_on(doctor.run()),
        Command::Health(health) => block_on(health.run()),
        Command::Openapi => Ok(print_json(http::openapi_document("").trim_end())?),
        Command::Config(action) => action.run(),
    }
}

/// Prints help, the version or a usage error; exits the process for a usage error.
fn show(error: &clap::Error) -> anyhow::Result<()> {
    if error.use_stderr() {
        error.exit();
    }
    error.print().map_err(OutputError::from)?;
    Ok(())
}

/// Hides an invalid URL of the database or of the SMTP server, because it may contain a password.
fn without_secret(mut error: clap::Error) -> clap::Error {
    let argument = error.get(ContextKind::InvalidArg).map(ToString::to_string);
    let may_be_secret =
        |argument: String| ["DATABASE_URL", "<SIGNET_MAIL>"].iter().any(|it| argument.contains(it));
    if argument.is_some_and(may_be_secret) {
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
