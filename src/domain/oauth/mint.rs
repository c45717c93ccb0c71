//! The signing of the tokens of a grant, and the components that it needs.

use std::time::Duration;

use sea_orm::{DbErr, EntityTrait};
use uuid::Uuid;

use crate::config::TokenSettings;
use crate::database::Db;
use crate::domain::granted::ClientGrant;
use crate::domain::oauth::client::ClientCache;
use crate::domain::oauth::grant_error::GrantError;
use crate::domain::oauth::id_token;
use crate::domain::refresh::{RefreshTokens, Rotation};
use crate::domain::status::StatusEntries;
use crate::domain::token::Issuer;
use crate::entity::client::Model as Client;
use crate::entity::session;
use crate::scope::Scope;

/// The components that create tokens.
#[derive(Clone, Copy)]
pub struct Mint<'a> {
    /// The database.
    pub db: &'a Db,
    /// The registered clients.
    pub clients: &'a ClientCache,
    /// Allocates status list entries for new sessions.
    pub entries: &'a StatusEntries,
    /// Signs access tokens.
    pub issuer: &'a Issuer,
    /// Creates and parses refresh tokens.
    pub refresh_tokens: &'a RefreshTokens,
    /// Exchanges refresh tokens for their successors.
    pub rotation: &'a Rotation,
    /// Token lifetimes.
    pub settings: &'a TokenSettings,
}

/// A token response (RFC 6749 §5.1).
#[derive(Debug, Clone)]
pub struct Issued {
    /// The access token, for resource servers.
    pub access_token: String,
    /// The lifetime of the access token.
    pub life: Duration,
    /// The refresh token, for the next access token.
    pub refresh_token: Option<String>,
    /// The ID token, for the client itself.
    pub id_token: Option<String>,
    /// The scope of the access token.
    pub scope: Scope,
}

impl Mint<'_> {
    /// The session with this ID, ended or not.
    pub(super) async fn find_session(self, id: Uuid) -> Result<Option<session::Model>, DbErr> {
        let session = session::Entity::find_by_id(id);
        self.db.read(|db| async move { session.one(&db).await }).await
    }

    /// Signs the tokens of a committed grant.
    ///
    /// # Errors
    /// If a token cannot be signed. Then the client may retry, as if the response had been lost.
    pub fn issue(self, client: &Client, grant: ClientGrant) -> Result<Issued, GrantError> {
        self.sign(client, grant).inspect_err(|_| self.db.note_lost_response())
    }

    fn sign(self, client: &Client, grant: ClientGrant) -> Result<Issued, GrantError> {
        // The clock is read again, because `now` must not be before `auth_time`, which was read in
        // the transaction.
        let now = self.db.clock().now();
        let granted = &grant.granted;
        let life = self.issuer.life_of(granted, client.access_token_life(), now);
        let access_token = self.issuer.access_token(granted, life, now)?;
        let is_openid = granted.scope.has("openid");
        let id_token =
            is_openid.then(|| id_token::sign(self.issuer, &grant, &access_token, life, now));
        let (session_id, generation) = (granted.session_id, granted.generation);
        let refresh_token =
            grant.has_refresh.then(|| self.refresh_tokens.encode(session_id, generation));
        Ok(Issued {
            life,
            refresh_token: refresh_token.transpose()?,
            id_token: id_token.transpose()?,
            scope: grant.granted.scope,
            access_token,
        })
    }
}
