//! Listing and revoking consents.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Serialize;

use crate::domain::audit::Origin;
use crate::domain::oauth::consent;
use crate::domain::session::listing::SelfServiceError;
use crate::http::api::Tag;
use crate::http::api::failures::failures;
use crate::http::app::App;
use crate::http::bearer::LoggedIn;
use crate::http::error::Problem;
use crate::http::json::Json;

/// The operations on consents.
pub(in crate::http) struct ConsentsApi;

#[OpenApi(prefix_path = "/api/auth/consents", tag = "Tag::Consents")]
impl ConsentsApi {
    /// List the consents that the account has given to clients.
    ///
    /// One entry per client with a consent, newest first; at most 1000. Clients that the operator
    /// exempted from consent are not listed.
    #[oai(path = "/", method = "get", operation_id = "listConsents")]
    async fn list(&self, app: Data<&Arc<App>>, login: LoggedIn) -> Result<Listed, Problem> {
        let now = app.clock.now();
        let consents = consent::list_for(&app.db, login.0, &app.issuer_url, now).await?;
        let consents = consents.into_iter().map(Consent::of).collect();
        Ok(Listed::Ok(Json(ConsentList { consents })))
    }

    /// Revoke the consent given to a client.
    ///
    /// Ends all sessions of the client for this account, including those that outlive a logout. The
    /// client must ask for consent again before it gets new tokens.
    #[oai(path = "/:client_id", method = "delete", operation_id = "withdrawConsent")]
    async fn withdraw(
        &self,
        app: Data<&Arc<App>>,
        origin: Origin,
        LoggedIn(login): LoggedIn,
        /// The client id, as listed.
        client_id: Path<String>,
    ) -> Result<Withdrawn, WithdrawFailure> {
        app.limits.admit_change(&origin)?;
        let withdrawn = consent::withdraw(&app.db, login, &client_id, &origin).await;
        withdrawn.map_err(|error| match error {
            SelfServiceError::NotFound => Problem::no_such_consent(),
            error => error.into(),
        })?;
        Ok(Withdrawn::Done)
    }
}

/// The consents of an account.
#[derive(Object, Serialize)]
struct ConsentList {
    /// The consents, newest first.
    consents: Vec<Consent>,
}

/// The consent given to a client.
#[derive(Object, Serialize)]
pub(super) struct Consent {
    /// The client id.
    client_id: String,
    /// The registered name of the client.
    client_name: String,
    /// When consent was last given, in UTC (RFC 3339).
    granted_at: String,
    /// The scopes granted, per audience.
    access: Vec<Access>,
    /// Names of profile claims granted individually, beyond those that the scopes in `access`
    /// include (OpenID Connect Core 1.0, section 5.1).
    claims: Vec<String>,
}

/// The scopes granted at one audience.
#[derive(Object, Serialize)]
struct Access {
    /// The audience; the issuer for a client whose access tokens are for userinfo only.
    audience: String,
    /// The scopes, space-separated.
    scope: String,
}

impl Consent {
    pub(super) fn of(consent: consent::Consent) -> Self {
        Self {
            client_id: consent.client.id,
            client_name: consent.client.name,
            granted_at: consent.granted_at.to_rfc3339(),
            access: consent.access.into_iter().map(Access::of).collect(),
            claims: consent.claims,
        }
    }
}

impl Access {
    fn of((audience, scope): (String, impl ToString)) -> Self {
        Self { audience, scope: scope.to_string() }
    }
}

#[derive(ApiResponse)]
enum Listed {
    /// The consents.
    #[oai(status = 200)]
    Ok(Json<ConsentList>),
}

#[derive(ApiResponse)]
enum Withdrawn {
    /// The consent was revoked.
    #[oai(status = 204)]
    Done,
}

failures! {
    WithdrawFailure {
        BAD_REQUEST "The client id cannot be decoded (`VALIDATION_ERROR`)."
        NOT_FOUND "The account has no consent for this client (`NOT_FOUND`)."
        SERVICE_UNAVAILABLE "The consent may not have been revoked; retry (`SERVICE_UNAVAILABLE`)."
    }
}
