//! Reference rates of this machine: the main computation of a request, without the service.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;

use crate::load::{as_float, cores};

/// Calls per second on all cores together. `prepare` creates the function that a thread calls.
pub(crate) fn rate_on_all_cores<W: FnMut() -> anyhow::Result<()>>(
    time: Duration,
    prepare: impl Fn() -> anyhow::Result<W> + Sync,
) -> anyhow::Result<f64> {
    let rates: Vec<anyhow::Result<f64>> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..cores()).map(|_| scope.spawn(|| rate(time, prepare()?))).collect();
        let rates = threads.into_iter().map(thread::ScopedJoinHandle::join);
        rates.map(|it| it.unwrap_or_else(|_| bail!("a thread panicked"))).collect()
    });
    rates.into_iter().sum()
}

/// Calls of `work` per second on this thread.
fn rate(time: Duration, mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let start = Instant::now();
    let mut calls = 0;
    while start.elapsed() < time {
        work()?;
        calls += 1;
    }
    Ok(as_float(calls) / start.elapsed().as_secs_f64())
}

/// A key of the same length as the keys that sign tokens.
pub(crate) fn rsa_key() -> anyhow::Result<PKey<Private>> {
    Ok(PKey::from_rsa(Rsa::generate(2048)?)?)
}

/// RSA-2048 signatures with SHA-256 per second, each of a message as long as a token.
pub(crate) fn signatures(key: &PKey<Private>, time: Duration) -> anyhow::Result<f64> {
    let message = [b'm'; 700];
    rate_on_all_cores(time, || {
        let mut signature = vec![0; key.size()];
        Ok(move || {
            Signer::new(MessageDigest::sha256(), key)?.sign_oneshot(&mut signature, &message)?;
            Ok(())
        })
    })
}

/// Argon2id hashes per second at the default cost, in reused memory.
pub(crate) fn hashes_in_reused_memory(time: Duration) -> anyhow::Result<f64> {
    rate_on_all_cores(time, || {
        let argon2 = argon2id()?;
        let mut memory = blocks(&argon2);
        Ok(move || hash(&argon2, &mut memory))
    })
}

/// Argon2id hashes per second, computed as most programs do: on tokio's blocking threads, in newly
/// allocated memory.
pub(crate) fn hashes_in_fresh_memory(time: Duration) -> anyhow::Result<f64> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(cores())
        .build()
        .context("cannot start the runtime")?;
    let start = Instant::now();
    let hash_repeatedly = || async move {
        let mut hashes = 0;
        while start.elapsed() < time {
            tokio::task::spawn_blocking(|| {
                let argon2 = argon2id()?;
                hash(&argon2, &mut blocks(&argon2))
            })
            .await??;
            hashes += 1;
        }
        anyhow::Ok(hashes)
    };
    let total = runtime.block_on(async {
        let mut total = 0;
        let tasks: Vec<_> = (0..2 * cores()).map(|_| tokio::spawn(hash_repeatedly())).collect();
        for task in tasks {
            total += task.await??;
        }
        anyhow::Ok(total)
    })?;
    Ok(as_float(total) / start.elapsed().as_secs_f64())
}

fn argon2id() -> anyhow::Result<Argon2<'static>> {
    let params = Params::new(19_456, 2, 1, Some(32))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn blocks(argon2: &Argon2<'_>) -> Vec<Block> {
    vec![Block::new(); argon2.params().block_count()]
}

fn hash(argon2: &Argon2<'_>, memory: &mut [Block]) -> anyhow::Result<()> {
    let (salt, mut tag) = ([7; 16], [0; 32]);
    Ok(argon2.hash_password_into_with_memory(b"Analytical-Engine-1843", &salt, &mut tag, memory)?)
}
