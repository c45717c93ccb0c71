//! Proof Key for Code Exchange (RFC 7636), with method `S256` only.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::sha::sha256;

/// Whether a text can be an `S256` challenge, which is the base64url of 32 bytes.
#[must_use]
pub fn is_challenge(challenge: &str) -> bool {
    challenge.len() == 43 && URL_SAFE_NO_PAD.decode(challenge).is_ok()
}

/// Whether `verifier` matches `challenge`.
///
/// A verifier must consist of 43 to 128 unreserved characters (RFC 7636 §4.1).
#[must_use]
pub fn proves(verifier: &str, challenge: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let is_verifier = (43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved);
    // Plain `==` is safe, because an attacker chooses the verifier and not its digest.
    is_verifier && URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes())) == challenge
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MUST-082: RFC 7636 appendix B. MUST-090: lengths and alphabet.
    #[test]
    fn verifier_matches_only_its_own_challenge() {
        let (verifier, challenge) = (
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        );

        assert!(proves(verifier, challenge));
        assert!(is_challenge(challenge));
        for other in [&verifier[1..], "", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK"] {
            assert!(!proves(other, challenge), "{other}");
        }
        let challenge_of = |text: &str| URL_SAFE_NO_PAD.encode(sha256(text.as_bytes()));
        for (text, expected) in [
            ("a".repeat(42), false),
            ("a".repeat(43), true),
            ("a".repeat(128), true),
            ("a".repeat(129), false),
            (format!("{}+", "a".repeat(43)), false),
            (format!("{}é", "a".repeat(43)), false),
        ] {
            assert_eq!(proves(&text, &challenge_of(&text)), expected, "{text}");
        }
        for no_challenge in ["", &challenge[1..], &format!("{challenge}="), &"+".repeat(43)] {
            assert!(!is_challenge(no_challenge), "{no_challenge}");
        }
    }
}
