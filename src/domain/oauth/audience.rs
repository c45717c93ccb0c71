//! Audiences of access tokens (RFC 8707).

use crate::entity::client::Model;
use crate::scope::Audiences;

/// Maximum length of a token's audience, in bytes, because tokens must fit into headers.
const MAX_LENGTH: usize = 2000;

/// The audience of tokens that are valid only for userinfo. It is not the issuer, because the
/// issuer may be the audience of the JSON API.
#[must_use]
pub fn of_userinfo(issuer: &str) -> String {
    format!("{issuer}/oauth2/userinfo")
}

/// The default audience of a client's tokens: the first registered audience, or userinfo if there
/// is none.
#[must_use]
pub fn default_of(client: &Model, issuer: &str) -> String {
    client.audiences.0.first().cloned().unwrap_or_else(|| of_userinfo(issuer))
}

/// The audiences that a client's tokens may have: the registered audiences, or userinfo if there
/// are none.
#[must_use]
pub fn registered_by(client: &Model, issuer: &str) -> Audiences {
    if client.audiences.0.is_empty() {
        return [of_userinfo(issuer).as_str()].into_iter().collect();
    }
    client.audiences.0.iter().map(String::as_str).collect()
}

/// The audience of a client's tokens: as requested, or the default of the client. `None` if a
/// requested audience is not registered (`invalid_target`).
#[must_use]
pub fn chosen<'a>(
    client: &Model,
    resources: impl Iterator<Item = &'a str>,
    issuer: &str,
) -> Option<Audiences> {
    let chosen = within(resources, &registered_by(client, issuer))?;
    let default = || [default_of(client, issuer).as_str()].into_iter().collect();
    Some(if chosen.is_empty() { default() } else { chosen })
}

/// The requested part of the granted audience, or the whole granted audience if none is requested.
/// `None` if the request exceeds the granted audience.
#[must_use]
pub fn narrowed<'a>(
    resources: impl Iterator<Item = &'a str>,
    granted: &Audiences,
) -> Option<Audiences> {
    let chosen = within(resources, granted)?;
    Some(if chosen.is_empty() { granted.clone() } else { chosen })
}

/// The requested audiences, possibly an empty list. `None` if one of them is not allowed, or if
/// they are too long for a token.
fn within<'a>(resources: impl Iterator<Item = &'a str>, allowed: &Audiences) -> Option<Audiences> {
    let allowed = resources.map(|resource| allowed.has(resource).then_some(resource));
    allowed.collect::<Option<Audiences>>().filter(|it| it.as_str().len() <= MAX_LENGTH)
}
