//! Compares candidates with the accounts that exist, and decides what an import does.

use std::collections::HashMap;

use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::domain::import::candidate::Candidate;
use crate::domain::import::digest;
use crate::domain::import::refusal::Refusal;
use crate::entity::account::{Column, Entity, Model};
use crate::entity::imported_account as imported;

/// What an import does with a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Create the account.
    Create,
    /// Change the account, which is as the last import left it.
    Change,
    /// Nothing: the account is as in the source.
    Nothing,
    /// Nothing: the account was changed here since the last import, or was never imported.
    /// `is_conflict` tells whether the source has changed as well.
    Keep { is_conflict: bool },
    /// Nothing: the account was deleted here.
    StayDeleted,
    /// Nothing: another account has the id or the address.
    Refuse(Refusal),
}

impl Step {
    /// Whether this step writes to the database.
    pub(super) fn is_write(&self) -> bool {
        matches!(self, Self::Create | Self::Change)
    }
}

/// The rows that concern some candidates.
struct Existing {
    by_id: HashMap<Uuid, Model>,
    by_address: HashMap<String, Uuid>,
    imported: HashMap<Uuid, Vec<u8>>,
}

/// The steps for these candidates, in their order. No two candidates may have the same id.
pub(super) async fn plan(
    db: &impl ConnectionTrait,
    candidates: &[Candidate],
    trust_verified: bool,
) -> Result<Vec<Step>, DbErr> {
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let existing = read(db, candidates).await?;
    Ok(candidates.iter().map(|it| step(it, &existing, trust_verified)).collect())
}

/// Reads the rows. Another import may create these accounts meanwhile, so the order matters:
///
/// - Rows of `imported_account` are read before accounts, because such a row without its account
///   means that the account was deleted.
/// - Accounts are searched by address before they are searched by id, because an address in use
///   without an account of the candidate's id means that another account has the address.
async fn read(db: &impl ConnectionTrait, candidates: &[Candidate]) -> Result<Existing, DbErr> {
    let ids: Vec<Uuid> = candidates.iter().map(|candidate| candidate.id).collect();
    let keys = candidates.iter().map(Candidate::address_key);
    let imported = imported::Entity::find()
        .filter(imported::Column::AccountId.is_in(ids.iter().copied()))
        .all(db)
        .await?;
    let by_address = Entity::find().filter(Entity::address_key().is_in(keys)).all(db).await?;
    let by_id = Entity::find().filter(Column::Id.is_in(ids)).all(db).await?;
    let key = |row: &Model| row.email_folded.clone().unwrap_or(row.email_canonical.clone());
    Ok(Existing {
        by_address: by_address.iter().map(|row| (key(row), row.id)).collect(),
        by_id: by_id.into_iter().map(|row| (row.id, row)).collect(),
        imported: imported.into_iter().map(|row| (row.account_id, row.digest)).collect(),
    })
}

fn step(candidate: &Candidate, existing: &Existing, trust_verified: bool) -> Step {
    let imported = existing.imported.get(&candidate.id);
    let Some(row) = existing.by_id.get(&candidate.id) else {
        return match (imported, existing.by_address.get(candidate.address_key())) {
            (Some(_), _) => Step::StayDeleted,
            (None, Some(id)) => Step::Refuse(Refusal::EmailTaken(*id)),
            (None, None) => Step::Create,
        };
    };
    if row.deleted_at.is_some() {
        return Step::StayDeleted;
    }
    if !row.has_address(candidate.email.address(), candidate.email.folded()) {
        return Step::Refuse(Refusal::IdTaken);
    }
    let here = digest::of_account(row);
    let is_verified = is_verified_after(candidate, row, trust_verified);
    let source = digest::of_candidate(candidate, is_verified);
    if here == source {
        return Step::Nothing;
    }
    match imported {
        Some(imported) if imported[..] == here => Step::Change,
        Some(imported) => Step::Keep { is_conflict: imported[..] != source },
        None => Step::Keep { is_conflict: true },
    }
}

/// Whether the address is verified after the import. A verified address stays verified.
pub(super) fn is_verified_after(candidate: &Candidate, row: &Model, trust_verified: bool) -> bool {
    row.email_verified_at.is_some() || (trust_verified && candidate.verified.is_set)
}
