//! The state that endpoints share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ipnet::IpNet;
use signet_verifier::Verifier;
use url::Url;

use crate::clock::Clock;
use crate::config::TokenSettings;
use crate::database::Db;
use crate::domain::email_challenge::EmailTokens;
use crate::domain::invite::InviteTokens;
use crate::domain::keys::{KeyRing, RequestSealer};
use crate::domain::mail::MailQueue;
use crate::domain::oauth::client::ClientCache;
use crate::domain::password::{Hasher, Policy};
use crate::domain::password_reset::ResetTokens;
use crate::domain::refresh::{RefreshTokens, Rotation};
use crate::domain::sign_up_policy::SignUpPolicy;
use crate::domain::status::{StatusEntries, StatusLists};
use crate::domain::token::Issuer;
use crate::http::branding::Branding;
use crate::http::browser_cookie::BrowserCookie;
use crate::http::rate_limit::Limits;
use crate::http::readiness::Readiness;

/// The state that endpoints share.
pub struct App {
    /// The database.
    pub db: Db,
    /// The registered clients.
    pub clients: ClientCache,
    /// The clock.
    pub clock: Clock,
    /// The `iss` of every token, and the base of every absolute URL.
    pub issuer_url: String,
    /// The lifetimes of tokens and sessions.
    pub tokens: TokenSettings,
    /// Who may sign up.
    pub sign_up_policy: SignUpPolicy,
    /// The password policy.
    pub password_policy: Policy,
    /// Checks and hashes passwords.
    pub hasher: Hasher,
    /// The rate limits and the attempt limits.
    pub limits: Limits,
    /// Queues mails.
    pub mail: MailQueue,
    /// The signing keys.
    pub ring: Arc<KeyRing>,
    /// Signs access tokens.
    pub issuer: Issuer,
    /// Assigns status list entries to new sessions.
    pub status_entries: StatusEntries,
    /// The status lists, from which verifiers learn which sessions have ended.
    pub status_lists: StatusLists,
    /// Issues and reads refresh tokens.
    pub refresh_tokens: RefreshTokens,
    /// Exchanges refresh tokens for their successors.
    pub rotation: Rotation,
    /// Computes and reads password reset tokens and the codes in the same mails.
    pub reset_tokens: ResetTokens,
    /// Computes the tokens of mailed invites.
    pub invite_tokens: InviteTokens,
    /// Computes and reads the links and codes in mails that verify an address.
    pub email_tokens: EmailTokens,
    /// Encrypts the authorization requests that browsers carry.
    pub request_sealer: RequestSealer,
    /// Verifies access tokens in the same way as a resource server.
    pub verifier: Verifier,
    /// The cookie that identifies a browser.
    pub cookie: BrowserCookie,
    /// The branding of the hosted pages.
    pub branding: Branding,
    /// Proxies whose forwarding headers are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// The cached result of the last readiness check of the database.
    pub readiness: Readiness,
    /// Whether the server is shutting down.
    pub is_shutting_down: AtomicBool,
}

impl App {
    /// Starts the shutdown: readiness fails, and each response closes its connection.
    pub fn begin_shutdown(&self) {
        self.is_shutting_down.store(true, Ordering::Release);
    }

    pub(super) fn is_shutting_down(&self) -> bool {
        self.is_shutting_down.load(Ordering::Acquire)
    }

    /// The path of the issuer, below which a proxy serves all routes; empty if it has none.
    pub(super) fn base_path(&self) -> String {
        let path =
            Url::parse(&self.issuer_url).map(|url| url.path().to_owned()).unwrap_or_default();
        path.trim_end_matches('/').to_owned()
    }
}
