//! Encoding and decoding of refresh tokens, with their HMAC but without the database.

use divan::Bencher;
use uuid::Uuid;

use crate::keys::Keys;

#[divan::bench]
fn encode(bencher: Bencher) {
    let keys = Keys::create().unwrap();
    bencher.bench_local(|| keys.refresh_tokens.encode(Uuid::from_u128(1), 7).unwrap());
}

#[divan::bench]
fn decode(bencher: Bencher) {
    let keys = Keys::create().unwrap();
    let token = keys.refresh_tokens.encode(Uuid::from_u128(1), 7).unwrap();
    bencher.bench_local(|| keys.refresh_tokens.decode(&token).unwrap());
}
