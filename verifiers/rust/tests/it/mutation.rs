//! JW-07: of twenty thousand mutated tokens, none is accepted and none causes a panic.

use signet_verifier::KeySet;

use crate::harness::KEYS;
use crate::harness::NOW;
use crate::harness::claims;
use crate::harness::header;
use crate::harness::public_jwk;
use crate::harness::sign;
use crate::harness::valid_token;
use crate::harness::verifier;
use crate::harness::verify;

/// Bytes with a meaning in base64url, JSON or a compact JWS.
const INTERESTING: &[u8] = b".=_-+/AZaz09\"{}[],:\\u \n\0\x7f";

/// The generator xorshift64. Each run uses the same sequence, so failures are reproducible.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        INTERESTING[self.below(INTERESTING.len())]
    }

    /// Makes one to four small changes.
    fn mutate(&mut self, original: &[u8]) -> Vec<u8> {
        let mut bytes = original.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len().max(1));
            let end = (at + self.below(20)).min(bytes.len());
            match self.below(5) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(7),
                1 if at < bytes.len() => bytes[at] = self.byte(),
                2 => bytes.insert(at.min(bytes.len()), self.byte()),
                3 => drop(bytes.drain(at.min(end)..end)),
                _ => {
                    let copy = bytes[at.min(end)..end].to_vec();
                    let to = self.below(bytes.len() + 1);
                    bytes.splice(to..to, copy);
                }
            }
        }
        bytes
    }
}

#[test]
fn mutated_token_is_never_accepted() {
    let valid = valid_token();
    let mut random = Random(0x5169_6e65_7421);
    for _ in 0..20_000 {
        let mutated = random.mutate(valid.as_bytes());
        let Ok(mutated) = String::from_utf8(mutated) else { continue };
        assert!(mutated == valid || verify(&mutated).is_err(), "{mutated}");
    }
}

/// The tokens are signed after the mutation, so the parsers get input that no attacker can produce.
/// The verifier may accept a token or not, but must not panic.
#[test]
fn mutated_and_signed_header_or_payload_never_panics() {
    let [header, claims] = [header(), claims()].map(|part| part.to_string());
    let mut random = Random(0x0bad_cafe);
    for round in 0..1_500 {
        let token = if round % 2 == 0 {
            sign(random.mutate(header.as_bytes()), &claims)
        } else {
            sign(&header, random.mutate(claims.as_bytes()))
        };
        for now in [0, NOW, u64::MAX] {
            let _outcome = verifier().verify(&KEYS, &token, now);
        }
    }
}

#[test]
fn mutated_key_set_never_panics_and_never_yields_another_key() {
    let jwks = serde_json::json!({"keys": [public_jwk()]}).to_string();
    let valid = valid_token();
    let mut random = Random(0x5e7_0f4e);
    for _ in 0..5_000 {
        if let Ok(keys) = KeySet::from_json(&random.mutate(jwks.as_bytes())) {
            let _outcome = verifier().verify(&keys, &valid, NOW);
            assert!(keys.len() <= 1);
        }
    }
}
