//! `signet client`

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::output::{print, print_aside, print_json};
use crate::clock::Clock;
use crate::config::DatabaseSettings;
use crate::database::{Db, migrate_up};
use crate::domain::oauth::client::metadata::{Pkce, Registration};
use crate::domain::oauth::client::{self, Applied, Client as Row};

#[derive(Debug, Subcommand)]
pub(super) enum Client {
    /// Register a program that may ask for tokens; prints its secret, this once.
    Create(Box<Description>),
    /// List the clients.
    List {
        #[command(flatten)]
        database: DatabaseSettings,
    },
    /// Print what a client is registered with, as JSON that `apply` reads. It holds no secret.
    Show {
        /// The client.
        client_id: String,
        #[command(flatten)]
        database: DatabaseSettings,
    },
    /// Change a client: what is not given stays as it is, and so does the secret. A list that is given
    /// takes the place of the old one; an empty text (`--audience ""`) empties it.
    Update(Box<Description>),
    /// Give a client a new secret, and print it. The one before goes on working until the next
    /// rotation, so that the client can be changed over without a gap.
    RotateSecret {
        /// The client.
        client_id: String,
        /// Draw no new secret: end the one before now that the client has been changed over.
        #[arg(long, conflicts_with = "now")]
        drop_previous: bool,
        /// Draw a new secret and end all others now, because somebody else may have them.
        #[arg(long)]
        now: bool,
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
    /// What people are shown; at first, the id.
    #[arg(long)]
    name: Option<String>,
    /// `web`, or `native` for a program on a person's own device; at first, `web`.
    #[arg(long)]
    application_type: Option<String>,
    /// `client_secret` (by basic or post), `client_secret_basic` or `client_secret_post` alone,
    /// `private_key_jwt`, or `none` for a public client; at first, `client_secret`. No other method works.
    #[arg(long)]
    auth_method: Option<String>,
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
    /// `authorization_code`, `refresh_token`, `client_credentials`; at first, the first of them. May be
    /// given more than once.
    #[arg(long = "grant")]
    grants: Vec<String>,
    /// What its tokens may be good for, separated by spaces; at first, `openid`.
    #[arg(long)]
    scope: Option<String>,
    /// Whom its tokens may be for, the first by default. May be given more than once.
    #[arg(long = "audience")]
    audiences: Vec<String>,
    /// An audience in whose name it may introspect. May be given more than once.
    #[arg(long = "introspects")]
    introspects: Vec<String>,
    /// Life of its access tokens, in seconds; at first, 900.
    #[arg(long)]
    access_token_seconds: Option<u32>,
    /// `required`: each request has a `code_challenge`; `required-or-nonce`: or a `nonce`, with the
    /// scope `openid`; `optional`: neither. At first, `required-or-nonce`; a public client always
    /// has `required`.
    #[arg(long, num_args = 0..=1, default_missing_value = "required")]
    pkce: Option<Pkce>,
    /// The same as `--pkce optional`.
    #[arg(long, conflicts_with = "pkce", hide = true)]
    no_pkce: bool,
    /// `true` puts what its scope opens (name, e-mail address …) into the ID token, for programs that
    /// do not ask userinfo; at first, `false`.
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    id_token_claims: Option<bool>,
    /// `ask` people, or `skip` that for a program of one's own; at first, `ask`.
    #[arg(long)]
    consent: Option<String>,
    #[command(flatten)]
    database: DatabaseSettings,
}

/// What `apply` reads, and `show` prints.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    client: Vec<Registration>,
}

impl Description {
    /// What is given, ready to be written over what is there.
    fn read(self) -> anyhow::Result<(String, Change, DatabaseSettings)> {
        let jwks = self.jwks_file.as_ref().map(|file| {
            let text = read(file)?;
            serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
        });
        let (id, database) = (self.client_id.clone(), self.database.clone());
        Ok((id, Change { jwks: jwks.transpose()?, given: self }, database))
    }
}

/// What is to change.
#[derive(Debug)]
struct Change {
    given: Description,
    jwks: Option<Value>,
}

impl Change {
    fn apply_to(&self, registration: &mut Registration) {
        let Self { given, jwks } = self;
        let put = |given: &Option<String>, member: &mut String| {
            if let Some(given) = given {
                member.clone_from(given);
            }
        };
        let put_optional = |given: &Option<String>, member: &mut Option<String>| {
            if let Some(given) = given {
                *member = Some(given.clone()).filter(|text| !text.is_empty());
            }
        };
        let put_list = |given: &[String], member: &mut Vec<String>| {
            if !given.is_empty() {
                *member = given.iter().filter(|entry| !entry.is_empty()).cloned().collect();
            }
        };
        put_optional(&given.name, &mut registration.client_name);
        put(&given.application_type, &mut registration.application_type);
        put_optional(&given.auth_method, &mut registration.token_endpoint_auth_method);
        put_list(&given.redirect_uris, &mut registration.redirect_uris);
        put_list(&given.post_logout_redirect_uris, &mut registration.post_logout_redirect_uris);
        put_optional(&given.backchannel_logout_uri, &mut registration.backchannel_logout_uri);
        put_list(&given.grants, &mut registration.grant_types);
        put(&given.scope, &mut registration.scope);
        put_list(&given.audiences, &mut registration.audiences);
        put_list(&given.introspects, &mut registration.introspects);
        put(&given.consent, &mut registration.consent);
        if let Some(seconds) = given.access_token_seconds {
            registration.access_token_seconds = seconds;
        }
        let pkce = given.pkce.or(given.no_pkce.then_some(Pkce::Optional));
        if let Some(pkce) = pkce {
            registration.pkce = Some(pkce);
        } else if given.auth_method.as_deref() == Some("none") {
            registration.pkce = None;
        }
        if let Some(is_wanted) = given.id_token_claims {
            registration.id_token_claims = is_wanted;
        }
        if jwks.is_some() {
            registration.jwks.clone_from(jwks);
        } else if given.auth_method.as_ref().is_some_and(|method| method != "private_key_jwt") {
            registration.jwks = None;
        }
    }
}

impl Client {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create(description) => create(*description).await?,
            Self::Update(description) => {
                let (id, change, database) = description.read()?;
                let db = open(&database).await?;
                let updated = client::update(&db, &id, move |it| change.apply_to(it)).await;
                print(&line(&id, &updated?))?;
                db.close().await;
            }
            Self::Apply { file, database } => {
                let registrations = registrations(&file)?;
                let db = open(&database).await?;
                for (id, applied) in client::apply(&db, registrations).await? {
                    print(&line(&id, &applied))?;
                }
                db.close().await;
            }
            Self::RotateSecret { client_id, drop_previous, now: at_once, database } => {
                let db = open(&database).await?;
                if drop_previous {
                    client::drop_previous_secret(&db, &client_id).await?;
                    print("the secret before is good for nothing any more")?;
                } else {
                    print(&client::rotate_secret(&db, &client_id, at_once).await?)?;
                }
                db.close().await;
            }
            Self::Delete { client_id, database } => {
                let db = open(&database).await?;
                client::delete(&db, &client_id).await?;
                print(&format!("{client_id} is gone, and its sessions have ended"))?;
                db.close().await;
            }
            Self::List { database } => {
                let db = open(&database).await?;
                for row in client::list(&db).await? {
                    let (methods, grants) = (auth_methods(&row), row.grants.0.join(" "));
                    print(&format!("{}  {methods}  {grants}  {}", row.id, row.name))?;
                }
            }
            Self::Show { client_id, database } => {
                let db = open(&database).await?;
                let Some(row) = client::find(&db, &client_id).await? else {
                    bail!("there is no client {client_id}");
                };
                let file = File { client: vec![Registration::of_row(&row)] };
                print_json(&serde_json::to_string_pretty(&file)?)?;
            }
        }
        Ok(())
    }
}

async fn create(description: Description) -> anyhow::Result<()> {
    let (id, change, database) = description.read()?;
    let mut registration = Registration::new(id.clone());
    change.apply_to(&mut registration);
    let db = open(&database).await?;
    let secret = client::create(&db, registration).await?;
    print(secret.as_deref().unwrap_or("registered; it has no secret"))?;
    if let Some(row) = client::find(&db, &id).await? {
        print_aside(&requirements(&row));
    }
    db.close().await;
    Ok(())
}

/// By what the client may authenticate, as its registration names it.
fn auth_methods(row: &Row) -> String {
    Registration::of_row(row).token_endpoint_auth_method.unwrap_or_default()
}

/// What the client must do, and how that is changed.
fn requirements(row: &Row) -> String {
    let mut text = match row.auth_method.as_str() {
        "none" => "It sends its client_id and no secret".to_owned(),
        "private_key_jwt" => "It authenticates by private_key_jwt".to_owned(),
        _ if row.either_secret_method => {
            "It sends its secret by client_secret_basic or client_secret_post".to_owned()
        }
        method => format!("It sends its secret by {method} alone"),
    };
    text.push_str(" (--auth-method).");
    if row.authenticates_by("client_secret_basic") && row.id.contains([':', '+', '%']) {
        text.push_str(
            " Its id has a character that some libraries do not encode for client_secret_basic \
             (RFC 6749 section 2.3.1): with those, use client_secret_post.",
        );
    }
    if row.grants.has("authorization_code") {
        text.push_str(match (row.pkce_required, row.nonce_for_pkce) {
            (true, true) => {
                "\nIts requests need a code_challenge (S256), or a nonce with the scope openid (--pkce)."
            }
            (true, false) => "\nIts requests need a code_challenge (S256) (--pkce).",
            (false, _) => "\nIts requests need no code_challenge (--pkce).",
        });
        text.push_str(if row.id_token_claims {
            "\nIts ID tokens have what the scope opens (--id-token-claims)."
        } else {
            "\nIts ID tokens say `sub`; name and address are at userinfo (--id-token-claims)."
        });
    }
    text + &format!("\nTo change that: signet client update {}", row.id)
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

async fn open(database: &DatabaseSettings) -> anyhow::Result<Db> {
    let db = Db::open(database, Clock::shared()).await?;
    migrate_up(&db).await?;
    Ok(db)
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
