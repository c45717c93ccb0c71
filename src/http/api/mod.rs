//! The JSON API for front ends.

mod account;
mod consents;
mod failures;
mod logins;
mod me;
mod password;
mod profile;
mod reauthentication;
mod session;
mod tokens;

pub(super) use account::AccountApi;
pub(super) use consents::ConsentsApi;
pub(super) use logins::LoginsApi;
pub(super) use me::MeApi;
pub(super) use password::PasswordApi;
pub(super) use session::SessionApi;

use poem_openapi::Tags;

/// How the operations are grouped.
#[derive(Tags)]
enum Tag {
    /// Making an account, and looking after it.
    Accounts,
    /// Logging in, staying logged in, logging out, here and elsewhere.
    Sessions,
    /// What other programs have been allowed, and taking it back.
    Consents,
}
