//! Listing and ending the sessions of the account.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde::Serialize;
use uuid::Uuid;

use crate::domain::session::listing;
use crate::http::api::Tag;
use crate::http::api::failures::failures;
use crate::http::app::App;
use crate::http::bearer::LoggedIn;
use crate::http::json::Json;
use crate::http::origin::ClientOrigin;

/// The operations on the account's sessions.
pub(in crate::http) struct LoginsApi;

#[OpenApi(prefix_path = "/api/auth/sessions", tag = "Tag::Sessions")]
impl LoginsApi {
    /// List the sessions of the account.
    ///
    /// Those that are live: the one of this token, then the others, the newest first; at most 100.
    #[oai(path = "/", method = "get", operation_id = "listSessions")]
    async fn list(&self, app: Data<&Arc<App>>, login: LoggedIn) -> Result<Listed, ListFailure> {
        let (now, LoggedIn(login)) = (app.clock.now(), login);
        let sessions = listing::list(&app.db, login, now).await?;
        let sessions = sessions.into_iter().map(|session| Session {
            id: session.id,
            current: session.id == login.session_id,
            client_id: session.client_id,
            authenticated_at: session.auth_time.to_rfc3339(),
            last_used_at: session.rotated_at.unwrap_or(session.auth_time).to_rfc3339(),
            expires_at: session.idle_expires_at.min(session.absolute_expires_at).to_rfc3339(),
            address: session.address,
            user_agent: session.user_agent,
        });
        Ok(Listed::Ok(Json(SessionList { sessions: sessions.collect() })))
    }

    /// End one session of the account.
    ///
    /// Its refresh token is refused from now on. It may be the one of this token, too.
    #[oai(path = "/:id", method = "delete", operation_id = "endSession")]
    async fn end_one(
        &self,
        app: Data<&Arc<App>>,
        origin: ClientOrigin,
        login: LoggedIn,
        /// The session's id, as the list has it; also the `sid` of its tokens.
        id: Path<Uuid>,
    ) -> Result<Ended, EndFailure> {
        let (LoggedIn(login), ClientOrigin(origin)) = (login, origin);
        app.limits.admit_change(&origin)?;
        listing::end_one(&app.db, login, id.0, &origin).await?;
        Ok(Ended::Done)
    }

    /// End all other sessions of the account.
    ///
    /// The one of this token goes on.
    #[oai(path = "/", method = "delete", operation_id = "endOtherSessions")]
    async fn end_others(
        &self,
        app: Data<&Arc<App>>,
        origin: ClientOrigin,
        login: LoggedIn,
        /// Says that it is the others that are to end.
        others: Query<Others>,
    ) -> Result<OthersEnded, EndOthersFailure> {
        let (LoggedIn(login), ClientOrigin(origin)) = (login, origin);
        let Others::True = others.0;
        app.limits.admit_change(&origin)?;
        listing::end_others(&app.db, login, &origin).await?;
        Ok(OthersEnded::Done)
    }
}

/// What `others` may be.
#[derive(Enum)]
enum Others {
    /// The only choice: all sessions, this one included, end one by one.
    #[oai(rename = "true")]
    True,
}

/// The live sessions of an account.
#[derive(Object, Serialize)]
struct SessionList {
    /// The one that asks, then the others, the newest first.
    sessions: Vec<Session>,
}

/// A login, as its owner sees it.
#[derive(Object, Serialize)]
struct Session {
    /// The session's id; also the `sid` of its tokens.
    id: Uuid,
    /// Whether it is the one that asks.
    current: bool,
    /// Who holds its tokens; `signet` for this API.
    client_id: String,
    /// When the password was checked, in UTC (RFC 3339).
    authenticated_at: String,
    /// When it was last used to log in or refresh, in UTC (RFC 3339).
    last_used_at: String,
    /// When it ends if it is not refreshed before, in UTC (RFC 3339).
    expires_at: String,
    /// Where it was last used to log in or refresh.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// The program that last used it, as it named itself.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
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
    /// No other session is left.
    #[oai(status = 204)]
    Done,
}

failures! {
    ListFailure {
        UNAUTHORIZED "No valid token, or its session has ended (`UNAUTHORIZED`)."
        TOO_MANY_REQUESTS "Too many requests from this address (`RATE_LIMIT_EXCEEDED`)."
        SERVICE_UNAVAILABLE "Try again (`SERVICE_UNAVAILABLE`)."
    }

    EndFailure {
        BAD_REQUEST "The id is no UUID (`VALIDATION_ERROR`)."
        UNAUTHORIZED "No valid token, or its session has ended (`UNAUTHORIZED`)."
        NOT_FOUND "The account has no live session with this id (`NOT_FOUND`)."
        TOO_MANY_REQUESTS "Too many requests from this address (`RATE_LIMIT_EXCEEDED`)."
        SERVICE_UNAVAILABLE "The session may not have ended; try again (`SERVICE_UNAVAILABLE`)."
    }

    EndOthersFailure {
        BAD_REQUEST "`others` is not `true` (`VALIDATION_ERROR`)."
        UNAUTHORIZED "No valid token, or its session has ended (`UNAUTHORIZED`)."
        TOO_MANY_REQUESTS "Too many requests from this address (`RATE_LIMIT_EXCEEDED`)."
        SERVICE_UNAVAILABLE "The sessions may not have ended; try again (`SERVICE_UNAVAILABLE`)."
    }
}
