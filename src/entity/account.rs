//! User accounts.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait, Func};
use sea_orm::{Condition, DbBackend, QueryOrder, QuerySelect};

use crate::timestamp::Timestamp;

/// A row of `account`.
#[derive(Clone, Default, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "account")]
pub struct Model {
    /// The `sub` of the account's tokens. It is never reused.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The spelling (`domain/email`): the address as typed, in NFC and with the domain as A-labels.
    /// Mails are sent to it. In rows that version 0.2 wrote, it is in lower case.
    pub email: String,
    /// The canonical form: the address in lower case. It is unique. Earlier versions look up this
    /// column.
    pub email_canonical: String,
    /// The folded form, which is equal for all spellings of the address. `None` in a row of an
    /// earlier version: until the folded form is computed ([`Entity::find_unfolded`]), or
    /// permanently if it equals the canonical form because the address is ASCII.
    pub email_folded: Option<String>,
    /// Whether the address is ambiguous. Then the row is found only by its canonical form. An
    /// address is ambiguous for one of two reasons. When the folded forms were computed, another
    /// row had an address with the same folded form. Or sign-ups with such an address are refused
    /// now.
    pub email_ambiguous: bool,
    /// A PHC string; `None` if the account cannot log in with a password.
    pub password_hash: Option<String>,
    /// When the user proved control of the address.
    pub email_verified_at: Option<Timestamp>,
    /// Since when the account is disabled.
    pub disabled_at: Option<Timestamp>,
    /// The time of the last login.
    pub last_login_at: Option<Timestamp>,
    /// When the account was created.
    pub created_at: Timestamp,
    /// The standard claims that the user set, as one object.
    #[sea_orm(column_type = "JsonBinary")]
    pub profile: Option<Json>,
    /// When the user last changed the profile.
    pub profile_updated_at: Option<Timestamp>,
    /// The expiry of the newest reset token. Only the newest reset token is valid. `None` if no
    /// token was issued.
    pub reset_expires_at: Option<Timestamp>,
    /// The session epoch. It is incremented whenever all sessions of the account are ended.
    /// Sessions of a lower epoch have ended.
    pub session_epoch: i32,
    /// When the account was deleted. The address and other personal data have then been erased, and
    /// rows that refer to the account are deleted in portions (`domain::session::unfinished`).
    pub deleted_at: Option<Timestamp>,
}

/// No relations: other tables refer to accounts.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

/// Prints only the id, because rows may be logged by accident.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "account({})", self.id)
    }
}

impl Entity {
    /// The account of an address: the account with this canonical form, or else the account with
    /// this folded form.
    #[must_use]
    pub fn find_by_address(canonical: &str, folded: Option<&str>) -> Select<Self> {
        let by_canonical = ColumnTrait::eq(&Column::EmailCanonical, canonical);
        let by_folded = folded.map(|folded| {
            Condition::all()
                .add(ExprTrait::eq(Self::address_key(), folded))
                .add(ColumnTrait::eq(&Column::EmailAmbiguous, false))
        });
        Self::find()
            .filter(Condition::any().add(by_canonical.clone()).add_option(by_folded))
            .order_by_desc(by_canonical)
            .limit(1)
    }

    /// Rows whose folded form has not been computed yet, by id. ASCII addresses, which have one
    /// byte per character, need no folded form. There is an index on the expressions of this query.
    #[must_use]
    pub fn find_unfolded(backend: DbBackend) -> Select<Self> {
        let canonical = Expr::col(Column::EmailCanonical);
        let bytes = match backend {
            // `octet_length` requires SQLite 3.43. Other programs, which may have an older SQLite,
            // read the schema as well.
            DbBackend::Sqlite => Func::cust("length").arg(canonical.cast_as("BLOB")),
            _ => Func::cust("octet_length").arg(canonical),
        };
        let characters = Func::cust("length").arg(Expr::col(Column::EmailCanonical));
        Self::find()
            .filter(ColumnTrait::is_null(&Column::EmailFolded))
            .filter(Expr::col(Column::EmailAmbiguous).not())
            .filter(ExprTrait::gt(Expr::from(bytes), characters))
            .order_by_asc(Column::Id)
    }

    /// Rows with an ambiguous address, by id. There is an index for this query.
    #[must_use]
    pub fn find_ambiguous() -> Select<Self> {
        Self::find().filter(Expr::col(Column::EmailAmbiguous)).order_by_asc(Column::Id)
    }

    /// [`Model::email_claims`] as SQL expressions: the address, and when it was verified.
    #[must_use]
    pub fn email_columns() -> [Expr; 2] {
        let unless_ambiguous = |value: Expr, otherwise: Expr| -> Expr {
            let is_ambiguous = Expr::col(Column::EmailAmbiguous);
            CaseStatement::new().case(is_ambiguous, otherwise).finally(value).into()
        };
        [
            unless_ambiguous(Expr::col(Column::EmailCanonical), Expr::col(Column::Email)),
            unless_ambiguous(Expr::col(Column::EmailVerifiedAt), Expr::value(None::<i64>)),
        ]
    }

    /// The expression of the unique index of addresses. It is used to find accounts, and to refuse
    /// addresses that already have an account.
    #[must_use]
    pub fn address_key() -> Expr {
        let columns = [Expr::col(Column::EmailFolded), Expr::col(Column::EmailCanonical)];
        Func::coalesce(columns).into()
    }
}

/// The address of an account in tokens and responses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailClaims {
    /// The canonical form. For an ambiguous address, the spelling.
    pub email: String,
    /// Whether the user proved control of the address. Never true for an ambiguous address.
    pub email_verified: bool,
}

impl Model {
    /// The address for tokens and responses.
    #[must_use]
    pub fn email_claims(&self) -> EmailClaims {
        let email = if self.email_ambiguous { &self.email } else { &self.email_canonical };
        let is_verified = self.email_verified_at.is_some() && !self.email_ambiguous;
        EmailClaims { email: email.clone(), email_verified: is_verified }
    }

    /// Whether this is the account that [`Entity::find_by_address`] would find by this address.
    #[must_use]
    pub fn has_address(&self, canonical: &str, folded: Option<&str>) -> bool {
        let has_folded = folded.is_some() && self.email_folded.as_deref() == folded;
        self.email_canonical == canonical || (has_folded && !self.email_ambiguous)
    }

    /// Whether the user may log in, and refresh sessions.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.disabled_at.is_none()
    }
}
