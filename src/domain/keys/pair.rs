//! One signing key: made here or brought along, named by its thumbprint, sealed for the database.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::JoseError;
use josekit::jwk::alg::rsa::RsaKeyPair;
use josekit::jwk::{Jwk, KeyPair};
use josekit::jws::RS256;
use openssl::bn::{BigNum, BigNumContext};
use openssl::error::ErrorStack;
use openssl::rsa::Rsa;
use serde_json::Value;

use crate::domain::keys::seal::Sealer;
use crate::entity::signing_key::{self, KeyState};
use crate::timestamp::Timestamp;

/// Why a key cannot be brought along.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Not PEM, or of another kind.
    #[error("not an unencrypted RSA private key in PEM (PKCS #1 or PKCS #8)")]
    Unreadable,
    /// Too short for RS256 (RFC 7518 §3.3), or longer than verifiers accept.
    #[error("the modulus has {bits} bits; it must have 2048 to 8192")]
    Length {
        /// What it has.
        bits: u32,
    },
    /// An exponent that verifiers do not expect.
    #[error("the public exponent must be 65537")]
    Exponent,
    /// The factors can be found.
    #[error("the key is weak: its modulus {0}")]
    Weak(&'static str),
    /// OpenSSL failed.
    #[error("the key cannot be examined: {0}")]
    OpenSsl(#[from] ErrorStack),
    /// The library failed.
    #[error("the key cannot be sealed: {0}")]
    Jose(#[from] JoseError),
}

/// Makes a key of `bits` bits, in state pending.
///
/// # Errors
/// If the library fails.
pub(super) fn generate(
    sealer: &Sealer,
    bits: u32,
    now: Timestamp,
) -> Result<signing_key::Model, JoseError> {
    row_of(&RS256.generate_key_pair(bits)?, sealer, now)
}

/// Takes a key from PEM, in state pending, if it is as good as one made here.
pub(super) fn import(
    pem: &[u8],
    sealer: &Sealer,
    now: Timestamp,
) -> Result<signing_key::Model, ImportError> {
    let rsa = Rsa::private_key_from_pem(pem).map_err(|_| ImportError::Unreadable)?;
    examine(&rsa)?;
    let pair = RS256.key_pair_from_pem(rsa.private_key_to_pem()?)?;
    Ok(row_of(&pair, sealer, now)?)
}

fn row_of(
    pair: &RsaKeyPair,
    sealer: &Sealer,
    now: Timestamp,
) -> Result<signing_key::Model, JoseError> {
    let mut public = pair.to_jwk_public_key();
    let kid = thumbprint(&public);
    public.set_key_id(&kid);
    public.set_key_use("sig");
    public.set_algorithm("RS256");
    let sealed_jwk = sealer.seal(pair.to_jwk_private_key().to_string().as_bytes())?;
    Ok(signing_key::Model {
        kid,
        algorithm: "RS256".to_owned(),
        state: KeyState::Pending,
        public_jwk: public.to_string(),
        sealed_jwk,
        created_at: now,
        activated_at: None,
        retired_at: None,
        activate_at: None,
        remove_at: None,
    })
}

/// RFC 7638 §3: SHA-256 of the required members in lexicographic order, without white space.
pub(super) fn thumbprint(jwk: &Jwk) -> String {
    let member = |name| jwk.parameter(name).and_then(Value::as_str).unwrap_or_default();
    let canonical = format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, member("e"), member("n"));
    URL_SAFE_NO_PAD.encode(openssl::sha::sha256(canonical.as_bytes()))
}

/// KY-10: refuses keys whose private half others can compute.
fn examine(rsa: &Rsa<openssl::pkey::Private>) -> Result<(), ImportError> {
    let bits = rsa.n().num_bits().unsigned_abs();
    if !(2048..=8192).contains(&bits) {
        return Err(ImportError::Length { bits });
    }
    if rsa.e() != &*BigNum::from_u32(65_537)? {
        return Err(ImportError::Exponent);
    }
    if !rsa.check_key()? {
        return Err(ImportError::Unreadable);
    }
    if has_close_factors(rsa.n())? {
        return Err(ImportError::Weak("is the product of two close primes (CVE-2022-26320)"));
    }
    if is_of_roca(rsa.n())? {
        return Err(ImportError::Weak("has the form of the ROCA flaw (CVE-2017-15361)"));
    }
    Ok(())
}

/// Fermat's factorisation, a hundred steps of it: enough for every key that a broken generator is
/// known to have made.
fn has_close_factors(n: &openssl::bn::BigNumRef) -> Result<bool, ErrorStack> {
    let mut context = BigNumContext::new()?;
    let mut root = integer_root(n, &mut context)?;
    for _ in 0..100 {
        let mut square = BigNum::new()?;
        square.sqr(&root, &mut context)?;
        let mut rest = BigNum::new()?;
        rest.checked_sub(&square, n)?;
        if !rest.is_negative() {
            let side = integer_root(&rest, &mut context)?;
            let mut side_squared = BigNum::new()?;
            side_squared.sqr(&side, &mut context)?;
            if side_squared == rest {
                return Ok(true);
            }
        }
        root.add_word(1)?;
    }
    Ok(false)
}

/// The largest integer whose square is at most `n`, by Newton's method.
fn integer_root(
    n: &openssl::bn::BigNumRef,
    context: &mut BigNumContext,
) -> Result<BigNum, ErrorStack> {
    let mut guess = BigNum::new()?;
    guess.set_bit(n.num_bits() / 2 + 1)?;
    loop {
        let mut quotient = BigNum::new()?;
        if guess.num_bits() == 0 {
            return Ok(guess);
        }
        quotient.checked_div(n, &guess, context)?;
        let mut sum = BigNum::new()?;
        sum.checked_add(&guess, &quotient)?;
        let mut next = BigNum::new()?;
        next.rshift1(&sum)?;
        if next >= guess {
            return Ok(guess);
        }
        guess = next;
    }
}

/// Nemec et al., "The Return of Coppersmith's Attack" (2017) §4: modulo each of these primes, such
/// a modulus is a power of 65537.
fn is_of_roca(n: &openssl::bn::BigNumRef) -> Result<bool, ErrorStack> {
    const PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89,
        97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    for prime in PRIMES {
        let rest = n.mod_word(prime)?;
        let is_power =
            std::iter::successors(Some(1), |power| Some(power * 65_537 % u64::from(prime)))
                .take(usize::try_from(prime).unwrap_or(usize::MAX))
                .any(|power| power == rest);
        if !is_power {
            return Ok(false);
        }
    }
    Ok(true)
}
