//! Refresh token rotation: strict, and safe against lost responses.
//!
//! | presented | within the retry window | later |
//! |---|---|---|
//! | the newest | its successor | its successor |
//! | the one before, its successor unused | the same successor again | ends the session |
//! | anything older | ends the session | ends the session |
//!
//! An outage suspends the window: a response lost during it can be requested again until the window
//! has passed since the end of the outage. For that time, older tokens are refused without ending
//! the session, because a client's earlier requests may still arrive.
//!
//! With `SIGNET_REFRESH_REUSE=refuse` the JSON API refuses all but the newest token immediately and
//! without ending anything, as the application that Signet replaces did.
//!
//! The generation of a session's newest token is the only state. "Unused" needs none: using the
//! successor would have incremented the generation.

use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    FromQueryResult, Iterable, QueryFilter, QuerySelect, QueryTrait,
};

use crate::config::{RefreshReuse, TokenSettings};
use crate::database::{self, Batches, Db, account_lock};
use crate::domain::audit::{Event, Kind, Origin, sanitized};
use crate::domain::granted::Granted;
use crate::domain::refresh::attempt::RefreshAttempt;
use crate::domain::refresh::batch;
use crate::domain::refresh::codec::Presented;
use crate::domain::session::{self, FIRST_PARTY_CLIENT};
use crate::entity::account::{self, EmailClaims};
use crate::entity::client as client_row;
use crate::entity::session::{self as session_row, EndReason};
use crate::timestamp::Timestamp;

/// Why a refresh failed.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The token is forged, expired or already used, or its session or account has ended. One
    /// variant on purpose, so that callers cannot tell which.
    #[error("the refresh token is not valid")]
    Rejected,
    /// The database refused or failed; the token is still valid.
    #[error("the refresh could not be stored")]
    Database(#[from] DbErr),
}

/// The client that presents a token.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// Its registered client ID.
    pub client_id: &'a str,
    /// The request comes from a server, not from the user's device.
    pub is_server: bool,
}

enum Outcome {
    Granted(Granted),
    Rejected,
    Reused,
}

/// Exchanges refresh tokens for their successors.
pub struct Rotation {
    db: Db,
    settings: TokenSettings,
    batches: Batches<batch::Input, Granted>,
}

impl Rotation {
    /// Rotations in `db`.
    #[must_use]
    pub fn new(db: &Db, settings: &TokenSettings) -> Self {
        let batches = batch::batches(db, settings.refresh_token_life());
        Self { db: db.clone(), settings: settings.clone(), batches }
    }

    /// Exchanges an authentic refresh token for its successor, once.
    ///
    /// If a token is presented twice, one of the two parties may be an attacker, so the whole
    /// session ends (RFC 9700 §4.14.2). That is committed before the error is returned. A retry is
    /// exempt: the predecessor of an unused successor, presented again within the window, gets the
    /// same successor.
    ///
    /// [`RefreshReuse::Refuse`] applies to the JSON API only: it ends nothing and allows no retry.
    ///
    /// For any client but the session's, the token is invalid (RFC 6749 §10.4).
    ///
    /// # Errors
    /// See [`RefreshError`].
    pub async fn rotate(
        &self,
        presented: Presented,
        Holder { client_id, is_server }: Holder<'_>,
        origin: &Origin,
    ) -> Result<Granted, RefreshError> {
        let reuse = match client_id {
            FIRST_PARTY_CLIENT => self.settings.refresh_reuse,
            _ => RefreshReuse::EndSession,
        };
        let shown = RefreshAttempt { token: presented, by: client_id.to_owned(), is_server, reuse };
        let input = (shown, origin.clone());
        if let Some(granted) = self.batches.write(input.clone()).await? {
            return Ok(granted);
        }
        match self.rotate_alone(input).await? {
            Outcome::Granted(granted) => Ok(granted),
            Outcome::Rejected => Err(RefreshError::Rejected),
            Outcome::Reused => {
                let effect = match reuse {
                    RefreshReuse::EndSession => "session ended",
                    RefreshReuse::Refuse => "refused",
                };
                tracing::warn!(
                    session.id = %presented.session_id,
                    "refresh token reused; {effect}"
                );
                Err(RefreshError::Rejected)
            }
        }
    }

    /// In a transaction of its own, which also decides what is not an ordinary refresh.
    async fn rotate_alone(&self, input: batch::Input) -> Result<Outcome, RefreshError> {
        let life = self.settings.refresh_token_life();
        let window = (self.settings.refresh_retry_window(), self.db.wait());
        let work = self.db.write(input, move |txn, now, (shown, origin)| {
            Box::pin(advance_or_judge(txn, shown, life, window, origin, now))
        });
        work.await
    }
}

async fn advance_or_judge(
    txn: &DatabaseTransaction,
    shown: &RefreshAttempt,
    life: Duration,
    window: (Duration, Duration),
    origin: &Origin,
    now: Timestamp,
) -> Result<Outcome, RefreshError> {
    if let Some(granted) = advance(txn, shown, life, origin, now).await? {
        refreshed(&granted).record(txn, origin, now).await?;
        return Ok(Outcome::Granted(granted));
    }
    judge_reuse(txn, shown, window, origin, now).await
}

/// Makes the successor the newest token, if the presented one is the newest and the account is
/// enabled; otherwise changes nothing. A single statement decides: of simultaneous calls, one
/// matches the row. It also reads the email address of the account, since every further statement
/// costs a round trip while other transactions wait.
async fn advance(
    txn: &DatabaseTransaction,
    shown: &RefreshAttempt,
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
    // Waits for a concurrent kill switch of the account and respects its result; a kill switch
    // waits for refreshes that started before it. SQLite has a single writer.
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
            .col_expr(Column::UserAgent, Expr::value(user_agent.map(sanitized)));
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

/// The audit event of an ordinary refresh.
fn refreshed(granted: &Granted) -> Event {
    Event::new(Kind::TokenRefreshed).session(
        granted.account_id,
        granted.session_id,
        &granted.client_id,
    )
}

/// Distinguishes a retry from reuse, for a token that is not the newest of a live session.
async fn judge_reuse(
    txn: &DatabaseTransaction,
    shown: &RefreshAttempt,
    (window, wait): (Duration, Duration),
    origin: &Origin,
    now: Timestamp,
) -> Result<Outcome, RefreshError> {
    // Locks the client first, in the same order as client removal: ending the session notifies the
    // client.
    if shown.by != FIRST_PARTY_CLIENT
        && !client_row::Entity::lock_registered(txn, &shown.by).await?
    {
        return Ok(Outcome::Rejected);
    }
    // Locked, so that the result is valid until the commit. Otherwise new tokens could follow a
    // logout or kill switch that committed in between (SQLite runs one transaction at a time).
    let presented = shown.token;
    let session = session_row::Entity::find_by_id(presented.session_id);
    let Some(found) = session.clone().one(txn).await? else { return Ok(Outcome::Rejected) };
    account_lock::lock_shared(txn, found.account_id).await?;
    let session = session.filter(session_row::Entity::live(now)).lock_exclusive().one(txn).await?;
    let Some(session) = session.filter(|session| session.client_id == shown.by) else {
        return Ok(Outcome::Rejected);
    };
    if presented.generation == session.generation {
        // It is the newest token of a live session, so only a disabled account can be the cause.
        return Ok(Outcome::Rejected);
    }
    if shown.reuse == RefreshReuse::Refuse {
        record_reuse(txn, shown, &session, origin, now).await?;
        return Ok(Outcome::Reused);
    }
    let is_predecessor = presented.generation + 1 == session.generation;
    let is_retry = match session.rotated_at.filter(|_| is_predecessor) {
        Some(at) if is_recent(at, window, now) => true,
        Some(at) => database::may_have_lost_response(txn, at, window, wait, now).await?,
        None => false,
    };
    if is_retry {
        let account = account::Entity::find_by_id(session.account_id).one(txn).await?;
        let Some(account) = account.filter(account::Model::is_enabled) else {
            return Ok(Outcome::Rejected);
        };
        let granted = Granted::of(session, account.email_claims());
        refreshed(&granted).reason("retry").record(txn, origin, now).await?;
        return Ok(Outcome::Granted(granted));
    }
    let rotated_at = session.rotated_at.unwrap_or_default();
    if !is_predecessor
        && database::may_be_delayed_request(txn, rotated_at, window, wait, now).await?
    {
        return Err(RefreshError::Database(database::retry_later()));
    }
    session::end(txn, session.id, EndReason::TokenReuse, now).await?;
    record_reuse(txn, shown, &session, origin, now).await?;
    Ok(Outcome::Reused)
}

async fn record_reuse(
    txn: &DatabaseTransaction,
    shown: &RefreshAttempt,
    session: &session_row::Model,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    Event::new(Kind::TokenReuse)
        .session(session.account_id, session.id, &session.client_id)
        .reason(format!(
            "token {} shown, newest is {}, last seen at {}",
            shown.token.generation,
            session.generation,
            session.address.as_deref().unwrap_or("an unknown address"),
        ))
        .record(txn, origin, now)
        .await
}

/// Whether the rotation is within the window, in either direction: an instance that waited for the
/// row may have an earlier `now`, and a clock may have been set back.
fn is_recent(rotated_at: Timestamp, window: Duration, now: Timestamp) -> bool {
    now < rotated_at.plus(window) && rotated_at < now.plus(window)
}
