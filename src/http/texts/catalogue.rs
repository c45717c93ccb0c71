//! The texts that each language has.
//!
//! A text without arguments is a constant, and a text with arguments is a function.

use crate::domain::email::EmailError;
use crate::domain::password::{UnusablePassword, Weakness};
use crate::domain::profile::ClaimError;
use crate::domain::sign_up_policy::SignUpRefusal;
use crate::timestamp::Timestamp;

/// A fixed text.
type Text = &'static str;

/// The texts before and after a value that the template emphasizes.
type Around = (Text, Text);

/// The texts in one language.
#[derive(Debug)]
pub(in crate::http) struct Texts {
    pub(in crate::http) common: Common,
    pub(in crate::http) script: Script,
    pub(in crate::http) message: Message,
    pub(in crate::http) login: Login,
    pub(in crate::http) signup: SignUp,
    pub(in crate::http) password_rules: PasswordRules,
    pub(in crate::http) access: Access,
    pub(in crate::http) consent: Consent,
    pub(in crate::http) form_post: FormPost,
    pub(in crate::http) logout: Logout,
    pub(in crate::http) account: Account,
    pub(in crate::http) profile: Profile,
    pub(in crate::http) password: PasswordChange,
    pub(in crate::http) download: DataDownload,
    pub(in crate::http) forgotten: Forgotten,
    pub(in crate::http) reset: Reset,
    pub(in crate::http) verification: Verification,
    pub(in crate::http) verification_link: VerificationLink,
    pub(in crate::http) email: EmailChange,
    pub(in crate::http) deletion: Deletion,
    pub(in crate::http) device: Device,
}

/// Texts of several pages.
#[derive(Debug)]
pub(in crate::http) struct Common {
    /// Before the title of a page that shows an error.
    pub(in crate::http) error_prefix: Text,
    pub(in crate::http) log_in: Text,
    pub(in crate::http) sign_up: Text,
    pub(in crate::http) your_account: Text,
    pub(in crate::http) back_to_account: Text,
    pub(in crate::http) email_address: Text,
    pub(in crate::http) password: Text,
    pub(in crate::http) new_password: Text,
    /// Around an email address.
    pub(in crate::http) logged_in_as: Around,
    /// Around the name of the client for which the user logs in or signs up.
    pub(in crate::http) to_continue_to: Around,
    /// Before the last item of a list of two or more.
    pub(in crate::http) and: Text,
    /// A sentence about an address that cannot be used.
    pub(in crate::http) email_error: fn(EmailError) -> Text,
    /// The error for a wrong password of the logged-in user.
    pub(in crate::http) wrong_password: Text,
}

/// Texts that `page.js` shows: the button beside a password, and its label for screen readers,
/// which contains the text of the button.
#[derive(Debug)]
pub(in crate::http) struct Script {
    pub(in crate::http) show: Text,
    pub(in crate::http) show_label: Text,
    pub(in crate::http) hide: Text,
    pub(in crate::http) hide_label: Text,
}

/// Pages without a form.
#[derive(Debug)]
pub(in crate::http) struct Message {
    pub(in crate::http) does_not_work: Text,
    pub(in crate::http) method_not_allowed: Text,
    pub(in crate::http) not_found: Text,
    pub(in crate::http) nothing_here: Text,
    pub(in crate::http) address_too_long: Text,
    pub(in crate::http) too_many_cookies: Text,
    pub(in crate::http) delete_cookies: Text,
    pub(in crate::http) try_again: Text,
    pub(in crate::http) busy: Text,
    pub(in crate::http) unreadable: Text,
    pub(in crate::http) went_wrong: Text,
    pub(in crate::http) internal_error: Text,
    /// Without a full stop.
    pub(in crate::http) too_many_attempts: Text,
    /// Without a full stop.
    pub(in crate::http) too_many_attempts_from_network: Text,
    /// A sentence with the time to wait, which is given in seconds.
    pub(in crate::http) wait: fn(u64) -> String,
    pub(in crate::http) client_mistake: Text,
    pub(in crate::http) start_again: Text,
    pub(in crate::http) stale: Text,
    /// Before the request id.
    pub(in crate::http) quote_request_id: Text,
}

/// `/login`.
#[derive(Debug)]
pub(in crate::http) struct Login {
    /// For an unknown address, a wrong password or a disabled account. It does not say which.
    pub(in crate::http) refused: Text,
    /// Below [`Login::refused`], if sign-ups are confirmed by mail before there is an account.
    pub(in crate::http) unconfirmed: Text,
    pub(in crate::http) out_of_date: Text,
    pub(in crate::http) other_account: Text,
    pub(in crate::http) forgot_password: Text,
    pub(in crate::http) no_account: Text,
}

/// `/signup`.
#[derive(Debug)]
pub(in crate::http) struct SignUp {
    pub(in crate::http) have_account: Text,
    pub(in crate::http) log_in_instead: Text,
    pub(in crate::http) taken: Text,
    pub(in crate::http) invalid_invite: Text,
    pub(in crate::http) refusal: fn(SignUpRefusal) -> Text,
    pub(in crate::http) without_invitation: Text,
}

/// The password policy.
#[derive(Debug)]
pub(in crate::http) struct PasswordRules {
    /// The rule for the minimum number of characters.
    pub(in crate::http) at_least: fn(u32) -> String,
    pub(in crate::http) upper_case: Text,
    pub(in crate::http) lower_case: Text,
    pub(in crate::http) digit: Text,
    pub(in crate::http) unrelated_words: Text,
    /// Sentences about the rules that a password breaks; empty if it breaks none.
    pub(in crate::http) broken: fn(&[Weakness]) -> String,
    pub(in crate::http) unusable: fn(UnusablePassword) -> Text,
}

/// What clients may do. Each text continues [`Consent::asks_to`] and
/// [`Account::it_may`].
#[derive(Debug)]
pub(in crate::http) struct Access {
    /// A scope that Signet defines.
    pub(in crate::http) scope: fn(&str) -> Option<Text>,
    /// A scope of a resource server, without a description.
    pub(in crate::http) use_scope: fn(&str) -> String,
    /// A standard claim that is requested by name.
    pub(in crate::http) claim: fn(&str) -> Text,
    /// Instead of the host of a client that has no https redirect URI.
    pub(in crate::http) program_of_user: Text,
}

/// `/consent`.
#[derive(Debug)]
pub(in crate::http) struct Consent {
    pub(in crate::http) title: Text,
    pub(in crate::http) heading: Text,
    /// Around the name of the client, before a list.
    pub(in crate::http) asks_to: Around,
    /// Around the hosts of resource servers.
    pub(in crate::http) access_at: Around,
    pub(in crate::http) allow: Text,
    pub(in crate::http) deny: Text,
    /// Around the host, or [`FormPost::program_here`].
    pub(in crate::http) returns_to: Around,
    pub(in crate::http) other_account: Text,
}

/// The page that posts the authorization response.
#[derive(Debug)]
pub(in crate::http) struct FormPost {
    pub(in crate::http) title: Text,
    /// Around the host, or [`FormPost::program_here`].
    pub(in crate::http) returning_to: Around,
    pub(in crate::http) submit: Text,
    /// The destination of a redirect URI that is not https.
    pub(in crate::http) program_here: Text,
}

/// `/logout`.
#[derive(Debug)]
pub(in crate::http) struct Logout {
    pub(in crate::http) title: Text,
    pub(in crate::http) heading: Text,
    pub(in crate::http) stay: Text,
    pub(in crate::http) done: Text,
    pub(in crate::http) nobody: Text,
}

/// `/account`.
#[derive(Debug)]
pub(in crate::http) struct Account {
    /// The notice after a change of the profile.
    pub(in crate::http) profile_changed: Text,
    pub(in crate::http) change_address: Text,
    /// The notice after a change of the password.
    pub(in crate::http) password_changed: Text,
    /// The notice after the end of a session.
    pub(in crate::http) session_ended: Text,
    /// The notice after the end of all other sessions.
    pub(in crate::http) others_ended: Text,
    /// The notice after the withdrawal of a consent.
    pub(in crate::http) withdrawn: Text,
    pub(in crate::http) your_email: Text,
    /// Beside an email address of which the user has proved control.
    pub(in crate::http) verified: Text,
    pub(in crate::http) email_hint: Text,
    /// After [`Account::email_hint`] if the service sends mails.
    pub(in crate::http) mail_hint: Text,
    pub(in crate::http) your_password: Text,
    pub(in crate::http) password_hint: Text,
    pub(in crate::http) sessions: Text,
    /// The text that expands the list of sessions; the argument is their number.
    pub(in crate::http) show_all: fn(usize) -> String,
    pub(in crate::http) log_out_here: Text,
    pub(in crate::http) log_out_others: Text,
    pub(in crate::http) log_out_everywhere: Text,
    pub(in crate::http) everywhere_hint: Text,
    pub(in crate::http) this_browser: Text,
    /// Before the time at which a session began, at the beginning of a line.
    pub(in crate::http) logged_in_on: Text,
    /// Before the time at which a session began, after the device and a comma.
    pub(in crate::http) and_logged_in_on: Text,
    /// Before the time of the last use of a session.
    pub(in crate::http) last_used_on: Text,
    /// Before the client address of a session, after a time.
    pub(in crate::http) from: Text,
    pub(in crate::http) end_session: Text,
    pub(in crate::http) consents: Text,
    pub(in crate::http) no_consents: Text,
    /// Before the time of a consent.
    pub(in crate::http) allowed_on: Text,
    /// Before a list of permissions.
    pub(in crate::http) it_may: Text,
    /// Around the hosts of resource servers, before a list of permissions.
    pub(in crate::http) it_may_at: Around,
    pub(in crate::http) withdraw: Text,
    /// Between [`Account::withdraw`] and the name of the client, for screen readers.
    pub(in crate::http) withdraw_of: Text,
    pub(in crate::http) deletion_hint: Text,
}

/// `/edit-profile`, and the profile on `/account`.
#[derive(Debug)]
pub(in crate::http) struct Profile {
    pub(in crate::http) title: Text,
    pub(in crate::http) lead: Text,
    /// For a profile without claims.
    pub(in crate::http) empty: Text,
    pub(in crate::http) edit: Text,
    pub(in crate::http) names: Text,
    pub(in crate::http) language_and_zone: Text,
    pub(in crate::http) about_you: Text,
    pub(in crate::http) phone_and_address: Text,
    /// The name of a claim, or of a member of the claim `address`, such as `address.locality`.
    pub(in crate::http) label: fn(&str) -> Text,
    /// What the field of a claim expects; may be empty.
    pub(in crate::http) hint: fn(&str) -> Text,
    /// A sentence about a value that is not valid.
    pub(in crate::http) claim_error: fn(ClaimError) -> String,
    /// The choice of no language.
    pub(in crate::http) not_set: Text,
    pub(in crate::http) submit: Text,
}

/// `/change-password`.
#[derive(Debug)]
pub(in crate::http) struct PasswordChange {
    pub(in crate::http) title: Text,
    pub(in crate::http) lead: Text,
    pub(in crate::http) current: Text,
    pub(in crate::http) submit: Text,
    pub(in crate::http) keep: Text,
    pub(in crate::http) before_last_login: Text,
}

/// `/download-data`.
#[derive(Debug)]
pub(in crate::http) struct DataDownload {
    /// The heading on `/account`.
    pub(in crate::http) your_data: Text,
    /// On `/account`, above the link to the page.
    pub(in crate::http) account_hint: Text,
    pub(in crate::http) title: Text,
    pub(in crate::http) lead: Text,
    pub(in crate::http) submit: Text,
    pub(in crate::http) hint: Text,
}

/// `/forgot-password`.
#[derive(Debug)]
pub(in crate::http) struct Forgotten {
    pub(in crate::http) title: Text,
    pub(in crate::http) lead: Text,
    pub(in crate::http) submit: Text,
    pub(in crate::http) mail_is_off: Text,
    pub(in crate::http) contact_operator: Text,
}

/// `/reset-password`.
#[derive(Debug)]
pub(in crate::http) struct Reset {
    pub(in crate::http) title: Text,
    pub(in crate::http) lead: Text,
    pub(in crate::http) code: Text,
    pub(in crate::http) wrong_code: Text,
    pub(in crate::http) submit: Text,
    pub(in crate::http) another_mail: Text,
    pub(in crate::http) done: Text,
    pub(in crate::http) all_ended: Text,
    pub(in crate::http) invalid_link: Text,
    pub(in crate::http) why_invalid: Text,
    pub(in crate::http) new_link: Text,
}

/// `/verify-email`, and the notice on `/account` that leads there.
#[derive(Debug)]
pub(in crate::http) struct Verification {
    pub(in crate::http) title: Text,
    /// After a mail was sent.
    pub(in crate::http) sent: Text,
    /// After a new address was entered.
    pub(in crate::http) sent_to_new: Text,
    /// After a sign-up that does not reveal whether its address has an account.
    pub(in crate::http) signed_up: Text,
    /// After a login with the right password.
    pub(in crate::http) refused: Text,
    pub(in crate::http) submit: Text,
    /// Before [`Verification::another_mail`], which completes the sentence.
    pub(in crate::http) no_mail: Text,
    /// The notice on `/account`, before [`Verification::another_mail`].
    pub(in crate::http) not_verified: Text,
    /// A button.
    pub(in crate::http) another_mail: Text,
    pub(in crate::http) done: Text,
    pub(in crate::http) changed: Text,
    /// After the link or the code of a sign-up.
    pub(in crate::http) created: Text,
    pub(in crate::http) thanks: Text,
    pub(in crate::http) contact_operator: Text,
}

/// The link of a mail, at `/verify-email`.
#[derive(Debug)]
pub(in crate::http) struct VerificationLink {
    /// Around an email address, if the form requires the password.
    pub(in crate::http) signed_up_with: Around,
    /// Around an email address, if the form has only a button.
    pub(in crate::http) belongs_to_account: Around,
    pub(in crate::http) submit: Text,
    /// The title for a new address of an account.
    pub(in crate::http) confirm_new: Text,
    /// Around a new email address, if the form requires the password.
    pub(in crate::http) wanted_for_account: Around,
    /// Around a new email address, if the form has only a button.
    pub(in crate::http) new_for_account: Around,
    pub(in crate::http) submit_new: Text,
    /// The title for a sign-up.
    pub(in crate::http) confirm_sign_up: Text,
    /// Around the email address of a sign-up, if the form requires the password.
    pub(in crate::http) password_chosen: Around,
    /// Around the email address of a sign-up, if the form has only a button.
    pub(in crate::http) creates_account: Around,
    pub(in crate::http) submit_sign_up: Text,
    /// As [`VerificationLink::set_password`], for a sign-up.
    pub(in crate::http) replace_password: Text,
    pub(in crate::http) unknown_password: Text,
    pub(in crate::http) set_password: Text,
    pub(in crate::http) why_invalid: Text,
}

/// `/change-email`.
#[derive(Debug)]
pub(in crate::http) struct EmailChange {
    pub(in crate::http) title: Text,
    /// Around the email address of the account.
    pub(in crate::http) lead: Around,
    pub(in crate::http) new_address: Text,
    pub(in crate::http) your_password: Text,
    pub(in crate::http) submit: Text,
    pub(in crate::http) keep: Text,
    /// The error if the new address is that of the account.
    pub(in crate::http) unchanged: Text,
    pub(in crate::http) contact_operator: Text,
}

/// `/delete-account`.
#[derive(Debug)]
pub(in crate::http) struct Deletion {
    pub(in crate::http) title: Text,
    pub(in crate::http) heading: Text,
    /// Around the email address of the account.
    pub(in crate::http) lead: Around,
    pub(in crate::http) your_password: Text,
    pub(in crate::http) submit: Text,
    pub(in crate::http) hint: Text,
    pub(in crate::http) keep: Text,
    pub(in crate::http) done: Text,
    pub(in crate::http) nobody: Text,
}

/// The words for browsers and times.
#[derive(Debug)]
pub(in crate::http) struct Device {
    pub(in crate::http) unknown_browser: Text,
    /// The words for a browser and its operating system or device.
    pub(in crate::http) on: fn(&str, &str) -> String,
    /// A time in UTC, which `page.js` replaces by local time.
    pub(in crate::http) time: fn(Timestamp) -> String,
}
