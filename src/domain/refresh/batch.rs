//! Ordinary refreshes that share a transaction on PostgreSQL.
//!
//! Locks first, in the order of the session IDs and without waiting; the update then sees what was
//! committed before each lock was taken. It is the ordinary case of `rotate`: a token that is the
//! newest of a live session. All else is left out of the batch.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, FromQueryResult, QueryResult,
    Statement, Value,
};
use uuid::Uuid;

use crate::database::{Batches, Db};
use crate::domain::audit::{Kind, Origin, kept};
use crate::domain::granted::Granted;
use crate::domain::id;
use crate::domain::refresh::rotate::RefreshAttempt;
use crate::entity::account::EmailClaims;
use crate::entity::session;
use crate::timestamp::Timestamp;

/// Locks the sessions that no other transaction has locked, and shares the lock of
/// `database::account_lock`, unless an operation that ends all sessions has it or waits for it.
const LOCK: &str = "\
    SELECT id FROM session \
    WHERE id = ANY($1) AND pg_try_advisory_xact_lock_shared(hashtextextended(account_id::text, 0)) \
    ORDER BY id FOR UPDATE SKIP LOCKED";

/// The same changes and conditions as those of a single refresh in `rotate`, and its audit event.
const ROTATE: &str = "\
    WITH presented AS ( \
      SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::boolean[], $5::text[], \
                           $6::text[], $7::text[], $8::uuid[], $9::uuid[]) \
        AS t (session_id, generation, client_id, is_server, address, user_agent, forwarded, \
              request_id, event_id) \
    ), rotated AS ( \
      UPDATE session SET \
        generation = session.generation + 1, rotated_at = $10, idle_expires_at = $11, \
        address = CASE WHEN is_server THEN session.address ELSE NULLIF(p.address, $12) END, \
        user_agent = \
          CASE WHEN is_server THEN session.user_agent ELSE NULLIF(p.user_agent, $12) END \
      FROM presented p, account \
      WHERE session.id = p.session_id AND session.generation = p.generation \
        AND session.client_id = p.client_id AND session.ended_at IS NULL \
        AND session.idle_expires_at > $10 AND session.absolute_expires_at > $10 \
        AND account.id = session.account_id AND account.disabled_at IS NULL \
        AND (session.epoch IS NULL OR session.epoch = account.session_epoch) \
      RETURNING session.*, \
        CASE WHEN email_ambiguous THEN email ELSE email_canonical END AS address_of_account, \
        NOT email_ambiguous AND email_verified_at IS NOT NULL AS is_address_verified \
    ), recorded AS ( \
      INSERT INTO auth_event (id, at, type, outcome, account_id, session_id, client_id, address, \
                              forwarded, user_agent, request_id) \
      SELECT p.event_id, $10, $13, $14, r.account_id, r.id, r.client_id, NULLIF(p.address, $12), \
             NULLIF(p.forwarded, $12), NULLIF(p.user_agent, $12), NULLIF(p.request_id, $15) \
      FROM rotated r JOIN presented p ON p.session_id = r.id \
    ) SELECT * FROM rotated";

/// Stands for NULL in an array, whose elements cannot be bound as NULL. [`kept`] replaces it.
const NULL: &str = "\u{1}";

/// A presented token and the origin of its request.
pub(super) type Input = (RefreshAttempt, Origin);

/// Batches of refreshes whose sessions end after `life` without another one.
pub(super) fn batches(db: &Db, life: Duration) -> Batches<Input, Granted> {
    Batches::new(db, move |txn, now, inputs| Box::pin(rotate(txn, now, inputs, life)))
}

async fn rotate(
    txn: &DatabaseTransaction,
    now: Timestamp,
    inputs: Vec<&Input>,
    life: Duration,
) -> Result<Vec<Option<Granted>>, DbErr> {
    let ids: Vec<Uuid> = inputs.iter().map(|(shown, _)| shown.token.session_id).collect();
    let statement = |sql, values| Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    let locked = txn.query_all_raw(statement(LOCK, vec![ids.into()])).await?;
    let locked: HashSet<Uuid> =
        locked.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?;
    // Of two requests with a token of the same session, the second may be a retry, or theft.
    let mut seen = HashSet::new();
    let ordinary: Vec<_> = inputs
        .iter()
        .map(|(shown, _)| shown.token.session_id)
        .map(|id| locked.contains(&id) && seen.insert(id))
        .collect();
    let chosen: Vec<_> = inputs
        .iter()
        .zip(&ordinary)
        .filter(|(_, is_chosen)| **is_chosen)
        .map(|(it, _)| *it)
        .collect();
    if chosen.is_empty() {
        return Ok(inputs.iter().map(|_| None).collect());
    }
    let rows = txn.query_all_raw(statement(ROTATE, values(&chosen, life, now))).await?;
    let mut granted = HashMap::new();
    for row in &rows {
        let grant = grant(row)?;
        granted.insert(grant.session_id, grant);
    }
    let outcomes = inputs.iter().zip(ordinary);
    Ok(outcomes
        .map(|((shown, _), is_chosen)| {
            is_chosen.then(|| granted.remove(&shown.token.session_id)).flatten()
        })
        .collect())
}

fn values(inputs: &[&Input], life: Duration, now: Timestamp) -> Vec<Value> {
    fn array<T: Into<Value>>(values: impl Iterator<Item = T>) -> Value
    where
        Vec<T>: Into<Value>,
    {
        values.collect::<Vec<T>>().into()
    }
    let text = |of: fn(&Input) -> Option<String>| {
        array(inputs.iter().map(move |it| of(it).unwrap_or_else(|| NULL.to_owned())))
    };
    vec![
        array(inputs.iter().map(|(shown, _)| shown.token.session_id)),
        array(inputs.iter().map(|(shown, _)| shown.token.generation)),
        array(inputs.iter().map(|(shown, _)| shown.by.clone())),
        array(inputs.iter().map(|(shown, _)| shown.is_server)),
        text(|(_, origin)| origin.address.map(|it| it.to_string())),
        text(|(_, origin)| origin.user_agent.as_deref().map(kept)),
        text(|(_, origin)| origin.forwarded.as_deref().map(kept)),
        array(inputs.iter().map(|(_, origin)| origin.request_id.unwrap_or_default())),
        array(inputs.iter().map(|_| id::new(now))),
        now.into(),
        now.plus(life).into(),
        NULL.into(),
        Kind::TokenRefreshed.name().into(),
        Kind::TokenRefreshed.outcome().into(),
        Uuid::nil().into(),
    ]
}

fn grant(row: &QueryResult) -> Result<Granted, DbErr> {
    let email = EmailClaims {
        email: row.try_get("", "address_of_account")?,
        email_verified: row.try_get("", "is_address_verified")?,
    };
    Ok(Granted::of(session::Model::from_query_result(row, "")?, email))
}
