//! Reading, updating and deleting the account.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::account::{EmailClaims, Row};
use crate::domain::profile::{self, Profile};
use crate::domain::reauthentication::{self, Confirmation};
use crate::domain::session;
use crate::http::api::Tag;
use crate::http::api::failures::failures;
use crate::http::api::profile::ProfileBody;
use crate::http::api::reauthentication::{ConfirmFailure, account_to_confirm, parse};
use crate::http::app::App;
use crate::http::bearer::LoggedIn;
use crate::http::error::Problem;
use crate::http::json::Json;
use crate::http::origin::ClientOrigin;

/// The operations on the account.
pub(in crate::http) struct MeApi;

#[OpenApi(prefix_path = "/api/auth/me", tag = "Tag::Accounts")]
impl MeApi {
    /// Look at the account that is logged in.
    ///
    /// Unlike a service that checks the token alone, this asks whether the session still lasts.
    #[oai(path = "/", method = "get", operation_id = "getMe")]
    async fn look(&self, app: Data<&Arc<App>>, login: LoggedIn) -> Result<Me, MeFailure> {
        let LoggedIn(login) = login;
        let now = app.clock.now();
        let found =
            session::account_of_live(&app.db, login.session_id, login.account_id, now).await;
        let account =
            found.map_err(|error| Problem::failed(&error))?.ok_or_else(Problem::invalid_token)?;
        Ok(Me::Found(Json(Account::of(&account))))
    }

    /// Change what the account says of its owner.
    ///
    /// The body is a merge patch (RFC 7396): a member that is null is removed, one that is not there
    /// stays as it is, and members of the address are treated alike. Nothing is changed if anything
    /// is not valid.
    #[oai(path = "/", method = "patch", operation_id = "updateMe")]
    async fn update(
        &self,
        app: Data<&Arc<App>>,
        origin: ClientOrigin,
        login: LoggedIn,
        body: Json<ProfileBody>,
    ) -> Result<Updated, UpdateFailure> {
        let (LoggedIn(login), ClientOrigin(origin)) = (login, origin);
        let patch = body.0.into_patch()?;
        app.limits.admit_change(&origin)?;
        let account = profile::update(&app.db, login, patch, &origin).await?;
        Ok(Updated::Ok(Json(Account::of(&account))))
    }

    /// Delete the account that is logged in.
    ///
    /// Takes its password. All sessions end and nothing of the account is left; whoever signs up
    /// with its address is somebody else, with another `user_id`.
    #[oai(path = "/", method = "delete", operation_id = "deleteMe")]
    async fn delete(
        &self,
        app: Data<&Arc<App>>,
        origin: ClientOrigin,
        login: LoggedIn,
        body: Json<DeleteMeBody>,
    ) -> Result<Deleted, ConfirmFailure> {
        let (now, LoggedIn(login), ClientOrigin(origin)) = (app.clock.now(), login, origin);
        let password = parse("password", &body.0.password)?;
        let email = account_to_confirm(&app, login, &origin, now).await?;
        let admitted = app.limits.admit_confirmation(&app.db, &email, &origin).await?;

        let confirmation = Confirmation { login, password, admitted, origin: &origin };
        reauthentication::delete_account(&app.db, &app.hasher, confirmation, now).await?;
        Ok(Deleted::Done)
    }
}

/// What deleting an account takes.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
struct DeleteMeBody {
    /// The account's password.
    #[oai(validator(max_length = 128), write_only)]
    password: String,
}

/// An account, as its owner sees it.
#[derive(Object, Serialize)]
struct Account {
    /// The account's id; also the `sub` and `user_id` of its tokens.
    user_id: Uuid,
    /// The account's address.
    email: String,
    /// Whether its owner proved to control the address.
    email_verified: bool,
    /// When it signed up, in UTC (RFC 3339).
    created_at: String,
    /// When it signed up or last changed what it says of its owner, in UTC (RFC 3339).
    updated_at: String,
    /// Always false, since nobody has called the number; only with `phone_number`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_number_verified: Option<bool>,
    #[oai(flatten)]
    #[serde(flatten)]
    profile: ProfileBody,
}

impl Account {
    fn of(account: &Row) -> Self {
        let profile = Profile::of(account);
        let EmailClaims { email, email_verified } = account.email_claims();
        Self {
            user_id: account.id,
            email,
            email_verified,
            created_at: account.created_at.to_rfc3339(),
            updated_at: profile::updated_at(account).to_rfc3339(),
            phone_number_verified: profile.has_phone_number().then_some(false),
            profile: ProfileBody::of(profile),
        }
    }
}

#[derive(ApiResponse)]
enum Me {
    /// The account.
    #[oai(status = 200)]
    Found(Json<Account>),
}

#[derive(ApiResponse)]
enum Updated {
    /// The account, changed.
    #[oai(status = 200)]
    Ok(Json<Account>),
}

#[derive(ApiResponse)]
enum Deleted {
    /// The account is gone.
    #[oai(status = 204)]
    Done,
}

failures! {
    MeFailure {
        UNAUTHORIZED "No valid token, or its session has ended (`UNAUTHORIZED`)."
        TOO_MANY_REQUESTS "Too many requests from this address (`RATE_LIMIT_EXCEEDED`)."
        SERVICE_UNAVAILABLE "Try again (`SERVICE_UNAVAILABLE`)."
    }

    UpdateFailure {
        BAD_REQUEST "The request cannot be read, or a member is not acceptable \
            (`VALIDATION_ERROR`)."
        UNAUTHORIZED "No valid token, or its session has ended (`UNAUTHORIZED`)."
        TOO_MANY_REQUESTS "Too many requests from this address (`RATE_LIMIT_EXCEEDED`)."
        SERVICE_UNAVAILABLE "Try again; what was asked for may or may not have been done \
            (`SERVICE_UNAVAILABLE`)."
    }
}
