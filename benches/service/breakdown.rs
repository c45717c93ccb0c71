//! The CPU time of the parts of a refresh. Each part is measured separately in this process, with
//! the server's library and database, while the server is idle.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use signet::clock::Clock;
use signet::config::Config;
use signet::domain::audit::Origin;
use signet::domain::granted::Granted;
use signet::domain::mail::MailQueue;
use signet::domain::refresh::{Holder, RefreshTokens, Rotation};
use signet::domain::session::FIRST_PARTY_CLIENT;
use signet::domain::token::Issuer;
use signet::server::Storage;
use tokio::runtime::Runtime;

use crate::cpu::cpu_time;
use crate::load::{PAUSE, as_float};
use crate::reference::{Speed, speed_on_all_cores};
use crate::users::User;

/// The client that presents the tokens.
const HOLDER: Holder<'_> = Holder { client_id: FIRST_PARTY_CLIENT, is_server: false };

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    config: Config,
}

/// The parts of a refresh, without HTTP.
pub(crate) struct Parts {
    runtime: Runtime,
    storage: Storage,
    issuer: Issuer,
    tokens: Arc<RefreshTokens>,
    rotation: Arc<Rotation>,
    granted: Granted,
}

impl Parts {
    /// Opens the database and the keys of a server that was started with `arguments`. Refreshes the
    /// token of `user` once.
    pub(crate) fn open(arguments: &[String], user: &mut User) -> anyhow::Result<Self> {
        let config = Settings::try_parse_from(arguments)?.config;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let storage = runtime.block_on(Storage::open(&config, &Clock::System))?;
        let (url, lifetime) =
            ("http://localhost:8080".to_owned(), config.tokens.access_token_life());
        let issuer = Issuer::new(url.clone(), &url, lifetime, Arc::clone(&storage.ring));
        let tokens = Arc::new(RefreshTokens::new(storage.master.refresh_keys(None)?));
        let origin = Origin::default();
        let presented = tokens.decode(&user.refresh_token);
        let presented =
            presented.ok_or_else(|| anyhow::anyhow!("not a refresh token of this server"))?;
        let rotation = Arc::new(Rotation::new(&storage.db, &config.tokens, MailQueue::off()));
        let granted = runtime.block_on(rotation.rotate(presented, HOLDER, &origin))?;
        user.refresh_token = tokens.encode(granted.session_id, granted.generation)?;
        Ok(Self { runtime, storage, issuer, tokens, rotation, granted })
    }

    /// The speed at which all cores together sign access tokens with the claims of a refreshed
    /// token. Reloads the key ring first, because a ring that was not reloaded for a while does not
    /// sign.
    pub(crate) fn tokens_on_all_cores(&self, time: Duration) -> anyhow::Result<Speed> {
        self.runtime.block_on(self.storage.ring.reload(&self.storage.db))?;
        speed_on_all_cores(time, || Ok(|| self.sign()))
    }

    /// CPU time to sign an access token, in microseconds.
    pub(crate) fn signing(&self, time: Duration) -> anyhow::Result<f64> {
        self.runtime.block_on(self.storage.ring.reload(&self.storage.db))?;
        cpu_micros(time, || self.sign())
    }

    fn sign(&self) -> anyhow::Result<()> {
        std::hint::black_box(self.issuer.access_token(
            &self.granted,
            self.issuer.life(),
            Clock::System.now(),
        )?);
        Ok(())
    }

    /// CPU time to decode a refresh token and encode its successor, in microseconds.
    pub(crate) fn codec(&self, time: Duration) -> anyhow::Result<f64> {
        let token = self.tokens.encode(self.granted.session_id, self.granted.generation)?;
        cpu_micros(time, || {
            let presented = self.tokens.decode(std::hint::black_box(&token));
            let presented =
                presented.ok_or_else(|| anyhow::anyhow!("the token cannot be decoded"))?;
            std::hint::black_box(
                self.tokens.encode(presented.session_id, presented.generation + 1)?,
            );
            Ok(())
        })
    }

    /// Lets each of `users` rotate its token repeatedly, with one task per user. Returns the number
    /// of rotations per second, all committed to disk, and the CPU time of a rotation in this
    /// process, in microseconds.
    pub(crate) fn rotations(
        &self,
        users: &mut Vec<User>,
        time: Duration,
    ) -> anyhow::Result<(f64, f64)> {
        let (start, cpu_before) = (Instant::now(), cpu_time("self"));
        let tasks: Vec<_> = users
            .drain(..)
            .map(|user| {
                let (rotation, tokens) = (Arc::clone(&self.rotation), Arc::clone(&self.tokens));
                self.runtime.spawn(rotate_repeatedly(rotation, tokens, user, start + time))
            })
            .collect();
        let mut total = 0;
        for task in tasks {
            let (user, rotations) = self.runtime.block_on(task)??;
            users.push(user);
            total += rotations;
        }
        let (elapsed, used) = (start.elapsed(), cpu_time("self").saturating_sub(cpu_before));
        Ok((as_float(total) / elapsed.as_secs_f64(), used.as_secs_f64() * 1e6 / as_float(total)))
    }

    /// Closes the connections to the database.
    pub(crate) fn close(self) {
        self.runtime.block_on(self.storage.db.close());
    }
}

/// Rotates the token of `user` until `end`, also after failures. Returns the user with the newest
/// token, and the number of rotations.
async fn rotate_repeatedly(
    rotation: Arc<Rotation>,
    tokens: Arc<RefreshTokens>,
    mut user: User,
    end: Instant,
) -> anyhow::Result<(User, usize)> {
    let newest = tokens.decode(&user.refresh_token);
    let mut newest = newest.ok_or_else(|| anyhow::anyhow!("not a refresh token of this server"))?;
    let (mut rotations, origin) = (0, Origin::default());
    while Instant::now() < end {
        let Ok(granted) = rotation.rotate(newest, HOLDER, &origin).await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        newest.generation = granted.generation;
        rotations += 1;
    }
    user.refresh_token = tokens.encode(newest.session_id, newest.generation)?;
    Ok((user, rotations))
}

/// The CPU time that the process uses per call of `work`, in microseconds. Time in which it waits
/// for a core does not count.
fn cpu_micros(time: Duration, mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let (start, cpu_before, mut calls) = (Instant::now(), cpu_time("self"), 0);
    while start.elapsed() < time {
        work()?;
        calls += 1;
    }
    Ok(cpu_time("self").saturating_sub(cpu_before).as_secs_f64() * 1e6 / as_float(calls))
}
