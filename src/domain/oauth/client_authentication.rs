//! Client authentication (RFC 6749 §2.3, §3.2.1).

use std::time::Duration;

use openssl::memcmp;
use sea_orm::{ActiveEnum, DbErr};

use crate::database::Db;
use crate::domain::oauth::client::metadata::is_client_id;
use crate::domain::oauth::secret::digest;
use crate::domain::oauth::{assertion, client};
use crate::entity::client::Model;
use crate::timestamp::Timestamp;

pub use crate::entity::client::AuthMethod;

/// The credentials of a request, by the one method that it uses.
#[derive(Clone)]
pub enum ClientCredentials {
    /// A secret.
    Secret {
        /// `client_secret_basic` or `client_secret_post`.
        method: AuthMethod,
        /// The user name, or from the body.
        client_id: String,
        /// The password, or from the body.
        secret: String,
    },
    /// `private_key_jwt`.
    Assertion {
        /// A JWT signed by the client.
        assertion: String,
        /// From the body, if present.
        client_id: Option<String>,
    },
    /// A client ID without credentials, for public clients.
    None {
        /// From the body.
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
    /// Unknown client, wrong credentials, or another method than the registered one. One variant on
    /// purpose, so that clients cannot tell which. Its fields are for the audit log.
    #[error("client authentication failed")]
    Refused {
        /// The client, if the ID sent is registered.
        client_id: Option<String>,
        /// What was wrong.
        reason: &'static str,
    },
    /// The database refused or failed.
    #[error("the client could not be looked up")]
    Database(#[from] DbErr),
}

/// Authenticates a client. `audiences` are those accepted in an assertion, and `window` is the time
/// after an outage in which an assertion may be used again.
///
/// # Errors
/// See [`ClientAuthenticationError`].
pub async fn authenticate(
    db: &Db,
    proof: &ClientCredentials,
    audiences: &[&str],
    window: Duration,
    now: Timestamp,
) -> Result<Model, ClientAuthenticationError> {
    let claimed = match proof {
        ClientCredentials::Secret { client_id, .. } | ClientCredentials::None { client_id } => {
            Some(client_id.clone())
        }
        ClientCredentials::Assertion { assertion, client_id } => {
            assertion::claimed_client(assertion)
                .filter(|claimed| client_id.as_ref().is_none_or(|id| id == claimed))
        }
    };
    let unnamed =
        ClientAuthenticationError::Refused { client_id: None, reason: "no client is named" };
    let claimed = claimed.filter(|id| is_client_id(id)).ok_or(unnamed)?;
    let Some(client) = client::find(db, &claimed).await? else {
        // The ID is not logged: it might be a secret in the wrong place.
        tracing::info!("a client was refused: no client has this id");
        let reason = "no client has this id";
        return Err(ClientAuthenticationError::Refused { client_id: None, reason });
    };
    let fault = match proof {
        _ if !client.authenticates_by(proof.method()) => Some("another method"),
        ClientCredentials::Secret { secret, .. } => {
            (!is_secret(&client, secret)).then_some("the secret is wrong")
        }
        ClientCredentials::Assertion { assertion, .. } => {
            assertion::fault(db, &client, assertion, audiences, window, now).await?
        }
        ClientCredentials::None { .. } => None,
    };
    let Some(reason) = fault else { return Ok(client) };
    // For the operator: the response does not include the reason.
    tracing::info!(
        client.id = client.id,
        registered = client.auth_method.to_value(),
        used = proof.method().to_value(),
        "a client was refused: {reason}"
    );
    Err(ClientAuthenticationError::Refused { client_id: Some(client.id), reason })
}

fn is_secret(client: &Model, secret: &str) -> bool {
    let digest = digest(secret);
    let matches = |stored: &Option<Vec<u8>>| {
        stored
            .as_ref()
            .is_some_and(|stored| stored.len() == digest.len() && memcmp::eq(stored, &digest))
    };
    // Always both, so that the time does not reveal which one matched.
    let (current, previous) =
        (matches(&client.secret_digest), matches(&client.previous_secret_digest));
    current | previous
}
