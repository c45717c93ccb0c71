//! Errors. The documentation of each variant says what the caller should do.
//!
//! Errors are written to logs, and tokens are untrusted input. So an error contains no part of the
//! token, except a truncated and printable `kid`.

/// Maximum number of characters of a `kid` in an error. A thumbprint (RFC 7638) has 43.
const KEY_ID_SHOWN: usize = 64;

/// Why a token was refused.
///
/// Answer every variant with 401 and `WWW-Authenticate: Bearer error="invalid_token"` (RFC 6750
/// §3.1), so that the client requests a new token. Log the reason by its [`code`](Self::code), but
/// do not return it to the caller. Only [`UnknownKey`](Self::UnknownKey) should be retried first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The token is not a compact JWS of at most 8 KiB (RFC 7515 §5.2, RFC 7519 §7.2). It must have
    /// three parts of canonical unpadded base64url. Header and payload must be JSON objects without
    /// repeated names, and the header must have a `kid`. Answer 401.
    #[error("the token is malformed")]
    Malformed,

    /// The header contains a parameter that would let the token choose its own key or rules:
    /// `crit`, `b64`, `jwk`, `jku`, `x5c` or `x5u` (RFC 7515 §4.1.11, RFC 8725 §3.10). Signet uses
    /// none of them. Answer 401.
    #[error("the token's header has the parameter {0}")]
    ForbiddenHeader(&'static str),

    /// `alg` is missing or not exactly `RS256` (RFC 8725 §3.1). Answer 401.
    #[error("the token is not signed with RS256")]
    UnsupportedAlgorithm,

    /// `typ` is missing or not `at+jwt`, so it is an ID token or another JWT, not an access token
    /// (RFC 9068 §4, RFC 8725 §3.11). With [`accept_typ_jwt`](crate::Verifier::accept_typ_jwt), it
    /// is also returned if `typ` is `JWT` and there is a `nonce` or an `at_hash`, which only ID
    /// tokens have. Answer 401.
    #[error("the token is not an access token")]
    WrongType,

    /// The key set has no usable key with this id. Fetch the key set again and verify once more:
    /// the key may be new (OpenID Connect Core §10.1.1). Enforce a minimum interval between two
    /// fetches, because attackers can invent any `kid`. If the new set has no such key either,
    /// answer 401.
    #[error("the token is signed with an unknown key: {kid}")]
    UnknownKey {
        /// The `kid` of the header, at most 64 characters, each printable ASCII.
        kid: String,
    },

    /// The signature over this header and payload was not made with this key (RFC 7515 §5.2, RFC
    /// 8725 §3.3). Answer 401.
    #[error("the token's signature is not valid")]
    BadSignature,

    /// `iss` is not the issuer, byte for byte (RFC 9068 §4, RFC 8725 §3.8). Answer 401. If this
    /// happens for every token, the configured issuer is wrong.
    #[error("the token is from another issuer")]
    WrongIssuer,

    /// `aud` does not contain this audience (RFC 9068 §4, RFC 8725 §3.9). Answer 401. The client
    /// must request a token for this resource (RFC 8707).
    #[error("the token is for another audience")]
    WrongAudience,

    /// `exp` has passed (RFC 7519 §4.1.4). Answer 401, so that the client refreshes its token.
    #[error("the token has expired")]
    Expired,

    /// `nbf` or `iat` is in the future (RFC 7519 §4.1.5, §4.1.6). Answer 401. If this happens for
    /// new tokens, check the clocks of the issuer and of this service.
    #[error("the token is not valid yet")]
    NotYetValid,

    /// A claim that RFC 9068 §2.2 requires is missing, or `scope` is missing and `typ` is `JWT`. Or
    /// a claim that this crate uses has a wrong type or range, or `user_id` differs from `sub`.
    /// Answer 401.
    #[error("the claim {0} is missing or invalid")]
    MissingOrInvalidClaim(&'static str),

    /// The token has been revoked, usually by a logout: it has status 1, or any other status that
    /// is neither valid nor suspended (draft-ietf-oauth-status-list §7.1). Answer 401.
    #[error("the token has been revoked")]
    Revoked,

    /// The token is suspended (status 2). Answer 401.
    #[error("the token is suspended")]
    Suspended,
}

impl VerifyError {
    /// The name of this reason for logs and metrics. It is stable and the same in the verifiers of
    /// all languages.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::ForbiddenHeader(_) => "forbidden_header",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::WrongType => "wrong_type",
            Self::UnknownKey { .. } => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::MissingOrInvalidClaim(_) => "invalid_claim",
            Self::Revoked => "revoked",
            Self::Suspended => "suspended",
        }
    }

    pub(crate) fn unknown_key(kid: &str) -> Self {
        let printable = |c: char| if c.is_ascii_graphic() { c } else { '?' };
        Self::UnknownKey { kid: kid.chars().take(KEY_ID_SHOWN).map(printable).collect() }
    }
}

/// Why a document is not a valid key set. Keep using the previous set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// The document is not a JSON object of at most 256 KiB with an array `keys`, or a name occurs
    /// twice in an object (RFC 7517 §4, §5).
    #[error("the key set is malformed")]
    Malformed,

    /// Two usable keys share a `kid`, so a token would not identify the key that signed it (RFC
    /// 7517 §4.5).
    #[error("two keys of the set have the same id")]
    DuplicateKeyId,
}

/// Why a status list token is refused. Treat it as if there were no list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatusListError {
    /// The list fails a check that also applies to access tokens: of the format, the header, the
    /// signature, the issuer, a time or the type of a claim. After [`VerifyError::UnknownKey`],
    /// retry with a newly fetched key set.
    #[error("the status list is refused: {0}")]
    Refused(#[from] VerifyError),

    /// Its `sub` is not the URL from which it was fetched (draft-ietf-oauth-status-list §8.3).
    #[error("the status list is for another URL")]
    WrongUri,

    /// The `bits` of `status_list` are not 1, 2, 4 or 8, or its `lst` is not the unpadded base64url
    /// of a single zlib stream of at most 1 MiB.
    #[error("the status list cannot be decompressed")]
    BadList,
}

/// The token is valid but does not allow the request.
///
/// Answer 403 with `WWW-Authenticate: Bearer error="insufficient_scope"` and the missing scope (RFC
/// 6750 §3.1): the client may request it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the token lacks the scope {scope}")]
pub struct MissingScope {
    /// The required scope.
    pub scope: String,
}

/// The token is valid but belongs to another user, or to no user.
///
/// Answer 403. RFC 6750 has no code for this error: after `insufficient_scope`, the client would
/// request more scope, which cannot help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token belongs to another user")]
pub struct NotThisUser;

#[cfg(test)]
mod tests {
    use crate::error::VerifyError;

    #[test]
    fn unknown_key_id_is_truncated_and_printable_in_the_message() {
        let cases = [
            ("key-1", "key-1".to_owned()),
            ("a\r\nb\u{1b}[31m\u{202e}é c", "a??b?[31m???c".to_owned()),
            (&*"k".repeat(5000), "k".repeat(64)),
        ];
        for (kid, shown) in cases {
            assert_eq!(VerifyError::unknown_key(kid), VerifyError::UnknownKey { kid: shown });
        }
    }
}
