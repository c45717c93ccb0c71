//! Why a stored hash cannot be used.

/// Why a stored hash cannot be used. The error reveals nothing about the hash itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Unreadable {
    /// The notation, the hash function or its version is not supported.
    #[error("not a supported kind of password hash")]
    UnknownKind,
    /// The hash is of a supported kind, but damaged or incomplete.
    #[error("malformed password hash")]
    Malformed,
    /// Checking the hash costs more work than a login may cost.
    #[error("the cost of the password hash exceeds the limit")]
    TooCostly,
}
