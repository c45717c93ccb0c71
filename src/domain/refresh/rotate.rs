//! The exchange of a refresh token for its successor: strict, and safe against lost answers.
//!
//! | presented | within the retry window | later |
//! |---|---|---|
//! | the newest | its successor | its successor |
//! | the one before, its successor unused | the same successor again | ends the session |
//! | anything older | ends the session | ends the session |
//!
//! An outage stops the window: an answer that was lost in it can be asked for again until the window
//! has passed since its end. As long, older tokens are refused and end nothing: a client's own requests
//! from before may still arrive.
//!
//! With `SIGNET_REFRESH_REUSE=refuse` the JSON API refuses all but the newest, at once and without ending
//! anything, as the application did whose place Signet takes.
//!
//! A session's number of the newest token is all the state there is. "Unused" needs none: had the
//! successor been used, the number would have moved on.

use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    FromQueryResult, Iterable, QueryFilter, QuerySelect, QueryTrait,
};

use crate::config::{RefreshReuse, TokenSettings};
use crate::database::{self, Db, account_lock};
use crate::domain::audit::{Event, Kind, Origin, kept};
use crate::domain::granted::Granted;
use crate::domain::refresh::Presented;
use crate::domain::session::{self, FIRST_PARTY_CLIENT};
use crate::entity::account::{self, EmailClaims};
use crate::entity::client as client_row;
use crate::entity::session::{self as session_row, EndReason};
use crate::timestamp::Timestamp;

/// Why nothing was granted.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The token is forged, expired, spent, or of a session or account that ended: one variant on
    /// purpose, so that no caller can tell which.
    #[error("the refresh token is not valid")]
    Rejected,
    /// The database refused or failed; the token is as good as before.
    #[error("the refresh could not be stored")]
    Database(#[from] DbErr),
}

/// A client that shows a token.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// What it is registered as.
    pub client_id: &'a str,
    /// It asks from a server, and not from where the person is.
    pub is_server: bool,
}

/// A genuine token, and the client that showed it.
#[derive(Clone)]
struct Shown {
    token: Presented,
    by: String,
    is_server: bool,
    reuse: RefreshReuse,
}

enum Outcome {
    Granted(Granted),
    Rejected,
    Reused(RefreshReuse),
}

/// Exchanges a genuine refresh token for its successor, once.
///
/// Of a token shown twice, one holder may be a thief, so the whole session ends (RFC 9700
/// §4.14.2); that ending is committed before the error is returned. The exception is a retry: the
/// predecessor of an unused successor, shown again within the window, gets the same successor.
///
/// [`RefreshReuse::Refuse`] is for the JSON API alone: it ends nothing and knows no retry.
///
/// To any client but the one that the session belongs to, the token is nothing (RFC 6749 §10.4).
///
/// # Errors
/// See [`RefreshError`].
pub async fn rotate(
    db: &Db,
    presented: Presented,
    holder: Holder<'_>,
    settings: &TokenSettings,
    origin: &Origin,
) -> Result<Granted, RefreshError> {
    let (life, window) = (settings.refresh_token_life(), settings.refresh_retry_window());
    let (origin, wait) = (origin.clone(), db.wait());
    let Holder { client_id, is_server } = holder;
    let reuse = match client_id {
        FIRST_PARTY_CLIENT => settings.refresh_reuse,
        _ => RefreshReuse::EndSession,
    };
    let shown = Shown { token: presented, by: client_id.to_owned(), is_server, reuse };
    let outcome = db
        .write((shown, origin), move |txn, now, (shown, origin)| {
            Box::pin(async move {
                if let Some(granted) = advance(txn, shown, life, origin, now).await? {
                    record(txn, &granted, None, origin, now).await?;
                    return Ok(Outcome::Granted(granted));
                }
                judge(txn, shown, (window, wait), origin, now).await
            })
        })
        .await?;
    match outcome {
        Outcome::Granted(granted) => Ok(granted),
        Outcome::Rejected => Err(RefreshError::Rejected),
        Outcome::Reused(reuse) => {
            let session_id = presented.session_id;
            match reuse {
                RefreshReuse::EndSession => {
                    tracing::warn!(session.id = %session_id, "refresh token reused; session ended");
                }
                RefreshReuse::Refuse => {
                    tracing::warn!(session.id = %session_id, "refresh token reused; refused");
                }
            }
            Err(RefreshError::Rejected)
        }
    }
}

/// Makes the successor the newest token, if the presented one still is and the account is enabled;
/// a refusal moves nothing. One statement decides: of any number of simultaneous calls, one
/// matches the row. It also reads the address of the account, since every further statement costs
/// a round trip while others wait for the database.
async fn advance(
    txn: &DatabaseTransaction,
    shown: &Shown,
    life: Duration,
    origin: &Origin,
    now: Timestamp,
) -> Result<Option<Granted>, DbErr> {
    use session_row::Column;

    let presented = shown.token;
    let [email, verified_at] = account::Entity::email_columns().map(|column| {
        account::Entity::find()
            .select_only()
            .expr(column)
            .filter(account::Column::Id.into_expr().equals(Column::AccountId.as_column_ref()))
    });
    // Whoever ends all sessions at this moment is waited for, and what they did counts; they wait for
    // whoever was first. Of a SQLite database there is one writer.
    let may_go_on = if txn.get_database_backend() == DbBackend::Postgres {
        let (account_id, epoch) = (Column::AccountId.into_expr(), Column::Epoch.into_expr());
        Condition::all().add(account_lock::lock_shared_and_check(account_id, epoch))
    } else {
        let enabled = email.clone().filter(account::Column::DisabledAt.is_null());
        session_row::Entity::live(now).add(Expr::exists(enabled.into_query()))
    };
    let mut update = session_row::Entity::update_many()
        .col_expr(Column::Generation, Expr::value(presented.generation + 1))
        .col_expr(Column::RotatedAt, Expr::value(now))
        .col_expr(Column::IdleExpiresAt, Expr::value(now.plus(life)))
        .filter(Column::Id.eq(presented.session_id))
        .filter(Column::Generation.eq(presented.generation))
        .filter(Column::ClientId.eq(&shown.by))
        .filter(session_row::Entity::live_by_row(now))
        .filter(may_go_on);
    if !shown.is_server {
        let (address, user_agent) = (origin.address, origin.user_agent.as_deref());
        update = update
            .col_expr(Column::Address, Expr::value(address.map(|it| it.to_string())))
            .col_expr(Column::UserAgent, Expr::value(user_agent.map(kept)));
    }
    let mut update = update.into_query();
    let columns = Column::iter().map(ColumnTrait::into_expr);
    let address = [email, verified_at].map(|column| Expr::from(column.into_query()));
    update.returning(Query::returning().exprs(columns.chain(address)));

    let Some(row) = txn.query_one(&update).await? else { return Ok(None) };
    let count = Column::iter().count();
    let verified_at: Option<Timestamp> = row.try_get_by_index(count + 1)?;
    let (email, email_verified) = (row.try_get_by_index(count)?, verified_at.is_some());
    let email = EmailClaims { email, email_verified };
    Ok(Some(Granted::of(session_row::Model::from_query_result(&row, "")?, email)))
}

/// Writes the audit event, with a word on what was special about it.
async fn record(
    txn: &DatabaseTransaction,
    granted: &Granted,
    reason: Option<&str>,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    let event = Event::new(Kind::TokenRefreshed)
        .account(granted.account_id)
        .session(granted.session_id, &granted.client_id);
    let event = match reason {
        Some(reason) => event.reason(reason),
        None => event,
    };
    event.record(txn, origin, now).await
}

/// Tells a retry from a theft, for a token that is not the newest of a live session.
async fn judge(
    txn: &DatabaseTransaction,
    shown: &Shown,
    (window, wait): (Duration, Duration),
    origin: &Origin,
    now: Timestamp,
) -> Result<Outcome, RefreshError> {
    // The client first, as whoever removes it does: the end of its session tells it.
    if shown.by != FIRST_PARTY_CLIENT
        && !client_row::Entity::lock_registered(txn, &shown.by).await?
    {
        return Ok(Outcome::Rejected);
    }
    // Locked, so that what is found holds until the commit: a logout answered in between, or the end of
    // all sessions, would otherwise be followed by new tokens (SQLite runs one transaction at a time).
    let presented = shown.token;
    let session = session_row::Entity::find_by_id(presented.session_id);
    let Some(found) = session.clone().one(txn).await? else { return Ok(Outcome::Rejected) };
    account_lock::lock_shared(txn, found.account_id).await?;
    let session = session.filter(session_row::Entity::live(now)).lock_exclusive().one(txn).await?;
    let Some(session) = session.filter(|session| session.client_id == shown.by) else {
        return Ok(Outcome::Rejected);
    };
    if presented.generation == session.generation {
        // The newest token of a live session: only a disabled account stands in its way.
        return Ok(Outcome::Rejected);
    }
    if shown.reuse == RefreshReuse::Refuse {
        record_reuse(txn, shown, &session, origin, now).await?;
        return Ok(Outcome::Reused(shown.reuse));
    }
    let is_predecessor = presented.generation + 1 == session.generation;
    let is_retry = match session.rotated_at.filter(|_| is_predecessor) {
        Some(at) if is_recent(at, window, now) => true,
        Some(at) => database::may_have_lost_answer(txn, at, window, wait, now).await?,
        None => false,
    };
    if is_retry {
        let account = account::Entity::find_by_id(session.account_id).one(txn).await?;
        let Some(account) = account.filter(account::Model::is_enabled) else {
            return Ok(Outcome::Rejected);
        };
        let granted = Granted::of(session, account.email_claims());
        record(txn, &granted, Some("retry"), origin, now).await?;
        return Ok(Outcome::Granted(granted));
    }
    let rotated_at = session.rotated_at.unwrap_or_default();
    if !is_predecessor && database::is_undecided(txn, rotated_at, window, wait, now).await? {
        return Err(RefreshError::Database(database::undecided()));
    }
    session::end(txn, session.id, EndReason::TokenReuse, now).await?;
    record_reuse(txn, shown, &session, origin, now).await?;
    Ok(Outcome::Reused(shown.reuse))
}

async fn record_reuse(
    txn: &DatabaseTransaction,
    shown: &Shown,
    session: &session_row::Model,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    Event::new(Kind::TokenReuse)
        .account(session.account_id)
        .session(session.id, &session.client_id)
        .reason(format!(
            "token {} shown, newest is {}, last seen at {}",
            shown.token.generation,
            session.generation,
            session.address.as_deref().unwrap_or("an unknown address"),
        ))
        .record(txn, origin, now)
        .await
}

/// Whether the rotation is within the window. Both ways: an instance that waited for the row may have
/// an older `now`, and a clock may have been set back.
fn is_recent(rotated_at: Timestamp, window: Duration, now: Timestamp) -> bool {
    now < rotated_at.plus(window) && rotated_at < now.plus(window)
}
