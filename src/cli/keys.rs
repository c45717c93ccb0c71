//! `signet keys`

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::cli::output::{OutputError, print, print_json, print_lines};
use crate::clock::Clock;
use crate::config::{DatabaseSettings, KeySettings, TokenSettings};
use crate::database::{ConnectError, Db, migrate_up};
use crate::domain::keys::{self, MasterKeys, Schedule, Sealer};
use crate::entity::signing_key::{self, KeyState};
use crate::timestamp::Timestamp;

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// List the signing keys, oldest first, with state and next scheduled step.
    List(DatabaseSettings),
    /// Create a new signing key.
    ///
    /// The key is published immediately. It starts to sign when every resource server must have
    /// fetched it, so that no valid token is refused. Signet also rotates its keys by itself, every
    /// `SIGNET_KEY_ROTATION_SECONDS`.
    Rotate(RingSettings),
    /// Remove a signing key from the key set immediately, because the private key may have leaked.
    ///
    /// After their next fetch of the key set, resource servers refuse the tokens that the key
    /// signed, and clients must refresh. If the key is the active key, a new key replaces it
    /// immediately. Resource servers refuse tokens of the new key until they fetch the key set
    /// again.
    Revoke {
        /// The `kid`, as `signet keys list` shows it.
        // One `kid` in 64 starts with a hyphen.
        #[arg(allow_hyphen_values = true)]
        kid: String,
        /// Confirms the consequences; required.
        #[arg(long, required = true)]
        now: bool,
        #[command(flatten)]
        ring: RingSettings,
    },
    /// Import a signing key as unencrypted PEM. It is published and starts to sign like a key from
    /// `rotate`.
    Import {
        /// The file with the private key.
        file: PathBuf,
        #[command(flatten)]
        ring: RingSettings,
    },
    /// Print the published public keys as a JWK set (RFC 7517).
    ExportPublic {
        /// Print PEM, for `HAProxy` and other programs that cannot read a JWK set: one block per
        /// key, oldest first.
        #[arg(long)]
        pem: bool,
        #[command(flatten)]
        database: DatabaseSettings,
    },
    /// Re-encrypt all signing keys with the first line of the master key file.
    ///
    /// To replace the master key: insert a new first line, restart every instance, and run this
    /// command. Remove the old line when all sessions that started before have ended.
    Reseal(RingSettings),
}

/// The settings that commands on the key ring need.
#[derive(Debug, Args)]
pub(super) struct RingSettings {
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    keys: KeySettings,
    #[command(flatten)]
    tokens: TokenSettings,
}

/// The database, the sealer, the schedule and the current time.
type Opened = (Db, Sealer, Schedule, Timestamp);

impl RingSettings {
    /// Opens the database by `open`: `Db::open`, or `Db::connect` for commands that may run before
    /// the first start.
    async fn open<F>(&self, open: F) -> anyhow::Result<Opened>
    where
        F: AsyncFnOnce(&DatabaseSettings, Clock) -> Result<Db, ConnectError>,
    {
        let schedule = Schedule::new(&self.keys, &self.tokens)?;
        let db = open(&self.database, Clock::shared()).await?;
        migrate_up(&db).await?;
        let has_sealed_keys = keys::any_sealed(&db).await?;
        let master = MasterKeys::open(&self.keys.master_key_file, has_sealed_keys)?;
        let sealer = master.sealer()?;
        keys::check_sealed(&db, &sealer).await?;
        let now = db.clock().now();
        Ok((db, sealer, schedule, now))
    }
}

impl Keys {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(database) => list(&Db::open(&database, Clock::shared()).await?).await?,
            Self::ExportPublic { pem, database } => {
                export(&Db::open(&database, Clock::shared()).await?, pem).await?;
            }
            Self::Rotate(ring) => {
                let (db, sealer, schedule, now) = ring.open(Db::connect).await?;
                let bits = ring.keys.rsa_bits;
                print_activation(&keys::rotate(&db, &sealer, &schedule, bits, now).await?)?;
            }
            Self::Import { file, ring } => {
                let pem = std::fs::read(&file);
                let pem = pem.with_context(|| format!("cannot read {}", file.display()))?;
                let (db, sealer, schedule, now) = ring.open(Db::connect).await?;
                print_activation(&keys::import(&db, &sealer, &schedule, &pem, now).await?)?;
            }
            Self::Revoke { kid, ring, .. } => {
                let (db, sealer, _, now) = ring.open(Db::open).await?;
                keys::revoke(&db, &sealer, ring.keys.rsa_bits, &kid, now).await?;
                print(&format!("{kid} is removed from the key set; its tokens are refused"))?;
            }
            Self::Reseal(ring) => {
                let (db, sealer, ..) = ring.open(Db::open).await?;
                let count = keys::reseal(&db, &sealer).await?;
                print(&format!("{count} keys sealed with the first master key"))?;
            }
        }
        Ok(())
    }
}

fn print_activation(key: &signing_key::Model) -> Result<(), OutputError> {
    let signs_from = key.activated_at.or(key.activate_at);
    let at = signs_from.map(Timestamp::to_rfc3339).unwrap_or_default();
    print(&format!("{} is published, and signs from {at}", key.kid))
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
