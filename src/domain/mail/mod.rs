//! Mails in the outbox. A mail is a row that is written in the transaction that causes the mail, so
//! the mail is sent if, and only if, the transaction is committed. `server/mail_delivery` sends it.
//!
//! A row contains the address of the recipient in its stored spelling, but no text, link or code.
//! Links and codes are computed when the mail is sent. The row is deleted when the mail has been
//! sent. A mail that cannot be sent becomes a dead letter ([`dead_letters`]).

pub mod dead_letters;
pub mod delivery;

use std::sync::Arc;

use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config::MailSettings;
use crate::domain::attempt_limit::{AttemptKey, MailAdmission, MailLimits, admit_mail};
use crate::domain::audit::{Event, Kind as EventKind, Origin};
use crate::domain::email::Email;
use crate::domain::email_challenge::{self, Challenge, Purpose};
use crate::domain::id;
use crate::domain::keys::LimitKey;
use crate::domain::language::Language;
use crate::domain::outbox::{self, Item, Kind};
use crate::entity::account;
use crate::entity::outbox as outbox_row;
use crate::timestamp::Timestamp;

/// The class of notices to the owner of an account about logins and sessions.
const NOTICE: &str = "notice";

/// The class of mails that someone requested. The requester may be a stranger.
const REQUESTED: &str = "requested";

/// A mail as stored in the outbox.
#[derive(Clone, Serialize, Deserialize)]
pub struct QueuedMail {
    /// The account that the mail is about. The id of the invite, if it is about an invite; the id
    /// of the sign-up, if it is about a sign-up.
    pub account_id: Uuid,
    /// The address of the recipient, in the spelling that was stored when the address was set.
    pub to: String,
    /// The language of the text.
    pub language: Language,
    /// What the mail is about.
    pub content: Content,
    /// Why the mail could not be sent; only in dead letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl QueuedMail {
    /// The account that the mail is about. `None` if it is about an invite or a sign-up.
    #[must_use]
    pub const fn account(&self) -> Option<Uuid> {
        match self.content {
            Content::Invite { .. } | Content::SignUp { .. } => None,
            _ => Some(self.account_id),
        }
    }
}

/// What a mail is about. The names are stored, so they never change.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "mail", rename_all = "snake_case")]
pub enum Content {
    /// A notice: the password was changed, or reset.
    PasswordChanged,
    /// A notice: a login from a device that was not seen before.
    NewDevice {
        /// The `User-Agent` of the request, sanitized.
        user_agent: Option<String>,
        /// The client address of the request.
        address: Option<String>,
    },
    /// A notice: a session was ended, because a refresh token was used twice.
    TokenReuse,
    /// A link and a code, with which the owner sets a new password.
    ResetPassword {
        /// When the link and the code expire. This time identifies the challenge from which they
        /// are computed.
        expires_at: Timestamp,
    },
    /// A link and a code, with which the owner proves control of the address.
    VerifyEmail {
        /// When the link and the code expire. This time identifies the challenge from which they
        /// are computed.
        expires_at: Timestamp,
    },
    /// A link and a code, with which the owner confirms a new address. It goes to the new address.
    ChangeEmail {
        /// When the link and the code expire. This time identifies the challenge from which they
        /// are computed.
        expires_at: Timestamp,
    },
    /// A notice to the old address: the address of the account was changed.
    EmailChanged,
    /// Someone tried to sign up with the address of the account, or to use it for another account.
    AddressInUse,
    /// The link with which an invited person signs up.
    Invite {
        /// When the invite expires.
        expires_at: Timestamp,
    },
    /// A link and a code, with which a new user confirms a sign-up. If the address has an account
    /// when the mail is sent, [`Content::AddressInUse`] is sent instead.
    SignUp {
        /// When the link and the code expire. This time identifies the challenge from which they
        /// are computed.
        expires_at: Timestamp,
    },
    /// No mail is sent: someone requested a mail for an address without an account. The row exists
    /// so that this request takes as long as others.
    Nothing,
}

impl Content {
    /// The name, which is also the name of the template.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::PasswordChanged => "password_changed",
            Self::NewDevice { .. } => "new_device",
            Self::TokenReuse => "token_reuse",
            Self::ResetPassword { .. } => "reset_password",
            Self::VerifyEmail { .. } => "verify_email",
            Self::ChangeEmail { .. } => "change_email",
            Self::EmailChanged => "email_changed",
            Self::AddressInUse => "address_in_use",
            Self::Invite { .. } => "invite",
            Self::SignUp { .. } => "sign_up",
            Self::Nothing => "nothing",
        }
    }

    /// The class. Mails of one class share a limit per recipient. Notices and invites have classes
    /// of their own, because requests of strangers must not use up their limits. The notices of a
    /// new password and of a new address have classes of their own, too: otherwise an attacker who
    /// takes over an account could prevent them by causing other notices. The names are part of
    /// stored keys, so they never change.
    const fn class(&self) -> &'static str {
        match self {
            Self::NewDevice { .. } | Self::TokenReuse => NOTICE,
            Self::PasswordChanged => "password_changed",
            Self::EmailChanged => "email_changed",
            Self::Invite { .. } => "invite",
            Self::ResetPassword { .. }
            | Self::VerifyEmail { .. }
            | Self::ChangeEmail { .. }
            | Self::AddressInUse
            | Self::SignUp { .. }
            | Self::Nothing => REQUESTED,
        }
    }

    /// Whether the mail is a notice to the owner of an account (`SIGNET_MAIL_NOTICES`).
    const fn is_notice(&self) -> bool {
        match self {
            Self::PasswordChanged
            | Self::NewDevice { .. }
            | Self::TokenReuse
            | Self::EmailChanged => true,
            Self::ResetPassword { .. }
            | Self::VerifyEmail { .. }
            | Self::ChangeEmail { .. }
            | Self::AddressInUse
            | Self::Invite { .. }
            | Self::SignUp { .. }
            | Self::Nothing => false,
        }
    }

    /// After this time the mail is of no use.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::ResetPassword { expires_at }
            | Self::VerifyEmail { expires_at }
            | Self::ChangeEmail { expires_at }
            | Self::Invite { expires_at }
            | Self::SignUp { expires_at } => Some(*expires_at),
            Self::PasswordChanged
            | Self::NewDevice { .. }
            | Self::TokenReuse
            | Self::EmailChanged
            | Self::AddressInUse
            | Self::Nothing => None,
        }
    }
}

/// Queues mails, if mail is on.
#[derive(Clone)]
pub struct MailQueue(Option<Arc<Settings>>);

struct Settings {
    key: LimitKey,
    limits: MailLimits,
    ipv6_prefix: u8,
    has_notices: bool,
}

impl Settings {
    /// The windows in which a mail counts, in locking order.
    fn windows(
        &self,
        content: &Content,
        email: &Email,
        origin: &Origin,
    ) -> Vec<(AttemptKey, MailLimits)> {
        let (class, client) = (content.class(), (origin.address, self.ipv6_prefix));
        let of_recipient = AttemptKey::of_recipient(&self.key, class, email);
        let mut windows = vec![(of_recipient, self.limits)];
        if class == REQUESTED {
            let of_client = AttemptKey::of_requester(&self.key, class, email, client);
            windows.insert(0, (of_client, self.limits.of_one_client()));
        }
        windows
    }
}

impl MailQueue {
    /// The queue for these settings. `key` hides addresses in the attempt table. An IPv6 block with
    /// `ipv6_prefix` bits counts as one client.
    #[must_use]
    pub fn new(settings: &MailSettings, key: LimitKey, ipv6_prefix: u8) -> Self {
        let limits =
            MailLimits { per_hour: settings.mails_per_hour, per_day: settings.mails_per_day };
        let has_notices = settings.mail_notices;
        let is_on = settings.is_on();
        Self(is_on.then(|| Arc::new(Settings { key, limits, ipv6_prefix, has_notices })))
    }

    /// A queue that drops all mails.
    #[must_use]
    pub const fn off() -> Self {
        Self(None)
    }

    /// Whether mail is on.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether notices are sent.
    #[must_use]
    pub fn has_notices(&self) -> bool {
        self.0.as_ref().is_some_and(|settings| settings.has_notices)
    }

    /// Queues a mail to the address of the account, within the caller's transaction. Queues nothing
    /// if [`Self::admit`] returns false.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn send(
        &self,
        txn: &impl ConnectionTrait,
        account: &account::Model,
        content: Content,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), DbErr> {
        let email = Email::of_account(&account.email_canonical);
        if !self.admit(txn, &content, (&email, Some(account.id)), origin, now).await? {
            return Ok(());
        }
        self.enqueue(txn, account.id, Recipient::of(account, origin), content, now).await
    }

    /// Admits and counts a mail to this address, which belongs to this account. Returns false if
    /// the address gets too many mails, or too many because of this client address. Then the event
    /// that the mail was dropped is recorded, at most once an hour. Also returns false if mail is
    /// off, or if the mail is a notice and notices are off.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn admit(
        &self,
        txn: &impl ConnectionTrait,
        content: &Content,
        (email, account_id): (&Email, Option<Uuid>),
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, DbErr> {
        let Some(settings) = &self.0 else { return Ok(false) };
        if content.is_notice() && !settings.has_notices {
            return Ok(false);
        }
        let windows = settings.windows(content, email, origin);
        let admission = admit_mail(txn, &windows, now).await?;
        if admission == (MailAdmission::Refused { is_first: true }) {
            let event = Event::new(EventKind::MailDropped).account(account_id).reason("limit");
            event.record(txn, origin, now).await?;
        }
        Ok(admission == MailAdmission::Admitted)
    }

    /// Queues a mail with a link and a code, and makes its challenge the newest of the account for
    /// its purpose. Returns false, and changes nothing, if the address gets too many mails or mail
    /// is off. Without this limit, a stranger could keep voiding the links of the owner.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn send_challenge(
        &self,
        txn: &impl ConnectionTrait,
        mail: ChallengeMail,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, DbErr> {
        let ChallengeMail { challenge, email, to, content } = mail;
        let known_id = match challenge.purpose {
            // Otherwise the events of the account, which its owner can download, would show whether
            // the new address belongs to another account.
            Purpose::ChangeEmail => Some(challenge.account_id),
            _ => to.as_ref().map(|(account_id, _)| *account_id),
        };
        if !self.admit(txn, &content, (&email, known_id), origin, now).await? {
            return Ok(false);
        }
        let (account_id, recipient) =
            to.unwrap_or_else(|| (challenge.account_id, Recipient::nobody()));
        email_challenge::replace(txn, challenge).await?;
        self.enqueue(txn, account_id, recipient, content, now).await?;
        Ok(true)
    }

    /// Queues an admitted mail. Does nothing if mail is off.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn enqueue(
        &self,
        txn: &impl ConnectionTrait,
        account_id: Uuid,
        recipient: Recipient,
        content: Content,
        now: Timestamp,
    ) -> Result<(), DbErr> {
        if !self.is_on() {
            return Ok(());
        }
        let Recipient { address: to, language } = recipient;
        let mail = QueuedMail { account_id, to, language, content, failure: None };
        let item = Item::new(id::new(now), Kind::Mail, account_id.to_string(), &mail, now)?;
        outbox::enqueue(txn, vec![item]).await
    }
}

/// A mail with a link and a code.
pub struct ChallengeMail {
    /// The challenge, from which the link and the code are computed.
    pub challenge: Challenge,
    /// The address against whose limit the mail is counted.
    pub email: Email,
    /// The account that the mail is about, and its recipient. `None` if the address has no account.
    /// Then the same rows are written as otherwise, and nothing is sent.
    pub to: Option<(Uuid, Recipient)>,
    /// What the mail is about.
    pub content: Content,
}

/// The recipient of a mail.
#[derive(Clone)]
pub struct Recipient {
    address: String,
    language: Language,
}

impl Recipient {
    /// The owner of an account. The mail is in the language of the account's profile, or else of
    /// the request.
    #[must_use]
    pub fn of(account: &account::Model, origin: &Origin) -> Self {
        let language = Language::of_account(account).unwrap_or(origin.language);
        Self { address: account.email.clone(), language }
    }

    /// The owner of an account, at another address than the stored address. `spelling` is the
    /// address as the owner typed it.
    #[must_use]
    pub fn at(spelling: &str, account: &account::Model, origin: &Origin) -> Self {
        Self { address: spelling.to_owned(), ..Self::of(account, origin) }
    }

    /// A person without an account.
    #[must_use]
    pub fn without_account(spelling: &str, language: Language) -> Self {
        Self { address: spelling.to_owned(), language }
    }

    /// The recipient of [`Content::Nothing`].
    #[must_use]
    pub fn nobody() -> Self {
        Self { address: String::new(), language: Language::default() }
    }
}

/// Deletes the mails of an account, whose rows contain its address. Must run in the transaction
/// that deletes the account.
///
/// # Errors
/// If the database refuses.
pub async fn forget(txn: &impl ConnectionTrait, account_id: Uuid) -> Result<(), DbErr> {
    outbox_row::Entity::delete_many()
        .filter(outbox_row::Column::Kind.is_in([Kind::Mail, Kind::DeadMail]))
        .filter(outbox_row::Column::Receiver.eq(account_id.to_string()))
        .exec(txn)
        .await
        .map(drop)
}
