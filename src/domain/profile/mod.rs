//! Self-asserted user profiles: the standard claims of OpenID Connect Core 1.0 §5.1.
//!
//! The profile of an account is one JSON object, which merge patches change (RFC 7396). The claims
//! are not verified: services may display them, but must not base authorization on them.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};
use serde_json::{Map, Value, json};

use crate::database::Db;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::profile::claim::{ADDRESS, CLAIMS, Rule};
use crate::domain::session::FIRST_PARTY_CLIENT;
use crate::domain::session::listing::{self, Login, SelfServiceError};
use crate::entity::account::{self, Column, EmailClaims};
use crate::timestamp::Timestamp;

mod claim;

pub use crate::domain::profile::claim::ClaimError;

/// The claims that the owner of an account has set. Each claim was valid when it was set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile(Map<String, Value>);

/// A merge patch (RFC 7396) with valid values: strings to set, or null to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfilePatch(Map<String, Value>);

/// An invalid member of a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidClaim {
    /// The name of the member. A member of the claim `address` has a name such as
    /// `address.locality`.
    pub name: String,
    /// The rule that it breaks.
    pub error: ClaimError,
}

impl ProfilePatch {
    /// Validates a merge patch and normalises its strings.
    ///
    /// # Errors
    /// All invalid members, so that a form can show them together.
    pub fn parse(patch: &Map<String, Value>) -> Result<Self, Vec<InvalidClaim>> {
        let mut problems = Vec::new();
        let mut checked = check(patch, CLAIMS.as_slice(), "", &mut problems);
        let address = match patch.get("address") {
            Some(Value::Object(members)) => {
                Some(check(members, ADDRESS.as_slice(), "address.", &mut problems).into())
            }
            Some(Value::Null) => Some(Value::Null),
            _ => None,
        };
        checked.extend(address.map(|address| ("address".to_owned(), address)));
        if problems.is_empty() { Ok(Self(checked)) } else { Err(problems) }
    }
}

impl Profile {
    /// The claims that the owner of `account` has set.
    #[must_use]
    pub fn of(account: &account::Model) -> Self {
        match &account.profile {
            Some(Value::Object(claims)) => Self(claims.clone()),
            _ => Self::default(),
        }
    }

    /// Whether the profile has a phone number, which is never verified.
    #[must_use]
    pub fn has_phone_number(&self) -> bool {
        self.0.contains_key("phone_number")
    }

    /// The claims, by their names.
    #[must_use]
    pub fn into_claims(self) -> Map<String, Value> {
        self.0
    }

    /// The profile after `patch` (RFC 7396 §2). A claim `address` that becomes empty is removed.
    #[must_use]
    pub fn patched(&self, patch: &ProfilePatch) -> Self {
        let mut claims = self.0.clone();
        merge(&mut claims, &patch.0);
        Self(claims)
    }

    /// The names of the claims in which two profiles differ.
    fn differences(&self, other: &Self) -> Vec<&'static str> {
        let names = CLAIMS.iter().map(|(name, _)| *name).chain(["address"]);
        names.filter(|name| self.0.get(*name) != other.0.get(*name)).collect()
    }
}

/// Updates the profile of the account of `login`. A patch that changes nothing is not recorded.
///
/// # Errors
/// [`SelfServiceError::NotLoggedIn`], or a database error; then nothing has changed.
pub async fn update(
    db: &Db,
    login: Login,
    patch: ProfilePatch,
    origin: &Origin,
) -> Result<account::Model, SelfServiceError> {
    let origin = origin.clone();
    db.write((patch, origin), move |txn, now, (patch, origin)| {
        Box::pin(async move {
            let account = listing::lock_own_session(txn, login, now).await?;
            let mut account = account.ok_or(SelfServiceError::NotLoggedIn)?;
            let before = Profile::of(&account);
            let after = before.patched(patch);
            let changed = before.differences(&after);
            if changed.is_empty() {
                return Ok(account);
            }
            account.profile = Some(Value::Object(after.into_claims()));
            account.profile_updated_at = Some(now);
            store(txn, &account).await?;
            // Only the names of the claims are recorded, because the audit log contains no personal
            // data except IDs and the origin of requests.
            Event::new(Kind::ProfileChanged)
                .session(account.id, login.session_id, FIRST_PARTY_CLIENT)
                .reason(changed.join(", "))
                .record(txn, origin, now)
                .await?;
            Ok(account)
        })
    })
    .await
}

/// The claims of the account that `scope` requests by OpenID Connect Core 1.0 §5.4 (`profile`,
/// `email`, `address` and `phone`). ID tokens and the userinfo endpoint return them.
#[must_use]
pub fn claims(account: &account::Model, scope: &str) -> Map<String, Value> {
    let profile = Profile::of(account);
    let has_phone_number = profile.has_phone_number();
    let mut claims = profile.into_claims();
    let mut add = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    if has_phone_number {
        // Phone numbers are never verified.
        add("phone_number_verified", json!(false));
    }
    add("updated_at", json!(updated_at(account).as_seconds()));
    let EmailClaims { email, email_verified } = account.email_claims();
    add("email", json!(email));
    add("email_verified", json!(email_verified));
    let is_requested = |name: &str| scope.split_ascii_whitespace().any(|value| value == name);
    claims.retain(|name, _| scope_of(name).is_some_and(is_requested));
    claims
}

/// The names of the claims that the owner of an account can set. A member of the claim `address`
/// has a name such as `address.locality`.
#[must_use]
pub fn names() -> Vec<String> {
    let members = ADDRESS.iter().map(|(name, _)| format!("address.{name}"));
    CLAIMS.iter().map(|(name, _)| (*name).to_owned()).chain(members).collect()
}

/// The scope value that requests a standard claim (OpenID Connect Core 1.0 §5.4). `None` for other
/// claims.
#[must_use]
pub fn scope_of(claim: &str) -> Option<&'static str> {
    match claim {
        "email" | "email_verified" => Some("email"),
        "phone_number" | "phone_number_verified" => Some("phone"),
        "address" => Some("address"),
        "updated_at" => Some("profile"),
        other => CLAIMS.iter().any(|(name, _)| *name == other).then_some("profile"),
    }
}

/// The claims with these names that the account has. `email` always includes `email_verified`.
#[must_use]
pub fn named(account: &account::Model, names: &[String]) -> Map<String, Value> {
    if names.is_empty() {
        return Map::new();
    }
    let mut all = claims(account, "profile email address phone");
    let has_email = names.iter().any(|name| name == "email");
    all.retain(|name, _| names.contains(name) || (has_email && name == "email_verified"));
    all
}

/// When the account's profile last changed. For a profile that never changed, when the account was
/// created.
#[must_use]
pub fn updated_at(account: &account::Model) -> Timestamp {
    account.profile_updated_at.unwrap_or(account.created_at)
}

async fn store(txn: &impl ConnectionTrait, account: &account::Model) -> Result<(), DbErr> {
    account::Entity::update_many()
        .col_expr(Column::Profile, Expr::value(account.profile.clone()))
        .col_expr(Column::ProfileUpdatedAt, Expr::value(account.profile_updated_at))
        .filter(Column::Id.eq(account.id))
        .exec(txn)
        .await?;
    Ok(())
}

/// Validates the members of `patch` that `rules` name. Ignores other members, and values that are
/// neither strings nor null. The JSON API refuses both when it deserializes a body.
fn check(
    patch: &Map<String, Value>,
    rules: &[(&'static str, Rule)],
    prefix: &str,
    problems: &mut Vec<InvalidClaim>,
) -> Map<String, Value> {
    let mut checked = Map::new();
    for (name, rule) in rules {
        let value = match patch.get(*name) {
            Some(Value::String(text)) => rule.check(text).map(Value::String),
            Some(Value::Null) => Ok(Value::Null),
            _ => continue,
        };
        match value {
            Ok(value) => drop(checked.insert((*name).to_owned(), value)),
            Err(error) => problems.push(InvalidClaim { name: format!("{prefix}{name}"), error }),
        }
    }
    checked
}

fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                target.remove(name);
            }
            Value::Object(inner) => {
                let mut merged = match target.remove(name) {
                    Some(Value::Object(object)) => object,
                    _ => Map::new(),
                };
                merge(&mut merged, inner);
                if !merged.is_empty() {
                    target.insert(name.clone(), Value::Object(merged));
                }
            }
            _ => {
                target.insert(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn account(profile: Value) -> account::Model {
        account::Model {
            id: uuid::Uuid::from_u128(7),
            email: "ada@example.test".to_owned(),
            email_canonical: "ada@example.test".to_owned(),
            email_folded: Some("ada@example.test".to_owned()),
            email_ambiguous: false,
            password_hash: None,
            email_verified_at: None,
            disabled_at: None,
            last_login_at: None,
            created_at: Timestamp::from_micros(5_000_000),
            reset_expires_at: None,
            session_epoch: 0,
            deleted_at: None,
            profile: Some(profile),
            profile_updated_at: Some(Timestamp::from_micros(1_768_384_800_999_999)),
        }
    }

    /// RFC 7396 §2: members are set, null members are removed, and all other members are unchanged.
    #[test]
    fn merge_patch_sets_and_removes_members() {
        let before = json!({ "name": "Ada", "locale": "en",
                             "address": { "locality": "London", "country": "UK" } });
        for (patch, after) in [
            (json!({}), before.clone()),
            (
                json!({ "name": "Augusta", "locale": null }),
                json!({ "name": "Augusta", "address": { "locality": "London", "country": "UK" } }),
            ),
            (
                json!({ "address": { "country": null, "region": "Kent" } }),
                json!({ "name": "Ada", "locale": "en",
                        "address": { "locality": "London", "region": "Kent" } }),
            ),
            (
                json!({ "address": { "country": null, "locality": null } }),
                json!({ "name": "Ada", "locale": "en" }),
            ),
            (json!({ "address": null, "gender": null }), json!({ "name": "Ada", "locale": "en" })),
        ] {
            let checked = ProfilePatch::parse(&object(&patch)).unwrap();

            let patched = Profile(object(&before)).patched(&checked);

            assert_eq!(Value::Object(patched.into_claims()), after, "{patch}");
        }
    }

    #[test]
    fn merge_patch_reports_all_problems() {
        let patch = json!({ "name": "", "website": "javascript:alert(1)", "locale": "en",
                            "address": { "country": "\u{7}" } });

        let problems = ProfilePatch::parse(&object(&patch)).unwrap_err();

        let names: Vec<_> = problems.iter().map(|problem| problem.name.as_str()).collect();
        assert_eq!(names, ["name", "website", "address.country"]);
    }

    /// OpenID Connect Core 1.0 §5.4: a scope value requests only its claims.
    #[test]
    fn each_scope_requests_its_claims() {
        let ada = account(json!({ "name": "Ada", "website": "https://ada.example/",
                                  "phone_number": "+441632960961",
                                  "address": { "country": "UK" } }));
        let profile = json!({ "name": "Ada", "website": "https://ada.example/",
                              "updated_at": 1_768_384_800 });

        for (scope, expected) in [
            ("openid offline_access profiles", json!({})),
            ("openid profile", profile),
            ("email", json!({ "email": "ada@example.test", "email_verified": false })),
            ("address", json!({ "address": { "country": "UK" } })),
            ("phone", json!({ "phone_number": "+441632960961", "phone_number_verified": false })),
        ] {
            assert_eq!(Value::Object(claims(&ada, scope)), expected, "{scope}");
        }
        for scope in ["profile", "email", "address", "phone"] {
            let returned = claims(&ada, scope);
            assert!(returned.keys().all(|claim| scope_of(claim) == Some(scope)), "{scope}");
        }
        let without_profile = account::Model { profile: None, profile_updated_at: None, ..ada };
        let all = claims(&without_profile, "profile address phone");
        assert_eq!(Value::Object(all), json!({ "updated_at": 5 }));
    }
}
