#![doc = include_str!("../README.md")]

mod access_token;
mod claims;
#[cfg(any(feature = "axum", feature = "poem"))]
mod denied;
mod error;
#[cfg(feature = "axum")]
mod for_axum;
#[cfg(feature = "poem")]
mod for_poem;
mod header;
mod json;
mod jws;
mod key_set;
#[cfg(feature = "http")]
mod remote;
mod status;
mod status_list;
mod verifier;

pub use access_token::AccessToken;
#[cfg(any(feature = "axum", feature = "poem"))]
pub use denied::Denied;
pub use error::KeySetError;
pub use error::MissingScope;
pub use error::NotThisUser;
pub use error::StatusListError;
pub use error::VerifyError;
pub use key_set::KeySet;
#[cfg(feature = "http")]
pub use remote::BuildError;
#[cfg(feature = "http")]
pub use remote::Clock;
#[cfg(feature = "http")]
pub use remote::RemoteError;
#[cfg(feature = "http")]
pub use remote::RemoteVerifier;
#[cfg(feature = "http")]
pub use remote::RemoteVerifierBuilder;
#[cfg(feature = "http")]
pub use remote::WhenStatusUnavailable;
pub use status::Status;
pub use status::StatusReference;
pub use status_list::StatusList;
pub use verifier::Verifier;
