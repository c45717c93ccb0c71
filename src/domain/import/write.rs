//! Writes a portion of an import, in one transaction.

use std::collections::HashSet;

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter};
use serde_json::Value;
use uuid::Uuid;

use crate::database::bulk_insert;
use crate::domain::audit::{Event, Kind, record_all};
use crate::domain::import::candidate::Candidate;
use crate::domain::import::digest;
use crate::domain::import::options::Options;
use crate::domain::import::plan::{Step, is_verified_after, plan};
use crate::domain::session::{KillSwitch, lock_account};
use crate::entity::account::{Column, Entity, Model};
use crate::entity::imported_account as imported;
use crate::entity::session::EndReason;
use crate::timestamp::Timestamp;

/// A candidate, and the step that the comparison with the database decided for it.
pub(super) type Planned = (Candidate, Step);

/// Creates and changes accounts as planned. Returns the steps, which differ from the planned ones
/// where the database has changed since the comparison.
pub(super) async fn write(
    txn: &DatabaseTransaction,
    planned: &[Planned],
    options: Options,
    now: Timestamp,
) -> Result<Vec<Step>, DbErr> {
    let is_new = |(_, step): &&Planned| *step == Step::Create;
    let new: Vec<&Candidate> = planned.iter().filter(is_new).map(|(it, _)| it).collect();
    let created: HashSet<Uuid> = create(txn, &new, options, now).await?.into_iter().collect();
    let mut steps = Vec::with_capacity(planned.len());
    for (candidate, step) in planned {
        steps.push(match step {
            Step::Create if created.contains(&candidate.id) => Step::Create,
            Step::Create => compare_again(txn, candidate, options, now).await?,
            Step::Change => change(txn, candidate, options, now).await?,
            other => other.clone(),
        });
    }
    Ok(steps)
}

/// Creates accounts, except those whose id or address another account has. Returns the ids of the
/// accounts that it created.
///
/// The database decides: a sign-up may have taken an address since the comparison.
async fn create(
    txn: &DatabaseTransaction,
    candidates: &[&Candidate],
    options: Options,
    now: Timestamp,
) -> Result<Vec<Uuid>, DbErr> {
    let rows: Vec<Model> = candidates.iter().map(|it| row(it, options, now)).collect();
    let created =
        bulk_insert::insert_new::<Entity, _>(txn, &rows, Column::Id, |row| row.id).await?;
    let is_created: HashSet<&Uuid> = created.iter().collect();
    let rows = rows.iter().filter(|row| is_created.contains(&row.id));
    let reason = options.source.name();
    let event = |row: &Model| Event::new(Kind::AccountImported).account(row.id).reason(reason);
    let (records, events): (Vec<_>, Vec<_>) =
        rows.map(|row| (record(row, options, now), event(row))).unzip();
    bulk_insert::insert_or_replace::<imported::Entity>(txn, &records).await?;
    record_all(txn, events, now).await?;
    Ok(created)
}

/// What to do with a candidate that could not be created, because another account has its id or its
/// address. Changes the account if it is one that another import created meanwhile.
async fn compare_again(
    txn: &DatabaseTransaction,
    candidate: &Candidate,
    options: Options,
    now: Timestamp,
) -> Result<Step, DbErr> {
    let steps = plan(txn, std::slice::from_ref(candidate), options.trust_verified).await?;
    match steps.into_iter().next() {
        Some(Step::Change) => change(txn, candidate, options, now).await,
        // The other account has disappeared since. The error makes `Portions` repeat the portion.
        None | Some(Step::Create) => Err(DbErr::RecordNotInserted),
        Some(step) => Ok(step),
    }
}

/// The row of a new account.
fn row(candidate: &Candidate, options: Options, now: Timestamp) -> Model {
    let created_at = candidate.created_at.unwrap_or(now);
    let is_verified = options.trust_verified && candidate.verified.is_set;
    Model {
        id: candidate.id,
        email: candidate.email_as_stored.clone(),
        email_canonical: candidate.email.address().to_owned(),
        email_folded: candidate.folded.clone(),
        email_ambiguous: candidate.is_ambiguous,
        password_hash: candidate.stored_hash().map(str::to_owned),
        email_verified_at: candidate.verified.time(now).filter(|_| is_verified),
        disabled_at: candidate.disabled.time(now),
        last_login_at: candidate.last_login_at,
        created_at,
        profile: profile(candidate),
        profile_updated_at: candidate.profile_updated_at,
        reset_expires_at: None,
        session_epoch: 0,
        deleted_at: None,
    }
}

fn profile(candidate: &Candidate) -> Option<Value> {
    Some(&candidate.profile).filter(|it| !it.is_empty()).map(|it| Value::Object(it.clone()))
}

fn record(row: &Model, options: Options, now: Timestamp) -> imported::Model {
    imported::Model {
        account_id: row.id,
        source: options.source.name().to_owned(),
        digest: digest::of_account(row).to_vec(),
        imported_at: now,
    }
}

/// Changes an account to the state of the source. If this changes the password or disables the
/// account, its sessions end, as after such a change by its owner or an operator.
async fn change(
    txn: &DatabaseTransaction,
    candidate: &Candidate,
    options: Options,
    now: Timestamp,
) -> Result<Step, DbErr> {
    let switch = KillSwitch::lock(txn, candidate.id).await?;
    let Some(before) = lock_account(txn, candidate.id).await? else { return Ok(Step::StayDeleted) };
    // The account may have changed between the comparison and the lock.
    let steps = plan(txn, std::slice::from_ref(candidate), options.trust_verified).await?;
    match steps.into_iter().next() {
        Some(Step::Change) => {}
        other => return Ok(other.unwrap_or(Step::Nothing)),
    }
    let is_verified = is_verified_after(candidate, &before, options.trust_verified);
    let disabled_at = before.disabled_at.or(candidate.disabled.time(now));
    let after = Model {
        password_hash: candidate.stored_hash().map(str::to_owned),
        email_verified_at: before
            .email_verified_at
            .or(candidate.verified.time(now))
            .filter(|_| is_verified),
        disabled_at: disabled_at.filter(|_| candidate.disabled.is_set),
        profile: profile(candidate),
        ..before.clone()
    };
    let end_reason = if after.disabled_at.is_some() && before.disabled_at.is_none() {
        Some(EndReason::AccountDisabled)
    } else {
        let is_same = after.password_hash == before.password_hash;
        (!is_same).then_some(EndReason::PasswordChanged)
    };
    if let Some(reason) = end_reason {
        switch.end_all(txn, None, reason, now).await?;
    }
    update(txn, &after).await?;
    let records = [record(&after, options, now)];
    bulk_insert::insert_or_replace::<imported::Entity>(txn, &records).await?;
    let reason = format!("{} changed", options.source.name());
    let event = Event::new(Kind::AccountImported).account(after.id).reason(reason);
    record_all(txn, vec![event], now).await?;
    Ok(Step::Change)
}

async fn update(txn: &impl ConnectionTrait, after: &Model) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::PasswordHash, Expr::value(after.password_hash.clone()))
        .col_expr(Column::EmailVerifiedAt, Expr::value(after.email_verified_at))
        .col_expr(Column::DisabledAt, Expr::value(after.disabled_at))
        .col_expr(Column::Profile, Expr::value(after.profile.clone()))
        .filter(Column::Id.eq(after.id))
        .exec(txn)
        .await
        .map(drop)
}
