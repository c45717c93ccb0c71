//! A running server. At its start, it checks the settings, the master key and the database before
//! it changes the database. Then it serves until it is asked to stop.

mod acceptor;
mod backchannel_delivery;
mod connection_limit;
mod deliveries;
mod descriptors;
pub mod mail_delivery;
mod shortage;
mod state_keeper;
mod tasks;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use openssl::error::ErrorStack;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::{Config, PasswordPolicy, RefreshReuse, ServiceSettings};
use crate::database::{self, ConnectError, Db, Lineage, SchemaError};
use crate::domain::email_challenge::{EmailKeys, EmailTokens};
use crate::domain::invite::InviteTokens;
use crate::domain::keys::{
    self, KeyRing, KeyRingError, MacKey, MasterKeyError, MasterKeys, Schedule, ScheduleError,
};
use crate::domain::mail::MailQueue;
use crate::domain::oauth::client::ClientCache;
use crate::domain::password::{Cost, Hasher, PoolSettings};
use crate::domain::password_reset::ResetTokens;
use crate::domain::refresh::{RefreshTokens, Rotation};
use crate::domain::sign_up_policy::SignUpPolicy;
use crate::domain::status::{self, ListError, StatusEntries, StatusLists};
use crate::domain::token::Issuer;
use crate::domain::{administration, email_folding, id};
use crate::http::{self, App, Branding, BrowserCookie, Limits, LogoError, Readiness};
use crate::server::acceptor::{Connections, LimitedAcceptor};
use crate::server::backchannel_delivery::deliver_logout_notices;
use crate::server::connection_limit::ConnectionLimit;
use crate::server::descriptors::{Capacity, TooFewDescriptors};
use crate::server::mail_delivery::{Delivery, MailError};
use crate::server::state_keeper::{OtherDatabase, StateKeeper, refuse_other_database};
use crate::server::tasks::{
    count_hash_classes, end_sessions, refresh_status_lists, run_housekeeping, run_key_schedule,
};

/// Maximum time for which a stopping server still accepts connections; it stops earlier as soon as
/// no connection is open. In this time, clients and proxies detect the shutdown, and the
/// connections in the accept backlog get their responses.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(500);

/// How long a stopping server then waits for requests on the connections that it accepted last.
const FINAL_DRAIN: Duration = Duration::from_millis(100);

/// How often a stopping server checks whether a connection is open.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A server that is bound to its address but does not serve yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App>,
    /// `None` if mail is off.
    mail: Option<Delivery>,
    capacity: Capacity,
    config: Config,
    state_keeper: StateKeeper,
}

/// Why the server does not start. Each message names what to change.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is in use, or does not belong to this host.
    #[error("cannot listen on {address} (SIGNET_LISTEN): {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// No issuer is set and the address is not loopback, so the public `iss` is unknown.
    #[error(
        "SIGNET_ISSUER must be set to the public https URL, since {address} (SIGNET_LISTEN) is not \
         a loopback address"
    )]
    NoIssuer {
        /// The address.
        address: SocketAddr,
    },
    /// Too few file descriptors for connections.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    /// The database cannot be opened.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The database is not the one that was served before.
    #[error(transparent)]
    State(#[from] OtherDatabase),
    /// The schema cannot be brought up to date.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The master key cannot be used.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The signing keys cannot be read, decrypted or created.
    #[error(transparent)]
    Keys(#[from] KeyRingError),
    /// With these settings, resource servers would reject valid tokens.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Resource servers would reject valid tokens because their copy of a status list expired.
    #[error(
        "SIGNET_STATUS_LIST_SECONDS is {life}, but must be more than three times \
         SIGNET_STATUS_TTL_SECONDS ({ttl}): a resource server that misses a fetch would refuse valid \
         tokens"
    )]
    StatusListTooShort {
        /// The configured lifetime of a list, in seconds.
        life: u64,
        /// How long a list may be cached, in seconds.
        ttl: u64,
    },
    /// The status lists cannot be signed or loaded.
    #[error("the status lists cannot be published: {0}")]
    StatusLists(#[from] ListError),
    /// OpenSSL failed.
    #[error("OpenSSL failed: {0}")]
    OpenSsl(#[from] ErrorStack),
    /// The logo cannot be used.
    #[error(transparent)]
    Logo(#[from] LogoError),
    /// Mail cannot be sent with these settings.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// The settings of sign-up need mail, which is off.
    #[error("{0}")]
    SignUp(String),
    /// The hashing threads cannot be started.
    #[error("cannot start the password hashing threads: {0}")]
    Hashing(String),
}

/// The database with its schema up to date, and the secrets that belong to it.
pub struct Storage {
    /// The database.
    pub db: Db,
    /// The master key, and earlier master keys in its file.
    pub master: MasterKeys,
    /// The signing keys.
    pub ring: Arc<KeyRing>,
}

impl Storage {
    /// Opens the database and the master key, checks that they belong together, migrates, and
    /// reads the key ring.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing is written to an existing database before the checks that its
    /// schema version is known, that the master key decrypts every key in it, and that it is not
    /// another database than the one that was served before (`OtherDatabase`).
    pub async fn open(config: &Config, clock: &Clock) -> Result<Self, StartError> {
        let schedule = Schedule::new(&config.keys, &config.tokens)?;
        let db = Db::connect(&config.database, clock.clone()).await?;
        database::status(&db).await?;
        database::refuse_copied(&db).await?;
        let has_sealed_keys = database::has_table(&db, "signing_key").await?
            && keys::any_sealed(&db).await.map_err(KeyRingError::from)?;
        let master = MasterKeys::open(&config.keys.master_key_file, has_sealed_keys)?;
        let sealer = master.sealer()?;
        if has_sealed_keys {
            keys::check_sealed(&db, &sealer).await?;
        }
        let lineage = Lineage::read(&db).await.map_err(ConnectError::from)?;
        let has_accounts = lineage.name().is_none() && administration::has_accounts(&db).await?;
        refuse_other_database(config, &lineage, has_accounts, clock)?;
        database::migrate_up(&db).await?;
        fold_addresses(&db).await;
        let bits = config.keys.rsa_bits;
        let ring = KeyRing::open(&db, sealer, bits, schedule, clock.now()).await?;
        Ok(Self { db, master, ring: Arc::new(ring) })
    }
}

impl Server {
    /// Checks the settings that can be checked without side effects.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn check(config: &Config) -> Result<(), StartError> {
        let ServiceSettings { issuer, listen, .. } = &config.service;
        if issuer.is_none() && !listen.ip().is_loopback() {
            return Err(StartError::NoIssuer { address: *listen });
        }
        let (life, ttl) = (config.status.status_list_seconds, config.status.status_ttl_seconds);
        // A list must be valid long enough after its `ttl` for a failed fetch to be retried.
        if life <= 3 * ttl {
            return Err(StartError::StatusListTooShort { life, ttl });
        }
        Schedule::new(&config.keys, &config.tokens)?;
        Branding::new(&config.pages)?;
        mail_delivery::check(config)?;
        config.signup.check(config.mail.is_on()).map_err(StartError::SignUp)
    }

    /// Binds the address and opens the storage.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn bind(config: Config, clock: Clock) -> Result<Self, StartError> {
        let wanted = config.service.listen;
        Self::check(&config)?;
        let capacity = Capacity::of(&config)?;
        warn_of_short_timeouts(&config);
        warn_of_less_secure_settings(&config);
        let branding = Branding::new(&config.pages)?;
        let failed = |source| StartError::Listen { address: wanted, source };
        let listener = TcpListener::bind(wanted).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;

        let mut storage = Storage::open(&config, &clock).await?;
        let instance = id::new(clock.now());
        storage.db.begin_serving(instance).await.map_err(ConnectError::from)?;
        // `signet database copy` may have begun after the first check and before this instance was
        // registered. Such a copy is complete by now, so this check sees the mark that it wrote.
        database::refuse_copied(&storage.db).await?;
        let lineage = Lineage::read(&storage.db).await.map_err(ConnectError::from)?;
        let state_keeper = StateKeeper::of(&config, &lineage, &clock);
        state_keeper.save(&storage.db).await;
        let restore = state_keeper.restore();
        let app = assemble(&config, clock, storage, restore, branding, address).await?;
        let app = Arc::new(app);
        let mail = Delivery::new(&app, &config)?;
        Ok(Self { listener, address, app, mail, capacity, config, state_keeper })
    }

    /// The address to which the server is bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The `iss` of the tokens that the server issues.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.app.issuer_url
    }

    /// Serves until `stop` is ready, then shuts down gracefully: readiness fails, and each response
    /// closes its connection. After a grace period the server accepts no more connections, closes
    /// idle connections, and lets requests in progress finish within the drain time.
    ///
    /// # Errors
    /// If the listener fails, or if `signet restored` was run while the server was running.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let ServiceSettings { drain_seconds, client_seconds, .. } = self.config.service;
        let Capacity { connections, per_client } = self.capacity;
        let client_timeout = Duration::from_secs(client_seconds);
        let limit = ConnectionLimit::new(per_client, &self.config);
        let acceptor = LimitedAcceptor::new(self.listener, connections, limit, client_timeout)?;
        let endpoint = http::endpoint(Arc::clone(&self.app), &self.config);
        let mut tasks = start_tasks(&self.app, &self.config);
        let (stop_deliveries, mut deliveries) =
            start_deliveries(&self.app, &self.config, self.mail);

        let (db, state_keeper) = (self.app.db.clone(), self.state_keeper);
        let is_restored = AtomicBool::new(false);
        let began = OnceLock::new();
        let stop = async {
            tokio::select! {
                () = stop => {}
                () = state_keeper.run_until_restore(&db) => {
                    is_restored.store(true, Ordering::Release);
                }
            }
            let _ = began.set(Instant::now());
        };
        let drain = Duration::from_secs(drain_seconds);
        let shutdown_grace = SHUTDOWN_GRACE.min(drain / 4);
        let app = Arc::clone(&self.app);
        let stop = signal_shutdown(stop, app, acceptor.connections(), shutdown_grace);
        let served = poem::Server::new_with_acceptor(acceptor)
            .run_with_graceful_shutdown(endpoint, stop, Some(drain.saturating_sub(shutdown_grace)))
            .await;
        let elapsed = began.get().map_or(drain, Instant::elapsed);
        finish_deliveries(&stop_deliveries, &mut deliveries, drain.saturating_sub(elapsed)).await;
        tasks.abort_all();
        db.close().await;
        state_keeper.save(&db).await;
        if is_restored.into_inner() {
            return Err(io::Error::other("`signet restored` was run; start again"));
        }
        served
    }
}

/// Starts the tasks that deliver mails and logout notices. They run until `true` is sent and no
/// delivery is in progress.
fn start_deliveries(
    app: &Arc<App>,
    config: &Config,
    mail: Option<mail_delivery::Delivery>,
) -> (watch::Sender<bool>, JoinSet<()>) {
    let (stop, stopped) = watch::channel(false);
    let is_private_allowed = config.service.logout_private_networks;
    let mut deliveries = JoinSet::new();
    if let Some(mail) = mail {
        deliveries.spawn(mail.run(stopped.clone()));
    }
    deliveries.spawn(deliver_logout_notices(Arc::clone(app), is_private_allowed, stopped));
    (stop, deliveries)
}

/// Waits until no delivery is in progress, at most for this time. An aborted delivery is repeated by
/// the next server, so its recipient might get it twice.
async fn finish_deliveries(
    stop: &watch::Sender<bool>,
    deliveries: &mut JoinSet<()>,
    at_most: Duration,
) {
    let _ = stop.send(true);
    let finished = async { while deliveries.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(at_most, finished).await;
    deliveries.abort_all();
}

/// Starts the other background tasks, which run until they are aborted.
fn start_tasks(app: &Arc<App>, config: &Config) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(run_housekeeping(Arc::clone(app)));
    tasks.spawn(run_key_schedule(Arc::clone(app), config.keys.rsa_bits));
    tasks.spawn(refresh_status_lists(Arc::clone(app)));
    tasks.spawn(count_hash_classes(Arc::clone(app)));
    tasks.spawn(end_sessions(Arc::clone(app)));
    tasks
}

/// Waits for `stop` and begins the shutdown. Completes after the grace period, or as soon as no
/// connection is open; see [`SHUTDOWN_GRACE`].
async fn signal_shutdown(
    stop: impl Future<Output = ()>,
    app: Arc<App>,
    connections: Connections,
    grace: Duration,
) {
    stop.await;
    app.begin_shutdown();
    let until = Instant::now() + grace;
    while Instant::now() < until {
        tokio::time::sleep(POLL_INTERVAL).await;
        if connections.count() == 0 {
            break;
        }
    }
    connections.close_listener();
    // The clients of the connections accepted last may not have sent their requests yet.
    tokio::time::sleep(FINAL_DRAIN.min(grace)).await;
}

/// Folds the email addresses of earlier versions (see [`email_folding`]), before the first request,
/// so that nobody can sign up with an address that folds to an existing one. A failure does not
/// prevent the start, because housekeeping retries.
async fn fold_addresses(db: &Db) {
    match email_folding::fold_and_recheck(db).await {
        Ok(0) => {}
        Ok(addresses) => tracing::info!(addresses, "email addresses of earlier versions folded"),
        Err(error) => tracing::warn!(%error, "email addresses of earlier versions not folded yet"),
    }
}

/// Warns if the timeouts are shorter than the longest wait for a password hash. An admitted login
/// could then get 503 shortly before the client's timeout, or be aborted at the end of the process.
fn warn_of_short_timeouts(config: &Config) {
    let longest = config.passwords.estimated_max_hash_wait().as_secs();
    for (name, seconds) in [
        ("SIGNET_DRAIN_SECONDS", config.service.drain_seconds),
        ("SIGNET_CLIENT_SECONDS", config.service.client_seconds),
    ] {
        if seconds < longest {
            tracing::warn!(
                "{name} is {seconds}, but a login may wait {longest} seconds for the password hash \
                 (1.25 x SIGNET_HASH_BACKLOG_SECONDS + 2): such a login would fail"
            );
        }
    }
}

/// Warns about settings that are meant for tests or for clients that cannot be changed.
fn warn_of_less_secure_settings(config: &Config) {
    if config.tokens.refresh_reuse == RefreshReuse::Refuse {
        tracing::warn!(
            "SIGNET_REFRESH_REUSE is refuse: theft of a refresh token of the JSON API is not \
             detected, and after a lost response the user has to log in again"
        );
    }
    if config.passwords.password_policy == PasswordPolicy::Original {
        tracing::warn!("SIGNET_PASSWORD_POLICY is original: common passwords are accepted");
    }
    if config.keys.dangerously_short_key_publication {
        tracing::warn!(
            "SIGNET_DANGEROUSLY_SHORT_KEY_PUBLICATION is set: after each rotation, resource \
             servers that cache the key set as common libraries do will refuse valid tokens"
        );
    }
}

/// Constructs the components from the settings.
async fn assemble(
    config: &Config,
    clock: Clock,
    storage: Storage,
    restore: Option<Uuid>,
    branding: Branding,
    address: SocketAddr,
) -> Result<App, StartError> {
    let Storage { db, master, ring } = storage;
    let issuer_url = config.service.issuer.clone();
    let issuer_url = issuer_url.unwrap_or_else(|| format!("http://localhost:{}", address.port()));
    let audience = config.service.audience.clone().unwrap_or_else(|| issuer_url.clone());
    let life = config.tokens.access_token_life();
    let issuer = Issuer::new(issuer_url.clone(), &audience, life, Arc::clone(&ring))
        .with_typ_jwt(config.service.typ_jwt_audiences.clone());
    status::ensure_first_list(&db).await.map_err(ListError::from)?;
    // Migrations on a slow disk can take longer than the time for which an instance may use the key
    // ring without reloading it.
    if !ring.is_fresh() {
        Box::pin(ring.reload(&db)).await?;
    }
    let now = clock.now();
    let mail = MailQueue::new(&config.mail, master.limit_key()?, config.limits.ipv6_prefix);
    Ok(App {
        clients: ClientCache::new(&db),
        status_entries: StatusEntries::default(),
        status_lists: StatusLists::open(&db, &issuer, config.status.clone(), now).await?,
        verifier: issuer.verifier(&audience),
        issuer,
        refresh_tokens: RefreshTokens::new(master.refresh_keys(restore)?),
        rotation: Rotation::new(&db, &config.tokens, mail.clone()),
        reset_tokens: ResetTokens::new(master.reset_keys(restore)?),
        invite_tokens: InviteTokens::new(master.invite_keys()?),
        email_tokens: EmailTokens::new(EmailKeys {
            verification: master.email_verification_keys(restore)?,
            change: master.email_change_keys(restore)?,
            sign_up: master.sign_up_keys(restore)?,
        }),
        request_sealer: master.request_sealer()?,
        limits: Limits::new(config.limits.clone(), master.limit_key()?),
        mail,
        hasher: start_hasher(config, master.decoy_key()?)?,
        sign_up_policy: SignUpPolicy::new(&config.signup),
        password_policy: config.passwords.password_policy,
        tokens: config.tokens.clone(),
        cookie: BrowserCookie::of_issuer(&issuer_url),
        branding,
        trusted_proxies: config.service.trusted_proxies.clone(),
        readiness: Readiness::default(),
        is_shutting_down: AtomicBool::new(false),
        db,
        clock,
        issuer_url,
        ring,
    })
}

fn start_hasher(config: &Config, decoy_key: MacKey) -> Result<Hasher, StartError> {
    let settings = &config.passwords;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cores = u32::try_from(cores).unwrap_or(u32::MAX);
    let cost = Cost::from(settings);
    let pool = PoolSettings {
        threads: if settings.hash_threads == 0 { cores } else { settings.hash_threads },
        backlog: settings.hash_backlog(),
        patience: config.service.hash_wait_timeout(),
        ipv6_prefix: config.limits.ipv6_prefix,
    };
    Hasher::start(cost, pool, decoy_key).map_err(|error| StartError::Hashing(error.to_string()))
}

#[cfg(test)]
mod tests {
    use poem::endpoint::make;
    use poem::http::{StatusCode, Uri};
    use poem::{Endpoint, EndpointExt, Request, Route};

    use super::*;

    /// The shared state of a server that is not bound to an address.
    async fn app_in(directory: &std::path::Path) -> Arc<App> {
        let config = Config::of(&[
            format!("--database-url=sqlite:{}", directory.join("signet.db").display()),
            format!("--master-key-file={}", directory.join("keys/master.key").display()),
        ]);
        let storage = Storage::open(&config, &Clock::System).await.unwrap();
        let branding = Branding::new(&config.pages).unwrap();
        let address = config.service.listen;
        Arc::new(assemble(&config, Clock::System, storage, None, branding, address).await.unwrap())
    }

    /// IJ-09: the next request is served as usual, and the response reveals nothing about the
    /// panic.
    #[tokio::test]
    async fn panic_fails_one_response_only() {
        let directory = tempfile::tempdir().unwrap();
        let app = app_in(directory.path()).await;
        let panics = make(|_| async {
            assert_ne!(1, 1, "on purpose, in this test");
            Ok::<_, poem::Error>("")
        });
        let works = make(|_| async { Ok::<_, poem::Error>("it works") });
        let routes = Route::new().at("/panics", panics.boxed()).at("/works", works.boxed());
        let service = http::with_service_layer(routes, app);
        let ask = async |path: &'static str| {
            let request =
                Request::builder().uri(Uri::from_static(path)).header("host", "x").finish();
            service.call(request).await.unwrap()
        };

        for _ in 0..3 {
            let mut failed = ask("/panics").await;
            assert_eq!(failed.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let id = failed.header("x-request-id").unwrap().to_owned();
            let body = failed.take_body().into_string().await.unwrap();
            assert!(body.contains(&id) && !body.contains("purpose"), "{body}");
            assert_eq!(ask("/works").await.status(), StatusCode::OK);
        }
    }
}
