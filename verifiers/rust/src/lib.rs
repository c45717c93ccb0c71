#![doc = include_str!("../README.md")]

mod access_token;
mod claims;
mod error;
mod header;
mod json;
mod jws;
mod key_set;
mod status;
mod status_list;
mod verifier;

pub use access_token::AccessToken;
pub use error::KeySetError;
pub use error::NotThisUser;
pub use error::StatusListError;
pub use error::VerifyError;
pub use key_set::KeySet;
pub use status::Status;
pub use status::StatusReference;
pub use status_list::StatusList;
pub use verifier::Verifier;
