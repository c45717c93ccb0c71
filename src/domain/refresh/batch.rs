//! Refreshes that share their statements and their transaction.
//!
//! A batch handles only the ordinary case of `rotate`: the presented token is the newest token of a
//! live session. For all other refreshes it returns `None`.
//!
//! On PostgreSQL, the batch first locks the sessions, in the order of their IDs and without
//! waiting. So the following update sees all changes that were committed before a lock was taken.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sea_orm::{DatabaseTransaction, DbErr, FromQueryResult, IdenStatic, Iterable, QueryResult};
use uuid::Uuid;

use crate::database::session_rotation::{self, SessionRotation, SessionRotations};
use crate::database::{Batches, Db};
use crate::domain::audit::{Kind, Origin, sanitized};
use crate::domain::granted::Granted;
use crate::domain::id;
use crate::domain::refresh::attempt::RefreshAttempt;
use crate::entity::account::EmailClaims;
use crate::entity::session;
use crate::timestamp::Timestamp;

/// A presented token and the origin of its request.
pub(super) type Input = (RefreshAttempt, Origin);

/// Batches of refreshes. `lifetime` is the lifetime of refresh tokens.
pub(super) fn batches(db: &Db, lifetime: Duration) -> Batches<Input, Granted> {
    Batches::new(db, move |txn, now, inputs| Box::pin(rotate(txn, now, inputs, lifetime)))
}

async fn rotate(
    txn: &DatabaseTransaction,
    now: Timestamp,
    inputs: Vec<&Input>,
    lifetime: Duration,
) -> Result<Vec<Option<Granted>>, DbErr> {
    let mut ids: Vec<_> = inputs.iter().map(|(attempt, _)| attempt.token.session_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut locked = session_rotation::lock_unlocked(txn, ids).await?;
    // Of several requests for the same session, only the first is chosen, because the others may be
    // retries, or theft. The first request removes the session from `locked`.
    let mut chosen = HashSet::new();
    let mut rows = Vec::new();
    for (index, (attempt, origin)) in inputs.iter().enumerate() {
        if locked.remove(&attempt.token.session_id) {
            chosen.insert(index);
            rows.push(row(attempt, origin, now));
        }
    }
    if rows.is_empty() {
        return Ok(inputs.iter().map(|_| None).collect());
    }
    let event = (Kind::TokenRefreshed.name(), Kind::TokenRefreshed.outcome());
    let columns = session::Column::iter().map(|column| column.as_str()).collect();
    let idle_expires_at = now.plus(lifetime);
    let rotations = SessionRotations { now, idle_expires_at, columns, event, rows };
    let rotated = session_rotation::rotate(txn, rotations).await?;
    let granted = rotated.iter().map(|row| grant(row).map(|it| (it.session_id, it)));
    let mut granted = granted.collect::<Result<HashMap<Uuid, Granted>, DbErr>>()?;
    let outcomes = inputs.iter().enumerate().map(|(index, (attempt, _))| {
        chosen.contains(&index).then(|| granted.remove(&attempt.token.session_id)).flatten()
    });
    Ok(outcomes.collect())
}

fn row(attempt: &RefreshAttempt, origin: &Origin, now: Timestamp) -> SessionRotation {
    SessionRotation {
        session_id: attempt.token.session_id,
        generation: attempt.token.generation,
        client_id: attempt.client_id.clone(),
        is_server: attempt.is_server,
        address: origin.address.map(|it| it.to_string()),
        user_agent: origin.user_agent.as_deref().map(sanitized),
        forwarded: origin.forwarded.as_deref().map(sanitized),
        request_id: origin.request_id,
        event_id: id::new(now),
    }
}

fn grant(row: &QueryResult) -> Result<Granted, DbErr> {
    let email = EmailClaims {
        email: row.try_get("", "address_of_account")?,
        email_verified: row.try_get("", "is_address_verified")?,
    };
    Ok(Granted::of(session::Model::from_query_result(row, "")?, email))
}
