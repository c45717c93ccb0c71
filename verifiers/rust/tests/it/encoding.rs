//! JW-07: a token has exactly one valid encoding. All others are rejected, even if the signature
//! covers them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use signet_verifier::VerifyError;

use crate::harness::claims;
use crate::harness::encode;
use crate::harness::header;
use crate::harness::sign_encoded;
use crate::harness::valid_token;
use crate::harness::verify;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn parts(token: &str) -> [String; 3] {
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

fn assert_malformed(token: &str) {
    assert_eq!(verify(token), Err(VerifyError::Malformed), "{token}");
}

/// JW-07: the test flips all bits of the first byte, the last bit, and some between them.
#[test]
fn flipped_bit_in_the_signature_is_detected() {
    let [header, payload, signature] = parts(&valid_token());
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let bits = (0..signature.len() * 8).step_by(61).chain(0..8).chain([signature.len() * 8 - 1]);
    for bit in bits {
        let mut flipped = signature.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);

        let token = format!("{header}.{payload}.{}", encode(&flipped));

        assert_eq!(verify(&token), Err(VerifyError::BadSignature), "bit {bit}");
    }
}

/// JW-07: the signatures are empty, shorter, longer, with leading zeros, or all zeros.
#[test]
fn signature_of_another_length_is_rejected() {
    let [header, payload, signature] = parts(&valid_token());
    let token = |signature: &str| format!("{header}.{payload}.{signature}");
    let zeros = encode([0; 256]);

    let doubled = signature.repeat(2);
    for other in
        ["", &doubled, &signature[..340], &signature[4..], &format!("AAAA{signature}"), &zeros]
    {
        assert_eq!(verify(&token(other)), Err(VerifyError::BadSignature), "{other}");
    }
}

/// JW-07.
#[test]
fn token_without_exactly_three_parts_is_malformed() {
    let valid = valid_token();
    let [header, payload, signature] = parts(&valid);
    let cases = [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        header.clone(),
        format!("{header}.{payload}"),
        format!("{header}.{signature}"),
        format!(".{payload}.{signature}"),
        format!("{header}..{signature}"),
        format!("{valid}."),
        format!(".{valid}"),
        format!("{valid}.{signature}"),
        format!("{header}.{payload}..{signature}"),
        format!("{header}.{payload}.{payload}.{payload}.{signature}"),
    ];
    for token in cases {
        // `header..signature` has an empty payload that the signature does not cover.
        assert!(verify(&token).is_err(), "{token}");
        if token.split('.').count() != 3 {
            assert_malformed(&token);
        }
    }
}

/// JW-07
#[test]
fn truncated_token_is_rejected() {
    let valid = valid_token();
    for length in 0..valid.len() {
        assert!(verify(&valid[..length]).is_err(), "{length}");
    }
}

/// MUST-200, JW-07: the signature covers the non-canonical encoding, so only strict decoding can
/// reject the token.
#[test]
fn padding_whitespace_and_standard_base64_are_rejected() {
    let [good_header, good_payload] = [header().to_string(), claims().to_string()].map(encode);
    let corrupt: [fn(&str) -> String; 8] = [
        |part| format!("{part}="),
        |part| format!("{part}=="),
        |part| format!("{part}\n"),
        |part| format!(" {part}"),
        |part| format!("{}\r\n{}", &part[..8], &part[8..]),
        |part| format!("{part}\0"),
        |part| format!("{}+{}", &part[..8], &part[9..]),
        |part| format!("{}é{}", &part[..8], &part[9..]),
    ];
    for corrupt in corrupt {
        assert_malformed(&sign_encoded(&format!("{}.{good_payload}", corrupt(&good_header))));
        assert_malformed(&sign_encoded(&format!("{good_header}.{}", corrupt(&good_payload))));
        let [header, payload, signature] = parts(&valid_token());
        assert_malformed(&format!("{header}.{payload}.{}", corrupt(&signature)));
    }
    assert_malformed(&format!("Bearer {}", valid_token()));
}

/// JW-07: the last character of a part may have unused bits, which must be zero in the canonical
/// encoding (RFC 4648 §3.5).
#[test]
fn unused_bits_in_the_last_character_must_be_zero() {
    let pad_to = |text: String, remainder: usize| {
        let missing = (remainder + 3 - text.len() % 3) % 3;
        text + &" ".repeat(missing)
    };
    for (remainder, spare_bits) in [(1, 4), (2, 2)] {
        let header = encode(pad_to(header().to_string(), remainder));
        let payload = encode(pad_to(claims().to_string(), remainder));
        let others = |part: &str| -> Vec<String> {
            let (rest, last) = part.split_at(part.len() - 1);
            let value = ALPHABET.iter().position(|c| *c == last.as_bytes()[0]).unwrap();
            let with_bits = |bits: usize| format!("{rest}{}", char::from(ALPHABET[value + bits]));
            (1..1 << spare_bits).map(with_bits).collect()
        };

        assert!(verify(&sign_encoded(&format!("{header}.{payload}"))).is_ok());
        for other in others(&header) {
            assert_malformed(&sign_encoded(&format!("{other}.{payload}")));
        }
        for other in others(&payload) {
            assert_malformed(&sign_encoded(&format!("{header}.{other}")));
        }
    }

    // 256 bytes leave a remainder of 1, so the signature has four unused bits.
    let [header, payload, signature] = parts(&valid_token());
    let (rest, last) = signature.split_at(signature.len() - 1);
    for c in ALPHABET.iter().filter(|c| **c != last.as_bytes()[0]) {
        let token = format!("{header}.{payload}.{rest}{}", char::from(*c));
        assert!(verify(&token).is_err(), "{token}");
    }
}
