//! Whether what a token speaks of still lasts: Token Status List,
//! draft-ietf-oauth-status-list, as readers see it.

/// Where a token's status is to be looked up: its claim `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReference {
    /// The list, an address that begins with the issuer and `/`.
    pub uri: String,
    /// The place in the list, below 2^53.
    pub index: u64,
}

/// A status of the registry (draft-ietf-oauth-status-list §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 0: the token is good.
    Valid,
    /// 1: it never will be again.
    Revoked,
    /// 2: it is not for the time being.
    Suspended,
    /// Any other value, none of which means that the token is good.
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
