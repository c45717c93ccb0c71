#![doc = include_str!("../README.md")]

mod access_token;
mod claims;
mod error;
mod header;
mod json;
mod key_set;
mod verifier;

pub use access_token::AccessToken;
pub use error::KeySetError;
pub use error::NotThisUser;
pub use error::VerifyError;
pub use key_set::KeySet;
pub use verifier::Verifier;
