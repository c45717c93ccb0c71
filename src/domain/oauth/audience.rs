//! Audiences of access tokens (RFC 8707).

use crate::entity::client::Model;

/// Maximum length of a token's audience, in bytes: tokens have to fit into headers.
const MAX_LENGTH: usize = 2000;

/// The audience of tokens for userinfo and no other service, not even the JSON API, whose audience
/// may be the issuer.
#[must_use]
pub fn of_userinfo(issuer: &str) -> String {
    format!("{issuer}/oauth2/userinfo")
}

/// The default audience of a client's tokens: the first registered one, or else userinfo.
#[must_use]
pub fn default_of(client: &Model, issuer: &str) -> String {
    client.audiences.0.first().cloned().unwrap_or_else(|| of_userinfo(issuer))
}

/// The audiences that a client's tokens may have: userinfo only if none is registered.
#[must_use]
pub fn registered_by(client: &Model, issuer: &str) -> Vec<String> {
    if client.audiences.0.is_empty() {
        return vec![of_userinfo(issuer)];
    }
    client.audiences.0.clone()
}

/// The audience of a client's tokens, space-separated: as requested, or its default. `None` if one
/// is requested that is not registered (`invalid_target`).
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

/// The requested part of the granted audience, or all of it. `None` if the request exceeds it.
#[must_use]
pub fn narrowed<'a>(resources: impl Iterator<Item = &'a str>, granted: &str) -> Option<String> {
    let allowed: Vec<_> = granted.split(' ').map(str::to_owned).collect();
    let chosen = within(resources, &allowed)?;
    if chosen.is_empty() { Some(granted.to_owned()) } else { Some(chosen) }
}

/// The requested audiences without duplicates, space-separated; empty if none. `None` if one is not
/// allowed, or if they are too long for a token.
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
