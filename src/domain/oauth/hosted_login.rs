//! A login on the hosted pages: the check or the new account, and then one transaction for the session,
//! its cookie, and what it takes over from the browser.
//!
//! A form may be sent twice: by a second click, or again from a page that stayed open. Whether it was sent
//! before is told by the cookie that the browser had then (`previous_cookie_digest`).

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait,
    PaginatorTrait, QueryFilter,
};
use uuid::Uuid;

use crate::config::TokenSettings;
use crate::database::Db;
use crate::domain::account::{self, SignUp, SignUpError};
use crate::domain::audit::Origin;
use crate::domain::email::Email;
use crate::domain::granted::Granted;
use crate::domain::oauth::logout;
use crate::domain::oauth::pending_authorization::PATIENCE;
use crate::domain::password::Hasher;
use crate::domain::session::{self, BrowserCookie, LogIn, LogInError};
use crate::domain::status::StatusEntries;
use crate::entity::session::{Column, EndReason, Entity};
use crate::entity::{account as account_row, authorization_code, pending_authorization};
use crate::timestamp::Timestamp;

/// The browser that somebody logs in to.
#[derive(Debug, Clone)]
pub struct Entrance {
    /// Its cookie from now on, and the one it had until now.
    pub cookie: BrowserCookie,
    /// The client whose request the login answers, if it answers one.
    pub client_id: Option<String>,
}

/// Logs somebody in to a browser.
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
    let once = async || {
        let checked = session::check(db, hasher, entries, &attempt, settings, now).await?;
        let input = (checked, entrance.clone(), attempt.origin.clone());
        db.write(input, |txn, now, (checked, entrance, origin)| {
            Box::pin(async move {
                let cookie = Some(entrance.cookie.clone());
                let granted = session::begin(txn, checked, cookie, now).await?;
                take_over(txn, &granted, entrance, origin, now).await?;
                Ok(granted)
            })
        })
        .await
    };
    let result = match once().await {
        // As in `session::log_in`.
        Err(LogInError::Changed) => once().await,
        result => result,
    };
    session::conclude(db, &attempt, result).await
}

/// Makes an account and logs it in to a browser.
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
    let (origin, tried) = (request.origin.clone(), account::Tried::of(&request));
    let new = account::prepare(db, hasher, entries, request, settings, now).await?;
    let result = db.write((new, entrance, origin), |txn, now, (new, entrance, origin)| {
        Box::pin(async move {
            let cookie = Some(entrance.cookie.clone());
            let granted = account::create(txn, new, cookie, now).await?;
            take_over(txn, &granted, entrance, origin, now).await?;
            Ok(granted)
        })
    });
    account::conclude(db, tried, result.await).await
}

/// Whether a login of this account has begun within the time that a request waits, in a browser that had
/// the cookie with this digest until then: whoever sends a form with that cookie sends it again.
///
/// # Errors
/// If the database refuses.
pub async fn has_just_begun(
    db: &Db,
    email: &Email,
    cookie_digest: Vec<u8>,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let account = account_row::Entity::find_by_address(email.address(), email.folded());
    let Some(account) = db.read(|db| async move { account.one(&db).await }).await? else {
        return Ok(false);
    };
    let begun = begun_after(account.id, cookie_digest, now);
    let number = db.read(|db| async move { begun.count(&db).await }).await?;
    Ok(number > 0)
}

/// The account whose login the cookie with this digest stood for until another one took its place in the
/// same browser, and that still lives.
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

/// Live logins of an account that began in the browser that had this cookie until then.
fn begun_after(
    account_id: Uuid,
    cookie_digest: Vec<u8>,
    now: Timestamp,
) -> sea_orm::Select<Entity> {
    Entity::find()
        .filter(Entity::live_of(account_id, now))
        .filter(Column::PreviousCookieDigest.eq(cookie_digest))
        .filter(Column::AuthTime.gt(now.minus(PATIENCE)))
}

/// What the browser had begun goes on in its new login; a login it had before, be it idle, ends: quietly
/// if it was of the same person, with all that was opened in it if not.
async fn take_over(
    txn: &DatabaseTransaction,
    new: &Granted,
    entrance: &Entrance,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    let BrowserCookie { digest, previous_digest } = &entrance.cookie;
    let old = Entity::find()
        .filter(Column::CookieDigest.eq(previous_digest.clone()))
        .filter(Entity::unended(now))
        .one(txn)
        .await?;
    let is_logged_in = old.is_some();
    if let Some(old) = old {
        if old.account_id == new.account_id {
            // Ended first: whoever redeems a code in it at this moment holds its row, and what they
            // opened is moved once they let go.
            session::end(txn, old.id, EndReason::Replaced, now).await?;
            move_clients(txn, old.id, new.session_id).await?;
        } else {
            logout::end_browser(txn, &old, origin, now).await?;
        }
    }
    end_unanswered(txn, new, entrance, now).await?;
    // With the account held, if the browser had one: whoever takes back a consent does the same. After a
    // logout the cookie is good for nothing, and what somebody else had begun with it is not handed on.
    let digests = (previous_digest.clone(), digest.clone());
    move_waiting(txn, digests, new.account_id, is_logged_in).await
}

/// Ends logins whose form was sent again before the browser had the answer: nobody has their cookie.
/// One in which something was opened for another client may be another tab's, and stays.
async fn end_unanswered(
    txn: &DatabaseTransaction,
    new: &Granted,
    entrance: &Entrance,
    now: Timestamp,
) -> Result<(), DbErr> {
    let previous_digest = entrance.cookie.previous_digest.clone();
    let begun = begun_after(new.account_id, previous_digest, now);
    for unanswered in begun.filter(Column::Id.ne(new.session_id)).all(txn).await? {
        let opened = Entity::find().filter(Column::BrowserSessionId.eq(unanswered.id));
        let codes = authorization_code::Entity::find()
            .filter(authorization_code::Column::AccountId.eq(new.account_id))
            .filter(authorization_code::Column::BrowserSessionId.eq(unanswered.id))
            .filter(of_another_client(entrance.client_id.as_deref()));
        if opened.count(txn).await? == 0 && codes.count(txn).await? == 0 {
            session::end(txn, unanswered.id, EndReason::Replaced, now).await?;
        }
    }
    Ok(())
}

fn of_another_client(client_id: Option<&str>) -> Condition {
    let client_id = client_id.map(|it| authorization_code::Column::ClientId.ne(it));
    Condition::all().add_option(client_id)
}

/// Requests that wait in a browser go on under its new cookie, for whoever is logged in by now: all of them
/// if somebody was logged in, else those of the account.
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

    // Nobody's are those of a version before.
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

/// What clients hold stays open: the person is the same.
async fn move_clients(txn: &impl ConnectionTrait, from: Uuid, to: Uuid) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::BrowserSessionId, Expr::value(to))
        .filter(Column::BrowserSessionId.eq(from))
        .exec(txn)
        .await?;
    Ok(())
}
