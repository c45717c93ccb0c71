//! User accounts.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait, Func};
use sea_orm::{Condition, DbBackend, QueryOrder, QuerySelect};

use crate::timestamp::Timestamp;

/// A row of `account`.
#[derive(Clone, Default, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "account")]
pub struct Model {
    /// The `sub` of its tokens; never reused.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The address in lower case; in rows of earlier versions as typed, normalised.
    pub email: String,
    /// The address in lower case; unique. Earlier versions look up this column.
    pub email_canonical: String,
    /// The folded form, equal for all spellings of the address; null until it is computed, see
    /// [`Entity::find_unfolded`].
    pub email_folded: Option<String>,
    /// Whether another row, older than the folded form, has an address with the same folded form,
    /// or new accounts cannot have such an address. The row is found by its own spelling only.
    pub email_ambiguous: bool,
    /// A PHC string; `None` if the account cannot log in with a password.
    pub password_hash: Option<String>,
    /// When the user proved control of the address.
    pub email_verified_at: Option<Timestamp>,
    /// Since when the account is disabled.
    pub disabled_at: Option<Timestamp>,
    /// The time of the last login.
    pub last_login_at: Option<Timestamp>,
    /// When it signed up.
    pub created_at: Timestamp,
    /// The standard claims that the user set, as one object.
    #[sea_orm(column_type = "JsonBinary")]
    pub profile: Option<Json>,
    /// When the user last changed them.
    pub profile_updated_at: Option<Timestamp>,
    /// The expiry of the newest reset token, the only valid one; `None` if there was none.
    pub reset_expires_at: Option<Timestamp>,
    /// Sessions of an earlier epoch have ended. It is incremented whenever all sessions are ended.
    pub session_epoch: i32,
    /// Since when it is deleted: its address and other personal data have been erased, and rows
    /// that refer to it are deleted in portions (`domain::session::unfinished`).
    pub deleted_at: Option<Timestamp>,
}

/// None: other tables refer to accounts.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

/// Prints only the id: rows end up in logs by accident.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "account({})", self.id)
    }
}

impl Entity {
    /// The account of an address: the one with this lower-case spelling, else the one with the
    /// folded form.
    #[must_use]
    pub fn find_by_address(lower_case: &str, folded: Option<&str>) -> Select<Self> {
        let by_spelling = ColumnTrait::eq(&Column::EmailCanonical, lower_case);
        let by_folded = folded.map(|folded| {
            Condition::all()
                .add(ExprTrait::eq(Self::address_key(), folded))
                .add(ColumnTrait::eq(&Column::EmailAmbiguous, false))
        });
        Self::find()
            .filter(Condition::any().add(by_spelling.clone()).add_option(by_folded))
            .order_by_desc(by_spelling)
            .limit(1)
    }

    /// Rows without a folded form, by id. An index on the same expressions finds them.
    #[must_use]
    pub fn find_unfolded(backend: DbBackend) -> Select<Self> {
        let canonical = Expr::col(Column::EmailCanonical);
        let bytes = match backend {
            // octet_length requires SQLite 3.43, and other programs read the schema, too.
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

    /// Rows with an ambiguous address, by id. An index finds them.
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

    /// The expression of the unique index, used to find and refuse addresses.
    #[must_use]
    pub fn address_key() -> Expr {
        let columns = [Expr::col(Column::EmailFolded), Expr::col(Column::EmailCanonical)];
        Func::coalesce(columns).into()
    }
}

/// The address of an account in tokens and responses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailClaims {
    /// In lower case, unless it is ambiguous: then as stored.
    pub email: String,
    /// Whether the user proved control of it; never true for an ambiguous one.
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
    pub fn has_address(&self, lower_case: &str, folded: Option<&str>) -> bool {
        let has_folded = folded.is_some() && self.email_folded.as_deref() == folded;
        self.email_canonical == lower_case || (has_folded && !self.email_ambiguous)
    }

    /// Whether it may log in and refresh.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.disabled_at.is_none()
    }
}
