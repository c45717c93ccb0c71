//! Whom tokens are for (RFC 8707).

use crate::entity::client::Model;

/// Longest audience of one token, in bytes: tokens have to fit into headers.
const MAX_LENGTH: usize = 2000;

/// The audience of tokens that open userinfo, and no service: not even those that a person's own
/// tokens open, which may be known by the issuer's name.
#[must_use]
pub fn of_userinfo(issuer: &str) -> String {
    format!("{issuer}/oauth2/userinfo")
}

/// The audience of a client's tokens if it does not say: the first that it is registered with, or
/// else that of userinfo.
#[must_use]
pub fn default_of(client: &Model, issuer: &str) -> String {
    client.audiences.0.first().cloned().unwrap_or_else(|| of_userinfo(issuer))
}

/// Whom the client's tokens may be for: userinfo alone if it says nothing.
#[must_use]
pub fn registered_by(client: &Model, issuer: &str) -> Vec<String> {
    if client.audiences.0.is_empty() {
        return vec![of_userinfo(issuer)];
    }
    client.audiences.0.clone()
}

/// The audience of a client's tokens, space-separated: what it asks for, or its default. `None` if
/// it asks for one that it may not have (`invalid_target`).
#[must_use]
pub fn chosen<'a>(
    client: &Model,
    resources: impl Iterator<Item = &'a str>,
    issuer: &str,
) -> Option<String> {
    let allowed = registered_by(client, issuer);
    let chosen = within(resources, &allowed)?;
    Some(if chosen.is_empty() { default_of(client, issuer) } else { chosen })
}

/// A narrower audience than was granted, or all of that. `None` if it would be wider.
#[must_use]
pub fn narrowed<'a>(resources: impl Iterator<Item = &'a str>, granted: &str) -> Option<String> {
    let allowed: Vec<_> = granted.split(' ').map(str::to_owned).collect();
    let chosen = within(resources, &allowed)?;
    if chosen.is_empty() { Some(granted.to_owned()) } else { Some(chosen) }
}

/// What is asked for, once each, space-separated; empty if nothing is. `None` if any is not allowed,
/// or it is more than a token has room for.
fn within<'a>(resources: impl Iterator<Item = &'a str>, allowed: &[String]) -> Option<String> {
    let mut chosen: Vec<&str> = Vec::new();
    for resource in resources {
        if !allowed.iter().any(|one| one == resource) {
            return None;
        }
        if !chosen.contains(&resource) {
            chosen.push(resource);
        }
    }
    let chosen = chosen.join(" ");
    (chosen.len() <= MAX_LENGTH).then_some(chosen)
}
