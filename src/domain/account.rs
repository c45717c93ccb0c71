//! Accounts: sign-up, which also starts the first session, and deletion.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait,
    NotSet, QueryFilter, Set, SqlErr,
};
use tracing::field;
use uuid::Uuid;

use crate::config::TokenSettings;
use crate::database::{Db, overwrite_all, overwrite_cheaply};
use crate::domain::attempt_limit::Admitted;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::email::Email;
use crate::domain::email_challenge::{Challenge, Purpose};
use crate::domain::email_verification::{self, UntilVerified, Verification};
use crate::domain::granted::Granted;
use crate::domain::mail;
use crate::domain::password::{HashError, Hasher, Password, Policy, Weakness};
use crate::domain::pending_sign_up::{self, PendingSignUp};
use crate::domain::session::{self, KillSwitch, NewSession};
use crate::domain::sign_up_policy::SignUpPermit;
use crate::domain::status::{AllocationError, StatusEntries};
use crate::domain::{id, invite};
use crate::entity::account;
use crate::entity::session::EndReason;
use crate::timestamp::Timestamp;

/// The default name of the service. Passwords must not consist of it, because attackers who guess
/// passwords try it early. A name set with `SIGNET_SERVICE_NAME` is not considered.
const SERVICE_NAME: &str = "signet";

/// The row of an account. `http` and `cli` use this name, because they may not import entities.
pub type Row = account::Model;

pub use crate::entity::account::EmailClaims;

/// Why sign-up failed.
#[derive(Debug, thiserror::Error)]
pub enum SignUpError {
    /// Another account has the address.
    #[error("an account with this address exists")]
    EmailExists,
    /// The invite is not valid for the address: it is unknown, used, revoked or expired, or another
    /// address was invited.
    #[error("the invite is not valid")]
    InvalidInvite,
    /// The hashing pool refused or failed.
    #[error("the password could not be hashed")]
    Hashing(#[from] HashError),
    /// No status list entry was available for the session.
    #[error("no status list entry was available")]
    Status(#[from] AllocationError),
    /// The database refused or failed.
    #[error("the account could not be stored")]
    Database(#[from] DbErr),
}

/// A sign-up request.
pub struct SignUp<'a> {
    /// The email address of the new account, and proof that it may sign up.
    pub permit: &'a SignUpPermit,
    /// A password that has passed the policy.
    pub password: Password,
    /// Proof that the attempt is within the attempt limits.
    pub admitted: Admitted,
    /// Where the request came from.
    pub origin: &'a Origin,
    /// The verification of the address that the sign-up begins, if any.
    pub verification: Option<Verification>,
}

/// The result of a sign-up.
#[derive(Debug)]
pub enum SignedUp {
    /// A session was started.
    LoggedIn(Granted),
    /// A mail is queued, and there is no session, or not even an account, before the address is
    /// verified.
    Unverified,
}

/// An account to be created, and its first session.
#[derive(Clone)]
pub struct NewAccount {
    row: account::Model,
    invite_digest: Option<Vec<u8>>,
    verification: Option<Verification>,
    /// The pending sign-up, if only its confirmation creates the account.
    pending: Option<PendingSignUp>,
    origin: Origin,
    /// The session to be started. `None` if the address must be verified first.
    pub session: Option<NewSession>,
}

/// Creates an account. Also starts a session of the JSON API, unless the address must be verified
/// first.
///
/// # Errors
/// See [`SignUpError`]; then nothing is stored.
pub async fn sign_up(
    db: &Db,
    hasher: &Hasher,
    entries: &StatusEntries,
    request: SignUp<'_>,
    settings: &TokenSettings,
    now: Timestamp,
) -> Result<SignedUp, SignUpError> {
    let result = match prepare(db, hasher, entries, &request, settings, now).await {
        Ok(new) => db.write(new, |txn, now, new| Box::pin(create(txn, new, now))).await,
        Err(error) => Err(error),
    };
    record_refusal(db, &request, result).await
}

/// Records the refusal of a sign-up whose address has an account or whose invite is not valid.
/// Returns `result`.
///
/// # Errors
/// The error of `result`, or a database error.
pub async fn record_refusal(
    db: &Db,
    request: &SignUp<'_>,
    result: Result<SignedUp, SignUpError>,
) -> Result<SignedUp, SignUpError> {
    let cause = match &result {
        Err(SignUpError::EmailExists) => "email_exists",
        Err(SignUpError::InvalidInvite) => "invalid_invite",
        _ => return result,
    };
    let address = request.origin.address.map(field::display);
    tracing::info!(cause, client.address = address, "sign-up refused: {cause}");
    let digest = request.admitted.counted().email_digest();
    let event = Event::new(Kind::SignUpFailed).reason(cause).email_digest(digest);
    let record = db.write((event, request.origin.clone()), |txn, now, (event, origin)| {
        Box::pin(event.clone().record(txn, origin, now))
    });
    record.await?;
    result
}

/// Prepares an account and its first session, and hashes the password. Must run outside any
/// transaction, because hashing is slow.
///
/// The unique index decides whether the address is taken, after the password was hashed. So the
/// request takes the same time for a taken address as for a free address.
///
/// # Errors
/// See [`SignUpError`].
pub async fn prepare(
    db: &Db,
    hasher: &Hasher,
    entries: &StatusEntries,
    request: &SignUp<'_>,
    settings: &TokenSettings,
    now: Timestamp,
) -> Result<NewAccount, SignUpError> {
    let SignUp { permit, password, origin, verification, admitted } = request;
    let email = permit.email();
    let mut is_proven = false;
    if let Some(digest) = permit.invite_digest() {
        // Checked before hashing, so that an invalid invite costs no hash. The transaction checks
        // the invite again.
        let invite = invite::find_by_digest(db, digest.to_vec(), now).await?;
        let invite = invite.filter(|invite| invite.email_folded == email.key());
        let invite = invite.ok_or(SignUpError::InvalidInvite)?;
        is_proven = invite::proves_control(&invite, email.address());
    }
    let password_hash = hasher.hash(password.clone(), origin.address).await?;
    let verification = verification.clone().filter(|_| !is_proven);
    let session = match &verification {
        Some(it) if it.until_then != UntilVerified::Session => None,
        _ => Some(NewSession::prepare(db, entries, settings, origin, now).await?),
    };
    let row = new_row(email, Some(password_hash), now);
    let row = account::Model { last_login_at: session.as_ref().map(|_| now), ..row };
    let invite_digest = permit.invite_digest().map(<[u8]>::to_vec);
    let waits = verification.clone().filter(|it| it.until_then == UntilVerified::Nothing);
    let pending = waits.map(|Verification { mail, device_digest, .. }| PendingSignUp {
        email: email.clone(),
        email_digest: admitted.counted().email_digest(),
        password_hash: row.password_hash.clone(),
        invite_digest: invite_digest.clone(),
        device_digest,
        mail,
    });
    let origin = (*origin).clone();
    Ok(NewAccount { row, invite_digest, verification, pending, origin, session })
}

impl NewAccount {
    /// The account of a sign-up that was confirmed by mail.
    pub(super) fn confirmed(
        row: account::Model,
        invite_digest: Option<Vec<u8>>,
        origin: &Origin,
        now: Timestamp,
    ) -> Self {
        Self {
            row: account::Model { email_verified_at: Some(now), created_at: now, ..row },
            invite_digest,
            verification: None,
            pending: None,
            origin: origin.clone(),
            session: None,
        }
    }
}

/// The row of a new account that has not logged in.
pub(super) fn new_row(
    email: &Email,
    password_hash: Option<String>,
    now: Timestamp,
) -> account::Model {
    account::Model {
        id: id::new(now),
        email: email.spelling().to_owned(),
        email_canonical: email.address().to_owned(),
        email_folded: email.folded().map(str::to_owned),
        password_hash,
        created_at: now,
        ..account::Model::default()
    }
}

/// The row of the account that the confirmation of a sign-up creates. `None` if the challenge is
/// not that of a sign-up.
pub(super) fn row_of_sign_up(challenge: &Challenge) -> Option<account::Model> {
    let email = challenge.new_email.as_deref().filter(|_| challenge.purpose == Purpose::SignUp)?;
    let (email, hash) = (Email::parse(email).ok()?, challenge.password_hash.clone()?);
    let row = new_row(&email, Some(hash), Timestamp::default());
    Some(account::Model { id: challenge.account_id, ..row })
}

/// Creates an account, within the caller's transaction. Starts its first session, or queues the
/// mail that verifies its address, or does both. Uses up the invite of the sign-up, if there is
/// one. An invite that was mailed to this address proves control of it. If the verification creates
/// the account, only stores the sign-up and queues its mail.
///
/// # Errors
/// [`SignUpError::EmailExists`], [`SignUpError::InvalidInvite`], or a database error.
pub async fn create(
    txn: &impl ConnectionTrait,
    new: &NewAccount,
    now: Timestamp,
) -> Result<SignedUp, SignUpError> {
    let NewAccount { row, invite_digest, verification, pending, origin, session } = new;
    if let Some(pending) = pending {
        pending_sign_up::store(txn, pending, origin, now).await?;
        return Ok(SignedUp::Unverified);
    }
    let (mut row, mut event) = (row.clone(), Event::new(Kind::SignUp));
    if let Some(digest) = invite_digest {
        let folded = row.email_folded.as_deref().unwrap_or(&row.email_canonical);
        let invite = invite::redeem(txn, digest, folded, now).await?;
        let invite = invite.ok_or(SignUpError::InvalidInvite)?;
        event = event.reason(format!("invite {}", invite.id));
        let is_proven = invite::proves_control(&invite, &row.email_canonical);
        row.email_verified_at = row.email_verified_at.or(is_proven.then_some(now));
    }
    insert(txn, &row).await.map_err(insert_error)?;
    let signed_up = if let Some(session) = session {
        SignedUp::LoggedIn(session::start(txn, &row, session, event, now).await?)
    } else {
        event.account(row.id).record(txn, origin, now).await?;
        SignedUp::Unverified
    };
    if row.email_verified_at.is_some() {
        let verified = Event::new(Kind::EmailVerified).account(row.id);
        verified.record(txn, origin, now).await?;
    } else if let Some(verification) = verification {
        email_verification::begin(txn, verification, &row, origin, now).await?;
    }
    Ok(signed_up)
}

/// Inserts an account.
///
/// # Errors
/// See [`is_address_taken`].
pub(super) async fn insert(txn: &impl ConnectionTrait, row: &account::Model) -> Result<(), DbErr> {
    let row = account::ActiveModel::from(row.clone()).reset_all();
    account::Entity::insert(row).exec_without_returning(txn).await.map(drop)
}

/// Changes the address of an account to an address that a new account can have. `folded` is its
/// folded form.
///
/// # Errors
/// See [`is_address_taken`].
pub(super) async fn set_address(
    txn: &impl ConnectionTrait,
    id: Uuid,
    (email, folded): (&Email, &str),
    verified_at: Option<Timestamp>,
) -> Result<(), DbErr> {
    let update = account::Entity::update_many()
        .col_expr(account::Column::Email, Expr::value(email.spelling()))
        .col_expr(account::Column::EmailCanonical, Expr::value(email.address()))
        .col_expr(account::Column::EmailFolded, Expr::value(folded))
        .col_expr(account::Column::EmailAmbiguous, Expr::value(false))
        .col_expr(account::Column::EmailVerifiedAt, Expr::value(verified_at))
        .filter(account::Column::Id.eq(id));
    update.exec(txn).await.map(drop)
}

/// Deletes an account. Must run in the transaction that checked the request.
///
/// This ends the account's sessions and frees its address; a later sign-up with the address creates
/// a different account. After the commit, `session::end_some` deletes the rows that refer to the
/// account, in portions, and finally the row of the account. Then it truncates the write-ahead log.
/// Audit events still contain the account's ID.
///
/// # Errors
/// If the database refuses.
pub async fn delete(
    txn: &DatabaseTransaction,
    switch: KillSwitch,
    account: &account::Model,
    reason: &'static str,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    let id = account.id;
    // Before the kill switch, which deletes challenges that contain addresses.
    overwrite_all(txn).await?;
    // Deleting the account's row with its sessions, through the foreign key, would not suffice:
    // clients must be notified of ended sessions, and there may be too many for one transaction.
    switch.end_all(txn, None, EndReason::AccountDeleted, now).await?;
    let emptied = account::ActiveModel {
        id: Set(id),
        email: Set(String::new()),
        // Not a valid address, as it has no @.
        email_canonical: Set(format!("deleted {id}")),
        email_folded: Set(None),
        email_ambiguous: Set(false),
        password_hash: Set(None),
        email_verified_at: Set(None),
        disabled_at: Set(Some(now)),
        last_login_at: Set(None),
        profile: Set(None),
        profile_updated_at: Set(None),
        reset_expires_at: Set(None),
        deleted_at: Set(Some(now)),
        // Named, so that a new column does not compile until it is decided whether it is erased.
        created_at: NotSet,
        session_epoch: NotSet,
    };
    account::Entity::update(emptied).exec(txn).await?;
    invite::delete_of(txn, &Email::of_account(&account.email_canonical)).await?;
    mail::forget(txn, id).await?;
    overwrite_cheaply(txn).await?;
    Event::new(Kind::AccountDeleted).account(id).reason(reason).record(txn, origin, now).await
}

/// Whether an account has been deleted.
///
/// # Errors
/// If the database refuses.
pub async fn is_deleted(db: &Db, id: Uuid) -> Result<bool, DbErr> {
    let account = account::Entity::find_by_id(id);
    let found = db.read(|db| async move { account.one(&db).await }).await?;
    Ok(found.is_none_or(|account| account.deleted_at.is_some()))
}

/// The rules of the policy that a password for the account of `email` breaks.
#[must_use]
pub fn weaknesses(policy: Policy, password: &Password, email: &Email) -> Vec<Weakness> {
    policy.check(password, &[email.address(), email.local_part(), SERVICE_NAME])
}

/// Whether a change failed because another account has the address. The address is the only column
/// of an account with a unique constraint that an insert or a change of the address can violate.
pub(super) fn is_address_taken(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

fn insert_error(error: DbErr) -> SignUpError {
    if is_address_taken(&error) { SignUpError::EmailExists } else { SignUpError::Database(error) }
}
