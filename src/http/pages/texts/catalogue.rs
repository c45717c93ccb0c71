//! The texts that each language has.
//!
//! A text without arguments is a constant, and a text with arguments is a function.

use crate::domain::email::EmailError;
use crate::domain::password::{UnusablePassword, Weakness};
use crate::domain::sign_up_policy::SignUpRefusal;
use crate::timestamp::Timestamp;

/// A fixed text.
type Text = &'static str;

/// The texts before and after a value that the template emphasizes.
type Around = (Text, Text);

/// The texts in one language.
#[derive(Debug)]
pub(in crate::http::pages) struct Texts {
    pub(in crate::http::pages) common: Common,
    pub(in crate::http::pages) script: Script,
    pub(in crate::http::pages) message: Message,
    pub(in crate::http::pages) login: Login,
    pub(in crate::http::pages) signup: SignUp,
    pub(in crate::http::pages) password_rules: PasswordRules,
    pub(in crate::http::pages) access: Access,
    pub(in crate::http::pages) consent: Consent,
    pub(in crate::http::pages) form_post: FormPost,
    pub(in crate::http::pages) logout: Logout,
    pub(in crate::http::pages) account: Account,
    pub(in crate::http::pages) password: PasswordChange,
    pub(in crate::http::pages) forgotten: Forgotten,
    pub(in crate::http::pages) reset: Reset,
    pub(in crate::http::pages) deletion: Deletion,
    pub(in crate::http::pages) device: Device,
}

/// Texts of several pages.
#[derive(Debug)]
pub(in crate::http::pages) struct Common {
    /// Before the title of a page that shows an error.
    pub(in crate::http::pages) error_prefix: Text,
    pub(in crate::http::pages) log_in: Text,
    pub(in crate::http::pages) sign_up: Text,
    pub(in crate::http::pages) your_account: Text,
    pub(in crate::http::pages) email_address: Text,
    pub(in crate::http::pages) password: Text,
    pub(in crate::http::pages) new_password: Text,
    /// Around an email address.
    pub(in crate::http::pages) logged_in_as: Around,
    /// Around the name of the client for which the user logs in or signs up.
    pub(in crate::http::pages) to_continue_to: Around,
    /// Before the last item of a list of two or more.
    pub(in crate::http::pages) and: Text,
    /// A sentence on an address that cannot be used.
    pub(in crate::http::pages) email_error: fn(EmailError) -> Text,
    /// The error for a wrong password of the logged-in user.
    pub(in crate::http::pages) wrong_password: Text,
}

/// Texts that `page.js` shows: the button beside a password, and its name for screen readers, which
/// contains the text of the button.
#[derive(Debug)]
pub(in crate::http::pages) struct Script {
    pub(in crate::http::pages) show: Text,
    pub(in crate::http::pages) show_label: Text,
    pub(in crate::http::pages) hide: Text,
    pub(in crate::http::pages) hide_label: Text,
}

/// Pages without a form.
#[derive(Debug)]
pub(in crate::http::pages) struct Message {
    pub(in crate::http::pages) does_not_work: Text,
    pub(in crate::http::pages) method_not_allowed: Text,
    pub(in crate::http::pages) not_found: Text,
    pub(in crate::http::pages) nothing_here: Text,
    pub(in crate::http::pages) address_too_long: Text,
    pub(in crate::http::pages) too_many_cookies: Text,
    pub(in crate::http::pages) delete_cookies: Text,
    pub(in crate::http::pages) try_again: Text,
    pub(in crate::http::pages) busy: Text,
    pub(in crate::http::pages) unreadable: Text,
    pub(in crate::http::pages) went_wrong: Text,
    pub(in crate::http::pages) internal_error: Text,
    /// Without a full stop.
    pub(in crate::http::pages) too_many_attempts: Text,
    /// Without a full stop.
    pub(in crate::http::pages) too_many_attempts_from_network: Text,
    /// The time to wait, in seconds.
    pub(in crate::http::pages) wait: fn(u64) -> String,
    pub(in crate::http::pages) client_mistake: Text,
    pub(in crate::http::pages) start_again: Text,
    pub(in crate::http::pages) stale: Text,
    /// Before the request id.
    pub(in crate::http::pages) quote_request_id: Text,
}

/// `/login`.
#[derive(Debug)]
pub(in crate::http::pages) struct Login {
    /// For an unknown address, a wrong password or a disabled account. It does not say which.
    pub(in crate::http::pages) refused: Text,
    pub(in crate::http::pages) out_of_date: Text,
    pub(in crate::http::pages) other_account: Text,
    pub(in crate::http::pages) forgot_password: Text,
    pub(in crate::http::pages) no_account: Text,
}

/// `/signup`.
#[derive(Debug)]
pub(in crate::http::pages) struct SignUp {
    pub(in crate::http::pages) have_account: Text,
    pub(in crate::http::pages) log_in_instead: Text,
    pub(in crate::http::pages) taken: Text,
    pub(in crate::http::pages) invalid_invite: Text,
    pub(in crate::http::pages) refusal: fn(SignUpRefusal) -> Text,
    pub(in crate::http::pages) without_invitation: Text,
}

/// The password policy.
#[derive(Debug)]
pub(in crate::http::pages) struct PasswordRules {
    /// The minimum number of characters.
    pub(in crate::http::pages) at_least: fn(u32) -> String,
    pub(in crate::http::pages) upper_case: Text,
    pub(in crate::http::pages) lower_case: Text,
    pub(in crate::http::pages) digit: Text,
    pub(in crate::http::pages) unrelated_words: Text,
    /// Sentences on the rules that a password breaks; empty if it breaks none.
    pub(in crate::http::pages) broken: fn(&[Weakness]) -> String,
    pub(in crate::http::pages) unusable: fn(UnusablePassword) -> Text,
}

/// What clients may do. Each text continues [`Consent::asks_to`] and
/// [`Account::it_may`].
#[derive(Debug)]
pub(in crate::http::pages) struct Access {
    /// A scope that Signet defines.
    pub(in crate::http::pages) scope: fn(&str) -> Option<Text>,
    /// A scope of a resource server, without a description.
    pub(in crate::http::pages) use_scope: fn(&str) -> String,
    /// A standard claim that is requested by name.
    pub(in crate::http::pages) claim: fn(&str) -> Text,
    /// Where a client is that has no https redirect URI.
    pub(in crate::http::pages) program_of_user: Text,
}

/// `/consent`.
#[derive(Debug)]
pub(in crate::http::pages) struct Consent {
    pub(in crate::http::pages) title: Text,
    pub(in crate::http::pages) heading: Text,
    /// Around the name of the client, before a list.
    pub(in crate::http::pages) asks_to: Around,
    /// Around the hosts of resource servers.
    pub(in crate::http::pages) access_at: Around,
    pub(in crate::http::pages) allow: Text,
    pub(in crate::http::pages) deny: Text,
    /// Around the host, or [`FormPost::program_here`].
    pub(in crate::http::pages) returns_to: Around,
    pub(in crate::http::pages) other_account: Text,
}

/// The page that posts the authorization response.
#[derive(Debug)]
pub(in crate::http::pages) struct FormPost {
    pub(in crate::http::pages) title: Text,
    /// Around the host, or [`FormPost::program_here`].
    pub(in crate::http::pages) returning_to: Around,
    pub(in crate::http::pages) submit: Text,
    /// The destination of a redirect URI that is not https.
    pub(in crate::http::pages) program_here: Text,
}

/// `/logout`.
#[derive(Debug)]
pub(in crate::http::pages) struct Logout {
    pub(in crate::http::pages) title: Text,
    pub(in crate::http::pages) heading: Text,
    pub(in crate::http::pages) stay: Text,
    pub(in crate::http::pages) done: Text,
    pub(in crate::http::pages) nobody: Text,
}

/// `/account`.
#[derive(Debug)]
pub(in crate::http::pages) struct Account {
    /// The notice after a change of the password.
    pub(in crate::http::pages) password_changed: Text,
    /// The notice after the end of a session.
    pub(in crate::http::pages) session_ended: Text,
    /// The notice after the withdrawal of a consent.
    pub(in crate::http::pages) withdrawn: Text,
    pub(in crate::http::pages) your_password: Text,
    pub(in crate::http::pages) sessions: Text,
    /// The number of sessions.
    pub(in crate::http::pages) show_all: fn(usize) -> String,
    pub(in crate::http::pages) log_out_here: Text,
    pub(in crate::http::pages) log_out_everywhere: Text,
    pub(in crate::http::pages) everywhere_hint: Text,
    pub(in crate::http::pages) this_browser: Text,
    /// Before the time at which a session began.
    pub(in crate::http::pages) since: Text,
    /// Before the address of a session.
    pub(in crate::http::pages) from: Text,
    pub(in crate::http::pages) end_session: Text,
    pub(in crate::http::pages) consents: Text,
    pub(in crate::http::pages) no_consents: Text,
    /// Before the time of a consent.
    pub(in crate::http::pages) allowed_on: Text,
    /// Before a list of permissions.
    pub(in crate::http::pages) it_may: Text,
    /// Around the hosts of resource servers, before a list of permissions.
    pub(in crate::http::pages) it_may_at: Around,
    pub(in crate::http::pages) withdraw: Text,
    /// Between [`Account::withdraw`] and the name of the client, for screen readers.
    pub(in crate::http::pages) withdraw_of: Text,
    pub(in crate::http::pages) deletion_hint: Text,
}

/// `/change-password`.
#[derive(Debug)]
pub(in crate::http::pages) struct PasswordChange {
    pub(in crate::http::pages) title: Text,
    pub(in crate::http::pages) lead: Text,
    pub(in crate::http::pages) current: Text,
    pub(in crate::http::pages) submit: Text,
    pub(in crate::http::pages) keep: Text,
    pub(in crate::http::pages) before_last_login: Text,
}

/// `/forgot-password`.
#[derive(Debug)]
pub(in crate::http::pages) struct Forgotten {
    pub(in crate::http::pages) title: Text,
    pub(in crate::http::pages) lead: Text,
    pub(in crate::http::pages) submit: Text,
    pub(in crate::http::pages) mail_is_off: Text,
    pub(in crate::http::pages) contact_operator: Text,
}

/// `/reset-password`.
#[derive(Debug)]
pub(in crate::http::pages) struct Reset {
    pub(in crate::http::pages) title: Text,
    pub(in crate::http::pages) lead: Text,
    pub(in crate::http::pages) code: Text,
    pub(in crate::http::pages) wrong_code: Text,
    pub(in crate::http::pages) submit: Text,
    pub(in crate::http::pages) another_mail: Text,
    pub(in crate::http::pages) done: Text,
    pub(in crate::http::pages) all_ended: Text,
    pub(in crate::http::pages) invalid_link: Text,
    pub(in crate::http::pages) why_invalid: Text,
    pub(in crate::http::pages) new_link: Text,
}

/// `/delete-account`.
#[derive(Debug)]
pub(in crate::http::pages) struct Deletion {
    pub(in crate::http::pages) title: Text,
    pub(in crate::http::pages) heading: Text,
    /// Around the email address of the account.
    pub(in crate::http::pages) lead: Around,
    pub(in crate::http::pages) your_password: Text,
    pub(in crate::http::pages) submit: Text,
    pub(in crate::http::pages) hint: Text,
    pub(in crate::http::pages) keep: Text,
    pub(in crate::http::pages) done: Text,
    pub(in crate::http::pages) nobody: Text,
}

/// Browsers and times.
#[derive(Debug)]
pub(in crate::http::pages) struct Device {
    pub(in crate::http::pages) unknown_browser: Text,
    /// A browser and its operating system or device.
    pub(in crate::http::pages) on: fn(&str, &str) -> String,
    /// A time in UTC, which `page.js` replaces by local time.
    pub(in crate::http::pages) time: fn(Timestamp) -> String,
}
