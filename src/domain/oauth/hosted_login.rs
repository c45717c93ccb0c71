//! Logins on the hosted pages: the check or sign-up, and then one transaction for the session, its
//! cookie, and what it takes over from the browser's previous login.
//!
//! A form may be sent twice, by a second click or from a page that stayed open. The cookie that the
//! browser had before the login (`previous_cookie_digest`) shows whether a form was already sent.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait,
    PaginatorTrait, QueryFilter, QueryTrait,
};
use uuid::Uuid;

use crate::config::TokenSettings;
use crate::database::Db;
use crate::domain::account::{self, SignUp, SignUpError};
use crate::domain::audit::Origin;
use crate::domain::email::Email;
use crate::domain::granted::Granted;
use crate::domain::oauth::logout;
use crate::domain::oauth::pending_authorization::PENDING_LIFETIME;
use crate::domain::password::Hasher;
use crate::domain::session::{self, BrowserCookie, LogIn, LogInError};
use crate::domain::status::StatusEntries;
use crate::entity::session::{Column, EndReason, Entity};
use crate::entity::{account as account_row, authorization_code, pending_authorization};
use crate::timestamp::Timestamp;

/// The browser of a login.
#[derive(Debug, Clone)]
pub struct Entrance {
    /// Its new cookie and its previous one.
    pub cookie: BrowserCookie,
    /// The client whose authorization request the login is for, if any.
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
    (attempt, entrance): (LogIn<'_>, Entrance),
    settings: &TokenSettings,
    now: Timestamp,
) -> Result<Granted, LogInError> {
    let once = || async {
        let mut checked = session::check(db, hasher, entries, &attempt, settings, now).await?;
        checked.session = checked.session.in_browser(entrance.cookie.clone());
        db.write((checked, entrance.clone()), |txn, now, (checked, entrance)| {
            Box::pin(async move {
                let granted = session::begin(txn, checked, now).await?;
                let origin = &checked.session.origin;
                replace_browser_session(txn, &granted, entrance, origin, now).await?;
                Ok(granted)
            })
        })
        .await
    };
    session::conclude(db, &attempt, once).await
}

/// Creates an account and logs it in on the hosted pages.
///
/// # Errors
/// As [`account::sign_up`].
pub async fn sign_up(
    db: &Db,
    hasher: &Hasher,
    entries: &StatusEntries,
    (request, entrance): (SignUp<'_>, Entrance),
    settings: &TokenSettings,
    now: Timestamp,
) -> Result<Granted, SignUpError> {
    let mut new = account::prepare(db, hasher, entries, &request, settings, now).await?;
    new.session = new.session.in_browser(entrance.cookie.clone());
    let result = db.write((new, entrance), |txn, now, (new, entrance)| {
        Box::pin(async move {
            let granted = account::create(txn, new, now).await?;
            let origin = &new.session.origin;
            replace_browser_session(txn, &granted, entrance, origin, now).await?;
            Ok(granted)
        })
    });
    account::conclude(db, &request, result.await).await
}

/// Whether this account logged in, within the lifetime of a pending request, in a browser whose
/// cookie had this digest before. A form with that cookie has then been sent twice.
///
/// # Errors
/// If the database refuses.
pub async fn has_just_begun(
    db: &Db,
    email: &Email,
    cookie_digest: Vec<u8>,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let Some(account) = session::find_account(db, email).await? else { return Ok(false) };
    let begun = begun_after(account.id, cookie_digest, now);
    let number = db.read(|db| async move { begun.count(&db).await }).await?;
    Ok(number > 0)
}

/// The account of the login with this cookie, if a later login of the same account in the same
/// browser replaced it and is live.
///
/// # Errors
/// If the database refuses.
pub async fn account_of_replaced(
    db: &Db,
    cookie_digest: Vec<u8>,
    now: Timestamp,
) -> Result<Option<account::Row>, DbErr> {
    let before = Entity::find()
        .filter(Column::CookieDigest.eq(cookie_digest.clone()))
        .find_also_related(account_row::Entity);
    let found = db.read(|db| async move { before.one(&db).await }).await?;
    let Some(account) = found.and_then(|(_, account)| account).filter(account::Row::is_enabled)
    else {
        return Ok(None);
    };
    let begun = begun_after(account.id, cookie_digest, now);
    let number = db.read(|db| async move { begun.count(&db).await }).await?;
    Ok((number > 0).then_some(account))
}

/// Recent live logins of an account in the browser that had this cookie before.
fn begun_after(
    account_id: Uuid,
    cookie_digest: Vec<u8>,
    now: Timestamp,
) -> sea_orm::Select<Entity> {
    Entity::find()
        .filter(Entity::live_of(account_id, now))
        .filter(Column::PreviousCookieDigest.eq(cookie_digest))
        .filter(Column::AuthTime.gt(now.minus(PENDING_LIFETIME)))
}

/// Moves the browser's pending requests to its new login and ends its previous login, idle or not.
/// If that was of the same account, its client sessions move too; otherwise it is logged out.
async fn replace_browser_session(
    txn: &DatabaseTransaction,
    new: &Granted,
    entrance: &Entrance,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    let BrowserCookie { digest, previous_digest, .. } = &entrance.cookie;
    let old = Entity::find()
        .filter(Column::CookieDigest.eq(previous_digest.clone()))
        .filter(Entity::unended(now))
        .one(txn)
        .await?;
    let is_logged_in = old.is_some();
    if let Some(old) = old {
        if old.account_id == new.account_id {
            // Ended first: a concurrent code exchange locks this row, and its session is moved
            // after it commits.
            session::end(txn, old.id, EndReason::Replaced, now).await?;
            move_clients(txn, old.id, new.session_id).await?;
        } else {
            logout::end_browser(txn, &old, origin, now).await?;
        }
    }
    end_unanswered(txn, new, entrance, now).await?;
    // The account is locked if the browser had a login, as in withdrawing a consent. After a logout
    // the old cookie is void, and pending requests of another account are not moved.
    let digests = (previous_digest.clone(), digest.clone());
    move_waiting(txn, digests, new.account_id, is_logged_in).await
}

/// Ends logins whose form was sent again before the browser got the response: no browser has their
/// cookie. One with sessions or codes for another client may belong to another tab and stays.
///
/// A browser waits for the response to the last form that it sent, and instances may commit in
/// another order. So a login whose form was received after that of `new` ends `new` instead.
async fn end_unanswered(
    txn: &DatabaseTransaction,
    new: &Granted,
    entrance: &Entrance,
    now: Timestamp,
) -> Result<(), DbErr> {
    let previous_digest = entrance.cookie.previous_digest.clone();
    let begun = begun_after(new.account_id, previous_digest, now);
    let repeated = begun.filter(Column::Id.ne(new.session_id)).all(txn).await?;
    if repeated.iter().any(|it| it.auth_time > new.auth_time) {
        return session::end(txn, new.session_id, EndReason::Replaced, now).await.map(drop);
    }
    for unanswered in repeated {
        let opened = Entity::find().filter(Column::BrowserSessionId.eq(unanswered.id));
        let codes = authorization_code::Entity::find()
            .filter(authorization_code::Column::AccountId.eq(new.account_id))
            .filter(authorization_code::Column::BrowserSessionId.eq(unanswered.id))
            .apply_if(entrance.client_id.as_deref(), |codes, this| {
                codes.filter(authorization_code::Column::ClientId.ne(this))
            });
        if opened.count(txn).await? == 0 && codes.count(txn).await? == 0 {
            session::end(txn, unanswered.id, EndReason::Replaced, now).await?;
        }
    }
    Ok(())
}

/// Moves a browser's pending requests to its new cookie and account: all of them if the browser was
/// logged in, otherwise only those of the account.
///
/// # Errors
/// If the database refuses.
pub async fn move_waiting(
    txn: &impl ConnectionTrait,
    (old_digest, new_digest): (Vec<u8>, Vec<u8>),
    account_id: Uuid,
    is_logged_in: bool,
) -> Result<(), DbErr> {
    use pending_authorization::Column as Waiting;

    // Requests without an account are of a previous version.
    let own =
        Condition::any().add(Waiting::AccountId.eq(account_id)).add(Waiting::AccountId.is_null());
    pending_authorization::Entity::update_many()
        .col_expr(Waiting::AccountId, Expr::value(account_id))
        .col_expr(Waiting::BrowserDigest, Expr::value(new_digest))
        .filter(Waiting::BrowserDigest.eq(old_digest))
        .filter(Condition::all().add_option((!is_logged_in).then_some(own)))
        .exec(txn)
        .await?;
    Ok(())
}

/// Client sessions continue, because the account is the same.
async fn move_clients(txn: &impl ConnectionTrait, from: Uuid, to: Uuid) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::BrowserSessionId, Expr::value(to))
        .filter(Column::BrowserSessionId.eq(from))
        .exec(txn)
        .await?;
    Ok(())
}
