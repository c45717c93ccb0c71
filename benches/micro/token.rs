//! Signing and verifying access tokens, compared with bare RSA.

use divan::Bencher;
use openssl::hash::MessageDigest;
use openssl::sign::{Signer, Verifier};

use crate::keys::{Keys, NOW, granted, rsa_key};

/// A message as long as the signed part of a token.
const MESSAGE: [u8; 700] = [b'm'; 700];

#[divan::bench]
fn sign(bencher: Bencher) {
    let (keys, granted) = (Keys::create().unwrap(), granted());
    bencher.bench_local(|| keys.issuer.access_token(&granted, keys.issuer.life(), NOW).unwrap());
}

#[divan::bench]
fn sign_bare(bencher: Bencher) {
    let key = rsa_key().unwrap();
    let mut signature = vec![0; key.size()];
    bencher.bench_local(|| {
        let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
        signer.sign_oneshot(&mut signature, &MESSAGE).unwrap()
    });
}

#[divan::bench]
fn verify(bencher: Bencher) {
    let keys = Keys::create().unwrap();
    let token = keys.issuer.access_token(&granted(), keys.issuer.life(), NOW).unwrap();
    let ring = keys.storage.ring.current();
    let public = &ring.verification_keys;
    bencher.bench_local(|| keys.verifier.verify(public, &token, NOW.as_seconds()).unwrap());
}

#[divan::bench]
fn verify_bare(bencher: Bencher) {
    let key = rsa_key().unwrap();
    let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
    let signature = signer.sign_oneshot_to_vec(&MESSAGE).unwrap();
    bencher.bench_local(|| {
        let mut verifier = Verifier::new(MessageDigest::sha256(), &key).unwrap();
        assert!(verifier.verify_oneshot(&signature, &MESSAGE).unwrap());
    });
}
