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

use crate::domain::keys::published;
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
    /// Everybody has it.
    #[error("the key is an example, whose private half is printed in {0}")]
    Published(&'static str),
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
    // Without an answer of ours, OpenSSL would ask the terminal for a pass phrase; and no answer
    // opens a key whose phrase is empty.
    if pem.windows(9).any(|word| word == b"ENCRYPTED") {
        return Err(ImportError::Unreadable);
    }
    let no_phrase = |_: &mut [u8]| Err(ErrorStack::get());
    let rsa = Rsa::private_key_from_pem_callback(pem, no_phrase);
    let rsa = rsa.map_err(|_| ImportError::Unreadable)?;
    examine(&rsa)?;
    let pair = RS256.key_pair_from_pem(rsa.private_key_to_pem()?)?;
    let row = row_of(&pair, sealer, now)?;
    match published::source_of(&row.kid) {
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

#[cfg(test)]
mod tests {
    use openssl::bn::BigNumRef;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;
    use openssl::pkey::{PKey, Private};
    use openssl::rsa::RsaPrivateKeyBuilder;
    use openssl::symm::Cipher;
    use proptest::prelude::*;

    use super::*;

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

    fn context() -> BigNumContext {
        BigNumContext::new().unwrap()
    }

    fn number(value: u32) -> BigNum {
        BigNum::from_u32(value).unwrap()
    }

    fn random(bits: i32) -> BigNum {
        let mut number = BigNum::new().unwrap();
        number.rand(bits, openssl::bn::MsbOption::TWO_ONES, true).unwrap();
        number
    }

    fn is_prime(number: &BigNum) -> bool {
        number.is_prime_fasttest(10, &mut context(), true).unwrap()
    }

    /// The first prime from an odd `number` on.
    fn prime_from(mut number: BigNum) -> BigNum {
        while !is_prime(&number) {
            number.add_word(2).unwrap();
        }
        number
    }

    /// A whole and consistent key of these factors.
    fn key_of(p: &BigNumRef, q: &BigNumRef) -> Rsa<Private> {
        let mut context = context();
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

    /// The product of the primes up to 167, which every modulus of the ROCA flaw is built on.
    fn roca_primes() -> Vec<u32> {
        (2..=167).filter(|n| (2..*n).all(|divisor| n % divisor != 0)).collect()
    }

    fn roca_product() -> BigNum {
        let mut product = number(1);
        for prime in roca_primes() {
            product.mul_word(prime).unwrap();
        }
        product
    }

    /// A prime of 1024 bits as the flawed library made them: k·M + (65537^a mod M).
    fn roca_prime() -> BigNum {
        let (mut context, product) = (context(), roca_product());
        loop {
            let (mut power, mut prime) = (BigNum::new().unwrap(), BigNum::new().unwrap());
            power.mod_exp(&number(65_537), &random(60), &product, &mut context).unwrap();
            prime.checked_mul(&random(1025 - product.num_bits()), &product, &mut context).unwrap();
            let mut sum = BigNum::new().unwrap();
            sum.checked_add(&prime, &power).unwrap();
            if sum.num_bits() == 1024 && is_prime(&sum) {
                return sum;
            }
        }
    }

    /// KY-10: the key of RFC 7515 §A.2, from its factors.
    #[test]
    fn a_key_that_is_printed_in_a_document_is_refused() {
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
    fn a_good_key_is_taken_in_either_form_and_named_by_its_thumbprint() {
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
    fn a_key_of_a_length_that_is_not_safe_is_refused() {
        for bits in [1024, 2040] {
            let refused = try_rsa(&Rsa::generate(bits).unwrap());
            assert!(matches!(refused, Err(ImportError::Length { bits: told }) if told == bits));
        }
    }

    #[test]
    fn a_key_with_another_exponent_is_refused() {
        for exponent in [3, 17] {
            let rsa = Rsa::generate_with_e(2048, &number(exponent)).unwrap();
            assert!(matches!(try_rsa(&rsa), Err(ImportError::Exponent)));
        }
    }

    /// KY-10
    #[test]
    fn a_key_of_close_primes_is_refused() {
        let p = prime_from(random(1024));
        let next = || {
            let mut next = p.to_owned().unwrap();
            next.add_word(2).unwrap();
            next
        };
        // The lower half of the bits differs: a few steps of Fermat's, not the first one.
        let mut further = next();
        further.set_bit(514).unwrap();

        for q in [prime_from(next()), prime_from(further)] {
            let refused = try_rsa(&key_of(&p, &q));
            assert!(
                matches!(refused, Err(ImportError::Weak(why)) if why.contains("CVE-2022-26320"))
            );
        }
    }

    #[test]
    fn a_square_has_close_factors_and_far_ones_are_not_close() {
        let (p, q) = (prime_from(random(1024)), prime_from(random(1020)));
        let (mut square, mut product) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        square.sqr(&p, &mut context()).unwrap();
        product.checked_mul(&p, &q, &mut context()).unwrap();

        assert!(has_close_factors(&square).unwrap());
        assert!(!has_close_factors(&product).unwrap());
    }

    /// KY-10
    #[test]
    fn a_key_as_the_roca_flaw_made_them_is_refused() {
        let refused = try_rsa(&key_of(&roca_prime(), &roca_prime()));

        assert!(matches!(refused, Err(ImportError::Weak(why)) if why.contains("CVE-2017-15361")));
    }

    /// Every prime of the list counts: a modulus that fails one of them is of another origin.
    #[test]
    fn a_modulus_that_fails_one_prime_of_the_list_is_not_of_the_roca_form() {
        let (mut context, product) = (context(), roca_product());
        let mut n = BigNum::new().unwrap();
        n.checked_mul(&roca_prime(), &roca_prime(), &mut context).unwrap();
        assert!(is_of_roca(&n).unwrap());

        for prime in roca_primes().into_iter().skip(1) {
            let mut step = product.to_owned().unwrap();
            assert_eq!(step.div_word(prime).unwrap(), 0);
            // Changes what is left modulo `prime` alone, until that is zero.
            let mut other = n.to_owned().unwrap();
            while other.mod_word(prime).unwrap() != 0 {
                let mut sum = BigNum::new().unwrap();
                sum.checked_add(&other, &step).unwrap();
                other = sum;
            }
            assert!(!is_of_roca(&other).unwrap(), "{prime}");
        }
        for _ in 0..100 {
            assert!(!is_of_roca(&random(2048)).unwrap());
        }
    }

    /// A key that does not fit together would make signatures that nobody accepts.
    #[test]
    fn a_key_whose_parts_do_not_fit_together_is_refused() {
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
    fn what_is_no_unencrypted_rsa_private_key_is_refused() {
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
            ("with no phrase", pkey.private_key_to_pem_pkcs8_passphrase(aes, b"").unwrap()),
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

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn the_integer_root_is_the_largest_whose_square_fits(
            bytes in proptest::collection::vec(any::<u8>(), 0..300)
        ) {
            let n = BigNum::from_slice(&bytes).unwrap();
            let mut root = integer_root(&n, &mut context()).unwrap();

            let mut square = BigNum::new().unwrap();
            square.sqr(&root, &mut context()).unwrap();
            prop_assert!(square <= n);
            // Of a square it is exact.
            prop_assert!(integer_root(&square, &mut context()).unwrap() == root);
            root.add_word(1).unwrap();
            square.sqr(&root, &mut context()).unwrap();
            prop_assert!(square > n);
        }
    }
}
