//! Detects RSA moduli that can be factored, because a flawed generator created them.

use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::error::ErrorStack;

/// The weakness of a modulus. `None` if it has no known weakness.
pub(super) fn weakness_of(n: &BigNumRef) -> Result<Option<&'static str>, ErrorStack> {
    if has_close_factors(n)? {
        return Ok(Some("is the product of two close primes (CVE-2022-26320)"));
    }
    if has_roca_form(n)? {
        return Ok(Some("has the form of the ROCA flaw (CVE-2017-15361)"));
    }
    Ok(None)
}

/// Runs a hundred steps of Fermat's factorisation. This is enough for every key that a flawed
/// generator is known to have created.
fn has_close_factors(n: &BigNumRef) -> Result<bool, ErrorStack> {
    let mut context = BigNumContext::new()?;
    let mut root = integer_root(n, &mut context)?;
    for _ in 0..100 {
        let mut square = BigNum::new()?;
        square.sqr(&root, &mut context)?;
        let mut difference = BigNum::new()?;
        difference.checked_sub(&square, n)?;
        if !difference.is_negative() {
            let side = integer_root(&difference, &mut context)?;
            let mut side_squared = BigNum::new()?;
            side_squared.sqr(&side, &mut context)?;
            if side_squared == difference {
                return Ok(true);
            }
        }
        root.add_word(1)?;
    }
    Ok(false)
}

/// The largest integer whose square is at most `n`, by Newton's method.
fn integer_root(n: &BigNumRef, context: &mut BigNumContext) -> Result<BigNum, ErrorStack> {
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

/// Whether a modulus is a power of 65537 modulo each of these primes. This is true of every modulus
/// with the ROCA flaw (Nemec et al., "The Return of Coppersmith's Attack", 2017, §4).
fn has_roca_form(n: &BigNumRef) -> Result<bool, ErrorStack> {
    const PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89,
        97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    for prime in PRIMES {
        let remainder = n.mod_word(prime)?;
        let is_power =
            std::iter::successors(Some(1), |power| Some(power * 65_537 % u64::from(prime)))
                .take(usize::try_from(prime).unwrap_or(usize::MAX))
                .any(|power| power == remainder);
        if !is_power {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn context() -> BigNumContext {
        BigNumContext::new().unwrap()
    }

    pub(in crate::domain::keys) fn number(value: u32) -> BigNum {
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

    /// The smallest prime that is not below the odd `number`.
    fn prime_from(mut number: BigNum) -> BigNum {
        while !is_prime(&number) {
            number.add_word(2).unwrap();
        }
        number
    }

    /// The primes up to 167. The flawed library computed its keys from their product.
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

    /// A 1024-bit prime of the form in which the flawed library created primes:
    /// k·M + (65537^a mod M), where M is [`roca_product`].
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

    fn product(p: &BigNum, q: &BigNum) -> BigNum {
        let mut product = BigNum::new().unwrap();
        product.checked_mul(p, q, &mut context()).unwrap();
        product
    }

    /// Two adjacent 1024-bit primes.
    pub(in crate::domain::keys) fn close_primes() -> [BigNum; 2] {
        let p = prime_from(random(1024));
        let mut next = p.to_owned().unwrap();
        next.add_word(2).unwrap();
        [p, prime_from(next)]
    }

    /// KY-10
    #[test]
    fn close_primes_are_weak() {
        let [p, next] = close_primes();
        // The lower half of the bits differs, so Fermat's method takes a few steps.
        let mut further = next.to_owned().unwrap();
        further.set_bit(514).unwrap();

        for q in [next, prime_from(further)] {
            let weakness = weakness_of(&product(&p, &q)).unwrap();
            assert!(weakness.is_some_and(|it| it.contains("CVE-2022-26320")), "{weakness:?}");
        }
    }

    #[test]
    fn square_has_close_factors_and_distant_factors_are_not_close() {
        let (p, q) = (prime_from(random(1024)), prime_from(random(1020)));

        assert!(has_close_factors(&product(&p, &p)).unwrap());
        assert!(!has_close_factors(&product(&p, &q)).unwrap());
    }

    /// KY-10
    #[test]
    fn roca_modulus_is_weak() {
        let weakness = weakness_of(&product(&roca_prime(), &roca_prime())).unwrap();

        assert!(weakness.is_some_and(|it| it.contains("CVE-2017-15361")), "{weakness:?}");
    }

    /// Every prime of the list is checked. A modulus that fails the check for one of them does not
    /// have the flaw.
    #[test]
    fn modulus_that_fails_one_prime_is_not_roca() {
        let n = product(&roca_prime(), &roca_prime());
        assert!(has_roca_form(&n).unwrap());

        for prime in roca_primes().into_iter().skip(1) {
            let mut step = roca_product().to_owned().unwrap();
            assert_eq!(step.div_word(prime).unwrap(), 0);
            // Changes the remainder modulo `prime` only, until it is zero.
            let mut other = n.to_owned().unwrap();
            while other.mod_word(prime).unwrap() != 0 {
                let mut sum = BigNum::new().unwrap();
                sum.checked_add(&other, &step).unwrap();
                other = sum;
            }
            assert!(!has_roca_form(&other).unwrap(), "{prime}");
        }
        for _ in 0..100 {
            assert!(!has_roca_form(&random(2048)).unwrap());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn integer_square_root_is_exact_or_rounded_down(
            bytes in proptest::collection::vec(any::<u8>(), 0..300)
        ) {
            let n = BigNum::from_slice(&bytes).unwrap();
            let mut root = integer_root(&n, &mut context()).unwrap();

            let mut square = BigNum::new().unwrap();
            square.sqr(&root, &mut context()).unwrap();
            prop_assert!(square <= n);
            // The root of a square is exact.
            prop_assert!(integer_root(&square, &mut context()).unwrap() == root);
            root.add_word(1).unwrap();
            square.sqr(&root, &mut context()).unwrap();
            prop_assert!(square > n);
        }
    }
}
