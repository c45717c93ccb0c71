//! What people have allowed clients: remembered, shown, and taken back.
//!
//! A consent is for a scope at an audience. What somebody allowed at one service says nothing of
//! another, so each audience has its own scope. Single claims (OpenID Connect Core 1.0 §5.5) are told to
//! the client itself, and so count wherever its tokens are for.

use std::collections::BTreeMap;

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Set,
};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::oauth::audience;
use crate::domain::oauth::browser_session::Browser;
use crate::domain::oauth::claims::is_opened;
use crate::domain::oauth::client::metadata::is_client_id;
use crate::domain::scope::Scope;
use crate::domain::session;
use crate::domain::session::listing::{self, Login, LoginsError};
use crate::entity::client::{self as client_row, Model as Client, Texts};
use crate::entity::consent::{ActiveModel, Column, Entity, Model, ScopesByAudience};
use crate::entity::session::{self as session_row, EndReason};
use crate::entity::{authorization_code, pending_authorization};
use crate::timestamp::Timestamp;

/// How many consents are shown. There are as many as clients that ask, at most.
const SHOWN: u64 = 1000;

/// What a client wants to do, and where.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// Who wants it.
    pub client: &'a Client,
    /// Who answers: the audience of a client that has none.
    pub issuer: &'a str,
    /// What.
    pub scope: &'a Scope,
    /// At which audiences, space-separated: all of the scope at each.
    pub audience: &'a str,
    /// Single claims besides.
    pub claims: &'a [String],
}

/// What somebody has allowed a client.
#[derive(Debug, Clone)]
pub struct Consent {
    /// Whom.
    pub client: Client,
    /// What, at each audience.
    pub access: BTreeMap<String, Scope>,
    /// Single claims besides, by their names.
    pub claims: Vec<String>,
    /// When it was last said.
    pub granted_at: Timestamp,
}

/// Why nothing was shown or taken back.
#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    /// The login that asks has ended, or its account is disabled.
    #[error("the session has ended")]
    NotLoggedIn,
    /// Nothing was allowed, or not by a person: clients that are registered with `consent = "skip"`
    /// have nobody's.
    #[error("there is no such consent")]
    NotFound,
    /// The database refused or failed.
    #[error("the consents could not be read or taken back")]
    Database(#[from] DbErr),
}

impl From<LoginsError> for ConsentError {
    fn from(error: LoginsError) -> Self {
        match error {
            LoginsError::NotLoggedIn | LoginsError::NotFound => Self::NotLoggedIn,
            LoginsError::Database(error) => Self::Database(error),
        }
    }
}

/// Whether somebody has allowed all of a wish before: the scope at each of its audiences, and each
/// claim, or a scope that opens it. Asked as part of the transaction that grants it, with the account
/// held.
///
/// # Errors
/// If the database refuses.
pub async fn covers(
    txn: &impl ConnectionTrait,
    account_id: Uuid,
    wish: Wish<'_>,
) -> Result<bool, DbErr> {
    let Wish { client, issuer, scope, audience, claims } = wish;
    let row = Entity::find_by_id((account_id, client.id.clone())).one(txn).await?;
    let Some(row) = row else { return Ok(false) };
    let access = access_of(&row, client, issuer);
    let mut audiences = audience.split(' ');
    let is_named = |claim: &str| row.claims.as_ref().is_some_and(|names| names.has(claim));
    let is_allowed =
        |claim: &String| is_named(claim) || access.values().any(|scope| is_opened(claim, scope));
    Ok(audiences.all(|it| access.get(it).is_some_and(|allowed| scope.is_within(allowed)))
        && claims.iter().all(is_allowed))
}

/// Adds a wish to what the person has allowed the client before, as part of the transaction that
/// grants it, with the account held alone.
///
/// # Errors
/// If the database refuses.
pub async fn remember(
    txn: &impl ConnectionTrait,
    browser: &Browser,
    wish: Wish<'_>,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    let Wish { client, issuer, scope, audience, claims } = wish;
    let account_id = browser.account.id;
    let before = Entity::find_by_id((account_id, client.id.clone())).one(txn).await?;
    let named = before.as_ref().and_then(|row| row.claims.clone()).unwrap_or_default();
    let mut access = before.map(|row| access_of(&row, client, issuer)).unwrap_or_default();
    for one in audience.split(' ') {
        let allowed = access.remove(one).unwrap_or_default();
        access.insert(one.to_owned(), allowed.joined_with(scope.clone()));
    }
    let together = access.values().cloned().fold(Scope::default(), Scope::joined_with);
    let named = joined(named, claims, &together);
    let texts = access.into_iter().map(|(audience, scope)| (audience, scope.to_string()));
    let row = ActiveModel {
        account_id: Set(account_id),
        client_id: Set(client.id.clone()),
        scope: Set(together.to_string()),
        granted_at: Set(now),
        access: Set(Some(ScopesByAudience(texts.collect()))),
        claims: Set(named),
    };
    let again = OnConflict::columns([Column::AccountId, Column::ClientId])
        .update_columns([Column::Scope, Column::GrantedAt, Column::Access, Column::Claims])
        .to_owned();
    Entity::insert(row).on_conflict(again).exec_without_returning(txn).await?;
    Event::new(Kind::ConsentGranted)
        .account(account_id)
        .session(browser.session.id, &client.id)
        .reason(format!("{scope} at {audience}{}", in_the_log(claims)))
        .record(txn, origin, now)
        .await
}

/// Single claims, those of before among them, that no scope opens by now.
fn joined(Texts(mut names): Texts, claims: &[String], together: &Scope) -> Option<Texts> {
    for claim in claims {
        if !names.contains(claim) {
            names.push(claim.clone());
        }
    }
    names.retain(|claim| !is_opened(claim, together));
    (!names.is_empty()).then_some(Texts(names))
}

fn in_the_log(claims: &[String]) -> String {
    if claims.is_empty() { String::new() } else { format!(", claims {}", claims.join(" ")) }
}

/// What a row says, at each audience. One from before audiences were told apart speaks of the
/// client's default: whoever said so was not told of any other.
fn access_of(row: &Model, client: &Client, issuer: &str) -> BTreeMap<String, Scope> {
    let scope = |text: &str| Scope::parse(text).unwrap_or_default();
    match &row.access {
        Some(ScopesByAudience(texts)) => {
            texts.iter().map(|(audience, text)| (audience.clone(), scope(text))).collect()
        }
        None => BTreeMap::from([(audience::default_of(client, issuer), scope(&row.scope))]),
    }
}

/// What somebody has allowed clients that ask, the newest first; at most a thousand.
///
/// # Errors
/// If the database refuses.
pub async fn list(db: &Db, account_id: Uuid, issuer: &str) -> Result<Vec<Consent>, DbErr> {
    let question = Entity::find()
        .find_also_related(client_row::Entity)
        .filter(Column::AccountId.eq(account_id))
        .filter(client_row::Entity::asks())
        .order_by_desc(Column::GrantedAt)
        .order_by_asc(Column::ClientId)
        .limit(SHOWN);
    let rows = db.read(|db| async move { question.all(&db).await }).await?;
    let consents = rows.into_iter().filter_map(|(row, client)| {
        let client = client?;
        let access = access_of(&row, &client, issuer);
        let claims = row.claims.unwrap_or_default().0;
        Some(Consent { client, access, claims, granted_at: row.granted_at })
    });
    Ok(consents.collect())
}

/// The same, for the person behind a login of the JSON API.
///
/// # Errors
/// [`ConsentError::NotLoggedIn`], or the database's.
pub async fn list_for(
    db: &Db,
    login: Login,
    issuer: &str,
    now: Timestamp,
) -> Result<Vec<Consent>, ConsentError> {
    let Login { account_id, session_id } = login;
    let account = session::account_of_live(db, session_id, account_id, now).await?;
    let account = account.ok_or(ConsentError::NotLoggedIn)?;
    Ok(list(db, account.id, issuer).await?)
}

/// Takes back what the person behind a login has allowed a client: it is forgotten, all that the
/// client holds for them ends, `offline_access` included, and what is under way comes to nothing.
///
/// # Errors
/// See [`ConsentError`]; nothing has changed then.
pub async fn withdraw(
    db: &Db,
    login: Login,
    client_id: &str,
    origin: &Origin,
) -> Result<(), ConsentError> {
    if !is_client_id(client_id) {
        return Err(ConsentError::NotFound);
    }
    let (client_id, origin) = (client_id.to_owned(), origin.clone());
    db.write((client_id, origin), move |txn, now, (client_id, origin)| {
        Box::pin(async move { withdraw_in(txn, login, client_id, origin, now).await })
    })
    .await
}

/// The account is held first: whoever redeems a code or grants a request at this moment holds it,
/// too, and either what they wrote is found here, or they find nothing that is allowed.
async fn withdraw_in(
    txn: &DatabaseTransaction,
    login: Login,
    client_id: &str,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), ConsentError> {
    listing::hold(txn, login, now).await?;
    let Login { account_id, session_id } = login;
    let found = Entity::find_by_id((account_id, client_id.to_owned()))
        .find_also_related(client_row::Entity)
        .filter(client_row::Entity::asks())
        .one(txn)
        .await?;
    let (row, _) = found.ok_or(ConsentError::NotFound)?;
    session::end_of_client(txn, account_id, client_id, EndReason::Revoked, now).await?;
    void(txn, account_id, client_id, now).await?;
    Entity::delete_by_id((account_id, client_id.to_owned())).exec(txn).await?;
    let claims = row.claims.unwrap_or_default().0;
    let event = Event::new(Kind::ConsentWithdrawn).account(account_id);
    let event = event.session(session_id, client_id).reason(format!(
        "{}{}",
        row.scope,
        in_the_log(&claims)
    ));
    Ok(event.record(txn, origin, now).await?)
}

/// Makes nothing of codes that were not redeemed yet, and of requests that wait in a browser in
/// which the person is logged in. Codes that were redeemed stay, for whoever shows them again.
async fn void(
    txn: &impl ConnectionTrait,
    account_id: Uuid,
    client_id: &str,
    now: Timestamp,
) -> Result<(), DbErr> {
    use authorization_code::Column as Code;
    use pending_authorization::Column as Waiting;

    authorization_code::Entity::delete_many()
        .filter(Code::AccountId.eq(account_id))
        .filter(Code::ClientId.eq(client_id))
        .filter(Code::RedeemedAt.is_null())
        .filter(Code::ExpiresAt.gt(now))
        .exec(txn)
        .await?;
    let browsers = session_row::Entity::find()
        .select_only()
        .column(session_row::Column::CookieDigest)
        .filter(session_row::Column::CookieDigest.is_not_null())
        .filter(session_row::Entity::live_of(account_id, now))
        .into_query();
    pending_authorization::Entity::delete_many()
        .filter(Waiting::ClientId.eq(client_id))
        .filter(Waiting::ExpiresAt.gt(now))
        .filter(Waiting::BrowserDigest.in_subquery(browsers))
        .exec(txn)
        .await?;
    Ok(())
}
