//! Reference rates of this machine: the main computation of a request, without the service.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::{Signer, Verifier};

use crate::cpu::cpu_time;
use crate::load::{as_float, cores};

/// The speed of a reference.
pub(crate) struct Speed {
    /// Calls per second on all cores together.
    pub(crate) rate: f64,
    /// CPU time of a call, in microseconds.
    pub(crate) cpu: f64,
}

/// Calls a function repeatedly on all cores. `prepare` creates the function that a thread calls.
pub(crate) fn speed_on_all_cores<W: FnMut() -> anyhow::Result<()>>(
    time: Duration,
    prepare: impl Fn() -> anyhow::Result<W> + Sync,
) -> anyhow::Result<Speed> {
    let cpu_before = cpu_time("self");
    let calls: Vec<anyhow::Result<(usize, f64)>> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..cores()).map(|_| scope.spawn(|| call_repeatedly(time, prepare()?))).collect();
        let calls = threads.into_iter().map(thread::ScopedJoinHandle::join);
        calls.map(|it| it.unwrap_or_else(|_| bail!("a thread panicked"))).collect()
    });
    let used = cpu_time("self").saturating_sub(cpu_before);
    let (mut total, mut rate) = (0, 0.0);
    for calls in calls {
        let (calls, seconds) = calls?;
        total += calls;
        rate += as_float(calls) / seconds;
    }
    Ok(Speed { rate, cpu: used.as_secs_f64() * 1e6 / as_float(total) })
}

/// Calls `work` for `time` on this thread. Returns the number of calls, and how many seconds they
/// took.
fn call_repeatedly(
    time: Duration,
    mut work: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<(usize, f64)> {
    let start = Instant::now();
    let mut calls = 0;
    while start.elapsed() < time {
        work()?;
        calls += 1;
    }
    Ok((calls, start.elapsed().as_secs_f64()))
}

/// A key of the same length as the keys that sign tokens.
pub(crate) fn rsa_key() -> anyhow::Result<PKey<Private>> {
    Ok(PKey::from_rsa(Rsa::generate(2048)?)?)
}

/// A message as long as a token.
const MESSAGE: [u8; 700] = [b'm'; 700];

/// RSA-2048 signatures with SHA-256, each of a message as long as a token.
pub(crate) fn signatures(key: &PKey<Private>, time: Duration) -> anyhow::Result<Speed> {
    speed_on_all_cores(time, || {
        let mut signature = vec![0; key.size()];
        Ok(move || {
            Signer::new(MessageDigest::sha256(), key)?.sign_oneshot(&mut signature, &MESSAGE)?;
            Ok(())
        })
    })
}

/// Verifications of RSA-2048 signatures with SHA-256, each of a message as long as a token.
pub(crate) fn verifications(key: &PKey<Private>, time: Duration) -> anyhow::Result<Speed> {
    let signature = Signer::new(MessageDigest::sha256(), key)?.sign_oneshot_to_vec(&MESSAGE)?;
    speed_on_all_cores(time, || {
        Ok(|| {
            let mut verifier = Verifier::new(MessageDigest::sha256(), key)?;
            if !verifier.verify_oneshot(&signature, &MESSAGE)? {
                bail!("the signature is not valid");
            }
            Ok(())
        })
    })
}

/// Argon2id hashes at the default cost, in reused memory.
pub(crate) fn hashes_in_reused_memory(time: Duration) -> anyhow::Result<Speed> {
    speed_on_all_cores(time, || {
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
