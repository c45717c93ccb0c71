//! A key ring, a token issuer and a verifier on a temporary database.

use std::sync::Arc;

use clap::Parser;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use signet::clock::Clock;
use signet::config::Config;
use signet::domain::account::EmailClaims;
use signet::domain::granted::{Granted, StatusEntry};
use signet::domain::refresh::RefreshTokens;
use signet::domain::token::Issuer;
use signet::scope::Scope;
use signet::server::Storage;
use signet::timestamp::Timestamp;
use signet_verifier::Verifier;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use uuid::Uuid;

/// The `iss` and `aud` of all tokens in the benchmarks.
const ISSUER: &str = "https://id.example.test";

/// The fixed time at which tokens are issued and verified.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_768_384_800_000_000);

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    config: Config,
}

/// The keys and the components with which a server signs and verifies tokens.
pub(crate) struct Keys {
    pub(crate) storage: Storage,
    pub(crate) issuer: Issuer,
    pub(crate) verifier: Verifier,
    pub(crate) refresh_tokens: RefreshTokens,
    /// The runtime of the database's connections.
    pub(crate) runtime: Runtime,
    _directory: TempDir,
}

impl Keys {
    /// Creates new keys in a temporary database.
    pub(crate) fn create() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let config = Settings::try_parse_from([
            "signet".to_owned(),
            format!("--database-url=sqlite:{}", directory.path().join("signet.db").display()),
            format!("--master-key-file={}", directory.path().join("master.key").display()),
        ])?
        .config;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let storage = runtime.block_on(Storage::open(&config, &Clock::System))?;
        let lifetime = config.tokens.access_token_life();
        let ring = Arc::clone(&storage.ring);
        Ok(Self {
            issuer: Issuer::new(ISSUER.to_owned(), ISSUER, lifetime, ring),
            verifier: Verifier::new(ISSUER, ISSUER),
            refresh_tokens: RefreshTokens::new(storage.master.refresh_keys(None)?),
            storage,
            runtime,
            _directory: directory,
        })
    }
}

/// A grant, as a login or a refresh returns it.
pub(crate) fn granted() -> Granted {
    Granted {
        account_id: Uuid::from_u128(1),
        email: EmailClaims { email: "ada@example.test".to_owned(), email_verified: false },
        session_id: Uuid::from_u128(2),
        client_id: "signet".to_owned(),
        scope: Scope::parse("openid email offline_access").unwrap_or_default(),
        audience: None,
        auth_time: NOW,
        generation: 7,
        refresh_expires_at: NOW,
        status: Some(StatusEntry { list: 1, index: 654_321 }),
    }
}

/// A new key of the default length. It is not in the key ring.
pub(crate) fn rsa_key() -> anyhow::Result<PKey<Private>> {
    Ok(PKey::from_rsa(Rsa::generate(2048)?)?)
}
