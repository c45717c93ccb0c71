//! What people have allowed clients, remembered.
//!
//! A consent is for a scope at an audience. What somebody allowed at one service says nothing of
//! another, so each audience has its own scope.

use std::collections::BTreeMap;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, Set};
use uuid::Uuid;

use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::oauth::audience;
use crate::domain::oauth::browser::Browser;
use crate::domain::oauth::scope::Scope;
use crate::entity::client::Model as Client;
use crate::entity::consent::{ActiveModel, Column, Entity, Model, ScopesByAudience};
use crate::timestamp::Timestamp;

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
}

/// Whether somebody has allowed all of a wish before, at each of its audiences. Asked as part of the
/// transaction that grants it, with the account held.
///
/// # Errors
/// If the database refuses.
pub async fn covers(
    txn: &impl ConnectionTrait,
    account_id: Uuid,
    wish: Wish<'_>,
) -> Result<bool, DbErr> {
    let Wish { client, issuer, scope, audience } = wish;
    let row = Entity::find_by_id((account_id, client.id.clone())).one(txn).await?;
    let access = row.map(|row| access_of(&row, client, issuer)).unwrap_or_default();
    let mut audiences = audience.split(' ');
    Ok(audiences.all(|it| access.get(it).is_some_and(|allowed| scope.is_within(allowed))))
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
    let Wish { client, issuer, scope, audience } = wish;
    let account_id = browser.account.id;
    let before = Entity::find_by_id((account_id, client.id.clone())).one(txn).await?;
    let mut access = before.map(|row| access_of(&row, client, issuer)).unwrap_or_default();
    for one in audience.split(' ') {
        let allowed = access.remove(one).unwrap_or_default();
        access.insert(one.to_owned(), allowed.joined_with(scope.clone()));
    }
    let together = access.values().cloned().fold(Scope::default(), Scope::joined_with);
    let texts = access.into_iter().map(|(audience, scope)| (audience, scope.to_string()));
    let row = ActiveModel {
        account_id: Set(account_id),
        client_id: Set(client.id.clone()),
        scope: Set(together.to_string()),
        granted_at: Set(now),
        access: Set(Some(ScopesByAudience(texts.collect()))),
    };
    let again = OnConflict::columns([Column::AccountId, Column::ClientId])
        .update_columns([Column::Scope, Column::GrantedAt, Column::Access])
        .to_owned();
    Entity::insert(row).on_conflict(again).exec_without_returning(txn).await?;
    Event::new(Kind::ConsentGranted)
        .account(account_id)
        .session(browser.session.id, &client.id)
        .reason(format!("{scope} at {audience}"))
        .record(txn, origin, now)
        .await
}

/// What a row says, at each audience. One from before audiences were told apart speaks of the
/// client's default: whoever said so was not told of any other.
fn access_of(row: &Model, client: &Client, issuer: &str) -> BTreeMap<String, Scope> {
    let scope = |text: &str| Scope::parse(text).unwrap_or_default();
    match &row.access {
        Some(ScopesByAudience(texts)) => {
            texts.iter().map(|(audience, text)| (audience.clone(), scope(text))).collect()
        }
        None => {
            BTreeMap::from([(audience::default_of(client, issuer).to_owned(), scope(&row.scope))])
        }
    }
}
