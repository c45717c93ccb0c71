//! What a client is told of a person (OpenID Connect Core 1.0 §5.3, §5.4): by scope, and nothing
//! that is not known.

use serde_json::{Map, Value};

use crate::domain::profile;
use crate::entity::account;

/// The claims of an account that a scope opens.
#[must_use]
pub fn claims(account: &account::Model, scope: &str) -> Map<String, Value> {
    let mut claims = profile::claims(account, scope);
    claims.insert("sub".to_owned(), account.id.to_string().into());
    claims
}
