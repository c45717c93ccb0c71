//! The `claims` parameter (OpenID Connect Core 1.0 §5.5). With this parameter, a client requests
//! single claims by name, in addition to the claims of the scope.
//!
//! | requested | result |
//! |---|---|
//! | a claim of a scope value `profile`, `email`, `address` or `phone` | returned, see below |
//! | `sub` with a value | only this account may log in |
//! | an essential `acr` that is not supported | the request is refused (§5.5.1.1) |
//! | `auth_time`, `acr` and similar claims | ignored, because every ID token has them |
//! | any other claim | ignored |
//!
//! A claim of one of these scope values is returned if the client is registered for the scope
//! value, the user has consented, and the account has the claim.
//!
//! `essential` has no effect on other claims than `acr`: a claim that cannot be returned is not an
//! error (§5.5.1).

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::domain::oauth::authorization_request::{ErrorCode, NOT_LOGGED_IN, Reason, invalid};
use crate::domain::oauth::id_token::LEVEL;
use crate::domain::oauth::strict_json;
use crate::domain::profile;
use crate::entity::account;
use crate::entity::authorization_code::RequestedClaims;
use crate::entity::client::Model as Client;
use crate::scope::Scope;

/// Maximum length of the parameter, in bytes.
const MAX_LENGTH: usize = 4096;

/// Maximum size of the user's claims in an ID token, in bytes. The token must be short enough to be
/// sent as `id_token_hint`.
const MAX_ID_TOKEN_CLAIMS: usize = 4096;

/// The content of a `claims` parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimsParameter {
    /// The standard claims, not yet limited to the claims of the client's scope.
    pub claims: RequestedClaims,
    /// The account that must be logged in.
    pub subject: Option<Uuid>,
}

/// Parses the parameter.
///
/// Unknown members and claims are ignored, regardless of their value. The value of a known claim
/// must be an object or null. A member that is null counts as missing.
///
/// # Errors
/// `invalid_request` if it cannot be parsed; `login_required` if no account can match;
/// `unmet_authentication_requirements` for an authentication level that is not supported.
pub fn read(text: &str) -> Result<ClaimsParameter, Reason> {
    if text.len() > MAX_LENGTH {
        return Err(invalid("claims must be at most 4096 bytes"));
    }
    let Some(Value::Object(parameter)) = strict_json::read(text) else {
        return Err(invalid("claims must be a JSON object without duplicate members"));
    };
    let userinfo = requested_for(&parameter, "userinfo")?;
    let id_token = requested_for(&parameter, "id_token")?;
    check_level(&id_token)?;
    Ok(ClaimsParameter {
        claims: RequestedClaims { userinfo: standard(&userinfo), id_token: standard(&id_token) },
        subject: required_subject(subject(&userinfo)?, subject(&id_token)?)?,
    })
}

/// The account that must be logged in. Two parts of the request may name it: `userinfo` and
/// `id_token` in the `claims` parameter, or this parameter and `id_token_hint`.
///
/// # Errors
/// `login_required` if they differ, because no account can match both.
pub fn required_subject(one: Option<Uuid>, other: Option<Uuid>) -> Result<Option<Uuid>, Reason> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(NOT_LOGGED_IN),
        _ => Ok(one.or(other)),
    }
}

/// Whether a value of this scope includes the claim (§5.4).
#[must_use]
pub fn is_in_scope(claim: &str, scope: &Scope) -> bool {
    profile::scope_of(claim).is_some_and(|value| scope.has(value))
}

/// The requested claims that the scope does not include. Consent for the scope does not cover them.
#[must_use]
pub fn outside_scope(scope: &Scope, asked: &RequestedClaims) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in asked.userinfo.iter().chain(&asked.id_token) {
        if !is_in_scope(name, scope) && !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// The requested claims that the scope includes or `names` lists. `names` are the additional claims
/// that the user was shown, separated by spaces.
#[must_use]
pub fn shown(asked: &RequestedClaims, scope: &Scope, names: &str) -> RequestedClaims {
    let is_shown = |name: &str| is_in_scope(name, scope) || names.split(' ').any(|it| it == name);
    filtered(asked, is_shown)
}

/// The requested claims that meet a condition.
pub fn filtered(asked: &RequestedClaims, is_allowed: impl Fn(&str) -> bool) -> RequestedClaims {
    let allowed = |names: &[String]| names.iter().filter(|it| is_allowed(it)).cloned().collect();
    RequestedClaims { userinfo: allowed(&asked.userinfo), id_token: allowed(&asked.id_token) }
}

/// The stored form of requested claims. `None` if no claim is requested.
#[must_use]
pub fn stored(asked: RequestedClaims) -> Option<RequestedClaims> {
    (asked != RequestedClaims::default()).then_some(asked)
}

/// The claims about a user in an ID token: the claims requested by name, and the claims of the
/// scope if the client is registered for `id_token_claims`. Claims that exceed the maximum size are
/// left out.
#[must_use]
pub fn claims_of_person(
    account: &account::Model,
    client: &Client,
    scope: &Scope,
    names: &[String],
) -> Map<String, Value> {
    let mut claims = profile::named(account, names);
    if client.id_token_claims {
        claims.extend(profile::claims(account, scope.as_str()));
    }
    let mut remaining = MAX_ID_TOKEN_CLAIMS;
    claims.retain(|name, value| {
        let length = name.len() + value.to_string().len();
        let fits = length <= remaining;
        remaining -= if fits { length } else { 0 };
        fits
    });
    claims
}

/// The claims requested for `userinfo` or `id_token`.
fn requested_for(
    parameter: &Map<String, Value>,
    destination: &str,
) -> Result<Map<String, Value>, Reason> {
    match parameter.get(destination) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(claims)) => {
            let is_known =
                |name: &str| matches!(name, "sub" | "acr") || profile::scope_of(name).is_some();
            let mut known = claims.iter().filter(|(name, _)| is_known(name));
            if known.all(|(_, request)| request.is_object() || request.is_null()) {
                Ok(claims.clone())
            } else {
                Err(invalid("each requested claim must be null or an object"))
            }
        }
        Some(_) => Err(invalid("userinfo and id_token in claims must be objects")),
    }
}

fn standard(claims: &Map<String, Value>) -> Vec<String> {
    claims.keys().filter(|name| profile::scope_of(name).is_some()).cloned().collect()
}

/// The acceptable values of a claim, from its member `value` or `values`.
fn values<'c>(
    claims: &'c Map<String, Value>,
    name: &str,
) -> Result<Option<Vec<&'c Value>>, Reason> {
    let request = claims.get(name);
    let member = |member| request.and_then(|it| it.get(member)).filter(|it| !it.is_null());
    match (member("value"), member("values")) {
        (None, None) => Ok(None),
        (Some(value), None) => Ok(Some(vec![value])),
        (None, Some(Value::Array(values))) => Ok(Some(values.iter().collect())),
        (None, Some(_)) => Err(invalid("values of a claim must be a list")),
        (Some(_), Some(_)) => Err(invalid("a claim must not have both value and values")),
    }
}

/// The account that `sub` names. The value is compared literally, so another spelling of a UUID
/// matches no account.
fn subject(claims: &Map<String, Value>) -> Result<Option<Uuid>, Reason> {
    let Some(values) = values(claims, "sub")? else { return Ok(None) };
    let [only] = values[..] else { return Err(invalid("sub must be requested with one value")) };
    let id = only.as_str().and_then(|text| Some((text, text.parse::<Uuid>().ok()?)));
    let id = id.filter(|(text, id)| id.to_string() == *text);
    id.map(|(_, id)| Some(id)).ok_or(NOT_LOGGED_IN)
}

/// §5.5.1.1: authentication fails if an essential `acr` is not met. A voluntary `acr` is ignored.
fn check_level(claims: &Map<String, Value>) -> Result<(), Reason> {
    let is_essential = match claims.get("acr").and_then(|request| request.get("essential")) {
        None | Some(Value::Null) => false,
        Some(Value::Bool(is_essential)) => *is_essential,
        Some(_) => return Err(invalid("essential must be true or false")),
    };
    let values = values(claims, "acr")?;
    let is_met = values.is_none_or(|values| values.iter().any(|level| **level == *LEVEL));
    if is_essential && !is_met {
        let description = "no login satisfies the requested acr";
        return Err((ErrorCode::UNMET_AUTHENTICATION_REQUIREMENTS, description));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: &str = "0198c5a0-0000-7000-8000-000000000001";

    fn asked(userinfo: &[&str], id_token: &[&str]) -> RequestedClaims {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        RequestedClaims { userinfo: names(userinfo), id_token: names(id_token) }
    }

    #[test]
    fn known_claims_are_parsed_and_others_ignored() {
        for (text, claims) in [
            ("{}", asked(&[], &[])),
            (r#"{"userinfo":null,"id_token":{}}"#, asked(&[], &[])),
            (r#"{"userinfo":{"email":null},"else":[1e3,-1,2.5,true]}"#, asked(&["email"], &[])),
            (
                r#"{"userinfo":{"name":{"essential":true},"shoe_size":5,"verified_claims":[{}]},
                    "id_token":{"auth_time":{"essential":true},"birthdate":{"value":"1815"}}}"#,
                asked(&["name"], &["birthdate"]),
            ),
            // The name in Japanese script is another claim, which is not supported (§5.2).
            (r#"{"userinfo":{"name#ja-Hani-JP":null,"groups":null}}"#, asked(&[], &[])),
            (r#"{"id_token":{"acr":{"values":["9"]},"sub":null}}"#, asked(&[], &[])),
            (r#"{"id_token":{"acr":{"essential":true,"values":["2","1"]}}}"#, asked(&[], &[])),
            (r#"{"id_token":{"acr":{"essential":true}}}"#, asked(&[], &[])),
        ] {
            assert_eq!(read(text), Ok(ClaimsParameter { claims, subject: None }), "{text}");
        }
    }

    #[test]
    fn invalid_or_unmet_claims_requests_are_rejected() {
        const INVALID: ErrorCode = ErrorCode::INVALID_REQUEST;
        const UNMET: ErrorCode = ErrorCode::UNMET_AUTHENTICATION_REQUIREMENTS;
        let long = format!(r#"{{"x":"{}"}}"#, "x".repeat(MAX_LENGTH));
        let deep = "[".repeat(2000);
        for (text, error) in [
            ("{", INVALID),
            ("[]", INVALID),
            ("null", INVALID),
            ("\"userinfo\"", INVALID),
            ("{}{}", INVALID),
            (&long, INVALID),
            (&deep, INVALID),
            (r#"{"userinfo":[]}"#, INVALID),
            (r#"{"id_token":"name"}"#, INVALID),
            (r#"{"userinfo":{"name":true}}"#, INVALID),
            (r#"{"userinfo":{"name":null},"userinfo":{}}"#, INVALID),
            (r#"{"id_token":{"sub":{"value":"x"},"sub":null}}"#, INVALID),
            (r#"{"id_token":{"sub":"x"}}"#, INVALID),
            (r#"{"id_token":{"sub":{"values":"x"}}}"#, INVALID),
            (r#"{"id_token":{"sub":{"value":"x","values":["x"]}}}"#, INVALID),
            (r#"{"id_token":{"sub":{"values":["x","y"]}}}"#, INVALID),
            (r#"{"id_token":{"acr":{"essential":"yes","values":["9"]}}}"#, INVALID),
            (r#"{"id_token":{"sub":{"value":"ada"}}}"#, ErrorCode::LOGIN_REQUIRED),
            (r#"{"userinfo":{"sub":{"value":7}}}"#, ErrorCode::LOGIN_REQUIRED),
            (
                r#"{"userinfo":{"sub":{"value":"0198C5A0-0000-7000-8000-000000000001"}}}"#,
                ErrorCode::LOGIN_REQUIRED,
            ),
            (r#"{"id_token":{"acr":{"essential":true,"value":"2"}}}"#, UNMET),
            (r#"{"id_token":{"acr":{"essential":true,"values":["urn:x",1]}}}"#, UNMET),
        ] {
            assert_eq!(read(text).map_err(|(code, _)| code), Err(error), "{text}");
        }
    }

    #[test]
    fn contradictory_sub_requests_are_rejected() {
        let at = |userinfo: &str, id_token: &str| {
            let one = |id: &str| format!(r#"{{"sub":{{"values":["{id}"]}}}}"#);
            format!(r#"{{"userinfo":{},"id_token":{}}}"#, one(userinfo), one(id_token))
        };
        let other = ADA.replace('1', "2");

        assert_eq!(read(&at(ADA, ADA)).unwrap().subject, Some(ADA.parse().unwrap()));
        assert_eq!(read(&at(ADA, &other)), Err(NOT_LOGGED_IN));
    }
}
