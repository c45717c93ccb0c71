//! The status of a token (Token Status List, draft-ietf-oauth-status-list).

/// A token's claim `status`: the list that contains its status, and the index in this list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReference {
    /// The URL of the list, which begins with the issuer and `/`.
    pub uri: String,
    /// The index in the list, below 2^53.
    pub index: u64,
}

/// A status of the registry (draft-ietf-oauth-status-list §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 0: the token is valid.
    Valid,
    /// 1: the token is permanently revoked.
    Revoked,
    /// 2: the token is temporarily invalid.
    Suspended,
    /// Any other value, which also means that the token is not valid.
    Other(u8),
}

impl From<u8> for Status {
    fn from(value: u8) -> Self {
        match value {
            0 => Self::Valid,
            1 => Self::Revoked,
            2 => Self::Suspended,
            other => Self::Other(other),
        }
    }
}
