//! Refresh token rotation: strict, and safe against lost responses.
//!
//! | presented token | within the retry window | later |
//! |---|---|---|
//! | the newest token | returns its successor | returns its successor |
//! | its predecessor, if the newest is unused | returns the newest again | ends the session |
//! | any older token | ends the session | ends the session |
//!
//! An outage extends the retry window: a response that was lost in an outage can be requested again
//! until the retry window has passed since the end of the outage. During this time, older tokens
//! are refused without ending the session, because earlier requests of the client may still arrive.
//!
//! With `SIGNET_REFRESH_REUSE=refuse`, the JSON API refuses all tokens except the newest
//! immediately and without ending the session, as the application that Signet replaces did.
//!
//! The only state is the generation of the session's newest token. No state is needed to know that
//! the newest token is unused, because its use would have incremented the generation.

use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    FromQueryResult, Iterable, QueryFilter, QuerySelect, QueryTrait,
};
use uuid::Uuid;

use crate::config::{RefreshReuse, TokenSettings};
use crate::database::{self, Batches, Db, account_lock};
use crate::domain::audit::{Event, Kind, Origin, sanitized};
use crate::domain::granted::Granted;
use crate::domain::mail::{Content, MailQueue};
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
    /// The token is forged, expired or already used, its session has ended, or its account is
    /// disabled. All causes share one variant, so that callers cannot distinguish them.
    #[error("the refresh token is not valid")]
    Rejected,
    /// The database refused or failed. The token is still valid.
    #[error("the refresh could not be stored")]
    Database(#[from] DbErr),
}

/// The client that presents a token.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// The registered ID of the client.
    pub client_id: &'a str,
    /// Whether the request comes from a server, not from the user's device.
    pub is_server: bool,
}

enum Outcome {
    Granted(Granted),
    Rejected,
    /// A used token of a session of this account was presented.
    Reused(Uuid),
}

/// The durations on which the outcome of a refresh depends.
#[derive(Clone, Copy)]
struct Durations {
    /// The lifetime of refresh tokens.
    lifetime: Duration,
    /// The time in which the predecessor of an unused token may be presented again.
    retry_window: Duration,
    /// How long a request waits for the database.
    database_timeout: Duration,
}

/// Exchanges refresh tokens for their successors.
pub struct Rotation {
    db: Db,
    settings: TokenSettings,
    mail: MailQueue,
    batches: Batches<batch::Input, Granted>,
}

impl Rotation {
    /// Rotations in `db`. `mail` queues notices about reuse.
    #[must_use]
    pub fn new(db: &Db, settings: &TokenSettings, mail: MailQueue) -> Self {
        let batches = batch::batches(db, settings.refresh_token_life());
        Self { db: db.clone(), settings: settings.clone(), mail, batches }
    }

    /// Exchanges an authentic refresh token for its successor, once.
    ///
    /// If a token is presented twice, one of the two parties may be an attacker, so the whole
    /// session ends (RFC 9700 §4.14.2). This end is committed before the error is returned. A retry
    /// is exempt: within the retry window, and if the successor is unused, the token is exchanged
    /// for the same successor again.
    ///
    /// [`RefreshReuse::Refuse`] applies only to the JSON API. With it, reuse does not end the
    /// session, and no retry is allowed.
    ///
    /// If a client presents a token of another client's session, the token is invalid (RFC 6749
    /// §10.4).
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
        let client_id = client_id.to_owned();
        let attempt = RefreshAttempt { token: presented, client_id, is_server, reuse };
        let input = (attempt, origin.clone());
        if let Some(granted) = self.batches.write(input.clone()).await? {
            return Ok(granted);
        }
        match self.rotate_alone(input).await? {
            Outcome::Granted(granted) => Ok(granted),
            Outcome::Rejected => Err(RefreshError::Rejected),
            Outcome::Reused(_) => {
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

    /// Rotates a token in a separate transaction. Unlike a batch, this also handles retries and
    /// reuse.
    async fn rotate_alone(&self, input: batch::Input) -> Result<Outcome, RefreshError> {
        let durations = Durations {
            lifetime: self.settings.refresh_token_life(),
            retry_window: self.settings.refresh_retry_window(),
            database_timeout: self.db.wait(),
        };
        let input = (input, self.mail.clone());
        let work = self.db.write(input, move |txn, now, ((attempt, origin), mail)| {
            Box::pin(advance_or_handle_reuse(txn, attempt, durations, (origin, mail), now))
        });
        work.await
    }
}

async fn advance_or_handle_reuse(
    txn: &DatabaseTransaction,
    attempt: &RefreshAttempt,
    durations: Durations,
    (origin, mail): (&Origin, &MailQueue),
    now: Timestamp,
) -> Result<Outcome, RefreshError> {
    if let Some(granted) = advance(txn, attempt, durations.lifetime, origin, now).await? {
        refresh_event(&granted).record(txn, origin, now).await?;
        return Ok(Outcome::Granted(granted));
    }
    let outcome = handle_reuse(txn, attempt, durations, origin, now).await?;
    if let Outcome::Reused(account_id) = outcome {
        let account = account::Entity::find_by_id(account_id).one(txn).await?;
        if let Some(account) = account.filter(|_| attempt.reuse == RefreshReuse::EndSession) {
            mail.send(txn, &account, Content::TokenReuse, origin, now).await?;
        }
    }
    Ok(outcome)
}

/// Makes the successor the newest token, if the presented token is the newest and the account is
/// enabled. Otherwise changes nothing. A single statement decides, so only one of several
/// concurrent calls matches the row.
///
/// The statement also reads the email address of the account, because a further statement would
/// cost a round trip while other transactions wait.
async fn advance(
    txn: &DatabaseTransaction,
    attempt: &RefreshAttempt,
    lifetime: Duration,
    origin: &Origin,
    now: Timestamp,
) -> Result<Option<Granted>, DbErr> {
    use session_row::Column;

    let presented = attempt.token;
    let email_columns = account::Entity::email_columns().map(|column| {
        account::Entity::find()
            .select_only()
            .expr(column)
            .filter(account::Column::Id.into_expr().equals(Column::AccountId.as_column_ref()))
    });
    // On PostgreSQL, this condition waits for a concurrent kill switch of the account, and then
    // sees its result. A kill switch waits for refreshes that started before it. SQLite has a
    // single writer.
    let is_current = if txn.get_database_backend() == DbBackend::Postgres {
        let (account_id, epoch) = (Column::AccountId.into_expr(), Column::Epoch.into_expr());
        Condition::all().add(account_lock::lock_shared_and_check(account_id, epoch))
    } else {
        let [email, _] = &email_columns;
        let enabled = email.clone().filter(account::Column::DisabledAt.is_null());
        session_row::Entity::live(now).add(Expr::exists(enabled.into_query()))
    };
    let mut update = session_row::Entity::update_many()
        .col_expr(Column::Generation, Expr::value(presented.generation + 1))
        .col_expr(Column::RotatedAt, Expr::value(now))
        .col_expr(Column::IdleExpiresAt, Expr::value(now.plus(lifetime)))
        .filter(Column::Id.eq(presented.session_id))
        .filter(Column::Generation.eq(presented.generation))
        .filter(Column::ClientId.eq(&attempt.client_id))
        .filter(session_row::Entity::live_by_row(now))
        .filter(is_current);
    if !attempt.is_server {
        let (address, user_agent) = (origin.address, origin.user_agent.as_deref());
        update = update
            .col_expr(Column::Address, Expr::value(address.map(|it| it.to_string())))
            .col_expr(Column::UserAgent, Expr::value(user_agent.map(sanitized)));
    }
    let mut update = update.into_query();
    let columns = Column::iter().map(ColumnTrait::into_expr);
    let email_columns = email_columns.map(|column| Expr::from(column.into_query()));
    update.returning(Query::returning().exprs(columns.chain(email_columns)));

    let Some(row) = txn.query_one(&update).await? else { return Ok(None) };
    let count = Column::iter().count();
    let verified_at: Option<Timestamp> = row.try_get_by_index(count + 1)?;
    let (email, email_verified) = (row.try_get_by_index(count)?, verified_at.is_some());
    let email = EmailClaims { email, email_verified };
    Ok(Some(Granted::of(session_row::Model::from_query_result(&row, "")?, email)))
}

/// The audit event of a refresh.
fn refresh_event(granted: &Granted) -> Event {
    Event::new(Kind::TokenRefreshed).session(
        granted.account_id,
        granted.session_id,
        &granted.client_id,
    )
}

/// Handles a token that is not the newest token of a live session. Distinguishes a retry from
/// reuse.
async fn handle_reuse(
    txn: &DatabaseTransaction,
    attempt: &RefreshAttempt,
    Durations { retry_window, database_timeout, .. }: Durations,
    origin: &Origin,
    now: Timestamp,
) -> Result<Outcome, RefreshError> {
    // The client is locked first, as in client removal, because ending the session notifies the
    // client.
    if attempt.client_id != FIRST_PARTY_CLIENT
        && !client_row::Entity::lock_registered(txn, &attempt.client_id).await?
    {
        return Ok(Outcome::Rejected);
    }
    // The session is locked, so that it stays live until the commit. Otherwise a logout or a kill
    // switch could commit in between, and new tokens would be granted after the session ended.
    // SQLite runs one transaction at a time.
    let presented = attempt.token;
    let session = session_row::Entity::find_by_id(presented.session_id);
    let Some(found) = session.clone().one(txn).await? else { return Ok(Outcome::Rejected) };
    account_lock::lock_shared(txn, found.account_id).await?;
    let session = session.filter(session_row::Entity::live(now)).lock_exclusive().one(txn).await?;
    let Some(session) = session.filter(|session| session.client_id == attempt.client_id) else {
        return Ok(Outcome::Rejected);
    };
    if presented.generation == session.generation {
        // The token is the newest of a live session, so the account must be disabled.
        return Ok(Outcome::Rejected);
    }
    if attempt.reuse == RefreshReuse::Refuse {
        record_reuse(txn, attempt, &session, origin, now).await?;
        return Ok(Outcome::Reused(session.account_id));
    }
    let is_predecessor = presented.generation + 1 == session.generation;
    let is_retry = match session.rotated_at.filter(|_| is_predecessor) {
        Some(at) if is_recent(at, retry_window, now) => true,
        Some(at) => {
            database::may_have_lost_response(txn, at, retry_window, database_timeout, now).await?
        }
        None => false,
    };
    if is_retry {
        let account = account::Entity::find_by_id(session.account_id).one(txn).await?;
        let Some(account) = account.filter(account::Model::is_enabled) else {
            return Ok(Outcome::Rejected);
        };
        let granted = Granted::of(session, account.email_claims());
        refresh_event(&granted).reason("retry").record(txn, origin, now).await?;
        return Ok(Outcome::Granted(granted));
    }
    let rotated_at = session.rotated_at.unwrap_or_default();
    let is_delayed =
        database::may_be_delayed_request(txn, rotated_at, retry_window, database_timeout, now);
    if !is_predecessor && is_delayed.await? {
        return Err(RefreshError::Database(database::retry_later()));
    }
    session::end(txn, session.id, EndReason::TokenReuse, now).await?;
    record_reuse(txn, attempt, &session, origin, now).await?;
    Ok(Outcome::Reused(session.account_id))
}

async fn record_reuse(
    txn: &DatabaseTransaction,
    attempt: &RefreshAttempt,
    session: &session_row::Model,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    Event::new(Kind::TokenReuse)
        .session(session.account_id, session.id, &session.client_id)
        .reason(format!(
            "token {} shown, newest is {}, last seen at {}",
            attempt.token.generation,
            session.generation,
            session.address.as_deref().unwrap_or("an unknown address"),
        ))
        .record(txn, origin, now)
        .await
}

/// Whether the time between the rotation and `now` is shorter than the retry window. `now` may be
/// the earlier of the two: this instance may have waited for the row, or its clock may have been
/// set back.
fn is_recent(rotated_at: Timestamp, retry_window: Duration, now: Timestamp) -> bool {
    now < rotated_at.plus(retry_window) && rotated_at < now.plus(retry_window)
}
