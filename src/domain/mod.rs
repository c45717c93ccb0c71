//! The rules of the service, without HTTP and without reading the clock. A function depends only on
//! its arguments.
//!
//! The modules, in the order of their imports (`tests/it/imports.rs` checks this order):
//!
//! 1. values: `email`, `email_folding`, `granted`, `id`, `language`, `network`, `secret`;
//! 2. `outbox` (transactional outbox) and `audit` (audit log);
//! 3. `keys` (master key, signing keys and their rotation);
//! 4. `attempt_limit` (attempt limits), `email_challenge` (links and codes in mails), `mail` (mails
//!    in the outbox) and `password` (policy and hashing);
//! 5. `token` (access tokens) and `status` (status lists of ended sessions);
//! 6. `session` (login, listing, ending, logout notices, and the kill switch, which ends all
//!    sessions of an account);
//! 7. `pending_sign_up` (sign-ups that wait for a confirmation by mail), `email_verification`
//!    (mails that verify an address), `invite`, `sign_up_policy` (who may sign up), `account`
//!    (sign-up and deletion), `profile` (standard claims), `refresh` (rotation of refresh tokens);
//! 8. `account_data` (download of an account's data), `administration` and `operator_changes`
//!    (account commands of the command line), and `login_report` (why a user cannot log in);
//! 9. `import` and `export` of accounts;
//! 10. `oauth` (OAuth 2.0 and OpenID Connect: clients, code flow, token endpoint, logout);
//! 11. `password_reset`, `forgotten_password`, `reauthentication` (password change, data download,
//!     account deletion), `email_change`, `email_confirmation` (links and codes that verify or
//!     change an address) and `restore` (after a backup was restored).

pub mod account;
pub mod account_data;
pub mod administration;
pub mod attempt_limit;
pub mod audit;
pub mod email;
pub mod email_challenge;
pub mod email_change;
pub mod email_confirmation;
pub mod email_folding;
pub mod email_verification;
pub mod export;
pub mod forgotten_password;
pub mod granted;
pub mod id;
pub mod import;
pub mod invite;
pub mod keys;
pub mod language;
pub mod login_report;
pub mod mail;
pub mod network;
pub mod oauth;
pub mod operator_changes;
pub mod outbox;
pub mod password;
pub mod password_reset;
pub mod pending_sign_up;
pub mod profile;
pub mod reauthentication;
pub mod refresh;
pub mod repeated_form;
pub mod restore;
pub mod secret;
pub mod session;
pub mod sign_up_policy;
pub mod status;
pub mod token;
