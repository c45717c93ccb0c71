"""The errors for refused requests.

Errors contain no part of a token, because they are logged, and anyone can send a token.
"""

from typing import Literal

RefusalCode = Literal[
    "malformed",
    "forbidden_header",
    "unsupported_algorithm",
    "wrong_type",
    "unknown_key",
    "bad_signature",
    "wrong_issuer",
    "wrong_audience",
    "expired",
    "not_yet_valid",
    "invalid_claim",
    "revoked",
    "suspended",
]
"""The check that failed; the README of all verifiers lists the checks in order."""

UnavailableCode = Literal["keys_unavailable", "status_unavailable"]
"""The document of Signet that is not available."""


class SignetError(Exception):
    """A reason to refuse a request; `signet_verifier.bearer.answer` makes the response."""


class VerifyError(SignetError):
    """`Verifier.verify` did not accept a token. `code` says why, for your log and your metrics."""

    code: RefusalCode | UnavailableCode


class TokenRefused(VerifyError):
    """The token is invalid. Respond with 401 `invalid_token` (RFC 6750 section 3.1)."""

    code: RefusalCode

    def __init__(self, code: RefusalCode, claim: str | None = None) -> None:
        super().__init__(code if claim is None else f"{code} ({claim})")
        self.code = code
        self.claim = claim
        """The claim that is missing or wrong, if the code is `invalid_claim`."""


class VerificationUnavailable(VerifyError):
    """The token cannot be verified now. Respond with 503: the same request may succeed later."""

    code: UnavailableCode

    def __init__(self, code: UnavailableCode) -> None:
        super().__init__(code)
        self.code = code


class MissingToken(SignetError):
    """The request has no `Authorization: Bearer`. Respond with 401, without an error code."""


class MissingScope(SignetError):
    """The token is valid but lacks a scope. Respond with 403 `insufficient_scope`."""

    def __init__(self, scopes: tuple[str, ...]) -> None:
        super().__init__("the token lacks a scope")
        self.scopes = scopes
        """All scopes that the request needs, not only the missing ones (RFC 6750 section 3)."""


class NotThisUser(SignetError):
    """The token is valid but belongs to another user or to no user. Respond with 403."""
