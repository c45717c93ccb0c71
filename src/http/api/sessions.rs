//! Listing and ending the sessions of the account.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde::Serialize;
use uuid::Uuid;

use crate::domain::audit::Origin;
use crate::domain::language::Language;
use crate::domain::oauth::client;
use crate::domain::session::listing::{self, SelfServiceError};
use crate::http::api::Tag;
use crate::http::api::failures::failures;
use crate::http::app::App;
use crate::http::bearer::LoggedIn;
use crate::http::error::Problem;
use crate::http::json::Json;
use crate::http::user_agent;

/// The operations on the account's sessions.
pub(in crate::http) struct SessionsApi;

#[OpenApi(prefix_path = "/api/auth/sessions", tag = "Tag::Sessions")]
impl SessionsApi {
    /// List the sessions of the account.
    ///
    /// Live sessions only: the session of this token first, then the newest first; at most 100.
    #[oai(path = "/", method = "get", operation_id = "listSessions")]
    async fn list(&self, app: Data<&Arc<App>>, login: LoggedIn) -> Result<Listed, Problem> {
        let LoggedIn(login) = login;
        let sessions = listing::list(&app.db, login, app.clock.now()).await?;
        let ids = sessions.iter().map(|session| session.client_id.clone()).collect();
        let clients = client::summaries(&app.db, ids).await;
        let clients = clients.map_err(SelfServiceError::Database)?;
        let sessions = sessions.into_iter().map(|session| {
            let device = session.user_agent.as_deref();
            let device = device.map(|it| user_agent::describe(it, Language::En));
            Session {
                id: session.id,
                current: session.id == login.session_id,
                client_name: clients.get(&session.client_id).map(|client| client.name.clone()),
                authenticated_at: session.auth_time.to_rfc3339(),
                last_used_at: session.last_used_at().to_rfc3339(),
                expires_at: session.idle_expires_at.min(session.absolute_expires_at).to_rfc3339(),
                client_id: session.client_id,
                address: session.address,
                user_agent: session.user_agent,
                device: device.filter(|device| !device.is_empty()),
            }
        });
        Ok(Listed::Ok(Json(SessionList { sessions: sessions.collect() })))
    }

    /// End one session of the account.
    ///
    /// Its refresh token is rejected from then on. The session of this token can be ended, too.
    #[oai(path = "/:id", method = "delete", operation_id = "endSession")]
    async fn end_one(
        &self,
        app: Data<&Arc<App>>,
        origin: Origin,
        LoggedIn(login): LoggedIn,
        /// The session id, as listed; also the `sid` claim of its tokens.
        id: Path<Uuid>,
    ) -> Result<Ended, EndFailure> {
        app.limits.admit_change(&origin)?;
        listing::end_one(&app.db, login, id.0, &origin).await?;
        Ok(Ended::Done)
    }

    /// End all other sessions of the account.
    ///
    /// The session of this token continues.
    #[oai(path = "/", method = "delete", operation_id = "endOtherSessions")]
    async fn end_others(
        &self,
        app: Data<&Arc<App>>,
        origin: Origin,
        LoggedIn(login): LoggedIn,
        /// Must be `true`.
        others: Query<Others>,
    ) -> Result<OthersEnded, EndOthersFailure> {
        let Others::True = others.0;
        app.limits.admit_change(&origin)?;
        listing::end_others(&app.db, login, &origin).await?;
        Ok(OthersEnded::Done)
    }
}

/// The values of `others`.
#[derive(Enum)]
enum Others {
    /// The only value. To end all sessions including this one, end each of them.
    #[oai(rename = "true")]
    True,
}

/// The live sessions of an account.
#[derive(Object, Serialize)]
struct SessionList {
    /// The session of the token first, then the newest first.
    sessions: Vec<Session>,
}

/// A session of the account.
#[derive(Object, Serialize)]
struct Session {
    /// The session id; also the `sid` claim of its tokens.
    id: Uuid,
    /// Whether it is the session of the token in the request.
    current: bool,
    /// The client that holds its tokens; `signet` for this API and the hosted pages.
    client_id: String,
    /// The registered name of the client; absent for `signet`.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_name: Option<String>,
    /// When the password was checked, in UTC (RFC 3339).
    authenticated_at: String,
    /// When it was last refreshed, or else began, in UTC (RFC 3339). For a login on the hosted
    /// pages: when a page was last opened, or up to five minutes earlier.
    last_used_at: String,
    /// When it expires unless it is refreshed, in UTC (RFC 3339).
    expires_at: String,
    /// The client address of the last use. If the client refreshes from a server, the address of
    /// the user at the login.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// The `User-Agent` of the same request as `address`.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    /// The browser and its system, such as `Firefox on Linux`; for another program, the first word
    /// of `user_agent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
}

#[derive(ApiResponse)]
enum Listed {
    /// The sessions.
    #[oai(status = 200)]
    Ok(Json<SessionList>),
}

#[derive(ApiResponse)]
enum Ended {
    /// The session has ended.
    #[oai(status = 204)]
    Done,
}

#[derive(ApiResponse)]
enum OthersEnded {
    /// All other sessions have ended.
    #[oai(status = 204)]
    Done,
}

failures! {
    EndFailure {
        BAD_REQUEST "The session id is not a UUID (`VALIDATION_ERROR`)."
        NOT_FOUND "The account has no live session with this id (`NOT_FOUND`)."
        SERVICE_UNAVAILABLE "The session may not have ended; retry (`SERVICE_UNAVAILABLE`)."
    }

    EndOthersFailure {
        BAD_REQUEST "`others` is not `true` (`VALIDATION_ERROR`)."
        SERVICE_UNAVAILABLE "The sessions may not have ended; retry (`SERVICE_UNAVAILABLE`)."
    }
}
