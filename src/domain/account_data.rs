//! The data that is stored about an account, for a download by its owner. Sessions and events are
//! read in portions, because an account may have any number of them.

use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use crate::database::Db;
use crate::entity::{auth_event, session};

pub use crate::entity::auth_event::Model as EventRow;
pub use crate::entity::session::{EndReason, Model as SessionRow};

/// The number of sessions or events that are read at a time.
const PORTION: u64 = 500;

/// The next sessions of an account after the session `after`, in the order of IDs: live sessions,
/// and ended sessions that are still stored. Empty after the last session.
///
/// # Errors
/// If the database refuses.
pub async fn sessions(
    db: &Db,
    account_id: Uuid,
    after: Option<Uuid>,
) -> Result<Vec<SessionRow>, DbErr> {
    let portion = session::Entity::find()
        .filter(session::Column::AccountId.eq(account_id))
        .apply_if(after, |portion, id| portion.filter(session::Column::Id.gt(id)))
        // This term does not change the order, because it is true for each row. Without this term,
        // PostgreSQL might find the rows of the account by reading the primary key, through the
        // sessions of all other accounts.
        .order_by_desc(session::Column::AccountId.eq(account_id))
        .order_by_asc(session::Column::Id)
        .limit(PORTION);
    db.read(|db| async move { portion.all(&db).await }).await
}

/// The next audit events of an account after the event `after`, in the order of IDs. Empty after
/// the last event.
///
/// # Errors
/// If the database refuses.
pub async fn events(
    db: &Db,
    account_id: Uuid,
    after: Option<Uuid>,
) -> Result<Vec<EventRow>, DbErr> {
    let portion = auth_event::Entity::find()
        .filter(auth_event::Column::AccountId.eq(account_id))
        .apply_if(after, |portion, id| portion.filter(auth_event::Column::Id.gt(id)))
        .order_by_asc(auth_event::Column::Id)
        .limit(PORTION);
    db.read(|db| async move { portion.all(&db).await }).await
}
