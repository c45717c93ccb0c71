//! The content of a valid token, and its user.

use serde_json::json;
use signet_verifier::NotThisUser;

use crate::harness::EXPIRY;
use crate::harness::NOW;
use crate::harness::USER;
use crate::harness::claims;
use crate::harness::valid_token;
use crate::harness::verify;
use crate::harness::verify_claims;
use crate::harness::with;
use crate::harness::without;

#[test]
fn every_claim_is_returned() {
    let token = verify(&valid_token()).unwrap();

    assert_eq!(token.subject(), USER);
    assert_eq!(token.user_id(), Some(USER));
    assert_eq!(token.email(), Some("alice@example.test"));
    assert_eq!(token.client_id(), "web");
    assert_eq!(token.session_id(), Some("0197a1b2-0000-7000-8000-00000000000b"));
    assert_eq!(token.scope(), "openid tasks:read");
    assert_eq!(token.token_id(), "0197a1b2-0000-7000-8000-00000000000a");
    assert_eq!(token.issued_at(), NOW);
    assert_eq!(token.expires_at(), EXPIRY);
    assert_eq!(token.auth_time(), Some(NOW - 60));
}

#[test]
fn escaped_strings_are_decoded() {
    let escaped = claims().to_string().replace("alice@", r"\u0061l\u00efce\u0040");

    let token = verify_claims(escaped).unwrap();

    assert_eq!(token.email(), Some("alïce@example.test"));
}

/// A service returns 403 if the user id in the URL is not the `user_id` of the token.
#[test]
fn require_user_accepts_the_tokens_own_user_only() {
    let token = verify(&valid_token()).unwrap();

    assert_eq!(token.require_user(USER), Ok(()));
    for other in ["", "bob", &USER.to_uppercase(), &USER[1..], &format!("{USER} ")] {
        assert_eq!(token.require_user(other), Err(NotThisUser), "{other}");
    }
}

/// A client whose id equals a user's id must not be mistaken for that user.
#[test]
fn client_credentials_token_matches_no_user() {
    for subject in [USER, "web", "None"] {
        let claims = with(without(claims(), "user_id"), "sub", json!(subject));

        let token = verify_claims(claims).unwrap();

        assert_eq!(token.user_id(), None);
        for user in [subject, USER, "web", ""] {
            assert_eq!(token.require_user(user), Err(NotThisUser), "{subject} as {user}");
        }
    }
}

/// RFC 6749 §3.3.
#[test]
fn has_scope_matches_one_whole_scope_value() {
    let token = verify_claims(with(claims(), "scope", json!("openid  tasks:read"))).unwrap();
    let without_scope = verify_claims(without(claims(), "scope")).unwrap();

    assert!(token.has_scope("openid"));
    assert!(token.has_scope("tasks:read"));
    for other in ["", " ", "tasks", "tasks:read ", "Openid", "openid tasks:read", "penid"] {
        assert!(!token.has_scope(other), "{other:?}");
        assert!(!without_scope.has_scope(other), "{other:?}");
    }
    assert_eq!(without_scope.scope(), "");
}
