//! `signet health`: a health probe for container images without curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
pub(super) struct Health {
    /// The address the server listens on.
    #[arg(long, env = "SIGNET_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

impl Health {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let answer = tokio::time::timeout(REQUEST_TIMEOUT, request_status(reachable(self.listen)));
        let status = answer.await.context("no response in time")?.context("no response")?;
        if status != 200 {
            bail!("not ready (status {status})");
        }
        Ok(())
    }
}

/// Replaces an unspecified address by loopback. A server that listens on an unspecified address
/// also listens on loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

async fn request_status(address: SocketAddr) -> anyhow::Result<u16> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer).await?;
    let line = String::from_utf8_lossy(&answer);
    let status = line.split(' ').nth(1).context("the response is not HTTP")?;
    status.parse().context("the response is not HTTP")
}
