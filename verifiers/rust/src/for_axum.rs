//! [`AccessToken`] as an axum extractor, and errors as axum responses.

use axum_core::extract::FromRef;
use axum_core::extract::FromRequestParts;
use axum_core::response::IntoResponse;
use axum_core::response::Response;
use http::request::Parts;

use crate::access_token::AccessToken;
use crate::denied;
use crate::denied::Denied;
use crate::error::MissingScope;
use crate::error::NotThisUser;
use crate::remote::RemoteVerifier;

/// Takes the verifier from the router's state.
impl<S> FromRequestParts<S> for AccessToken
where
    S: Send + Sync,
    RemoteVerifier: FromRef<S>,
{
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Denied> {
        denied::authenticate(&parts.headers, &RemoteVerifier::from_ref(state)).await
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        self.answer().into_response()
    }
}

impl IntoResponse for MissingScope {
    fn into_response(self) -> Response {
        Denied::from(self).into_response()
    }
}

impl IntoResponse for NotThisUser {
    fn into_response(self) -> Response {
        Denied::from(self).into_response()
    }
}
