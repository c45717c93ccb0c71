//! Errors of the token endpoint.

use openssl::error::ErrorStack;
use sea_orm::DbErr;

use crate::domain::refresh::RefreshError;
use crate::domain::status::AllocationError;
use crate::domain::token::SigningError;

/// Why a token request was refused (RFC 6749 §5.2).
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// A parameter is missing or invalid.
    #[error("{0}")]
    Invalid(&'static str),
    /// The grant type is not supported.
    #[error("the grant type is not supported")]
    Unsupported,
    /// The client is not registered for the grant type.
    #[error("the client may not use this grant")]
    NotAllowed,
    /// The code or refresh token is unknown, expired or already used, or it belongs to another
    /// client. All causes share one variant, so that clients cannot distinguish them.
    #[error("the code or token is not valid")]
    Rejected,
    /// The scope is malformed, or exceeds what was granted or the client is registered for.
    #[error("the scope is not valid, or exceeds what was granted")]
    Scope,
    /// A requested audience was not granted, or the client is not registered for it (RFC 8707 §2).
    #[error("the client is not registered for the resource")]
    Target,
    /// No status list entry was available for the session.
    #[error("no status list entry was available")]
    Status(#[from] AllocationError),
    /// A token could not be signed.
    #[error("a token could not be signed")]
    Signing(#[from] SigningError),
    /// OpenSSL failed.
    #[error("a token could not be computed")]
    OpenSsl(#[from] ErrorStack),
    /// The database refused or failed.
    #[error("the grant could not be stored")]
    Database(#[from] DbErr),
}

impl From<RefreshError> for GrantError {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Rejected => Self::Rejected,
            RefreshError::Database(error) => Self::Database(error),
        }
    }
}
