//! The statements on SQLite. The rows are a JSON array, since SQLite has no other parameter of
//! variable length. UUIDs are hexadecimal in it.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, QueryResult, Value as Bound};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::database::session_rotation::rows::{SessionRotation, SessionRotations};
use crate::database::sql;

/// `{columns}` are the columns of the session. CROSS JOIN makes SQLite read the presented tokens
/// first, and CASE prevents it from using partial indexes on live sessions.
const ROTATE: &str = "\
    UPDATE \"session\" SET \
      generation = session.generation + 1, rotated_at = $2, idle_expires_at = $3, \
      address = CASE WHEN p.is_server THEN session.address ELSE p.address END, \
      user_agent = CASE WHEN p.is_server THEN session.user_agent ELSE p.user_agent END \
    FROM ( \
      SELECT unhex(value ->> 0) AS session_id, value ->> 1 AS generation, value ->> 2 AS client_id, \
             value ->> 3 AS is_server, value ->> 4 AS address, value ->> 5 AS user_agent \
      FROM json_each($1) \
    ) AS p CROSS JOIN account \
    WHERE session.id = p.session_id AND account.id = session.account_id AND CASE \
        WHEN session.generation = p.generation AND session.client_id = p.client_id \
        THEN session.ended_at IS NULL AND session.idle_expires_at > $2 \
          AND session.absolute_expires_at > $2 AND account.disabled_at IS NULL \
          AND (session.epoch IS NULL OR session.epoch = account.session_epoch) END \
    RETURNING {columns}, \
      (SELECT CASE WHEN a.email_ambiguous THEN a.email ELSE a.email_canonical END \
       FROM account AS a WHERE a.id = session.account_id) AS address_of_account, \
      (SELECT NOT a.email_ambiguous AND a.email_verified_at IS NOT NULL \
       FROM account AS a WHERE a.id = session.account_id) AS is_address_verified";

const RECORD: &str = "\
    INSERT INTO auth_event (id, at, type, outcome, account_id, session_id, client_id, address, \
                            forwarded, user_agent, request_id) \
    SELECT unhex(value ->> 0), $2, $3, $4, unhex(value ->> 1), unhex(value ->> 2), value ->> 3, \
           value ->> 4, value ->> 5, value ->> 6, unhex(value ->> 7) \
    FROM json_each($1)";

pub(super) async fn rotate(
    txn: &DatabaseTransaction,
    rotations: &SessionRotations,
) -> Result<Vec<QueryResult>, DbErr> {
    let SessionRotations { now, idle_expires_at, event, rows, .. } = rotations;
    let text = ROTATE.replace("{columns}", &rotations.returned_columns());
    let values = [array(rows.iter().map(presented)), (*now).into(), (*idle_expires_at).into()];
    let rotated = txn.query_all_raw(sql::statement(txn, &text, values)).await?;

    let by_id: HashMap<Uuid, &SessionRotation> =
        rows.iter().map(|row| (row.session_id, row)).collect();
    let mut events = Vec::with_capacity(rotated.len());
    for session in &rotated {
        let (id, account_id) = (session.try_get("", "id")?, session.try_get("", "account_id")?);
        events.extend(by_id.get(&id).map(|row| recorded(row, account_id)));
    }
    let values = [array(events.into_iter()), (*now).into(), event.0.into(), event.1.into()];
    sql::execute(txn, RECORD, values).await?;
    Ok(rotated)
}

fn array(rows: impl Iterator<Item = Value>) -> Bound {
    Value::Array(rows.collect()).to_string().into()
}

fn presented(row: &SessionRotation) -> Value {
    json!([
        hex(row.session_id),
        row.generation,
        row.client_id,
        row.is_server,
        row.address,
        row.user_agent,
    ])
}

fn recorded(row: &SessionRotation, account_id: Uuid) -> Value {
    json!([
        hex(row.event_id),
        hex(account_id),
        hex(row.session_id),
        row.client_id,
        row.address,
        row.forwarded,
        row.user_agent,
        row.request_id.map(hex),
    ])
}

fn hex(id: Uuid) -> String {
    id.simple().to_string()
}
