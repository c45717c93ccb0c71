//! A request of an authenticated client to the token, introspection or revocation endpoint.

use std::sync::Arc;

use poem::Request;

use crate::domain::audit::Origin;
use crate::domain::oauth::client::Client;
use crate::domain::oauth::mint::Mint;
use crate::domain::oauth::params::Params;
use crate::http::app::App;
use crate::http::endpoint::app_of;
use crate::http::oauth::client_authentication;
use crate::http::oauth::error::OAuthError;
use crate::http::rate_limit::ClientEndpoint;
use crate::http::{form, origin};
use crate::timestamp::Timestamp;

/// The request, with the values that these endpoints need.
pub(super) struct ClientRequest {
    pub(super) app: Arc<App>,
    pub(super) client: Arc<Client>,
    pub(super) params: Params,
    pub(super) origin: Origin,
    pub(super) now: Timestamp,
}

impl ClientRequest {
    /// Reads the form in the body. Fails if a parameter is repeated, or if the client does not
    /// authenticate or exceeds its rate limit.
    pub(super) async fn read(
        mut request: Request,
        endpoint: ClientEndpoint,
    ) -> Result<Self, OAuthError> {
        let app = app_of(&request)?;
        let now = app.clock.now();
        let origin = origin::of(&request);
        let params = form::body(&mut request).await?;
        if params.repeats_any() {
            return Err(OAuthError::invalid_request("a parameter is given more than once"));
        }
        let client =
            client_authentication::authenticate(&app, endpoint, &request, &params, &origin, now)
                .await?;
        Ok(Self { app, client, params, origin, now })
    }

    /// The services that make tokens.
    pub(super) fn mint(&self) -> Mint<'_> {
        Mint {
            db: &self.app.db,
            clients: &self.app.clients,
            entries: &self.app.status_entries,
            issuer: &self.app.issuer,
            refresh_tokens: &self.app.refresh_tokens,
            rotation: &self.app.rotation,
            settings: &self.app.tokens,
        }
    }
}
