//! `signet keys`

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::cli::output::{OutputError, print, print_json, print_lines};
use crate::clock::Clock;
use crate::config::{DatabaseSettings, KeySettings, TokenSettings};
use crate::database::{Db, migrate_up};
use crate::domain::keys::{self, MasterKeys, Schedule, Sealer};
use crate::entity::signing_key::KeyState;
use crate::timestamp::Timestamp;

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// List the signing keys, oldest first, with what each is used for and until when.
    List {
        #[command(flatten)]
        database: DatabaseSettings,
    },
    /// Make a new signing key.
    ///
    /// It is published at once and signs once every service must have fetched it; no good token is
    /// refused. Signet does this by itself every `SIGNET_KEY_ROTATION_SECONDS`.
    Rotate(Ring),
    /// Take a key out of the key set, because somebody else may have it.
    ///
    /// Tokens it signed are refused from the next fetch of the key set on, and people have to
    /// refresh. If it is the key that signs, a new one does at once, and services refuse its tokens
    /// until they fetch the key set again.
    Revoke {
        /// The key's id, as `signet keys list` shows it.
        // One in 64 begins like an option.
        #[arg(allow_hyphen_values = true)]
        kid: String,
        /// Says that you know what this breaks.
        #[arg(long, required = true)]
        now: bool,
        #[command(flatten)]
        ring: Ring,
    },
    /// Bring a signing key along, as unencrypted PEM; it takes over as one made by `rotate` does.
    Import {
        /// The file with the private key.
        file: PathBuf,
        #[command(flatten)]
        ring: Ring,
    },
    /// Print the published public keys as a JWK set (RFC 7517).
    ExportPublic {
        /// As PEM, for `HAProxy` and others that read no JWK set: a block for each key, the oldest first.
        #[arg(long)]
        pem: bool,
        #[command(flatten)]
        database: DatabaseSettings,
    },
    /// Seal all keys anew with the first line of the master key file.
    ///
    /// To replace the master key: put a new line above the others, restart every instance, run
    /// this, and remove the old line once the longest session that began before has ended.
    Reseal(Ring),
}

/// What it takes to touch the ring.
#[derive(Debug, Args)]
pub(super) struct Ring {
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    keys: KeySettings,
    #[command(flatten)]
    tokens: TokenSettings,
}

/// An open ring.
type Opened = (Db, Sealer, Schedule, Timestamp);

impl Ring {
    /// For what changes the keys that are there.
    async fn open(&self) -> anyhow::Result<Opened> {
        let schedule = Schedule::new(&self.keys, &self.tokens)?;
        self.unlock(Db::open(&self.database, Clock::shared()).await?, schedule).await
    }

    /// For what may come before the first start, and then makes the database.
    async fn open_or_make(&self) -> anyhow::Result<Opened> {
        let schedule = Schedule::new(&self.keys, &self.tokens)?;
        self.unlock(Db::connect(&self.database, Clock::shared()).await?, schedule).await
    }

    async fn unlock(&self, db: Db, schedule: Schedule) -> anyhow::Result<Opened> {
        migrate_up(&db).await?;
        let something_is_sealed = keys::any_sealed(&db).await?;
        let master = MasterKeys::open(&self.keys.master_key_file, something_is_sealed)?;
        let sealer = master.sealer()?;
        keys::check_sealed(&db, &sealer).await?;
        let now = db.clock().now();
        Ok((db, sealer, schedule, now))
    }
}

impl Keys {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List { database } => list(&Db::open(&database, Clock::shared()).await?).await,
            Self::ExportPublic { pem, database } => {
                export(&Db::open(&database, Clock::shared()).await?, pem).await
            }
            Self::Rotate(ring) => {
                let (db, sealer, schedule, now) = ring.open_or_make().await?;
                let bits = ring.keys.rsa_bits;
                let key = keys::rotate(&db, &sealer, &schedule, bits, now).await?;
                Ok(announce(&key.kid, key.activated_at.or(key.activate_at))?)
            }
            Self::Import { file, ring } => {
                let pem = std::fs::read(&file);
                let pem = pem.with_context(|| format!("cannot read {}", file.display()))?;
                let (db, sealer, schedule, now) = ring.open_or_make().await?;
                let key = keys::import(&db, &sealer, &schedule, &pem, now).await?;
                Ok(announce(&key.kid, key.activated_at.or(key.activate_at))?)
            }
            Self::Revoke { kid, ring, .. } => {
                let (db, sealer, _, now) = ring.open().await?;
                keys::revoke(&db, &sealer, ring.keys.rsa_bits, &kid, now).await?;
                print(&format!("{kid} is out of the key set; its tokens are refused"))?;
                Ok(())
            }
            Self::Reseal(ring) => {
                let (db, sealer, ..) = ring.open().await?;
                let count = keys::reseal(&db, &sealer).await?;
                print(&format!("{count} keys sealed with the first master key"))?;
                Ok(())
            }
        }
    }
}

fn announce(kid: &str, signs_from: Option<Timestamp>) -> Result<(), OutputError> {
    let at = signs_from.map(Timestamp::to_rfc3339).unwrap_or_default();
    print(&format!("{kid} is published, and signs from {at}"))
}

async fn list(db: &Db) -> anyhow::Result<()> {
    for key in keys::list(db).await? {
        let state = key.state.name();
        let since = match key.state {
            KeyState::Pending => Some(key.created_at),
            KeyState::Active => key.activated_at,
            KeyState::Retiring => key.retired_at,
            KeyState::Removed => key.remove_at.or(key.retired_at),
        };
        let next = match (key.activate_at, key.remove_at) {
            (Some(at), _) if key.activated_at.is_none() => {
                format!(", signs from {}", at.to_rfc3339())
            }
            (_, Some(at)) if key.state == KeyState::Retiring => {
                format!(", published until {}", at.to_rfc3339())
            }
            _ => String::new(),
        };
        let since = since.unwrap_or(key.created_at).to_rfc3339();
        print(&format!("{}  {}  {state} since {since}{next}", key.kid, key.algorithm))?;
    }
    Ok(())
}

async fn export(db: &Db, as_pem: bool) -> anyhow::Result<()> {
    let mut published = keys::list(db).await?;
    published.retain(|key| key.state.is_published());
    if as_pem {
        let blocks = published.iter().map(keys::public_pem).collect::<Result<Vec<_>, _>>()?;
        return Ok(print_lines(blocks.concat().trim_end())?);
    }
    let published: Vec<_> = published.iter().map(|key| key.public_jwk.as_str()).collect();
    Ok(print_json(&format!("{{\"keys\":[{}]}}", published.join(",")))?)
}
