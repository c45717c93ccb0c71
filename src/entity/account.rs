//! People who can log in.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait, Func};
use sea_orm::{Condition, DbBackend, QueryOrder, QuerySelect};

use crate::timestamp::Timestamp;

/// A row of `account`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "account")]
pub struct Model {
    /// The `sub` of its tokens; never given to anybody else.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The address in lower case; in rows of earlier versions as its owner wrote it, normalised.
    pub email: String,
    /// The address in lower case; unique. What earlier versions look up.
    pub email_canonical: String,
    /// What makes two spellings the same address; null until it is made, see
    /// [`Entity::find_unfolded`].
    pub email_folded: Option<String>,
    /// Whether another row, older than the folded form, has an address that folds alike, or whether
    /// new accounts cannot have such an address. It is reached by its own spelling alone.
    pub email_ambiguous: bool,
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
    /// Sessions that began in an earlier epoch have ended. It grows each time that all of them end.
    pub session_epoch: i32,
    /// Since when it is deleted: its address and all that was personal are gone, and what still refers
    /// to the row goes in portions (`domain::session::unfinished`).
    pub deleted_at: Option<Timestamp>,
}

/// None: sessions and the rest refer to accounts.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Says which row it is and no more: rows meet logs by accident.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "account({})", self.id)
    }
}

impl Entity {
    /// The account of an address: the one that has this spelling in lower case, else the one that has
    /// the folded form.
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

    /// Rows whose folded form is still to be made, by id: an index finds them, which has the same
    /// expressions.
    #[must_use]
    pub fn find_unfolded(backend: DbBackend) -> Select<Self> {
        let canonical = Expr::col(Column::EmailCanonical);
        let bytes = match backend {
            // octet_length is as new as SQLite 3.43, and other programs read the schema, too.
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

    /// Rows whose address is ambiguous, by id: an index finds them.
    #[must_use]
    pub fn find_ambiguous() -> Select<Self> {
        Self::find().filter(Expr::col(Column::EmailAmbiguous)).order_by_asc(Column::Id)
    }

    /// [`Model::email_claims`] as expressions: the address, and when it was verified.
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

    /// The expression of the unique index: what an address is found and refused by.
    #[must_use]
    pub fn address_key() -> Expr {
        let columns = [Expr::col(Column::EmailFolded), Expr::col(Column::EmailCanonical)];
        Func::coalesce(columns).into()
    }
}

/// The address of an account as tokens and answers show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailClaims {
    /// In lower case, unless it is ambiguous: then as it was stored.
    pub email: String,
    /// Whether the owner proved to control it; never for one that is ambiguous.
    pub email_verified: bool,
}

impl Model {
    /// The address as tokens and answers show it.
    #[must_use]
    pub fn email_claims(&self) -> EmailClaims {
        let email = if self.email_ambiguous { &self.email } else { &self.email_canonical };
        let is_verified = self.email_verified_at.is_some() && !self.email_ambiguous;
        EmailClaims { email: email.clone(), email_verified: is_verified }
    }

    /// Whether this is the account that [`Entity::find_by_address`] finds by this address, if any is.
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
