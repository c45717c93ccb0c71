//! People who can log in.

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `account`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "account")]
pub struct Model {
    /// The `sub` of its tokens; never given to anybody else.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The address as its owner wrote it, normalised.
    pub email: String,
    /// What makes two spellings the same address; unique.
    pub email_canonical: String,
    /// A PHC string; none for an account that cannot log in with a password.
    pub password_hash: Option<String>,
    /// When the owner proved to control the address.
    pub email_verified_at: Option<Timestamp>,
    /// Since when the account is switched off.
    pub disabled_at: Option<Timestamp>,
    /// The newest login.
    pub last_login_at: Option<Timestamp>,
    /// When it signed up.
    pub created_at: Timestamp,
    /// The standard claims that its owner set, as one object.
    #[sea_orm(column_type = "JsonBinary")]
    pub profile: Option<Json>,
    /// When its owner last changed them.
    pub profile_updated_at: Option<Timestamp>,
    /// The expiry of the newest reset token, which is the only good one; none if there was none.
    pub reset_expires_at: Option<Timestamp>,
}

/// The tables an account is related to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// Its logins.
    #[sea_orm(has_many = "crate::entity::session::Entity")]
    Session,
}

impl Related<crate::entity::session::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Session.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

/// Says which row it is and no more: rows meet logs by accident.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "account({})", self.id)
    }
}

impl Entity {
    /// The account with this canonical address.
    #[must_use]
    pub fn find_by_canonical_email(canonical: &str) -> Select<Self> {
        Self::find().filter(Column::EmailCanonical.eq(canonical))
    }
}

impl Model {
    /// Whether it may log in and refresh.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.disabled_at.is_none()
    }
}
