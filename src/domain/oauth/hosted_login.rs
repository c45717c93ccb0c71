//! Logins and sign-ups on the hosted pages. One transaction starts the browser session, and moves
//! pending requests and client sessions to it from the browser's previous session.
//!
//! A form may be sent twice, by a second click or from a page that stayed open. Each browser
//! session stores the cookie that the browser had before the login (`previous_cookie_digest`). This
//! cookie shows whether a form was already sent.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait,
    PaginatorTrait, QueryFilter, QueryTrait,
};
use uuid::Uuid;

use crate::config::TokenSettings;
use crate::database::Db;
use crate::domain::account::{self, NewAccount, SignUp, SignUpError, SignedUp};
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::email::Email;
use crate::domain::granted::Granted;
use crate::domain::oauth::logout;
use crate::domain::oauth::pending_authorization::PENDING_LIFETIME;
use crate::domain::password::Hasher;
use crate::domain::session::{self, BrowserCookie, CheckedLogIn, LogIn, LogInError, NewSession};
use crate::domain::status::StatusEntries;
use crate::entity::session::{Column, EndReason, Entity};
use crate::entity::{account as account_row, authorization_code, pending_authorization};
use crate::timestamp::Timestamp;

/// The browser in which a user logs in, and the client that requested the login.
#[derive(Debug, Clone)]
pub struct LoginContext {
    /// The new and the previous cookie of the browser.
    pub cookie: BrowserCookie,
    /// The client whose authorization request waits for the login, if any.
    pub client_id: Option<String>,
}

/// Logs a user in on the hosted pages.
///
/// # Errors
/// As [`session::log_in`].
pub async fn log_in(
    db: &Db,
    hasher: &Hasher,
    entries: &StatusEntries,
    (attempt, context): (LogIn<'_>, LoginContext),
    settings: &TokenSettings,
    now: Timestamp,
) -> Result<Granted, LogInError> {
    let log_in_once = |old_hash| {
        let (attempt, context) = ((&attempt, old_hash), context.clone());
        async move {
            let mut checked = session::check(db, hasher, entries, attempt, settings, now).await?;
            checked.session = checked.session.in_browser(context.cookie.clone());
            db.write((checked, context), |txn, now, (checked, context)| {
                Box::pin(begin_in_browser(txn, checked, context, now))
            })
            .await
        }
    };
    session::run_with_retry(db, &attempt, log_in_once).await
}

async fn begin_in_browser(
    txn: &DatabaseTransaction,
    checked: &CheckedLogIn,
    context: &LoginContext,
    now: Timestamp,
) -> Result<Granted, LogInError> {
    let granted = session::begin(txn, checked, now).await?;
    replace_browser_session(txn, &granted, context, &checked.session.origin, now).await?;
    Ok(granted)
}

/// Creates an account and logs it in on the hosted pages, unless its address must be verified
/// first.
///
/// # Errors
/// As [`account::sign_up`].
pub async fn sign_up(
    db: &Db,
    hasher: &Hasher,
    entries: &StatusEntries,
    (request, context): (SignUp<'_>, LoginContext),
    settings: &TokenSettings,
    now: Timestamp,
) -> Result<SignedUp, SignUpError> {
    let result = match account::prepare(db, hasher, entries, &request, settings, now).await {
        Ok(new) => create_in_browser(db, new, context).await,
        Err(error) => Err(error),
    };
    account::record_refusal(db, &request, result).await
}

/// Logs in a user who has just confirmed a sign-up: in the browser that signed up, or with the
/// password. `None` if the account was disabled or deleted meanwhile.
///
/// # Errors
/// See [`SignUpError`].
pub async fn log_in_confirmed(
    db: &Db,
    entries: &StatusEntries,
    (account_id, context): (Uuid, LoginContext),
    origin: &Origin,
    settings: &TokenSettings,
    now: Timestamp,
) -> Result<Option<Granted>, SignUpError> {
    let session = NewSession::prepare(db, entries, settings, origin, now).await?;
    let session = session.in_browser(context.cookie.clone());
    db.write((session, context), move |txn, now, (session, context)| {
        Box::pin(async move {
            let account = session::lock_account(txn, account_id).await?;
            let account = account.filter(account_row::Model::is_enabled);
            let Some(account) = account else { return Ok(None) };
            account_row::Entity::update_many()
                .col_expr(account_row::Column::LastLoginAt, Expr::value(now))
                .filter(account_row::Column::Id.eq(account_id))
                .exec(txn)
                .await?;
            let event = Event::new(Kind::LogIn);
            let granted = session::start(txn, &account, session, event, now).await?;
            replace_browser_session(txn, &granted, context, &session.origin, now).await?;
            Ok(Some(granted))
        })
    })
    .await
}

async fn create_in_browser(
    db: &Db,
    mut new: NewAccount,
    context: LoginContext,
) -> Result<SignedUp, SignUpError> {
    new.session = new.session.map(|session| session.in_browser(context.cookie.clone()));
    db.write((new, context), |txn, now, (new, context)| {
        Box::pin(async move {
            let signed_up = account::create(txn, new, now).await?;
            if let (SignedUp::LoggedIn(granted), Some(session)) = (&signed_up, &new.session) {
                replace_browser_session(txn, granted, context, &session.origin, now).await?;
            }
            Ok(signed_up)
        })
    })
    .await
}

/// Whether the account with this address has a recent live browser session, in the browser that had
/// this cookie before the login. If so, a form with this cookie was sent twice.
///
/// # Errors
/// If the database refuses.
pub async fn has_recent_login(
    db: &Db,
    email: &Email,
    cookie_digest: Vec<u8>,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let Some(account) = session::find_account(db, email).await? else { return Ok(false) };
    let logins = recent_logins(account.id, cookie_digest, now);
    let number = db.read(|db| async move { logins.count(&db).await }).await?;
    Ok(number > 0)
}

/// The account of the browser session with this cookie, if a recent browser session of the same
/// account has replaced it in the same browser, and is live.
///
/// # Errors
/// If the database refuses.
pub async fn account_of_replaced(
    db: &Db,
    cookie_digest: Vec<u8>,
    now: Timestamp,
) -> Result<Option<account::Row>, DbErr> {
    let replaced = Entity::find()
        .filter(Column::CookieDigest.eq(cookie_digest.clone()))
        .find_also_related(account_row::Entity);
    let found = db.read(|db| async move { replaced.one(&db).await }).await?;
    let Some(account) = found.and_then(|(_, account)| account).filter(account::Row::is_enabled)
    else {
        return Ok(None);
    };
    let logins = recent_logins(account.id, cookie_digest, now);
    let number = db.read(|db| async move { logins.count(&db).await }).await?;
    Ok((number > 0).then_some(account))
}

/// The live browser sessions of an account in the browser that had this cookie before the login, if
/// they are recent: started within the lifetime of a pending request.
fn recent_logins(
    account_id: Uuid,
    cookie_digest: Vec<u8>,
    now: Timestamp,
) -> sea_orm::Select<Entity> {
    Entity::find()
        .filter(Entity::live_of(account_id, now))
        .filter(Column::PreviousCookieDigest.eq(cookie_digest))
        .filter(Column::AuthTime.gt(now.minus(PENDING_LIFETIME)))
}

/// Moves the browser's pending requests to its new session, and ends its previous session, even if
/// the idle expiry of the previous session has passed. If both sessions are of the same account,
/// the client sessions of the previous session move to the new session. Otherwise the previous
/// session is logged out.
async fn replace_browser_session(
    txn: &DatabaseTransaction,
    new: &Granted,
    context: &LoginContext,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    let BrowserCookie { digest, previous_digest, .. } = &context.cookie;
    let old = Entity::find()
        .filter(Column::CookieDigest.eq(previous_digest.clone()))
        .filter(Entity::unended(now))
        .one(txn)
        .await?;
    let is_logged_in = old.is_some();
    if let Some(old) = old {
        if old.account_id == new.account_id {
            // This locks the row of the previous session, as a concurrent code exchange does. So
            // the client session that such an exchange starts is committed before client sessions
            // move.
            session::end(txn, old.id, EndReason::Replaced, now).await?;
            move_clients(txn, old.id, new.session_id).await?;
        } else {
            logout::end_browser(txn, &old, origin, now).await?;
        }
    }
    end_unanswered(txn, new, context, now).await?;
    // The steps above have locked the account of the previous session, so none of its consents is
    // withdrawn while its pending requests move. If there was no previous session, only requests of
    // the new account move.
    let digests = (previous_digest.clone(), digest.clone());
    move_pending(txn, digests, new.account_id, is_logged_in).await
}

/// Ends browser sessions whose form was sent again before the browser got the response, because no
/// browser has the cookies of these sessions. A browser session with client sessions, or with codes
/// for another client, may belong to another tab, so it stays.
///
/// A browser waits for the response to the last form that it sent, but instances may commit the
/// logins in another order. So if a form was received after the form of `new`, `new` ends instead.
async fn end_unanswered(
    txn: &DatabaseTransaction,
    new: &Granted,
    context: &LoginContext,
    now: Timestamp,
) -> Result<(), DbErr> {
    let previous_digest = context.cookie.previous_digest.clone();
    let logins = recent_logins(new.account_id, previous_digest, now);
    let repeated = logins.filter(Column::Id.ne(new.session_id)).all(txn).await?;
    if repeated.iter().any(|it| it.auth_time > new.auth_time) {
        return session::end(txn, new.session_id, EndReason::Replaced, now).await.map(drop);
    }
    for unanswered in repeated {
        let opened = Entity::find().filter(Column::BrowserSessionId.eq(unanswered.id));
        let codes = authorization_code::Entity::find()
            .filter(authorization_code::Column::AccountId.eq(new.account_id))
            .filter(authorization_code::Column::BrowserSessionId.eq(unanswered.id))
            .apply_if(context.client_id.as_deref(), |codes, client_id| {
                codes.filter(authorization_code::Column::ClientId.ne(client_id))
            });
        if opened.count(txn).await? == 0 && codes.count(txn).await? == 0 {
            session::end(txn, unanswered.id, EndReason::Replaced, now).await?;
        }
    }
    Ok(())
}

/// Moves a browser's pending requests to its new cookie and account: all requests if the user was
/// logged in (`is_logged_in`), otherwise only requests of the account.
///
/// # Errors
/// If the database refuses.
pub async fn move_pending(
    txn: &impl ConnectionTrait,
    (old_digest, new_digest): (Vec<u8>, Vec<u8>),
    account_id: Uuid,
    is_logged_in: bool,
) -> Result<(), DbErr> {
    use pending_authorization::Column as Pending;

    // A previous version stored requests without an account.
    let own =
        Condition::any().add(Pending::AccountId.eq(account_id)).add(Pending::AccountId.is_null());
    pending_authorization::Entity::update_many()
        .col_expr(Pending::AccountId, Expr::value(account_id))
        .col_expr(Pending::BrowserDigest, Expr::value(new_digest))
        .filter(Pending::BrowserDigest.eq(old_digest))
        .filter(Condition::all().add_option((!is_logged_in).then_some(own)))
        .exec(txn)
        .await?;
    Ok(())
}

/// Moves client sessions to another browser session of the same account.
async fn move_clients(txn: &impl ConnectionTrait, from: Uuid, to: Uuid) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::BrowserSessionId, Expr::value(to))
        .filter(Column::BrowserSessionId.eq(from))
        .exec(txn)
        .await?;
    Ok(())
}
