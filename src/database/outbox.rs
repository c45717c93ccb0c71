//! Receivers with due entries in the outbox, found without reading all due entries.

use sea_orm::DbErr;

use crate::database::db::Db;
use crate::database::sql;
use crate::timestamp::Timestamp;

/// Finds each receiver by an index skip scan, and counts its due entries up to `$3`.
const RECEIVERS: &str = "\
    WITH RECURSIVE r(receiver) AS ( \
      SELECT min(receiver) FROM outbox WHERE kind = $1 \
      UNION ALL \
      SELECT (SELECT min(receiver) FROM outbox o WHERE o.kind = $1 AND o.receiver > r.receiver) \
        FROM r WHERE r.receiver IS NOT NULL) \
    SELECT receiver, \
      (SELECT count(*) FROM (SELECT 1 FROM outbox o \
         WHERE o.kind = $1 AND o.receiver = r.receiver AND o.due_at <= $2 LIMIT $3) few) AS number \
    FROM r WHERE receiver IS NOT NULL";

/// The receivers that have entries of this kind due at `now`, each with the number of these
/// entries, counted up to `most`.
///
/// # Errors
/// A database error.
pub async fn due_receivers(
    db: &Db,
    kind: String,
    now: Timestamp,
    most: i64,
) -> Result<Vec<(String, usize)>, DbErr> {
    let values = [kind.into(), now.into(), most.into()];
    let found = db.read(|db| async move { sql::all(&db, RECEIVERS, values).await });
    let counted = found.await?.into_iter();
    let counted = counted.filter_map(|(name, number): (String, i64)| {
        usize::try_from(number).ok().filter(|number| *number > 0).map(|number| (name, number))
    });
    Ok(counted.collect())
}
