//! Reading, updating and deleting the account.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::account::{EmailClaims, Row};
use crate::domain::audit::Origin;
use crate::domain::profile::{self, Profile};
use crate::domain::reauthentication::{self, Confirmation};
use crate::domain::session;
use crate::http::api::Tag;
use crate::http::api::failures::failures;
use crate::http::api::profile::ProfileBody;
use crate::http::api::reauthentication::{ReauthenticationFailure, admit_early, parse_password};
use crate::http::app::App;
use crate::http::bearer::LoggedIn;
use crate::http::error::Problem;
use crate::http::json::Json;

/// The operations on the account.
pub(in crate::http) struct MeApi;

#[OpenApi(prefix_path = "/api/auth/me", tag = "Tag::Accounts")]
impl MeApi {
    /// Get the account of this token.
    ///
    /// Unlike local verification of the token, this also checks that its session is live.
    #[oai(path = "/", method = "get", operation_id = "getMe")]
    async fn get(&self, app: Data<&Arc<App>>, LoggedIn(login): LoggedIn) -> Result<Me, Problem> {
        let now = app.clock.now();
        let found =
            session::account_of_live(&app.db, login.session_id, login.account_id, now).await;
        let account =
            found.map_err(|error| Problem::failed(&error))?.ok_or_else(Problem::invalid_token)?;
        Ok(Me::Found(Json(Account::of(&account))))
    }

    /// Update the profile of the account.
    ///
    /// The body is a JSON merge patch (RFC 7396): a null member removes the claim, an absent member
    /// leaves it unchanged, and the members of `address` are merged in the same way. Nothing is
    /// changed if a member is invalid.
    #[oai(path = "/", method = "patch", operation_id = "updateMe")]
    async fn update(
        &self,
        app: Data<&Arc<App>>,
        origin: Origin,
        LoggedIn(login): LoggedIn,
        body: Json<ProfileBody>,
    ) -> Result<Updated, UpdateFailure> {
        let patch = body.0.to_patch()?;
        app.limits.admit_change(&origin)?;
        let account = profile::update(&app.db, login, patch, &origin).await?;
        Ok(Updated::Ok(Json(Account::of(&account))))
    }

    /// Delete the account of this token.
    ///
    /// Requires the account's password. All sessions end and the account is deleted; a later
    /// sign-up with the same email address creates a new account with another `user_id`.
    #[oai(path = "/", method = "delete", operation_id = "deleteMe")]
    async fn delete(
        &self,
        app: Data<&Arc<App>>,
        origin: Origin,
        LoggedIn(login): LoggedIn,
        body: Json<DeleteMeBody>,
    ) -> Result<Deleted, ReauthenticationFailure> {
        let now = app.clock.now();
        let password = parse_password("password", &body.0.password)?;
        let email = admit_early(&app, login, &origin, now).await?;
        let admitted = app.limits.admit_reauthentication(&app.db, &email, &origin).await?;

        let mail = &app.mail;
        let confirmation = Confirmation { login, password, admitted, origin: &origin, mail };
        reauthentication::delete_account(&app.db, &app.hasher, confirmation, now).await?;
        Ok(Deleted::Done)
    }
}

/// The body of an account deletion request.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteMeBody {
    /// The account's password.
    #[oai(validator(max_length = 128), write_only)]
    password: String,
}

/// An account with its profile claims.
#[derive(Object, Serialize)]
pub(super) struct Account {
    /// The account id; also the `sub` and `user_id` claims of its tokens.
    user_id: Uuid,
    /// The email address of the account.
    email: String,
    /// Whether the user has proved control of the email address.
    email_verified: bool,
    /// When the account was created, in UTC (RFC 3339).
    created_at: String,
    /// When the profile last changed, or else when the account was created, in UTC (RFC 3339).
    updated_at: String,
    /// Always false, since phone numbers are not verified; present only with `phone_number`.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_number_verified: Option<bool>,
    #[oai(flatten)]
    #[serde(flatten)]
    profile: ProfileBody,
}

impl Account {
    pub(super) fn of(account: &Row) -> Self {
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
    /// The updated account.
    #[oai(status = 200)]
    Ok(Json<Account>),
}

#[derive(ApiResponse)]
enum Deleted {
    /// The account was deleted.
    #[oai(status = 204)]
    Done,
}

failures! {
    UpdateFailure {
        BAD_REQUEST "The body cannot be parsed, or a member is not valid (`VALIDATION_ERROR`)."
    }
}
