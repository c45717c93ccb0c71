//! Ordinary refreshes that share a transaction on PostgreSQL.
//!
//! The sessions are locked first, in the order of their IDs and without waiting; the update then
//! sees what was committed before each lock was taken. It handles the ordinary case of `rotate`: a
//! token that is the newest of a live session. All else is left out of the batch.

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

/// Batches of refreshes whose sessions expire after `life` without another one.
pub(super) fn batches(db: &Db, life: Duration) -> Batches<Input, Granted> {
    Batches::new(db, move |txn, now, inputs| Box::pin(rotate(txn, now, inputs, life)))
}

async fn rotate(
    txn: &DatabaseTransaction,
    now: Timestamp,
    inputs: Vec<&Input>,
    life: Duration,
) -> Result<Vec<Option<Granted>>, DbErr> {
    let mut ids: Vec<_> = inputs.iter().map(|(attempt, _)| attempt.token.session_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut locked = session_rotation::lock_unlocked(txn, ids).await?;
    // Of two requests with a token of the same session, the second may be a retry, or theft: the
    // first removes the session from `locked`.
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
    let idle_expires_at = now.plus(life);
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
        client_id: attempt.by.clone(),
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
