//! A signing key: generated or imported, identified by its thumbprint, encrypted for the database.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::JoseError;
use josekit::jwk::alg::rsa::RsaKeyPair;
use josekit::jwk::{Jwk, KeyPair};
use josekit::jws::RS256;
use openssl::bn::BigNum;
use openssl::error::ErrorStack;
use openssl::rsa::Rsa;
use serde_json::Value;

use crate::domain::keys::known_leaked;
use crate::domain::keys::seal::Sealer;
use crate::domain::keys::weakness::weakness_of;
use crate::entity::signing_key::{self, KeyState};
use crate::timestamp::Timestamp;

/// Why a key cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The text is not PEM, or is encrypted, or contains another kind of key.
    #[error("not an unencrypted RSA private key in PEM (PKCS #1 or PKCS #8)")]
    Unreadable,
    /// Too short for RS256 (RFC 7518 §3.3), or longer than verifiers accept.
    #[error("the modulus has {0} bits; it must have 2048 to 8192")]
    Length(u32),
    /// An exponent that verifiers do not accept.
    #[error("the public exponent must be 65537")]
    Exponent,
    /// The modulus can be factored.
    #[error("the key is weak: its modulus {0}")]
    Weak(&'static str),
    /// The private key is published in a document.
    #[error("the key is an example, whose private half is printed in {0}")]
    Published(&'static str),
    /// OpenSSL failed.
    #[error("the key cannot be examined: {0}")]
    OpenSsl(#[from] ErrorStack),
    /// The JOSE library failed.
    #[error("the key cannot be sealed: {0}")]
    Jose(#[from] JoseError),
}

/// Generates a pending key of `bits` bits.
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

/// Imports a key from PEM as pending, if it is as strong as a generated key.
pub(super) fn import(
    pem: &[u8],
    sealer: &Sealer,
    now: Timestamp,
) -> Result<signing_key::Model, ImportError> {
    // The callback below does not suffice to refuse encrypted keys: when it fails, OpenSSL tries an
    // empty pass phrase, which decrypts a key whose pass phrase is empty.
    if pem.windows(9).any(|word| word == b"ENCRYPTED") {
        return Err(ImportError::Unreadable);
    }
    // Without a callback, OpenSSL would prompt for a pass phrase on the terminal.
    let no_phrase = |_: &mut [u8]| Err(ErrorStack::get());
    let rsa = Rsa::private_key_from_pem_callback(pem, no_phrase);
    let rsa = rsa.map_err(|_| ImportError::Unreadable)?;
    examine(&rsa)?;
    let pair = RS256.key_pair_from_pem(rsa.private_key_to_pem()?)?;
    let row = row_of(&pair, sealer, now)?;
    match known_leaked::source_of(&row.kid) {
        Some(source) => Err(ImportError::Published(source)),
        None => Ok(row),
    }
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
        revoked_at: None,
    })
}

/// RFC 7638 §3: SHA-256 of the required members in lexicographic order, without white space.
pub(super) fn thumbprint(jwk: &Jwk) -> String {
    let member = |name| jwk.parameter(name).and_then(Value::as_str).unwrap_or_default();
    let canonical = format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, member("e"), member("n"));
    URL_SAFE_NO_PAD.encode(openssl::sha::sha256(canonical.as_bytes()))
}

/// KY-10: refuses keys that verifiers do not accept, and keys whose private half can be computed.
fn examine(rsa: &Rsa<openssl::pkey::Private>) -> Result<(), ImportError> {
    let bits = rsa.n().num_bits().unsigned_abs();
    if !(2048..=8192).contains(&bits) {
        return Err(ImportError::Length(bits));
    }
    if rsa.e() != &*BigNum::from_u32(65_537)? {
        return Err(ImportError::Exponent);
    }
    if !rsa.check_key()? {
        return Err(ImportError::Unreadable);
    }
    match weakness_of(rsa.n())? {
        Some(weakness) => Err(ImportError::Weak(weakness)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use openssl::bn::{BigNumContext, BigNumRef};
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;
    use openssl::pkey::{PKey, Private};
    use openssl::rsa::RsaPrivateKeyBuilder;
    use openssl::symm::Cipher;

    use super::*;
    use crate::domain::keys::weakness::tests::{close_primes, number};

    const NOW: Timestamp = Timestamp::from_micros(1_768_384_800_000_000);

    fn sealer() -> Sealer {
        Sealer::new(vec![[7; 32]])
    }

    fn try_import(pem: &[u8]) -> Result<signing_key::Model, ImportError> {
        import(pem, &sealer(), NOW)
    }

    fn try_rsa(rsa: &Rsa<Private>) -> Result<signing_key::Model, ImportError> {
        try_import(&rsa.private_key_to_pem().unwrap())
    }

    /// A consistent key with these factors.
    fn key_of(p: &BigNumRef, q: &BigNumRef) -> Rsa<Private> {
        let mut context = BigNumContext::new().unwrap();
        let mut minus_one = [p.to_owned().unwrap(), q.to_owned().unwrap()];
        for it in &mut minus_one {
            it.sub_word(1).unwrap();
        }
        let [mut modulus, mut phi, mut private, mut dp, mut dq, mut qi] =
            std::array::from_fn(|_| BigNum::new().unwrap());
        let public = number(65_537);
        modulus.checked_mul(p, q, &mut context).unwrap();
        phi.checked_mul(&minus_one[0], &minus_one[1], &mut context).unwrap();
        private.mod_inverse(&public, &phi, &mut context).unwrap();
        dp.nnmod(&private, &minus_one[0], &mut context).unwrap();
        dq.nnmod(&private, &minus_one[1], &mut context).unwrap();
        qi.mod_inverse(q, p, &mut context).unwrap();
        let builder = RsaPrivateKeyBuilder::new(modulus, public, private).unwrap();
        let builder = builder.set_factors(p.to_owned().unwrap(), q.to_owned().unwrap()).unwrap();
        builder.set_crt_params(dp, dq, qi).unwrap().build()
    }

    /// KY-10: the key of RFC 7515 §A.2, from its factors.
    #[test]
    fn key_published_in_an_rfc_is_rejected() {
        let factor = |text: &str| BigNum::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap());
        let p = "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB\
                 0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDw\
                 GUc";
        let q = "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul\
                 7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9R\
                 Wdc";

        let refused = try_rsa(&key_of(&factor(p).unwrap(), &factor(q).unwrap())).unwrap_err();

        assert!(matches!(refused, ImportError::Published(_)), "{refused}");
        assert!(refused.to_string().contains("RFC 7515"), "{refused}");
    }

    #[test]
    fn valid_key_is_accepted_in_both_formats_and_named_by_its_thumbprint() {
        let rsa = Rsa::generate(2048).unwrap();
        let pkcs1 = rsa.private_key_to_pem().unwrap();
        let pkcs8 = PKey::from_rsa(rsa.clone()).unwrap().private_key_to_pem_pkcs8().unwrap();
        assert!(pkcs1.starts_with(b"-----BEGIN RSA PRIVATE KEY"));
        assert!(pkcs8.starts_with(b"-----BEGIN PRIVATE KEY"));

        let rows = [pkcs1, pkcs8].map(|pem| try_import(&pem).unwrap());

        for row in &rows {
            let public = Jwk::from_bytes(&row.public_jwk).unwrap();
            let member = |name| public.parameter(name).unwrap().as_str().unwrap();
            assert_eq!(member("n"), URL_SAFE_NO_PAD.encode(rsa.n().to_vec()));
            assert_eq!((member("e"), member("alg"), member("use")), ("AQAB", "RS256", "sig"));
            assert_eq!((member("kid"), &row.kid), (row.kid.as_str(), &thumbprint(&public)));
            assert_eq!(public.parameter("d"), None);
            assert_eq!((row.state, row.created_at), (KeyState::Pending, NOW));
            let private = Jwk::from_bytes(sealer().open(&row.sealed_jwk).unwrap()).unwrap();
            let d = private.parameter("d").unwrap().as_str().unwrap();
            assert_eq!(d, URL_SAFE_NO_PAD.encode(rsa.d().to_vec()));
        }
        assert_eq!(rows[0].kid, rows[1].kid);
    }

    #[test]
    fn key_of_an_unsafe_length_is_rejected() {
        for bits in [1024, 2040] {
            let refused = try_rsa(&Rsa::generate(bits).unwrap());
            assert!(matches!(refused, Err(ImportError::Length(length)) if length == bits));
        }
    }

    #[test]
    fn key_with_another_exponent_is_rejected() {
        for exponent in [3, 17] {
            let rsa = Rsa::generate_with_e(2048, &number(exponent)).unwrap();
            assert!(matches!(try_rsa(&rsa), Err(ImportError::Exponent)));
        }
    }

    /// KY-10
    #[test]
    fn weak_key_is_rejected() {
        let [p, q] = close_primes();

        let refused = try_rsa(&key_of(&p, &q));

        assert!(matches!(refused, Err(ImportError::Weak(why)) if why.contains("CVE-2022-26320")));
    }

    /// A key with inconsistent parts would create signatures that no verifier accepts.
    #[test]
    fn inconsistent_key_is_rejected() {
        let (one, other) = (Rsa::generate(2048).unwrap(), Rsa::generate(2048).unwrap());
        let mixed = RsaPrivateKeyBuilder::new(
            one.n().to_owned().unwrap(),
            one.e().to_owned().unwrap(),
            other.d().to_owned().unwrap(),
        );
        let factors = [one.p(), one.q()].map(|it| it.unwrap().to_owned().unwrap());
        let [p, q] = factors;
        let crt = [one.dmp1(), one.dmq1(), one.iqmp()].map(|it| it.unwrap().to_owned().unwrap());
        let [dp, dq, qi] = crt;
        let mixed = mixed.unwrap().set_factors(p, q).unwrap().set_crt_params(dp, dq, qi).unwrap();

        let refused = try_rsa(&mixed.build());

        assert!(refused.is_err());
    }

    #[test]
    fn text_that_is_no_unencrypted_rsa_private_key_is_rejected() {
        let rsa = Rsa::generate(2048).unwrap();
        let pkey = PKey::from_rsa(rsa.clone()).unwrap();
        let aes = Cipher::aes_256_cbc();
        let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let ec = EcKey::generate(&curve).unwrap();
        let pem = rsa.private_key_to_pem().unwrap();

        for (case, pem) in [
            ("a curve", ec.private_key_to_pem().unwrap()),
            ("a curve", PKey::from_ec_key(ec).unwrap().private_key_to_pem_pkcs8().unwrap()),
            ("Ed25519", PKey::generate_ed25519().unwrap().private_key_to_pem_pkcs8().unwrap()),
            ("encrypted", rsa.private_key_to_pem_passphrase(aes, b"secret").unwrap()),
            ("encrypted", pkey.private_key_to_pem_pkcs8_passphrase(aes, b"secret").unwrap()),
            ("empty pass phrase", pkey.private_key_to_pem_pkcs8_passphrase(aes, b"").unwrap()),
            ("public", rsa.public_key_to_pem().unwrap()),
            ("public", rsa.public_key_to_pem_pkcs1().unwrap()),
            ("DER", rsa.private_key_to_der().unwrap()),
            ("truncated", pem[..pem.len() / 2].to_vec()),
            ("garbage", vec![0xff; 300]),
            ("nothing", Vec::new()),
        ] {
            assert!(matches!(try_import(&pem), Err(ImportError::Unreadable)), "{case}");
        }
    }
}
