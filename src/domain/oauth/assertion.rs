//! `private_key_jwt`: a client authenticates with a JWT that it has signed (RFC 7523 §3, OpenID
//! Connect Core 1.0 §9). Each JWT is accepted once, except for retries after outages.

use std::time::Duration;

use josekit::jwk::Jwk;
use josekit::jws::{self, ES256, EdDSA, JwsHeader, JwsVerifier, PS256, RS256};
use sea_orm::sea_query::OnConflict;
use sea_orm::{DatabaseTransaction, DbErr, EntityTrait, Set};
use serde::Deserialize;
use serde_json::{Number, Value};

use crate::database::{self, Db};
use crate::domain::secret::digest;
use crate::entity::{client, used_assertion};
use crate::timestamp::Timestamp;

/// The signature algorithms that clients may use.
pub const ALGORITHMS: [&str; 4] = ["RS256", "PS256", "ES256", "EdDSA"];

/// Leeway for clock skew.
const LEEWAY: Duration = Duration::from_secs(30);

/// Maximum lifetime of an assertion.
const MAX_LIFETIME: Duration = Duration::from_hours(1);

/// How long the `jti` of a used assertion is stored. After this time, the assertion has expired.
const JTI_RETENTION: Duration = MAX_LIFETIME.saturating_add(LEEWAY).saturating_add(LEEWAY);

/// Maximum length of an assertion to be parsed, in bytes.
const MAX_LENGTH: usize = 8 * 1024;

/// The claims that are checked. Other claims are ignored.
#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<Audience>,
    exp: Option<NumericDate>,
    nbf: Option<NumericDate>,
    iat: Option<NumericDate>,
    jti: Option<String>,
}

/// A time in whole seconds. A fraction of a second (RFC 7519 §2) is dropped.
#[derive(Clone, Copy, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "Number")]
struct NumericDate(u64);

impl TryFrom<Number> for NumericDate {
    type Error = &'static str;

    fn try_from(number: Number) -> Result<Self, Self::Error> {
        let whole = number.as_u64().or_else(|| {
            let seconds = number.as_f64()?;
            Duration::try_from_secs_f64(seconds).ok().map(|since_epoch| since_epoch.as_secs())
        });
        whole.map(Self).ok_or("not a time")
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Whether a key set has public keys that can verify assertions, and no private members.
#[must_use]
pub fn is_usable_key_set(set: &Value) -> bool {
    let Some(keys) = set.get("keys").and_then(Value::as_array) else { return false };
    !keys.is_empty()
        && keys.iter().all(|key| {
            let private = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
            let is_public = private.iter().all(|member| key.get(member).is_none());
            let jwk = key.as_object().and_then(|key| Jwk::from_map(key.clone()).ok());
            is_public
                && jwk.is_some_and(|jwk| ALGORITHMS.iter().any(|it| verifier(it, &jwk).is_some()))
        })
}

/// The client id in an assertion that has not been verified.
#[must_use]
pub fn claimed_client(assertion: &str) -> Option<String> {
    use base64::Engine;
    let payload = assertion.split('.').nth(1).filter(|_| assertion.len() <= MAX_LENGTH)?;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims.get("sub")?.as_str().map(str::to_owned)
}

/// Checks whether an assertion authenticates `client`. If not, returns the reason, which is for the
/// log and the audit log.
///
/// An assertion is accepted once. It is accepted again only if the response to its first use may
/// have been lost in an outage that ended less than `retry_window` ago.
///
/// # Errors
/// If the database refuses.
pub async fn reason_to_refuse(
    db: &Db,
    client: &client::Model,
    assertion: &str,
    audiences: &[&str],
    retry_window: Duration,
    now: Timestamp,
) -> Result<Option<&'static str>, DbErr> {
    let claims = verified(client, assertion);
    let claims = match claims.and_then(|claims| check(claims, client, audiences, now)) {
        Err(reason) => return Ok(Some(reason)),
        Ok(claims) => claims,
    };
    let restore = db.last_restore().await?;
    if restore.is_some_and(|restore| may_predate_restore(&claims, restore.at)) {
        return Ok(Some("the assertion may have been used before the database was restored"));
    }
    let jti = claims.jti.unwrap_or_default();
    let (digest, database_timeout) = (digest(&format!("{}\n{jti}", client.id)), db.wait());
    let is_accepted = db.write(digest, move |txn, now, digest| {
        Box::pin(mark_used(txn, digest, retry_window, database_timeout, now))
    });
    Ok((!is_accepted.await?).then_some("the assertion was used before"))
}

/// Marks an assertion as used. Returns false if it was used before, and no outage explains the
/// retry.
async fn mark_used(
    txn: &DatabaseTransaction,
    digest: &[u8],
    retry_window: Duration,
    database_timeout: Duration,
    now: Timestamp,
) -> Result<bool, DbErr> {
    use used_assertion::{ActiveModel, Column, Entity};

    let row =
        ActiveModel { digest: Set(digest.to_vec()), expires_at: Set(now.plus(JTI_RETENTION)) };
    let inserted = Entity::insert(row)
        .on_conflict(OnConflict::column(Column::Digest).do_nothing().to_owned())
        .exec_without_returning(txn)
        .await?;
    if inserted == 1 {
        return Ok(true);
    }
    let Some(used) = Entity::find_by_id(digest.to_vec()).one(txn).await? else { return Ok(false) };
    let used_at = used.expires_at.minus(JTI_RETENTION);
    database::may_have_lost_response(txn, used_at, retry_window, database_timeout, now).await
}

/// The claims, if a key of the client signed them.
fn verified(client: &client::Model, assertion: &str) -> Result<Claims, &'static str> {
    if assertion.len() > MAX_LENGTH {
        return Err("the assertion is longer than 8 KiB");
    }
    let payload = signed_payload(client, assertion);
    let payload = payload.ok_or("no key of the client signed the assertion")?;
    serde_json::from_slice(&payload).map_err(|_| "a claim of the assertion is of the wrong type")
}

fn signed_payload(client: &client::Model, assertion: &str) -> Option<Vec<u8>> {
    let set: Value = serde_json::from_str(client.jwks.as_deref()?).ok()?;
    let keys = set.get("keys")?.as_array()?;
    keys.iter().find_map(|key| {
        let mut jwk = Jwk::from_map(key.as_object()?.clone()).ok()?;
        // A signer may omit the key ID (RFC 7515 §4.1.4), but a verifier with a key ID requires it.
        jwk.set_parameter("kid", None).ok()?;
        ALGORITHMS.iter().find_map(|algorithm| {
            let verifier = verifier(algorithm, &jwk)?;
            let (payload, _): (Vec<u8>, JwsHeader) =
                jws::deserialize_compact(assertion, verifier.as_ref()).ok()?;
            Some(payload)
        })
    })
}

/// A verifier for one algorithm, if the key has the right type and is not reserved for another
/// algorithm.
fn verifier(algorithm: &str, jwk: &Jwk) -> Option<Box<dyn JwsVerifier>> {
    if jwk.algorithm().is_some_and(|only| only != algorithm) {
        return None;
    }
    match (algorithm, jwk.key_type()) {
        ("RS256", "RSA") => Some(Box::new(RS256.verifier_from_jwk(jwk).ok()?)),
        ("PS256", "RSA") => Some(Box::new(PS256.verifier_from_jwk(jwk).ok()?)),
        ("ES256", "EC") => Some(Box::new(ES256.verifier_from_jwk(jwk).ok()?)),
        ("EdDSA", "OKP") => Some(Box::new(EdDSA.verifier_from_jwk(jwk).ok()?)),
        _ => None,
    }
}

/// Checks the claims by the rules of RFC 7523 §3, and of OpenID Connect Core 1.0 §9, which requires
/// a `jti`.
fn check(
    claims: Claims,
    client: &client::Model,
    audiences: &[&str],
    now: Timestamp,
) -> Result<Claims, &'static str> {
    let is_client = |claim: &Option<String>| claim.as_deref() == Some(client.id.as_str());
    let is_accepted = |audience: &String| audiences.contains(&audience.as_str());
    let has_audience = claims.aud.as_ref().is_some_and(|aud| match aud {
        Audience::One(audience) => is_accepted(audience),
        Audience::Many(all) => all.iter().any(is_accepted),
    });
    let exp = claims.exp.ok_or("the assertion has no exp")?;
    let latest = NumericDate(now.plus(LEEWAY).as_seconds());
    let is_early = |time: Option<NumericDate>| time.is_some_and(|time| time > latest);
    for (holds, reason) in [
        (is_client(&claims.iss), "iss of the assertion is not the client"),
        (is_client(&claims.sub), "sub of the assertion is not the client"),
        (has_audience, "aud of the assertion is neither the issuer nor the token endpoint"),
        (claims.jti.as_deref().is_some_and(|jti| !jti.is_empty()), "the assertion has no jti"),
        (exp > NumericDate(now.minus(LEEWAY).as_seconds()), "the assertion has expired"),
        (
            exp <= NumericDate(now.plus(MAX_LIFETIME + LEEWAY).as_seconds()),
            "the lifetime of the assertion exceeds an hour",
        ),
        (!is_early(claims.nbf), "nbf of the assertion is in the future"),
        (!is_early(claims.iat), "iat of the assertion is in the future"),
    ] {
        if !holds {
            return Err(reason);
        }
    }
    Ok(claims)
}

/// Whether an assertion may have been used before the database was restored. The restored database
/// may not contain this use.
fn may_predate_restore(claims: &Claims, restored_at: Timestamp) -> bool {
    let (time, leeway) = match claims.iat {
        Some(iat) => (Some(iat), LEEWAY),
        None => (claims.exp, MAX_LIFETIME + LEEWAY),
    };
    time <= Some(NumericDate(restored_at.plus(leeway).as_seconds()))
}
