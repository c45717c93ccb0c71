//! The kinds of audit events.

/// Defines the kinds, and generates their documentation from the same lines.
macro_rules! kinds {
    ($($(#[doc = $meaning:literal])+ $kind:ident = $name:literal, $outcome:ident;)+) => {
        /// The kinds of events.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $($(#[doc = $meaning])+ $kind,)+
        }

        impl Kind {
            /// All kinds, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// The value of the column `type`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            /// The value of the column `outcome`.
            #[must_use]
            pub const fn outcome(self) -> &'static str {
                match self {
                    $(Self::$kind => stringify!($outcome),)+
                }
            }

            /// What happened, in Markdown.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$kind => concat!($($meaning),+).trim(),)+
                }
            }
        }
    };
}

kinds! {
    /// An account was created. `reason`: `invite` and the id of the invite with which its owner
    /// signed up, or `by the operator`.
    SignUp = "signup", success;
    /// Someone signed up, and the sign-up goes on by mail (`SIGNET_SIGNUP_REVEALS_EXISTING`).
    SignUpRequested = "signup_requested", success;
    /// A session began: by a login, or in place of the current session at a password change.
    /// `reason`: `password_change` in the second case.
    LogIn = "login", success;
    /// A login or a reauthentication was refused. `reason` at login: `wrong_password`, `disabled`,
    /// `unknown_account`, or `email_not_verified` if the password was right but
    /// `SIGNET_VERIFY_EMAIL` is `require`. `reason` at reauthentication:
    /// `wrong_password_for_password_change`, `wrong_password_for_data_download`,
    /// `wrong_password_for_account_deletion`, `wrong_password_for_email_verification` or
    /// `wrong_password_for_email_change`.
    LogInFailed = "login_failed", failure;
    /// A sign-up failed: the email address has an account already, or the invite is not valid for
    /// it. `reason`: `email_exists` or `invalid_invite`.
    SignUpFailed = "signup_failed", failure;
    /// A refresh token was presented that Signet did not issue. `reason`: `forged`.
    RefreshFailed = "refresh_failed", failure;
    /// Client authentication failed. `reason`: the cause, as in the log.
    ClientAuthenticationFailed = "client_authentication_failed", failure;
    /// A session was ended by its owner. `reason`: `everywhere` if it was ended together with
    /// all others from the account page.
    LogOut = "logout", success;
    /// A refresh token was exchanged. `reason`: `retry` if a lost response was sent again.
    TokenRefreshed = "token_refreshed", success;
    /// A refresh token was presented that had already been replaced. `reason`: the generation of
    /// this token, the current generation, and the last client address of the session.
    TokenReuse = "token_reuse", failure;
    /// A session was ended from another session, by an operator, or by its client (RFC 7009).
    /// `reason`: `by session` and the session from which it was ended; `all but session` and the
    /// session from which all others were ended; or `by the operator`.
    SessionRevoked = "session_revoked", success;
    /// A user changed their password, knowing the old one.
    PasswordChanged = "password_changed", success;
    /// A password reset was requested.
    PasswordResetRequested = "password_reset_requested", success;
    /// A user set a new password with a reset token.
    PasswordReset = "password_reset", success;
    /// An operator invalidated the password of an account, whose owner needs a reset token.
    /// `reason`: `by the operator`.
    PasswordResetRequired = "password_reset_required", success;
    /// A user entered a new address, to which a mail with a link and a code was sent.
    EmailChangeRequested = "email_change_requested", success;
    /// The email address of an account was changed. `reason`: `by the operator` if an operator did
    /// it.
    EmailChanged = "email_changed", success;
    /// A user requested another mail that verifies the account's address.
    EmailVerificationRequested = "email_verification_requested", success;
    /// A user proved control of the account's email address. `reason`: `by the operator` if an
    /// operator declared the address verified.
    EmailVerified = "email_verified", success;
    /// An email address was invited by an operator. `reason`: the id of the invite.
    InviteCreated = "invite_created", success;
    /// An invite was revoked by an operator. `reason`: the id of the invite.
    InviteRevoked = "invite_revoked", success;
    /// A user changed their profile. `reason`: the names of the claims.
    ProfileChanged = "profile_changed", success;
    /// A user downloaded the data of their account.
    DataDownloaded = "data_downloaded", success;
    /// An account was imported, or changed by a later import. `reason`: the format of the source,
    /// and `changed` if the account had been imported before.
    AccountImported = "account_imported", success;
    /// An account was disabled. `reason`: `by the operator`.
    AccountDisabled = "account_disabled", success;
    /// An account was enabled again. `reason`: `by the operator`.
    AccountEnabled = "account_enabled", success;
    /// An account was deleted. `reason`: `by the operator` or `by its owner`.
    AccountDeleted = "account_deleted", success;
    /// Attempts from one client address, or on one account, were refused; recorded once a minute.
    /// `reason`: the name of the limit, `address` or `account`.
    RateLimited = "rate_limited", failure;
    /// A mail was dropped because its recipient gets too many. Recorded once an hour for each
    /// recipient, and for each client address that causes too many of them. `reason`: `limit`.
    MailDropped = "mail_dropped", failure;
    /// A mail could not be sent and became a dead letter (`signet mail list`). `reason`: the SMTP
    /// reply code, such as `550`; `expired`; `key`; `address`; or `given up after a day` and the
    /// last failure.
    MailFailed = "mail_failed", failure;
    /// A client was registered.
    ClientCreated = "client_created", success;
    /// A client's registration, or its secret, was changed.
    ClientChanged = "client_changed", success;
    /// A client was deleted.
    ClientDeleted = "client_deleted", success;
    /// An authorization code was sent to a client.
    CodeIssued = "code_issued", success;
    /// An authorization code was exchanged for tokens. `reason`: `retry` if a lost response was
    /// sent again.
    CodeRedeemed = "code_redeemed", success;
    /// An authorization code was presented again.
    CodeReuse = "code_reuse", failure;
    /// A user granted a client consent. `reason`: the scope, the audience, and the single claims
    /// that the client requested with the parameter `claims`.
    ConsentGranted = "consent_granted", success;
    /// A user denied a client consent.
    ConsentDenied = "consent_denied", success;
    /// A user withdrew a consent. `reason`: the scope and the single claims.
    ConsentWithdrawn = "consent_withdrawn", success;
    /// A signing key was generated or imported. `reason`: `kid` and the id of the key.
    KeyCreated = "key_created", success;
    /// A signing key became active. `reason`: `kid` and the id of the key.
    KeyActivated = "key_activated", success;
    /// A signing key stopped signing. `reason`: `kid` and the id of the key.
    KeyRetired = "key_retired", success;
    /// A signing key was revoked and removed from the key set at once. `reason`: `kid` and the id
    /// of the key.
    KeyRevoked = "key_revoked", success;
    /// An operator declared that the database is a restored backup. `reason`: `by the
    /// operator`, or `by the operator; sessions kept`.
    DatabaseRestored = "database_restored", success;
}
