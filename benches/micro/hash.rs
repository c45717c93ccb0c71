//! One password hash: in the hashing pool, with bare Argon2id, and on tokio's blocking threads.

use std::time::Duration;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use divan::Bencher;
use signet::domain::keys::MacKey;
use signet::domain::password::{Cost, Hasher, Password, PoolSettings};
use tokio::runtime::{Builder, Runtime};

const PASSWORD: &str = "Analytical-Engine-1843";

fn runtime() -> Runtime {
    Builder::new_multi_thread().enable_all().build().unwrap()
}

fn argon2id() -> Argon2<'static> {
    let Cost { memory_kib, iterations, parallelism } = Cost::default();
    let params = Params::new(memory_kib, iterations, parallelism, Some(32)).unwrap();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(argon2: &Argon2<'_>, memory: &mut [Block]) -> [u8; 32] {
    let mut tag = [0; 32];
    let salt = [7; 16];
    argon2.hash_password_into_with_memory(PASSWORD.as_bytes(), &salt, &mut tag, memory).unwrap();
    tag
}

#[divan::bench(sample_count = 50)]
fn pool(bencher: Bencher) {
    let runtime = runtime();
    let (backlog, patience) = (Duration::from_mins(1), Duration::from_mins(1));
    let settings = PoolSettings { threads: 1, backlog, patience, ipv6_prefix: 64 };
    let key = MacKey::from_bytes(&[7; 32]).unwrap();
    let hasher = Hasher::start(Cost::default(), settings, key).unwrap();
    let password = Password::parse(PASSWORD).unwrap();
    bencher.bench_local(|| runtime.block_on(hasher.hash(password.clone(), None)).unwrap());
}

#[divan::bench(sample_count = 50)]
fn bare_with_reused_memory(bencher: Bencher) {
    let argon2 = argon2id();
    let mut memory = vec![Block::new(); argon2.params().block_count()];
    bencher.bench_local(|| hash(&argon2, &mut memory));
}

#[divan::bench(sample_count = 50)]
fn blocking_threads_with_new_memory(bencher: Bencher) {
    let (runtime, argon2) = (runtime(), argon2id());
    bencher.bench_local(|| {
        let argon2 = argon2.clone();
        let work = move || hash(&argon2, &mut vec![Block::new(); argon2.params().block_count()]);
        runtime.block_on(async { tokio::task::spawn_blocking(work).await }).unwrap()
    });
}
