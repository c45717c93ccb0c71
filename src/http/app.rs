//! What endpoints can reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ipnet::IpNet;
use signet_verifier::Verifier;
use url::Url;

use crate::clock::Clock;
use crate::config::TokenSettings;
use crate::database::Db;
use crate::domain::keys::{KeyRing, RequestSealer};
use crate::domain::password::{Hasher, Policy};
use crate::domain::password_reset::ResetTokens;
use crate::domain::refresh::RefreshTokens;
use crate::domain::status::{StatusEntries, StatusLists};
use crate::domain::token::Issuer;
use crate::http::branding::Branding;
use crate::http::browser_cookie::BrowserCookie;
use crate::http::rate_limit::Limits;
use crate::http::readiness::Readiness;

/// All that endpoints can reach.
pub struct App {
    /// The rows.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// The `iss` of every token, and the base of every URL.
    pub issuer_url: String,
    /// How long tokens and sessions live.
    pub tokens: TokenSettings,
    /// The rule for new passwords.
    pub password_policy: Policy,
    /// Checks and hashes passwords.
    pub hasher: Hasher,
    /// Who may try how often.
    pub limits: Limits,
    /// The signing keys.
    pub ring: Arc<KeyRing>,
    /// Signs access tokens.
    pub issuer: Issuer,
    /// Where new sessions get their entry of a status list.
    pub status_entries: StatusEntries,
    /// Which sessions have ended, for verifiers.
    pub status_lists: StatusLists,
    /// Makes and reads refresh tokens.
    pub refresh_tokens: RefreshTokens,
    /// Reads password reset tokens.
    pub reset_tokens: ResetTokens,
    /// Seals the authorization requests that browsers carry.
    pub request_sealer: RequestSealer,
    /// Checks our own access tokens, as any service does.
    pub verifier: Verifier,
    /// What browsers are known by.
    pub cookie: BrowserCookie,
    /// What the hosted pages look like.
    pub branding: Branding,
    /// Proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// What was found when the database was last asked whether it is well.
    pub readiness: Readiness,
    /// Whether the server has been told to stop.
    pub is_leaving: AtomicBool,
}

impl App {
    /// From now on it is not ready, and each answer closes its connection.
    pub fn leave(&self) {
        self.is_leaving.store(true, Ordering::Release);
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Acquire)
    }

    /// The path of the issuer, under which a proxy serves all of ours; empty if it has none.
    pub(super) fn base_path(&self) -> String {
        let path =
            Url::parse(&self.issuer_url).map(|url| url.path().to_owned()).unwrap_or_default();
        path.trim_end_matches('/').to_owned()
    }
}
