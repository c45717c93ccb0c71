//! `signet serve`

use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::runtime::block_on;
use crate::clock::Clock;
use crate::config::{Config, LogFormat};
use crate::database::ServeLock;
use crate::server::Server;
use crate::telemetry;

/// Maximum time to write the last log lines at exit: the output may block.
const FLUSH_TIME: Duration = Duration::from_millis(500);

/// Serves until SIGTERM or SIGINT.
pub(super) fn run(config: Config) -> anyhow::Result<()> {
    telemetry::start(&config.logs)?;
    let served = block_on(serve(config));
    telemetry::flush(FLUSH_TIME);
    served
}

async fn serve(config: Config) -> anyhow::Result<()> {
    // Signals are handled from here on, so that a signal during start-up is not lost.
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let is_human = config.logs.log_format == LogFormat::Human;

    Server::check(&config)?;
    let drain = Duration::from_secs(config.service.drain_seconds);
    // The lock is held until the process exits. A server that is stopping releases its lock within
    // the drain time. A signal aborts the wait for this.
    let _lock = tokio::select! {
        lock = ServeLock::take(&config.database, drain) => lock?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let server = Server::bind(config, Clock::shared()).await?;
    tracing::info!(address = %server.address(), issuer = server.issuer(), "listening");
    if is_human {
        telemetry::print(&welcome(&server));
    }
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("finishing requests in progress; a second signal exits immediately");
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(130);
        });
    };
    server.run_until(stop).await?;
    tracing::info!("server stopped");
    Ok(())
}

fn welcome(server: &Server) -> String {
    // An https issuer needs a proxy, which may not be running yet, so the links contain the local
    // address. With an http issuer they contain the issuer, because browsers and libraries work
    // only with its host name.
    let (issuer, address) = (server.issuer(), server.address());
    let base = if issuer.starts_with("http:") { issuer } else { &format!("http://{address}") };
    format!(
        "\n\
         Signet is ready at {base}\n\
         \n\
         \x20 documentation   {base}/docs\n\
         \x20 public keys     {base}/.well-known/jwks.json\n\
         \x20 issuer          {issuer}\n\
         \x20 listening on    {address}\n\
         \n\
         Sign up with:\n\
         \n\
         \x20 curl {base}/api/auth/signup -H 'content-type: application/json' \\\n\
         \x20   -d '{{\"email\":\"ada@example.com\",\"password\":\"Analytical-Engine-1843\"}}'\n"
    )
}
