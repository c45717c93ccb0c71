//! Registered clients that request tokens for themselves (RFC 6749 §4.4).

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::run::Run;
use crate::server::database_url;
use crate::users::fresh_address;

/// Registers `number` clients with the server that has its files in `directory`. Returns a token
/// request of each. No client reaches its limit, because every connection uses a different client.
pub(crate) fn register(run: &Run, directory: &Path, number: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut registrations = String::new();
    for client in 0..number {
        writeln!(
            registrations,
            "[[client]]\nclient_id = \"bench-{client}\"\ngrant_types = [\"client_credentials\"]\n\
             scope = \"tasks:read\"\naudiences = [\"https://api.example.test\"]\n"
        )?;
    }
    let file = directory.join("clients.toml");
    fs::write(&file, registrations)?;
    let output = Command::new(&run.signet)
        .args(["client", "apply"])
        .arg(&file)
        .arg(format!("--database-url={}", database_url(run, directory)))
        .output()
        .with_context(|| format!("cannot start {}", run.signet.display()))?;
    if !output.status.success() {
        bail!("clients cannot be registered: {}", String::from_utf8_lossy(&output.stderr));
    }
    // Each line is "ID created SECRET".
    let output = String::from_utf8(output.stdout)?;
    let created = output.lines().filter_map(|line| line.split_once(" created "));
    let requests: Vec<_> = created.map(|(id, secret)| token_request(id, secret)).collect();
    if requests.len() != number {
        bail!("registered {} clients instead of {number}", requests.len());
    }
    Ok(requests)
}

fn token_request(id: &str, secret: &str) -> Vec<u8> {
    let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    format!(
        "POST /oauth2/token HTTP/1.1\r\nhost: localhost\r\nuser-agent: signet-bench\r\n\
         x-forwarded-for: {}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n{body}",
        fresh_address(),
        body.len()
    )
    .into_bytes()
}
