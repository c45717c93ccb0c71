//! `signet account create`

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use zeroize::Zeroizing;

use crate::cli::account::reset_token::ResetTokenSettings;
use crate::cli::database::{finish, open};
use crate::cli::output::print;
use crate::config::{DatabaseSettings, PasswordSettings};
use crate::domain::account;
use crate::domain::email::Email;
use crate::domain::operator_changes::{self, NewAccount};
use crate::domain::password::{Cost, Password, hash_once};

/// Maximum length of a password file, in bytes.
const MAX_BYTES: u64 = 4_096;

#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// The email address of the account.
    address: String,
    /// File whose first line is the password; `-` is standard input. Without it, the account has no
    /// password, and its owner needs a reset token.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// Mark the address as verified, because you know that the owner of the account controls it.
    #[arg(long)]
    verified: bool,
    /// Also print a reset token, as `signet account reset-password` does.
    #[arg(long, conflicts_with = "password_file")]
    reset_token: bool,
    #[command(flatten)]
    reset_tokens: ResetTokenSettings,
    #[command(flatten)]
    passwords: PasswordSettings,
    #[command(flatten)]
    database: DatabaseSettings,
}

impl Create {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let email = Email::parse(&self.address).map_err(|error| anyhow!("the address {error}"))?;
        let password_hash = match &self.password_file {
            Some(file) => Some(self.hash(&email, &read_first_line(file)?)?),
            None => None,
        };
        let db = open(&self.database).await?;
        let is_verified = self.verified;
        let new = NewAccount { email: email.clone(), password_hash, is_verified };
        let created = format!("created {}", operator_changes::create(&db, new).await?);
        if !self.reset_token {
            return finish(&db, &created).await;
        }
        print(&created)?;
        let token = self.reset_tokens.request(&db, &email).await?;
        finish(&db, &token).await
    }

    /// Hashes a password, or refuses it if it does not meet the policy.
    fn hash(&self, email: &Email, password: &str) -> anyhow::Result<String> {
        let password =
            Password::parse(password).map_err(|error| anyhow!("the password {error}"))?;
        let weaknesses = account::weaknesses(self.passwords.password_policy, &password, email);
        if !weaknesses.is_empty() {
            let texts: Vec<_> = weaknesses.iter().map(ToString::to_string).collect();
            bail!("the password {}", texts.join(", "));
        }
        Ok(hash_once(Cost::from(&self.passwords), &password)?)
    }
}

/// The first line of a file, or of standard input for `-`. The password is no argument of the
/// command, because other users could see it in the list of processes.
fn read_first_line(file: &Path) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(MAX_BYTES)?));
    let read = if file.as_os_str() == "-" {
        io::stdin().lock().take(MAX_BYTES).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|it| it.take(MAX_BYTES).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read the password file {}", file.display()))?;
    let first_line = text.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(first_line.to_owned()))
}
