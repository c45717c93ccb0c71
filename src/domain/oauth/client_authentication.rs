//! How a client proves who it is (RFC 6749 §2.3, §3.2.1).

use std::time::Duration;

use openssl::memcmp;
use sea_orm::DbErr;

use crate::database::Db;
use crate::domain::oauth::assertion;
use crate::domain::oauth::client;
use crate::domain::oauth::client::metadata::is_client_id;
use crate::domain::oauth::secret::digest;
use crate::entity::client::Model;
use crate::timestamp::Timestamp;

/// What a request brings along, in the one way it chose.
#[derive(Clone)]
pub enum Proof {
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
        /// From the body, too.
        secret: String,
    },
    /// `private_key_jwt`.
    Assertion {
        /// A JWT that the client signed.
        assertion: String,
        /// From the body, if it says so there, too.
        client_id: Option<String>,
    },
    /// Nothing but a name: for public clients.
    None {
        /// From the body.
        client_id: String,
    },
}

impl Proof {
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

/// Why a client is not who it says.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// Unknown, or the proof is wrong, or not of the kind it is registered for: one variant on
    /// purpose, so that no caller can tell which. What it has is for the audit log.
    #[error("client authentication failed")]
    Refused {
        /// The client, if one is registered by the name that was sent.
        client_id: Option<String>,
        /// What was wrong.
        reason: &'static str,
    },
    /// The database refused or failed.
    #[error("the client could not be looked up")]
    Database(#[from] DbErr),
}

/// The client behind a proof. `audiences` are the names that an assertion may address, and `window` is
/// how long after an outage a request of it may be repeated.
///
/// # Errors
/// See [`ProofError`].
pub async fn authenticate(
    db: &Db,
    proof: &Proof,
    audiences: &[&str],
    window: Duration,
    now: Timestamp,
) -> Result<Model, ProofError> {
    let claimed = match proof {
        Proof::Basic { client_id, .. }
        | Proof::Post { client_id, .. }
        | Proof::None { client_id } => Some(client_id.clone()),
        Proof::Assertion { assertion, client_id } => assertion::claimed_client(assertion)
            .filter(|claimed| client_id.as_ref().is_none_or(|id| id == claimed)),
    };
    let unnamed = ProofError::Refused { client_id: None, reason: "no client is named" };
    let claimed = claimed.filter(|id| is_client_id(id)).ok_or(unnamed)?;
    let Some(client) = client::find(db, &claimed).await? else {
        // Not the name: it might be a secret in the wrong place.
        tracing::info!("a client was refused: nobody is registered by that name");
        let reason = "nobody is registered by that name";
        return Err(ProofError::Refused { client_id: None, reason });
    };
    let fault = match proof {
        Proof::Basic { secret, .. } | Proof::Post { secret, .. } => {
            (!is_secret(&client, secret)).then_some("the secret is wrong")
        }
        Proof::Assertion { assertion, .. } if client.authenticates_by(proof.method()) => {
            assertion::fault(db, &client, assertion, audiences, window, now).await?
        }
        Proof::Assertion { .. } | Proof::None { .. } => None,
    };
    let is_its_method = client.authenticates_by(proof.method());
    let Some(reason) = (if is_its_method { fault } else { Some("another method") }) else {
        return Ok(client);
    };
    // For whoever runs this: the client itself is told nothing.
    tracing::info!(
        client.id = client.id,
        registered = client.auth_method,
        used = proof.method(),
        "a client was refused: {reason}"
    );
    Err(ProofError::Refused { client_id: Some(client.id), reason })
}

fn is_secret(client: &Model, secret: &str) -> bool {
    let digest = digest(secret);
    let matches = |stored: &Option<Vec<u8>>| {
        stored
            .as_ref()
            .is_some_and(|stored| stored.len() == digest.len() && memcmp::eq(stored, &digest))
    };
    // Both, always: which of the two it was takes no time to tell.
    let (current, previous) =
        (matches(&client.secret_digest), matches(&client.previous_secret_digest));
    current | previous
}
