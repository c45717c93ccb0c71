//! The statements on PostgreSQL.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, QueryResult, Value};
use uuid::Uuid;

use crate::database::session_rotation::rows::{SessionRotation, SessionRotations};
use crate::database::sql;

/// Locks the sessions that no other transaction has locked. Also takes the lock of
/// [`account_lock`](crate::database::account_lock) for each session, shared. Skips a session if an
/// operation that ends all sessions of its account has this lock or waits for it.
///
/// The subquery is planned for a single row, so that it uses the primary key for any size of the
/// table. CASE prevents a plan without the index from locking the accounts of other rows. The
/// settings make the statement of [`rotate`] use the primary key as well, because the connection
/// may reuse the plan of that statement after the table has grown.
const LOCK: &str = "\
    WITH settings AS MATERIALIZED ( \
      SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), \
             set_config('enable_mergejoin', 'off', true) \
    ) SELECT locked.id \
    FROM settings, unnest($1::uuid[]) AS presented (id) \
    CROSS JOIN LATERAL ( \
      SELECT session.id FROM \"session\" \
      WHERE session.id = presented.id AND CASE WHEN session.id = presented.id \
        THEN pg_try_advisory_xact_lock_shared(hashtextextended(session.account_id::text, 0)) END \
      FOR UPDATE SKIP LOCKED \
    ) AS locked";

/// Makes the same changes under the same conditions as a single refresh, and writes the same audit
/// event for each refresh. `{columns}` are the columns of the session. CASE prevents the planner
/// from using partial indexes on live sessions.
const ROTATE: &str = "\
    WITH presented AS ( \
      SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::boolean[], $5::text[], \
                           $6::text[], $7::text[], $8::text[], $9::uuid[]) \
        AS t (session_id, generation, client_id, is_server, address, user_agent, forwarded, \
              request_id, event_id) \
    ), rotated AS ( \
      UPDATE \"session\" SET \
        generation = session.generation + 1, rotated_at = $10, idle_expires_at = $11, \
        address = CASE WHEN p.is_server THEN session.address ELSE NULLIF(p.address, $12) END, \
        user_agent = \
          CASE WHEN p.is_server THEN session.user_agent ELSE NULLIF(p.user_agent, $12) END \
      FROM presented p, account \
      WHERE session.id = p.session_id AND account.id = session.account_id AND CASE \
          WHEN session.generation = p.generation AND session.client_id = p.client_id \
          THEN session.ended_at IS NULL AND session.idle_expires_at > $10 \
            AND session.absolute_expires_at > $10 AND account.disabled_at IS NULL \
            AND (session.epoch IS NULL OR session.epoch = account.session_epoch) END \
      RETURNING {columns}, \
        CASE WHEN account.email_ambiguous THEN account.email ELSE account.email_canonical END \
          AS address_of_account, \
        NOT account.email_ambiguous AND account.email_verified_at IS NOT NULL \
          AS is_address_verified \
    ), recorded AS ( \
      INSERT INTO auth_event (id, at, type, outcome, account_id, session_id, client_id, address, \
                              forwarded, user_agent, request_id) \
      SELECT p.event_id, $10, $13, $14, r.account_id, r.id, r.client_id, NULLIF(p.address, $12), \
             NULLIF(p.forwarded, $12), NULLIF(p.user_agent, $12), \
             NULLIF(p.request_id, $12)::uuid \
      FROM rotated r JOIN presented p ON p.session_id = r.id \
    ) SELECT * FROM rotated";

/// Represents NULL in an array, whose elements cannot be bound as NULL. Stored texts do not contain
/// this character, because they contain no control characters.
const NULL: &str = "\u{1}";

pub(super) async fn lock_unlocked(
    txn: &DatabaseTransaction,
    ids: Vec<Uuid>,
) -> Result<HashSet<Uuid>, DbErr> {
    let locked: Vec<(Uuid,)> = sql::all(txn, LOCK, [ids.into()]).await?;
    Ok(locked.into_iter().map(|(id,)| id).collect())
}

pub(super) async fn rotate(
    txn: &DatabaseTransaction,
    rotations: &SessionRotations,
) -> Result<Vec<QueryResult>, DbErr> {
    let text = ROTATE.replace("{columns}", &rotations.returned_columns());
    let statement = sql::statement(txn, &text, values(rotations));
    txn.query_all_raw(statement).await
}

fn values(rotations: &SessionRotations) -> Vec<Value> {
    fn column<T>(rows: &[SessionRotation], of: impl Fn(&SessionRotation) -> T) -> Value
    where
        Vec<T>: Into<Value>,
    {
        rows.iter().map(of).collect::<Vec<T>>().into()
    }
    let SessionRotations { now, idle_expires_at, event, rows, .. } = rotations;
    let text = |of: fn(&SessionRotation) -> Option<String>| {
        column(rows, |row| of(row).unwrap_or_else(|| NULL.to_owned()))
    };
    vec![
        column(rows, |row| row.session_id),
        column(rows, |row| row.generation),
        column(rows, |row| row.client_id.clone()),
        column(rows, |row| row.is_server),
        text(|row| row.address.clone()),
        text(|row| row.user_agent.clone()),
        text(|row| row.forwarded.clone()),
        text(|row| row.request_id.map(|id| id.to_string())),
        column(rows, |row| row.event_id),
        (*now).into(),
        (*idle_expires_at).into(),
        NULL.into(),
        event.0.into(),
        event.1.into(),
    ]
}
