//! The JSON API for front ends.

mod account;
mod account_data;
mod consents;
mod data_download;
mod email;
mod failures;
mod forgotten_password;
mod login;
mod mail_request;
mod me;
mod password;
mod profile;
mod reauthentication;
mod sessions;
mod tokens;

pub(super) use account::AccountApi;
pub(super) use consents::ConsentsApi;
pub(super) use data_download::{DataDownloadApi, data_file};
pub(super) use email::EmailApi;
pub(super) use forgotten_password::ForgottenPasswordApi;
pub(super) use login::LoginApi;
pub(super) use me::MeApi;
pub(super) use password::PasswordApi;
pub(super) use sessions::SessionsApi;

use poem_openapi::Tags;

/// The tags that group the operations.
#[derive(Tags)]
enum Tag {
    /// Sign-up and management of the account.
    Accounts,
    /// Login, refresh and logout; listing and ending sessions.
    Sessions,
    /// Listing and revoking the consents given to clients.
    Consents,
}
