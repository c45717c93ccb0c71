//! draft-ietf-oauth-status-list: status references of tokens, and the content of lists.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde_json::Value;
use serde_json::json;
use signet_verifier::Status;
use signet_verifier::StatusList;
use signet_verifier::StatusListError;
use signet_verifier::StatusReference;
use signet_verifier::VerifyError;

use crate::harness::ISSUER;
use crate::harness::KEYS;
use crate::harness::NOW;
use crate::harness::claims;
use crate::harness::encode;
use crate::harness::header;
use crate::harness::sign;
use crate::harness::valid_token;
use crate::harness::verifier;
use crate::harness::verify;
use crate::harness::verify_claims;
use crate::harness::with;
use crate::harness::with_raw;
use crate::harness::without;

const URI: &str = "https://id.example.test/status/1";

pub(crate) fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn list_header() -> Value {
    with(header(), "typ", json!("statuslist+jwt"))
}

/// A list of eight entries, of which only entry 0 is revoked.
pub(crate) fn list_claims() -> Value {
    json!({
        "iss": ISSUER,
        "sub": URI,
        "iat": NOW,
        "exp": NOW + 600,
        "ttl": 15,
        "status_list": {"bits": 1, "lst": encode(deflate(&[0b0000_0001]))},
    })
}

pub(crate) fn with_list(bits: Value, lst: impl AsRef<[u8]>) -> Value {
    with(list_claims(), "status_list", json!({"bits": bits, "lst": encode(lst)}))
}

fn read_at(now: u64, claims: impl ToString) -> Result<StatusList, StatusListError> {
    let token = sign(list_header().to_string(), claims.to_string());
    verifier().verify_status_list(&KEYS, URI, &token, now)
}

fn read(claims: impl ToString) -> Result<StatusList, StatusListError> {
    read_at(NOW, claims)
}

#[track_caller]
fn assert_refused(claims: impl ToString, reason: VerifyError) {
    assert_eq!(read(claims).unwrap_err(), StatusListError::Refused(reason));
}

#[test]
fn token_returns_its_status_reference() {
    let token = verify(&valid_token()).unwrap();
    let without_status = verify_claims(without(claims(), "status")).unwrap();

    assert_eq!(token.status(), Some(&StatusReference { uri: URI.to_owned(), index: 7 }));
    assert_eq!(without_status.status(), None);
}

/// If a token could refer to any list, it could refer to a list without revoked entries.
#[test]
fn invalid_or_foreign_status_reference_is_rejected() {
    let status = |idx: Value, uri: &str| json!({"status_list": {"idx": idx, "uri": uri}});
    let cases = [
        json!(null),
        json!({}),
        json!([]),
        json!({"status_list": null}),
        json!({"status_list": {"idx": 7}}),
        json!({"status_list": {"uri": URI}}),
        status(json!(-1), URI),
        status(json!(7.0), URI),
        status(json!("7"), URI),
        status(json!(1_u64 << 53), URI),
        status(json!(7), ""),
        status(json!(7), ISSUER),
        status(json!(7), "https://id.example.test.evil.test/status/1"),
        status(json!(7), "http://id.example.test/status/1"),
        status(json!(7), "/status/1"),
    ];
    for status in cases {
        let refusal = verify_claims(with(claims(), "status", status.clone())).unwrap_err();
        assert_eq!(refusal, VerifyError::MissingOrInvalidClaim("status"), "{status}");
    }
    let last = status(json!((1_u64 << 53) - 1), URI);
    assert!(verify_claims(with(claims(), "status", last)).is_ok());
}

#[test]
fn list_returns_the_status_of_each_entry() {
    let list = read(list_claims()).unwrap();

    assert_eq!(list.len(), 8);
    assert_eq!(list.status(0), Some(Status::Revoked));
    assert_eq!(list.status(7), Some(Status::Valid));
    assert_eq!(list.status(8), None);
    assert_eq!(list.status(u64::MAX), None);
    assert_eq!(list.ttl(), Some(Duration::from_secs(15)));
    assert_eq!(list.expires_at(), Some(NOW + 600));
}

#[test]
fn status_other_than_valid_rejects_the_token() {
    let list = read(with_list(json!(4), deflate(&[0x10, 0x32, 0x0f]))).unwrap();
    let check = |index| list.check(&StatusReference { uri: URI.to_owned(), index });

    assert_eq!(list.status(3), Some(Status::Other(3)));
    assert_eq!(check(0), Ok(()));
    assert_eq!(check(1), Err(VerifyError::Revoked));
    assert_eq!(check(2), Err(VerifyError::Suspended));
    assert_eq!(check(3), Err(VerifyError::Revoked));
    assert_eq!(check(4), Err(VerifyError::Revoked));
    assert_eq!(check(5), Ok(()));
    assert_eq!(check(6), Err(VerifyError::MissingOrInvalidClaim("status")));
}

/// Otherwise an access token, which every client can get, could be used as a list.
#[test]
fn list_must_have_typ_statuslist_jwt() {
    let read_as = |typ: &str| {
        let header = with(header(), "typ", json!(typ)).to_string();
        let token = sign(header, list_claims().to_string());
        verifier().verify_status_list(&KEYS, URI, &token, NOW).map(|_| ())
    };

    for typ in ["statuslist+jwt", "StatusList+JWT", "application/statuslist+jwt"] {
        assert_eq!(read_as(typ), Ok(()), "{typ}");
    }
    for typ in ["at+jwt", "JWT", "statuslist", "statuslist+cwt", ""] {
        assert_eq!(read_as(typ), Err(VerifyError::WrongType.into()), "{typ}");
    }
    let as_access_token = sign(list_header().to_string(), claims().to_string());
    assert_eq!(verify(&as_access_token), Err(VerifyError::WrongType));
}

#[test]
fn list_with_a_wrong_sub_issuer_or_time_is_rejected() {
    let other = with(list_claims(), "sub", json!("https://id.example.test/status/2"));
    assert_eq!(read(other).unwrap_err(), StatusListError::WrongUri);
    assert_refused(without(list_claims(), "sub"), VerifyError::MissingOrInvalidClaim("sub"));
    assert_refused(without(list_claims(), "iat"), VerifyError::MissingOrInvalidClaim("iat"));
    assert_refused(with(list_claims(), "iat", json!(NOW + 31)), VerifyError::NotYetValid);
    assert_refused(
        with(list_claims(), "iss", json!("https://evil.example.test")),
        VerifyError::WrongIssuer,
    );
    assert!(read(without(list_claims(), "iss")).is_ok());

    assert!(read_at(NOW + 629, list_claims()).is_ok());
    let expired = read_at(NOW + 630, list_claims()).unwrap_err();
    assert_eq!(expired, StatusListError::Refused(VerifyError::Expired));
    assert!(read_at(u64::MAX, without(list_claims(), "exp")).is_ok());
}

#[test]
fn ttl_must_be_positive_or_absent() {
    let ttl = |value: &str| read(with_raw(list_claims(), "ttl", value)).map(|list| list.ttl());

    assert_eq!(ttl("0.5"), Ok(Some(Duration::from_millis(500))));
    assert_eq!(ttl("1e2"), Ok(Some(Duration::from_secs(100))));
    assert_eq!(ttl("1e300"), Ok(Some(Duration::MAX)));
    assert_eq!(read(without(list_claims(), "ttl")).unwrap().ttl(), None);
    for value in ["0", "0.0", "-0", "-1", "-0.5", "null", r#""15""#, "[15]", "true"] {
        let refused = StatusListError::Refused(VerifyError::MissingOrInvalidClaim("ttl"));
        assert_eq!(ttl(value), Err(refused), "{value}");
    }
}

#[test]
fn list_that_is_no_complete_zlib_stream_is_rejected() {
    let good = deflate(&[1, 2, 3, 4]);
    let mut wrong_sum = good.clone();
    *wrong_sum.last_mut().unwrap() ^= 1;
    let cases = [
        Vec::new(),
        vec![1, 2, 3],
        good[..good.len() - 1].to_vec(),
        good[..good.len() - 5].to_vec(),
        wrong_sum,
        [&good[..], &[0]].concat(),
        [&good[..], &good[..]].concat(),
        good[2..good.len() - 4].to_vec(),
    ];
    for lst in cases {
        assert_eq!(read(with_list(json!(1), &lst)).unwrap_err(), StatusListError::BadList);
    }
    for bits in [json!(0), json!(3), json!(16), json!(1.0), json!("1"), json!(null)] {
        assert_eq!(read(with_list(bits, &good)).unwrap_err(), StatusListError::BadList);
    }
    let padded = json!({"bits": 1, "lst": format!("{}=", encode(&good))});
    let padded = with(list_claims(), "status_list", padded);
    assert_eq!(read(padded).unwrap_err(), StatusListError::BadList);
    assert_eq!(read(without(list_claims(), "status_list")).unwrap_err(), StatusListError::BadList);
}

/// A kilobyte may be decompressed to a mebibyte, but not to more.
#[test]
fn decompression_stops_at_one_mebibyte() {
    const MEBIBYTE: usize = 1024 * 1024;
    let of = |length| read(with_list(json!(8), deflate(&vec![0; length]))).map(|list| list.len());

    assert_eq!(of(0), Ok(0));
    assert_eq!(of(MEBIBYTE), Ok(MEBIBYTE as u64));
    assert_eq!(of(MEBIBYTE + 1), Err(StatusListError::BadList));
    assert_eq!(of(8 * MEBIBYTE), Err(StatusListError::BadList));
}

#[test]
fn status_list_token_of_more_than_two_mebibytes_is_rejected() {
    let padded_to = |length: usize| {
        let token = |pad: usize| {
            let claims = with(list_claims(), "pad", json!("x".repeat(pad)));
            sign(list_header().to_string(), claims.to_string())
        };
        let base = token(0).len();
        let token = token((length - base) / 4 * 3);
        assert!(token.len().abs_diff(length) < 8, "{} {length}", token.len());
        verifier().verify_status_list(&KEYS, URI, &token, NOW).map(|_| ())
    };

    assert_eq!(padded_to(2 * 1024 * 1024 - 8), Ok(()));
    assert_eq!(padded_to(2 * 1024 * 1024 + 8), Err(VerifyError::Malformed.into()));
}
