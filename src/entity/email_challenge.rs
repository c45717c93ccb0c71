//! Challenges that were mailed: a link and a code, with which a user proves control of an address.

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `email_challenge`: the newest challenge of an account for a purpose.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "email_challenge")]
pub struct Model {
    /// The account. If the address that was entered has no account, an id that no account has. For
    /// a sign-up, the id that the account gets.
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    /// What the challenge permits.
    #[sea_orm(primary_key, auto_increment = false)]
    pub purpose: Purpose,
    /// SHA-256 of the secret of the device that may use the code.
    pub device_digest: Vec<u8>,
    /// When link and code expire. This time identifies the challenge.
    pub expires_at: Timestamp,
    /// The new address as typed, if the purpose is a change of the address or a sign-up.
    pub new_email: Option<String>,
    /// The hash of the password that was chosen, if the purpose is a sign-up.
    pub password_hash: Option<String>,
    /// SHA-256 of the invite, if the purpose is a sign-up with an invite.
    pub invite_digest: Option<Vec<u8>>,
}

/// Prints only the account and the purpose, because rows may be logged by accident.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "email_challenge({}, {:?})", self.account_id, self.purpose)
    }
}

/// The purposes of challenges. They are stored under their names, so the names must never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Purpose {
    /// To set a new password.
    ResetPassword,
    /// To mark the address of the account as verified.
    VerifyEmail,
    /// To give the account a new address.
    ChangeEmail,
    /// To create the account.
    SignUp,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
