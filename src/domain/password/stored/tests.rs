use std::sync::Arc;

use argon2::{Algorithm, Argon2, AssociatedData, ParamsBuilder, Version};

use super::{Stored, Unreadable, check_stored};
use crate::domain::password::cost::Cost;
use crate::domain::password::phc::encode;
use crate::domain::password::typed::Password;
use crate::domain::password::workspace::{Tally, Workspace};

const PASSWORD: &str = "Correct-Horse7-Battery";

fn matches(hash: &str, typed: &str) -> bool {
    let mut workspace = Workspace::new(64, Arc::new(Tally::default()));
    let password = Password::parse(typed).unwrap();
    Stored::parse(hash).unwrap().matches(password.as_bytes(), &mut workspace).unwrap()
}

fn is_current(hash: &str, memory_kib: u32, iterations: u32, parallelism: u32) -> bool {
    let cost = Cost { memory_kib, iterations, parallelism };
    Stored::parse(hash).unwrap().is_current(cost)
}

/// PW-01: hashes from libargon2 (argon2-cffi 25.1.0), including a hash of the empty password.
#[test]
fn argon2id_hashes_of_the_reference_library_match() {
    for (typed, hash) in [
        (
            "password",
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        ),
        (
            "password",
            "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        ),
        (
            "differentpassword",
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$C4TWUs9rDEvq7w3+J4umqA32aWKB1+DSiRuBfYxFj94",
        ),
        (
            "p\u{e4}ssw\u{f6}rd\u{2713}",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$ffpaZ44Xk7U0RQox9C/AfdsHOpRjoKTh1dm9N9we/5M",
        ),
        (
            "",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$7shaRB4l9kZjI6nV/73XNZB/4j1oOdd5xEzw6/uRqOg",
        ),
    ] {
        assert!(matches(hash, typed), "{hash}");
        assert!(!matches(hash, &format!("{typed} ")), "{hash}");
    }
}

/// K5: a password typed with combining marks matches a hash of its composed form.
#[test]
fn decomposed_password_matches_the_hash_of_the_composed_password() {
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$ffpaZ44Xk7U0RQox9C/AfdsHOpRjoKTh1dm9N9we/5M";

    assert!(matches(hash, "pa\u{308}sswo\u{308}rd\u{2713}"));
}

#[test]
fn whole_tag_is_compared() {
    let hash = "$argon2id$v=19$m=256,t=2,p=2$c2l4dGVlbiBieXRlcyBvaw$AuQWTH3SLGo9bOUwqrcvyx3euegWJTZJSmZHILRq8QM";
    assert!(matches(hash, PASSWORD));

    for (from, to) in [("$AuQW", "$BuQW"), ("vyx3e", "vyy3e"), ("8QM", "8QQ")] {
        assert!(!matches(&hash.replace(from, to), PASSWORD), "{to}");
    }
}

/// RFC 9106 §5.3, computed in the memory of a hashing thread.
#[test]
fn argon2id_agrees_with_rfc_9106() {
    let params = ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .data(AssociatedData::new(&[4; 12]).unwrap())
        .build()
        .unwrap();
    let secret = [3; 8];
    let argon2 =
        Argon2::new_with_secret(&secret, Algorithm::Argon2id, Version::V0x13, params).unwrap();
    let mut workspace = Workspace::new(64, Arc::new(Tally::default()));
    let mut tag = [0; 32];

    workspace.argon2(&argon2, &[1; 32], &[2; 16], &mut tag).unwrap();

    assert_eq!(
        tag,
        [
            0x0d, 0x64, 0x0d, 0xf5, 0x8d, 0x78, 0x76, 0x6c, 0x08, 0xc0, 0x37, 0xa3, 0x4a, 0x8b,
            0x53, 0xc9, 0xd0, 0x1e, 0xf0, 0x45, 0x2d, 0x75, 0xb6, 0x5e, 0xb5, 0x25, 0x20, 0xe9,
            0x6b, 0x01, 0xe6, 0x59,
        ]
    );
}

/// Hashes from libargon2 of every kind and version, one without a version, and one at another cost.
#[test]
fn foreign_argon2_hashes_match_and_need_an_upgrade() {
    for hash in [
        "$argon2id$v=16$m=256,t=2,p=2$c2l4dGVlbiBieXRlcyBvaw$X6QnBXLnOL/WhEkA2IQeHrZ9HmcCi9tKU6YxRiusuLk",
        "$argon2i$v=19$m=256,t=2,p=2$c2l4dGVlbiBieXRlcyBvaw$nPURuP9yRXq7CDjJGX4jnsmFJOQs7imq/1LsNonLSds",
        "$argon2i$v=16$m=256,t=2,p=2$c2l4dGVlbiBieXRlcyBvaw$SakDjO7JM+sdZ2C54gVgD4BI8FYg0EtrWvFgEmCZ0RQ",
        "$argon2i$m=256,t=2,p=2$c2l4dGVlbiBieXRlcyBvaw$SakDjO7JM+sdZ2C54gVgD4BI8FYg0EtrWvFgEmCZ0RQ",
        "$argon2d$v=19$m=256,t=2,p=2$c2l4dGVlbiBieXRlcyBvaw$aqQsy260w1ql66iBzfAYVVuH0p/M3lKQLel3MS98NFA",
        "$argon2d$v=16$m=256,t=2,p=2$c2l4dGVlbiBieXRlcyBvaw$PMaGNT+WI0FoYvaEZXExqLPh5aKRUNnNls/xaNpMM+Y",
        "$argon2id$v=19$m=65536,t=3,p=4$c2l4dGVlbiBieXRlcyBvaw$oyfCe3dt63NH7sY/rdCcGo3GEL1jdQl0lJunDT6xA7E",
    ] {
        assert!(matches(hash, PASSWORD), "{hash}");
        assert!(!matches(hash, "Correct-Horse7-battery"), "{hash}");
        assert!(!is_current(hash, 256, 2, 2), "{hash}");
    }
}

/// PW-01: a hash may stay only if it has the parameters of a new hash.
#[test]
fn hash_is_current_only_at_exactly_the_current_settings() {
    let current = "$argon2id$v=19$m=256,t=2,p=2$c2l4dGVlbiBieXRlcyBvaw$AuQWTH3SLGo9bOUwqrcvyx3euegWJTZJSmZHILRq8QM";
    assert!(matches(current, PASSWORD));
    assert!(is_current(current, 256, 2, 2));
    for (memory_kib, iterations, parallelism) in [(512, 2, 2), (128, 2, 2), (256, 3, 2)] {
        assert!(!is_current(current, memory_kib, iterations, parallelism));
    }
    assert!(!is_current(current, 256, 1, 2));
    assert!(!is_current(current, 256, 2, 1));

    let short_tag = "$argon2id$v=19$m=256,t=2,p=1$c2l4dGVlbiBieXRlcyBvaw$7fJrjIE0P0h6OUlS38lXkg";
    let short_salt =
        "$argon2id$v=19$m=256,t=2,p=1$OCBieXRlcy4$/JvVD1vqwFy9d95vL08A2ry1bjjYtdCR1AXcLhEBGV4";
    let long_tag = "$argon2id$v=19$m=256,t=2,p=1$c2l4dGVlbiBieXRlcyBvaw$j3+/UCtMTGgJv3/FvNGrROMuIEr2rNtglsT/iS5wokX26M5G0tfJIaLSarUzkwUjkLSZIiPKqkNAYdhg+2baLQ";
    for (hash, expected) in [(short_tag, false), (short_salt, false), (long_tag, true)] {
        assert!(matches(hash, PASSWORD), "{hash}");
        assert_eq!(is_current(hash, 256, 2, 1), expected, "{hash}");
    }
}

/// Hashes from libxcrypt.
#[test]
fn bcrypt_hashes_of_all_prefixes_match_and_need_an_upgrade() {
    for prefix in ["$2a$", "$2b$", "$2y$"] {
        let hash = format!("{prefix}05$abcdefghijklmnopqrstuuCrFm/7NsPCOWJ7h5LJAU.gwZDtudXHi");

        assert!(matches(&hash, PASSWORD));
        assert!(!matches(&hash, "Correct-Horse7-battery"));
        assert!(!is_current(&hash, 256, 2, 1));
    }
}

/// The system that computed the hash ended the password at U+0000, so a password with further text
/// must not match.
#[test]
fn bcrypt_hash_does_not_match_a_password_with_text_after_a_nul() {
    let hash = "$2b$05$abcdefghijklmnopqrstuuCrFm/7NsPCOWJ7h5LJAU.gwZDtudXHi";

    assert!(!matches(hash, &format!("{PASSWORD}\0")));
    assert!(!matches(hash, &format!("{PASSWORD}\0more")));
}

/// libxcrypt computed the hash from 74 bytes. bcrypt reads the first 72 of them, which end within a
/// character.
#[test]
fn bcrypt_hash_is_checked_with_the_first_72_bytes() {
    let hash = "$2b$05$abcdefghijklmnopqrstuusZHkwA51nwMp0X4BRE2tJ9nwPqtpEp6";
    let seventy_one = "x".repeat(71);

    assert!(matches(hash, &format!("{seventy_one}\u{e9}!")));
    assert!(matches(hash, &format!("{seventy_one}\u{e9}?")));
    assert!(!matches(hash, &seventy_one));
}

/// F17: a stored hash must not exceed the bounds, in any notation.
#[test]
fn hashes_beyond_the_bounds_are_rejected() {
    let argon2 = |cost: &str| {
        check_stored(&format!(
            "$argon2id$v=19${cost}$c2l4dGVlbiBieXRlcyBvaw$AuQWTH3SLGo9bOUwqrcvyx3euegWJTZJSmZHILRq8QM"
        ))
    };
    let bcrypt = |cost: u32| {
        check_stored(&format!(
            "$2b${cost:02}$abcdefghijklmnopqrstuuCrFm/7NsPCOWJ7h5LJAU.gwZDtudXHi"
        ))
    };

    for accepted in ["m=262144,t=4,p=1", "m=65536,t=16,p=16", "m=8,t=1,p=1"] {
        assert_eq!(argon2(accepted), Ok(()), "{accepted}");
    }
    for refused in [
        "m=262145,t=1,p=1",
        "m=262144,t=5,p=1",
        "m=4294967295,t=1,p=1",
        "m=256,t=17,p=1",
        "m=256,t=4294967295,p=1",
        "m=4096,t=1,p=17",
    ] {
        assert_eq!(argon2(refused), Err(Unreadable::TooCostly), "{refused}");
    }
    for accepted in [4, 10, 14] {
        assert_eq!(bcrypt(accepted), Ok(()), "{accepted}");
    }
    for refused in [15, 31, 99] {
        assert_eq!(bcrypt(refused), Err(Unreadable::TooCostly), "{refused}");
    }
    assert_eq!(bcrypt(3), Err(Unreadable::Malformed));
}

#[test]
fn invalid_hash_strings_are_rejected() {
    let salt_and_tag = "c2l4dGVlbiBieXRlcyBvaw$AuQWTH3SLGo9bOUwqrcvyx3euegWJTZJSmZHILRq8QM";
    for unknown in [
        String::new(),
        "null".to_owned(),
        "undefined".to_owned(),
        "!".to_owned(),
        PASSWORD.to_owned(),
        "$2x$05$abcdefghijklmnopqrstuuCrFm/7NsPCOWJ7h5LJAU.gwZDtudXHi".to_owned(),
        "$6$rounds=5000$salt$hash".to_owned(),
        format!("$argon2x$v=19$m=256,t=2,p=1${salt_and_tag}"),
        format!("$argon2id$v=18$m=256,t=2,p=1${salt_and_tag}"),
    ] {
        assert_eq!(check_stored(&unknown), Err(Unreadable::UnknownKind), "{unknown}");
    }
    for malformed in [
        "$argon2id".to_owned(),
        "$argon2id$v=19$m=256,t=2,p=1".to_owned(),
        "$argon2id$v=19$m=256,t=2,p=1$c2l4dGVlbiBieXRlcyBvaw".to_owned(),
        format!("$argon2id$v=19${salt_and_tag}"),
        format!("$argon2id$v=19$m=256,t=2${salt_and_tag}"),
        format!("$argon2id$v=19$m=256,t=0,p=1${salt_and_tag}"),
        format!("$argon2id$v=19$m=7,t=2,p=1${salt_and_tag}"),
        format!("$argon2id$v=19$m=15,t=2,p=2${salt_and_tag}"),
        format!("$argon2id$v=19$m=-1,t=2,p=1${salt_and_tag}"),
        format!("$argon2id$v=19$m=4294967296,t=2,p=1${salt_and_tag}"),
        format!("$argon2id$v=19$m=256,t=2,p=1${salt_and_tag}$more"),
        format!("$argon2id$v=19$m=256,t=2,p=1$short${salt_and_tag}"),
        "$argon2id$v=19$m=256,t=2,p=1$c2l4dGVlbiBieXRlcyBvaw$".to_owned(),
        "$argon2id$v=19$m=256,t=2,p=1$!!!!$AuQWTH3SLGo9bOUwqrcvyx3euegWJTZJSmZHILRq8QM".to_owned(),
        "$2b$".to_owned(),
        "$2b$xx$abcdefghijklmnopqrstuuCrFm/7NsPCOWJ7h5LJAU.gwZDtudXHi".to_owned(),
        "$2b$05$abcdefghijklmnopqrstuuCrFm/7NsPCOWJ7h5LJAU.gwZDtudXH".to_owned(),
        "$2b$05$abcdefghijklmnopqrst\u{e9}CrFm/7NsPCOWJ7h5LJAU.gwZDtudXHi".to_owned(),
    ] {
        assert_eq!(check_stored(&malformed), Err(Unreadable::Malformed), "{malformed}");
    }
}

/// IM-01: hashes of passlib 1.7.4, hashlib (as Keycloak uses it), and Firebase's published vector.
#[test]
fn pbkdf2_and_scrypt_hashes_match_and_need_an_upgrade() {
    let firebase = "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";
    for (password, hash) in [
        (
            PASSWORD,
            "$pbkdf2-sha256$i=1000$NAaAEKJUKoXwfo9RKsX4Hw$IldpMvaEoOL+QzgB13Z4GyzILOJwcrnM+KZFuzuY9wU",
        ),
        (
            PASSWORD,
            "$pbkdf2-sha512$i=1000$kBUejdLNkwbBjzX6jZTAsA$wV9v7LICjkAQMWZZvIzNghNVDocAA55k36XfX8bhN9PgkAg4ECoEErpdBwtjnt8grSrB8RgoPyLHI2c6B2WaCw",
        ),
        (
            PASSWORD,
            "$pbkdf2-sha1$i=1000$kBUejdLNkwbBjzX6jZTAsA$xVNEE1DuMnIsD97y6azHwbiRC5YoFYPqVbyOEAHa+eFla8QBo87Mh9MQXE/DMrGuNF4gLZqyg5RFLdS8GSpsZg",
        ),
        (
            PASSWORD,
            "$scrypt$ln=4,r=8,p=1$NIYQgpBSitHa+997r/UeAw$7XVjoYh1I3Hs05SdSWR7egb3UAC8WuY/c1rJDEBEbME",
        ),
        ("user1password", firebase),
    ] {
        assert!(matches(hash, password), "{hash}");
        assert!(!matches(hash, &format!("{password} ")), "{hash}");
        assert!(!is_current(hash, 256, 2, 1), "{hash}");
    }
}

/// IM-02: hashes of other systems must not exceed the bounds.
#[test]
fn pbkdf2_and_scrypt_hashes_beyond_the_bounds_are_rejected() {
    let pbkdf2 = |digest: &str, rounds: &str, bytes: usize| {
        let tag = encode(&vec![7; bytes]);
        check_stored(&format!("$pbkdf2-{digest}$i={rounds}$c2FsdA${tag}"))
    };
    let scrypt = |cost: &str| {
        check_stored(&format!("$scrypt${cost}$c2FsdA$7XVjoYh1I3Hs05SdSWR7egb3UAC8WuY/c1rJDEBEbME"))
    };

    assert_eq!(pbkdf2("sha256", "6000000", 32), Ok(()));
    assert_eq!(pbkdf2("sha256", "6000001", 32), Err(Unreadable::TooCostly));
    assert_eq!(pbkdf2("sha256", "3000001", 33), Err(Unreadable::TooCostly));
    assert_eq!(pbkdf2("sha1", "1500001", 64), Err(Unreadable::TooCostly));
    assert_eq!(pbkdf2("sha512", "4294967295", 64), Err(Unreadable::TooCostly));
    for accepted in ["ln=17,r=8,p=2", "ln=14,r=8,p=5", "ln=1,r=1,p=1"] {
        assert_eq!(scrypt(accepted), Ok(()), "{accepted}");
    }
    for refused in [
        "ln=18,r=8,p=2",
        "ln=14,r=8,p=17",
        "ln=64,r=1,p=1",
        "ln=300,r=1,p=1",
        "ln=63,r=4294967295,p=4294967295",
    ] {
        assert_eq!(scrypt(refused), Err(Unreadable::TooCostly), "{refused}");
    }
    for malformed in
        ["ln=0,r=8,p=1", "ln=14,r=0,p=1", "ln=14,r=8", "ln=+4,r=8,p=1", "ln=4,r=8,p=01"]
    {
        assert_eq!(scrypt(malformed), Err(Unreadable::Malformed), "{malformed}");
    }
    // Every password would match an empty tag.
    for (rounds, bytes) in [("1000", 0), ("1000", 15), ("1000", 65), ("0", 32), ("-1", 32)] {
        assert_eq!(pbkdf2("sha256", rounds, bytes), Err(Unreadable::Malformed), "{rounds} {bytes}");
    }
    assert_eq!(pbkdf2("md5", "1000", 32), Err(Unreadable::UnknownKind));
}

/// W17: a decoy takes the time of its class, and matches no password.
#[test]
fn decoys_have_the_class_of_imported_hashes() {
    for hash in [
        "$pbkdf2-sha256$i=1000$NAaAEKJUKoXwfo9RKsX4Hw$IldpMvaEoOL+QzgB13Z4GyzILOJwcrnM+KZFuzuY9wU",
        "$pbkdf2-sha1$i=1000$kBUejdLNkwbBjzX6jZTAsA$xVNEE1DuMnIsD97y6azHwbiRC5YoFYPqVbyOEAHa+eFla8QBo87Mh9MQXE/DMrGuNF4gLZqyg5RFLdS8GSpsZg",
        "$scrypt$ln=4,r=8,p=1$NIYQgpBSitHa+997r/UeAw$7XVjoYh1I3Hs05SdSWR7egb3UAC8WuY/c1rJDEBEbME",
    ] {
        let class = Stored::parse(hash).unwrap().class();

        let decoy = Stored::decoy(class).unwrap();

        assert_eq!(decoy.class(), class);
        let mut workspace = Workspace::new(64, Arc::new(Tally::default()));
        assert!(!decoy.matches(PASSWORD.as_bytes(), &mut workspace).unwrap());
    }
}
