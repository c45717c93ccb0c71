//! Client authentication (RFC 6749 §2.3, §3.2.1).

use std::sync::Arc;
use std::time::Duration;

use openssl::memcmp;
use sea_orm::{ActiveEnum, DbErr};

use crate::database::Db;
use crate::domain::oauth::assertion;
use crate::domain::oauth::client::metadata::is_client_id;
use crate::domain::oauth::client::{Client, ClientCache};
use crate::domain::secret::digest;
use crate::timestamp::Timestamp;

pub use crate::entity::client::AuthMethod;

/// The credentials of a request, for the single authentication method that it uses.
#[derive(Clone)]
pub enum ClientCredentials {
    /// A secret.
    Secret {
        /// `client_secret_basic` or `client_secret_post`.
        method: AuthMethod,
        /// The user name of the header, or the parameter of the body.
        client_id: String,
        /// The password of the header, or the parameter of the body.
        secret: String,
    },
    /// `private_key_jwt`.
    Assertion {
        /// A JWT signed by the client.
        assertion: String,
        /// The parameter of the body, if it is present.
        client_id: Option<String>,
    },
    /// A client ID without credentials, for public clients.
    None {
        /// The parameter of the body.
        client_id: String,
    },
}

impl ClientCredentials {
    /// The authentication method.
    #[must_use]
    pub const fn method(&self) -> AuthMethod {
        match self {
            Self::Secret { method, .. } => *method,
            Self::Assertion { .. } => AuthMethod::PrivateKeyJwt,
            Self::None { .. } => AuthMethod::None,
        }
    }
}

/// Why client authentication failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientAuthenticationError {
    /// The client is unknown, its credentials are wrong, or it is not registered for the method.
    /// All causes share one variant, so that clients cannot distinguish them. The fields are for
    /// the audit log.
    #[error("client authentication failed")]
    Refused {
        /// The client, if the presented ID is registered.
        client_id: Option<String>,
        /// The cause.
        reason: &'static str,
    },
    /// The database refused or failed.
    #[error("the client could not be looked up")]
    Database(#[from] DbErr),
}

/// Authenticates a client. `audiences` are the accepted audiences of an assertion. `retry_window`
/// is the time after an outage in which an assertion may be used again.
///
/// # Errors
/// See [`ClientAuthenticationError`].
pub async fn authenticate(
    db: &Db,
    clients: &ClientCache,
    credentials: &ClientCredentials,
    audiences: &[&str],
    retry_window: Duration,
    now: Timestamp,
) -> Result<Arc<Client>, ClientAuthenticationError> {
    let claimed = match credentials {
        ClientCredentials::Secret { client_id, .. } | ClientCredentials::None { client_id } => {
            Some(client_id.clone())
        }
        ClientCredentials::Assertion { assertion, client_id } => {
            assertion::claimed_client(assertion)
                .filter(|claimed| client_id.as_ref().is_none_or(|id| id == claimed))
        }
    };
    let Some(claimed) = claimed.filter(|id| is_client_id(id)) else {
        return Err(refused_without_client("no client is named"));
    };
    let Some(client) = clients.find(&claimed).await? else {
        return Err(refused_without_client("no client has this id"));
    };
    let reason = match credentials {
        _ if !client.authenticates_by(credentials.method()) => Some("another method"),
        ClientCredentials::Secret { secret, .. } => {
            (!is_valid_secret(&client, secret)).then_some("the secret is wrong")
        }
        ClientCredentials::Assertion { assertion, .. } => {
            assertion::reason_to_refuse(db, &client, assertion, audiences, retry_window, now)
                .await?
        }
        ClientCredentials::None { .. } => None,
    };
    let Some(reason) = reason else { return Ok(client) };
    // The reason is logged for the operator, because the response does not include it.
    tracing::info!(
        client.id = client.id,
        registered = client.auth_method.to_value(),
        used = credentials.method().to_value(),
        "a client was refused: {reason}"
    );
    Err(ClientAuthenticationError::Refused { client_id: Some(client.id.clone()), reason })
}

/// A refusal of a request that names no registered client. The presented ID is not logged, because
/// it might be a secret in the wrong parameter.
fn refused_without_client(reason: &'static str) -> ClientAuthenticationError {
    tracing::info!("a client was refused: {reason}");
    ClientAuthenticationError::Refused { client_id: None, reason }
}

fn is_valid_secret(client: &Client, secret: &str) -> bool {
    let digest = digest(secret);
    let matches = |stored: &Option<Vec<u8>>| {
        stored
            .as_ref()
            .is_some_and(|stored| stored.len() == digest.len() && memcmp::eq(stored, &digest))
    };
    // Both digests are always compared, so that the time does not reveal which of them matched.
    let (current, previous) =
        (matches(&client.secret_digest), matches(&client.previous_secret_digest));
    current | previous
}
