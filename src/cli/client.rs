//! `signet client`

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::database::open;
use crate::cli::output::{print, print_json, print_to_stderr};
use crate::config::DatabaseSettings;
use crate::database::Db;
use crate::domain::oauth::client::metadata::{Pkce, Registration};
use crate::domain::oauth::client::{self, Applied, Client as Row};
use crate::entity::client::AuthMethod;
use crate::scope::IDENTITY;

#[derive(Debug, Subcommand)]
pub(super) enum Client {
    /// Register a client and print its secret, which cannot be shown again.
    Create(Box<Description>),
    /// List the clients.
    List(DatabaseSettings),
    /// Print a client's registration, without its secret, as JSON that `apply` reads.
    Show(ClientArgument),
    /// Change a client. Members of the registration whose options are not given stay unchanged. The
    /// secret stays unchanged, too, unless a new `--auth-method` needs another secret. A given list
    /// replaces the old list; an empty value (`--audience ""`) clears the list.
    Update(Box<Description>),
    /// Create a new secret for a client and print it. The previous secret stays valid until the
    /// next rotation, so that the client can switch without downtime.
    RotateSecret {
        #[command(flatten)]
        client: ClientArgument,
        /// Create no new secret, and invalidate the previous secret now, because the client already
        /// uses the newest secret.
        #[arg(long, conflicts_with = "now")]
        drop_previous: bool,
        /// Create a new secret, and invalidate all earlier secrets now, because one may have
        /// leaked.
        #[arg(long)]
        now: bool,
    },
    /// Delete a client and end all its sessions.
    Delete(ClientArgument),
    /// Register or update the clients in a file, all or none. The secrets of new clients are
    /// printed. Clients that are not in the file stay unchanged.
    Apply {
        /// TOML with one `[[client]]` per client, or JSON of the same structure if the name ends in
        /// `.json`.
        file: PathBuf,
        #[command(flatten)]
        database: DatabaseSettings,
    },
}

/// The client argument of a command.
#[derive(Debug, Args)]
pub(super) struct ClientArgument {
    /// The id of the client.
    client_id: String,
    #[command(flatten)]
    database: DatabaseSettings,
}

/// A client's metadata, as given by flags.
#[derive(Debug, Args)]
pub(super) struct Description {
    /// Its `client_id`.
    client_id: String,
    /// Name shown to users; default: the id.
    #[arg(long)]
    name: Option<String>,
    /// `web`, or `native` for an application on the user's device; default: `web`.
    #[arg(long)]
    application_type: Option<String>,
    /// Client authentication: `client_secret` (basic or post), `client_secret_basic` only,
    /// `client_secret_post` only, `private_key_jwt`, or `none` for a public client; default:
    /// `client_secret`.
    #[arg(long)]
    auth_method: Option<String>,
    /// File with its public keys as a JWK set, for `private_key_jwt`.
    #[arg(long)]
    jwks_file: Option<PathBuf>,
    /// Redirect URI, compared character by character. May be repeated.
    #[arg(long = "redirect-uri")]
    redirect_uris: Vec<String>,
    /// Redirect URI after a logout. May be repeated.
    #[arg(long = "post-logout-redirect-uri")]
    post_logout_redirect_uris: Vec<String>,
    /// URI that receives logout tokens (OpenID Connect Back-Channel Logout).
    #[arg(long)]
    backchannel_logout_uri: Option<String>,
    /// Grant type: `authorization_code`, `refresh_token` or `client_credentials`; default:
    /// `authorization_code`. May be repeated.
    #[arg(long = "grant")]
    grants: Vec<String>,
    /// Scopes that it may request, separated by spaces; default: `openid`.
    #[arg(long)]
    scope: Option<String>,
    /// Audience that its tokens may have; the first one is the default. May be repeated.
    #[arg(long = "audience")]
    audiences: Vec<String>,
    /// Audience whose tokens it may introspect. May be repeated.
    #[arg(long = "introspects")]
    introspects: Vec<String>,
    /// Lifetime of its access tokens, in seconds; default: 900.
    #[arg(long)]
    access_token_seconds: Option<u32>,
    /// `required`: each authorization request must have a `code_challenge`; `required-or-nonce`: a
    /// `code_challenge`, or a `nonce` and the scope `openid`; `optional`: none of these. Default:
    /// `required-or-nonce`; for a public client always `required`.
    #[arg(long, num_args = 0..=1, default_missing_value = "required")]
    pkce: Option<Pkce>,
    /// The same as `--pkce optional`.
    #[arg(long, conflicts_with = "pkce", hide = true)]
    no_pkce: bool,
    /// `true` puts the claims of its scopes (name, email address …) into the ID token, for clients
    /// that do not call the userinfo endpoint; default: `false`.
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    id_token_claims: Option<bool>,
    /// Consent: `ask` the user, or `skip` it for an application of your own; default: `ask`.
    #[arg(long)]
    consent: Option<String>,
    #[command(flatten)]
    database: DatabaseSettings,
}

/// The file format that `apply` reads and `show` prints.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    client: Vec<Registration>,
}

impl Description {
    /// Reads the JWK set file.
    fn jwks(&self) -> anyhow::Result<Option<Value>> {
        let jwks = self.jwks_file.as_ref().map(|file| {
            let text = read(file)?;
            serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
        });
        jwks.transpose()
    }

    /// Changes the members whose flags are given, and the JWK set if `jwks` is given.
    fn apply_to(&self, registration: &mut Registration, jwks: Option<Value>) {
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
        put_optional(&self.name, &mut registration.client_name);
        put(&self.application_type, &mut registration.application_type);
        put_optional(&self.auth_method, &mut registration.token_endpoint_auth_method);
        put_list(&self.redirect_uris, &mut registration.redirect_uris);
        put_list(&self.post_logout_redirect_uris, &mut registration.post_logout_redirect_uris);
        put_optional(&self.backchannel_logout_uri, &mut registration.backchannel_logout_uri);
        put_list(&self.grants, &mut registration.grant_types);
        put(&self.scope, &mut registration.scope);
        put_list(&self.audiences, &mut registration.audiences);
        put_list(&self.introspects, &mut registration.introspects);
        put(&self.consent, &mut registration.consent);
        if let Some(seconds) = self.access_token_seconds {
            registration.access_token_seconds = seconds;
        }
        let pkce = self.pkce.or(self.no_pkce.then_some(Pkce::Optional));
        if let Some(pkce) = pkce {
            registration.pkce = Some(pkce);
        } else if self.auth_method.as_deref() == Some("none") {
            registration.pkce = None;
        }
        if let Some(is_wanted) = self.id_token_claims {
            registration.id_token_claims = is_wanted;
        }
        if jwks.is_some() {
            registration.jwks = jwks;
        } else if self.auth_method.as_ref().is_some_and(|method| method != "private_key_jwt") {
            registration.jwks = None;
        }
    }
}

impl Client {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create(description) => create(*description).await?,
            Self::Update(description) => {
                let (id, jwks) = (description.client_id.clone(), description.jwks()?);
                let db = open(&description.database).await?;
                let change = move |it: &mut Registration| description.apply_to(it, jwks.clone());
                let updated = client::update(&db, &id, change).await?;
                print(&result_line(&id, &updated))?;
                finish(&db, &[updated]).await;
            }
            Self::Apply { file, database } => {
                let registrations = registrations(&file)?;
                let db = open(&database).await?;
                let (ids, applied): (Vec<_>, Vec<_>) =
                    client::apply(&db, registrations).await?.into_iter().unzip();
                for (id, applied) in ids.iter().zip(&applied) {
                    print(&result_line(id, applied))?;
                }
                finish(&db, &applied).await;
            }
            Self::RotateSecret { client, drop_previous, now } => {
                let ClientArgument { client_id, database } = client;
                let db = open(&database).await?;
                if drop_previous {
                    client::drop_previous_secret(&db, &client_id).await?;
                    print("the previous secret is no longer valid")?;
                } else {
                    print(&client::rotate_secret(&db, &client_id, now).await?)?;
                }
                finish_change(&db).await;
            }
            Self::Delete(ClientArgument { client_id, database }) => {
                let db = open(&database).await?;
                client::delete(&db, &client_id).await?;
                print(&format!("{client_id} is deleted, and its sessions have ended"))?;
                finish_change(&db).await;
            }
            Self::List(database) => {
                let db = open(&database).await?;
                for row in client::list(&db).await? {
                    let (auth_method, grants) = (auth_method(&row), row.grants.0.join(" "));
                    print(&format!("{}  {auth_method}  {grants}  {}", row.id, row.name))?;
                }
                db.close().await;
            }
            Self::Show(ClientArgument { client_id, database }) => {
                let db = open(&database).await?;
                let Some(row) = client::find(&db, &client_id).await? else {
                    bail!("there is no client {client_id}");
                };
                let file = File { client: vec![Registration::of_row(&row)] };
                print_json(&serde_json::to_string_pretty(&file)?)?;
                db.close().await;
            }
        }
        Ok(())
    }
}

/// Closes the database; before that waits as [`finish_change`] if a client was changed.
async fn finish(db: &Db, applied: &[Applied]) {
    if applied.iter().any(|applied| matches!(applied, Applied::Changed(_))) {
        finish_change(db).await;
    } else {
        db.close().await;
    }
}

/// Waits until no server has the client's earlier registration in its cache, and closes the
/// database. Callers print the result before, so that a secret is not lost if the command is
/// interrupted here.
async fn finish_change(db: &Db) {
    tokio::time::sleep(client::MAX_CACHE_AGE).await;
    db.close().await;
}

async fn create(description: Description) -> anyhow::Result<()> {
    let (id, jwks) = (&description.client_id, description.jwks()?);
    // All other members have the same defaults as in a file for `apply`.
    let mut registration: Registration = serde_json::from_value(json!({ "client_id": id }))?;
    description.apply_to(&mut registration, jwks);
    let db = open(&description.database).await?;
    let secret = client::create(&db, registration).await?;
    print(secret.as_deref().unwrap_or("registered; the client has no secret"))?;
    if let Some(row) = client::find(&db, id).await? {
        print_to_stderr(&requirements(&row));
    }
    db.close().await;
    Ok(())
}

/// The client authentication method, as its registration names it.
fn auth_method(row: &Row) -> String {
    Registration::of_row(row).token_endpoint_auth_method.unwrap_or_default()
}

/// What the registration requires of the client, and how to change it.
fn requirements(row: &Row) -> String {
    let mut text = match row.auth_method {
        AuthMethod::None => "It sends its client_id and no secret".to_owned(),
        AuthMethod::PrivateKeyJwt => "It authenticates by private_key_jwt".to_owned(),
        _ if row.either_secret_method => {
            "It sends its secret by client_secret_basic or client_secret_post".to_owned()
        }
        _ => format!("It sends its secret by {} only", auth_method(row)),
    };
    text.push_str(" (--auth-method).");
    if row.authenticates_by(AuthMethod::ClientSecretBasic) && row.id.contains([':', '+', '%']) {
        text.push_str(
            " Its id contains a character that some libraries do not encode for client_secret_basic \
             (RFC 6749 section 2.3.1): use client_secret_post with those.",
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
            "\nIts ID tokens contain the claims of its scopes (--id-token-claims)."
        } else {
            "\nIts ID tokens identify the user by `sub` only; the claims of its scopes are at the userinfo \
             endpoint (--id-token-claims)."
        });
    }
    for hint in hints(row) {
        text.push('\n');
        text.push_str(hint);
    }
    text + &format!("\nTo change that: signet client update {}", row.id)
}

/// Warnings about likely mistakes.
fn hints(row: &Row) -> impl Iterator<Item = &'static str> {
    let has = |scope: &str| row.scopes.0.iter().any(|it| it == scope);
    let has_comma = row.scopes.0.iter().any(|scope| scope.contains(','));
    let has_service_scopes = row.scopes.0.iter().any(|scope| !IDENTITY.contains(&scope.as_str()));
    let lacks_audience = has_service_scopes && row.audiences.0.is_empty();
    let lacks_refresh_grant = has("offline_access") && !row.grants.has("refresh_token");
    [
        (has_comma, "A scope contains a comma: scopes are separated by spaces (--scope)."),
        (
            lacks_audience,
            "Its tokens are for the userinfo endpoint alone: name the resource servers of its other \
             scopes (--audience).",
        ),
        (lacks_refresh_grant, "offline_access has no effect without --grant refresh_token."),
    ]
    .into_iter()
    .filter_map(|(applies, hint)| applies.then_some(hint))
}

fn result_line(id: &str, applied: &Applied) -> String {
    match applied {
        Applied::Created(None) => format!("{id} created"),
        Applied::Created(Some(secret)) => format!("{id} created {secret}"),
        Applied::Changed(None) => format!("{id} changed"),
        Applied::Changed(Some(secret)) => format!("{id} changed {secret}"),
        Applied::Unchanged => format!("{id} unchanged"),
    }
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
