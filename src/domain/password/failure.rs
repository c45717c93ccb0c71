//! Internal errors of hashing.

/// Why a hash could not be computed. The input is never the cause.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The system's random number generator failed.
    #[error("no random bytes")]
    Random(#[from] openssl::error::ErrorStack),
    /// The memory for the hash could not be reserved.
    #[error("not enough memory for the hash")]
    Memory(#[from] std::collections::TryReserveError),
    /// Argon2 refused its parameters.
    #[error("argon2")]
    Argon2(#[from] argon2::Error),
    /// The result could not be written as a PHC string.
    #[error("PHC string")]
    Phc(#[from] argon2::password_hash::phc::Error),
    /// The cost could not be written as PHC parameters.
    #[error("PHC parameters")]
    Params(#[from] argon2::password_hash::Error),
    /// bcrypt refused a hash that had been parsed before.
    #[error("bcrypt")]
    Bcrypt(#[from] bcrypt::BcryptError),
    /// OpenSSL refused parameters that had been checked before, or had not enough memory.
    #[error("OpenSSL")]
    OpenSsl(#[source] openssl::error::ErrorStack),
    /// The computation panicked. Its thread continues.
    #[error("the hashing job panicked")]
    Panicked,
    /// The threads ended before the job was run.
    #[error("the hashing threads have ended")]
    Stopped,
}
