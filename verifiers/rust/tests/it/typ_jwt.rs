//! Access tokens with `typ` `JWT`, for audiences for which Signet signs such tokens.

use serde_json::Value;
use serde_json::json;
use signet_verifier::AccessToken;
use signet_verifier::StatusListError;
use signet_verifier::VerifyError;

use crate::harness::AUDIENCE;
use crate::harness::KEYS;
use crate::harness::NOW;
use crate::harness::USER;
use crate::harness::claims;
use crate::harness::header;
use crate::harness::sign;
use crate::harness::verifier;
use crate::harness::verify;
use crate::harness::with;
use crate::harness::without;
use crate::status::list_claims;

pub(crate) fn jwt_header() -> Value {
    with(header(), "typ", json!("JWT"))
}

fn jwt(claims: Value) -> String {
    sign(jwt_header().to_string(), claims.to_string())
}

/// The outcome for an audience that accepts `typ` `JWT`.
fn verify_with_option(token: &str) -> Result<AccessToken, VerifyError> {
    verifier().accept_typ_jwt().verify(&KEYS, token, NOW)
}

#[track_caller]
fn assert_refused(claims: Value, reason: VerifyError) {
    assert_eq!(verify_with_option(&jwt(claims)), Err(reason));
}

#[test]
fn enabled_typ_jwt_is_accepted_in_both_spellings_and_any_case() {
    for typ in ["JWT", "jwt", "Jwt", "application/jwt", "Application/JWT", "at+jwt", "AT+JWT"] {
        let header = with(header(), "typ", json!(typ)).to_string();
        assert!(verify_with_option(&sign(header, claims().to_string())).is_ok(), "{typ}");
    }
    assert_eq!(verify(&jwt(claims())), Err(VerifyError::WrongType));
}

#[test]
fn other_typ_is_rejected() {
    for typ in ["id+jwt", "logout+jwt", "statuslist+jwt", "JWT ", "text/jwt", "JWTx", ""] {
        let header = with(header(), "typ", json!(typ)).to_string();
        let outcome = verify_with_option(&sign(header, claims().to_string()));
        assert_eq!(outcome, Err(VerifyError::WrongType), "{typ}");
    }
    let token = sign(without(header(), "typ").to_string(), claims().to_string());
    assert_eq!(verify_with_option(&token), Err(VerifyError::WrongType));
}

/// RFC 8725 §3.12: ID tokens lack these claims.
#[test]
fn claims_specific_to_access_tokens_are_required_strings() {
    for name in ["client_id", "jti", "scope"] {
        let missing = VerifyError::MissingOrInvalidClaim(name);
        assert_refused(without(claims(), name), missing.clone());
        for value in [json!(null), json!(7), json!(true), json!(["a"]), json!({})] {
            assert_refused(with(claims(), name, value), missing.clone());
        }
    }
    let without_scope = sign(header().to_string(), without(claims(), "scope").to_string());
    assert!(verify_with_option(&without_scope).is_ok());
}

/// RFC 8725 §3.12: access tokens lack these claims.
#[test]
fn claims_specific_to_id_tokens_are_rejected() {
    for name in ["nonce", "at_hash"] {
        for value in [json!("AAAA"), json!(""), json!(null), json!(false), json!({})] {
            let claims = with(claims(), name, value);
            assert_refused(claims.clone(), VerifyError::WrongType);
            let at_jwt = sign(header().to_string(), claims.to_string());
            assert!(verify_with_option(&at_jwt).is_ok(), "{name}");
        }
    }
}

/// OpenID Connect Core §2, §3.1.3.6: the ID token is like those of Signet, except for its audience,
/// and without `acr` and `amr`.
#[test]
fn id_token_is_rejected() {
    let id_token = json!({
        "iss": claims()["iss"],
        "sub": USER,
        "aud": AUDIENCE,
        "exp": NOW + 900,
        "iat": NOW,
        "auth_time": NOW - 60,
        "sid": claims()["sid"],
        "nonce": "n",
        "at_hash": "AAAA",
        "email": "alice@example.test",
    });

    assert_refused(id_token.clone(), VerifyError::WrongType);
    assert_refused(without(id_token.clone(), "nonce"), VerifyError::WrongType);
    assert_refused(without(id_token.clone(), "at_hash"), VerifyError::WrongType);
    let bare = without(without(id_token, "nonce"), "at_hash");
    assert_refused(bare, VerifyError::MissingOrInvalidClaim("client_id"));
}

#[test]
fn status_list_typ_is_not_affected() {
    let uri = "https://id.example.test/status/1";
    let token = jwt(list_claims());

    let outcome = verifier().accept_typ_jwt().verify_status_list(&KEYS, uri, &token, NOW);

    assert_eq!(outcome.unwrap_err(), StatusListError::Refused(VerifyError::WrongType));
}
