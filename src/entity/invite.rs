//! Invites: each permits one sign-up with one address.

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `invite`. It is deleted when the invite is used.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "invite")]
pub struct Model {
    /// Identifies the invite to operators and in the audit log. It is not a secret.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// SHA-256 of the token.
    pub digest: Vec<u8>,
    /// The invited address as typed by the operator, to which the link is mailed. In rows of
    /// earlier versions it is in lower case.
    pub email: String,
    /// The folded form of the address, to which the invite is bound. It is unique.
    pub email_folded: String,
    /// When the invite was created.
    pub created_at: Timestamp,
    /// When the invite expires.
    pub expires_at: Timestamp,
    /// When the link was mailed to the address. `None` if the link was printed for the operator.
    /// Then its use does not prove control of the address.
    pub mailed_at: Option<Timestamp>,
}

/// No relations: the address of an invite has no account.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

/// Prints only the id, because rows may be logged by accident.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "invite({})", self.id)
    }
}
