//! The digest by which a later import detects whether an account has changed, and where: in the
//! source or in Signet.

use serde_json::Value;

use crate::domain::import::candidate::Candidate;
use crate::entity::account;

/// The part of an account that an import may change. Times are left out, because sources may lack
/// them.
struct State<'a> {
    password_hash: Option<&'a str>,
    is_verified: bool,
    is_disabled: bool,
    profile: String,
}

/// The digest of an account as it is.
pub(super) fn of_account(row: &account::Model) -> [u8; 32] {
    digest(&State {
        password_hash: row.password_hash.as_deref(),
        is_verified: row.email_verified_at.is_some(),
        is_disabled: row.disabled_at.is_some(),
        profile: sorted(row.profile.as_ref().unwrap_or(&Value::Null)),
    })
}

/// The digest that the account of a candidate has after its import.
pub(super) fn of_candidate(candidate: &Candidate, is_verified: bool) -> [u8; 32] {
    let profile = Value::Object(candidate.profile.clone());
    digest(&State {
        password_hash: candidate.stored_hash(),
        is_verified,
        is_disabled: candidate.disabled.is_set,
        profile: sorted(if candidate.profile.is_empty() { &Value::Null } else { &profile }),
    })
}

fn digest(state: &State<'_>) -> [u8; 32] {
    let State { password_hash, is_verified, is_disabled, profile } = state;
    // The debug notation and JSON escape line feeds, so the lines keep the members apart.
    let text = format!("1\n{password_hash:?}\n{is_verified}\n{is_disabled}\n{profile}");
    openssl::sha::sha256(text.as_bytes())
}

/// JSON with sorted members: databases do not store their order. An empty object is null.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut parts: Vec<_> =
                members.iter().map(|(name, value)| format!("{name:?}:{}", sorted(value))).collect();
            parts.sort();
            if parts.is_empty() { "null".to_owned() } else { format!("{{{}}}", parts.join(",")) }
        }
        other => other.to_string(),
    }
}
