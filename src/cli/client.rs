//! `signet client`

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use serde::Deserialize;

use crate::cli::print;
use crate::clock::Clock;
use crate::config::DatabaseSettings;
use crate::database::{Db, migrate_up};
use crate::domain::oauth::client::{self, Applied};
use crate::domain::oauth::registration::Registration;
use crate::timestamp::Timestamp;

#[derive(Debug, Subcommand)]
pub(super) enum Client {
    /// Register a program that may ask for tokens; prints its secret, this once.
    Create(Box<Description>),
    /// List the clients.
    List {
        #[command(flatten)]
        database: DatabaseSettings,
    },
    /// Print what a client is registered with, in the form that `apply` reads. It holds no secret.
    Show {
        /// The client.
        client_id: String,
        #[command(flatten)]
        database: DatabaseSettings,
    },
    /// Change a client: what is not given goes back to its default, the secret stays.
    Update(Box<Description>),
    /// Give a client a new secret, and print it. The one before goes on working until the next
    /// rotation, so that the client can be changed over without a gap.
    RotateSecret {
        /// The client.
        client_id: String,
        /// The secret before stops working now, because somebody else may have it.
        #[arg(long)]
        drop_previous: bool,
        #[command(flatten)]
        database: DatabaseSettings,
    },
    /// Remove a client and end all sessions that it holds.
    Delete {
        /// The client.
        client_id: String,
        #[command(flatten)]
        database: DatabaseSettings,
    },
    /// Make the clients of a file what the file says, all or none: new ones are registered and their
    /// secrets printed, others are changed. Clients that are not in the file stay as they are.
    Apply {
        /// TOML with one `[[client]]` each, or the same as JSON if the name ends in `.json`.
        file: PathBuf,
        #[command(flatten)]
        database: DatabaseSettings,
    },
}

/// A client, as flags describe it.
#[derive(Debug, Args)]
pub(super) struct Description {
    /// Its `client_id`.
    client_id: String,
    /// What people are shown; the id if not given.
    #[arg(long)]
    name: Option<String>,
    /// `web`, or `native` for a program on a person's own device.
    #[arg(long, default_value = "web")]
    application_type: String,
    /// `client_secret_basic`, `client_secret_post`, `private_key_jwt`, or `none` for a public client.
    #[arg(long, default_value = "client_secret_basic")]
    auth_method: String,
    /// File with its public keys, a JWK set; for `private_key_jwt`.
    #[arg(long)]
    jwks_file: Option<PathBuf>,
    /// Where codes may be sent, character by character. May be given more than once.
    #[arg(long = "redirect-uri")]
    redirect_uris: Vec<String>,
    /// Where people may be sent after logging out. May be given more than once.
    #[arg(long = "post-logout-redirect-uri")]
    post_logout_redirect_uris: Vec<String>,
    /// Where it is told of logouts (OpenID Connect Back-Channel Logout).
    #[arg(long)]
    backchannel_logout_uri: Option<String>,
    /// `authorization_code`, `refresh_token`, `client_credentials`. May be given more than once.
    #[arg(long = "grant", default_value = "authorization_code")]
    grants: Vec<String>,
    /// What its tokens may be good for, separated by spaces.
    #[arg(long, default_value = "openid")]
    scope: String,
    /// Whom its tokens may be for, the first by default. May be given more than once.
    #[arg(long = "audience")]
    audiences: Vec<String>,
    /// An audience in whose name it may introspect. May be given more than once.
    #[arg(long = "introspects")]
    introspects: Vec<String>,
    /// Life of its access tokens, in seconds.
    #[arg(long, default_value_t = 900)]
    access_token_seconds: u32,
    /// Accept requests without PKCE from this confidential client.
    #[arg(long)]
    no_pkce: bool,
    /// `ask` people, or `skip` that for a program of one's own.
    #[arg(long, default_value = "ask")]
    consent: String,
    #[command(flatten)]
    database: DatabaseSettings,
}

/// What `apply` reads.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    client: Vec<Registration>,
}

impl Description {
    fn into_registration(self) -> anyhow::Result<(Registration, DatabaseSettings)> {
        let jwks = self.jwks_file.map(|file| {
            let text = read(&file)?;
            serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
        });
        let registration = Registration {
            client_id: self.client_id,
            client_name: self.name,
            application_type: self.application_type,
            token_endpoint_auth_method: self.auth_method,
            jwks: jwks.transpose()?,
            redirect_uris: self.redirect_uris,
            post_logout_redirect_uris: self.post_logout_redirect_uris,
            backchannel_logout_uri: self.backchannel_logout_uri,
            grant_types: self.grants,
            scope: self.scope,
            audiences: self.audiences,
            introspects: self.introspects,
            access_token_seconds: self.access_token_seconds,
            require_pkce: !self.no_pkce,
            consent: self.consent,
        };
        Ok((registration, self.database))
    }
}

impl Client {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create(description) => {
                let (registration, database) = description.into_registration()?;
                let (db, now) = open(&database).await?;
                let secret = client::create(&db, registration, now).await?;
                print(secret.as_deref().unwrap_or("registered; it has no secret"));
                db.close().await;
            }
            Self::Update(description) => {
                let (registration, database) = description.into_registration()?;
                let (db, now) = open(&database).await?;
                let id = registration.client_id.clone();
                print(&line(&id, &client::update(&db, registration, now).await?));
                db.close().await;
            }
            Self::Apply { file, database } => {
                let registrations = registrations(&file)?;
                let (db, now) = open(&database).await?;
                for (id, applied) in client::apply(&db, registrations, now).await? {
                    print(&line(&id, &applied));
                }
                db.close().await;
            }
            Self::RotateSecret { client_id, drop_previous, database } => {
                let (db, now) = open(&database).await?;
                print(&client::rotate_secret(&db, &client_id, drop_previous, now).await?);
                db.close().await;
            }
            Self::Delete { client_id, database } => {
                let (db, now) = open(&database).await?;
                client::delete(&db, &client_id, now).await?;
                print(&format!("{client_id} is gone, and its sessions have ended"));
                db.close().await;
            }
            Self::List { database } => {
                let (db, _) = open(&database).await?;
                for row in client::list(&db).await? {
                    let grants = row.grants.0.join(" ");
                    print(&format!("{}  {}  {grants}  {}", row.id, row.auth_method, row.name));
                }
            }
            Self::Show { client_id, database } => {
                let (db, _) = open(&database).await?;
                let Some(row) = client::find(&db, &client_id).await? else {
                    bail!("there is no client {client_id}");
                };
                print(&serde_json::to_string_pretty(&Registration::of_row(&row))?);
            }
        }
        Ok(())
    }
}

fn line(id: &str, applied: &Applied) -> String {
    match applied {
        Applied::Created(None) => format!("{id} created"),
        Applied::Created(Some(secret)) => format!("{id} created {secret}"),
        Applied::Changed(None) => format!("{id} changed"),
        Applied::Changed(Some(secret)) => format!("{id} changed {secret}"),
        Applied::Unchanged => format!("{id} unchanged"),
    }
}

async fn open(database: &DatabaseSettings) -> anyhow::Result<(Db, Timestamp)> {
    let db = Db::connect(database).await?;
    migrate_up(&db).await?;
    let now = db.now().await?.unwrap_or_else(|| Clock::System.now());
    Ok((db, now))
}

fn registrations(file: &Path) -> anyhow::Result<Vec<Registration>> {
    let text = read(file)?;
    let is_json = file.extension().is_some_and(|extension| extension == "json");
    let parsed: Result<File, _> = if is_json {
        serde_json::from_str(&text).map_err(|error| anyhow!("{error}"))
    } else {
        toml::from_str(&text).map_err(|error| anyhow!("{error}"))
    };
    Ok(parsed.with_context(|| format!("cannot read {}", file.display()))?.client)
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
