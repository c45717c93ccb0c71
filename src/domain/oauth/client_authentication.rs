//! Client authentication (RFC 6749 §2.3, §3.2.1).

use std::time::Duration;

use openssl::memcmp;
use sea_orm::DbErr;

use crate::database::Db;
use crate::domain::oauth::client::metadata::is_client_id;
use crate::domain::oauth::secret::digest;
use crate::domain::oauth::{assertion, client};
use crate::entity::client::Model;
use crate::timestamp::Timestamp;

/// The credentials of a request, by the one method that it uses.
#[derive(Clone)]
pub enum ClientCredentials {
    /// `client_secret_basic`.
    Basic {
        /// The user name.
        client_id: String,
        /// The password.
        secret: String,
    },
    /// `client_secret_post`.
    Post {
        /// From the body.
        client_id: String,
        /// From the body.
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
    /// The method's registered name (RFC 7591 §2).
    #[must_use]
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Basic { .. } => "client_secret_basic",
            Self::Post { .. } => "client_secret_post",
            Self::Assertion { .. } => "private_key_jwt",
            Self::None { .. } => "none",
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
        ClientCredentials::Basic { client_id, .. }
        | ClientCredentials::Post { client_id, .. }
        | ClientCredentials::None { client_id } => Some(client_id.clone()),
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
        ClientCredentials::Basic { secret, .. } | ClientCredentials::Post { secret, .. } => {
            (!is_secret(&client, secret)).then_some("the secret is wrong")
        }
        ClientCredentials::Assertion { assertion, .. }
            if client.authenticates_by(proof.method()) =>
        {
            assertion::fault(db, &client, assertion, audiences, window, now).await?
        }
        ClientCredentials::Assertion { .. } | ClientCredentials::None { .. } => None,
    };
    let is_its_method = client.authenticates_by(proof.method());
    let Some(reason) = (if is_its_method { fault } else { Some("another method") }) else {
        return Ok(client);
    };
    // For the operator: the response does not include the reason.
    tracing::info!(
        client.id = client.id,
        registered = client.auth_method,
        used = proof.method(),
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
