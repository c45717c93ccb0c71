//! Authentication by an access token of Signet (RFC 6750), which is verified with the crate that
//! resource servers use.
//!
//! Every request to the JSON API with a bearer token is rate limited here by client address, before
//! the signature is checked and before the database is queried.

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::SecurityScheme;
use poem_openapi::auth::Bearer;

use crate::domain::session::FIRST_PARTY_CLIENT;
use crate::domain::session::listing::Login;
use crate::http::app::App;
use crate::http::error::Problem;
use crate::http::origin;

/// An access token of a user's session with this API. Access tokens of OAuth clients are rejected:
/// a consent allows a client what its scopes say, and never the management of the account.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", key_name = "Authorization", bearer_format = "JWT", checker = "check")]
pub(super) struct LoggedIn(pub(super) Login);

#[expect(clippy::unused_async, reason = "poem-openapi awaits its checkers")]
async fn check(request: &Request, bearer: Bearer) -> Result<Login> {
    let app = request.data::<Arc<App>>();
    if let Some(app) = app {
        app.limits.admit_request(&origin::of(request)).map_err(Problem::from)?;
    }
    let login = app.and_then(|app| {
        let now = app.clock.now().as_seconds();
        let token = app.verifier.verify(&app.ring.current().verification_keys, &bearer.token, now);
        let token =
            token.inspect_err(|error| tracing::debug!(%error, "bearer token refused")).ok()?;
        if token.client_id() != FIRST_PARTY_CLIENT {
            return None;
        }
        Some(Login {
            account_id: token.user_id()?.parse().ok()?,
            session_id: token.session_id()?.parse().ok()?,
        })
    });
    Ok(login.ok_or_else(Problem::invalid_token)?)
}
