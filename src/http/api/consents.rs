//! Listing and revoking consents.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Serialize;

use crate::domain::oauth::consent;
use crate::http::api::Tag;
use crate::http::api::failures::failures;
use crate::http::app::App;
use crate::http::bearer::LoggedIn;
use crate::http::json::Json;
use crate::http::origin::ClientOrigin;

/// The operations on consents.
pub(in crate::http) struct ConsentsApi;

#[OpenApi(prefix_path = "/api/auth/consents", tag = "Tag::Consents")]
impl ConsentsApi {
    /// List what the account's owner has allowed other programs.
    ///
    /// One entry for each client that was allowed something, the newest first; at most 1000. Clients
    /// for which the operator has decided that nobody is asked are not among them.
    #[oai(path = "/", method = "get", operation_id = "listConsents")]
    async fn list(&self, app: Data<&Arc<App>>, login: LoggedIn) -> Result<Listed, ListFailure> {
        let (now, LoggedIn(login)) = (app.clock.now(), login);
        let consents = consent::list_for(&app.db, login, &app.issuer_url, now).await?;
        let consents = consents.into_iter().map(|consent| Consent {
            client_id: consent.client.id,
            client_name: consent.client.name,
            granted_at: consent.granted_at.to_rfc3339(),
            access: consent.access.into_iter().map(Access::of).collect(),
            claims: consent.claims,
        });
        Ok(Listed::Ok(Json(ConsentList { consents: consents.collect() })))
    }

    /// Take back what the account's owner has allowed a program.
    ///
    /// All its sessions of the account end, also those that outlive a logout, and it has to ask
    /// again before it gets anything.
    #[oai(path = "/:client_id", method = "delete", operation_id = "withdrawConsent")]
    async fn withdraw(
        &self,
        app: Data<&Arc<App>>,
        origin: ClientOrigin,
        login: LoggedIn,
        /// The client's id, as the list has it.
        client_id: Path<String>,
    ) -> Result<Withdrawn, WithdrawFailure> {
        let (LoggedIn(login), ClientOrigin(origin)) = (login, origin);
        app.limits.admit_change(&origin)?;
        consent::withdraw(&app.db, login, &client_id, &origin).await?;
        Ok(Withdrawn::Done)
    }
}

/// What the owner of an account has allowed.
#[derive(Object, Serialize)]
struct ConsentList {
    /// The newest first.
    consents: Vec<Consent>,
}

/// What a client has been allowed.
#[derive(Object, Serialize)]
struct Consent {
    /// Which client.
    client_id: String,
    /// What it calls itself.
    client_name: String,
    /// When that was last said, in UTC (RFC 3339).
    granted_at: String,
    /// What, at each audience.
    access: Vec<Access>,
    /// Single claims of the profile that it may see and that no scope in `access` opens, by their names
    /// (OpenID Connect Core 1.0, section 5.1).
    claims: Vec<String>,
}

/// What a client may do at one audience.
#[derive(Object, Serialize)]
struct Access {
    /// Whom its tokens may be for; the issuer, if they open no more than userinfo.
    audience: String,
    /// What they may be good for there, space-separated.
    scope: String,
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
    /// Nothing is allowed any more.
    #[oai(status = 204)]
    Done,
}

failures! {
    ListFailure {
        UNAUTHORIZED "No valid token, or its session has ended (`UNAUTHORIZED`)."
        TOO_MANY_REQUESTS "Too many requests from this address (`RATE_LIMIT_EXCEEDED`)."
        SERVICE_UNAVAILABLE "Try again (`SERVICE_UNAVAILABLE`)."
    }

    WithdrawFailure {
        BAD_REQUEST "The id cannot be read (`VALIDATION_ERROR`)."
        UNAUTHORIZED "No valid token, or its session has ended (`UNAUTHORIZED`)."
        NOT_FOUND "The list has no entry for this client (`NOT_FOUND`)."
        TOO_MANY_REQUESTS "Too many requests from this address (`RATE_LIMIT_EXCEEDED`)."
        SERVICE_UNAVAILABLE "The consent may not have been taken back; try again \
            (`SERVICE_UNAVAILABLE`)."
    }
}
