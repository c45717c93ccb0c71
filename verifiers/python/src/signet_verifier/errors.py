"""What can go wrong between a request and its answer.

Nothing of a token is repeated in an error: errors end in logs, and tokens are written by strangers.
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
"""The check that a token did not pass; the family's page lists them in their order."""

UnavailableCode = Literal["keys_unavailable", "status_unavailable"]
"""What could not be had from Signet."""


class SignetError(Exception):
    """Anything for which a request is not served; `signet_verifier.bearer.answer` answers it."""


class VerifyError(SignetError):
    """`Verifier.verify` did not accept a token. `code` says why, for your log and your metrics."""

    code: RefusalCode | UnavailableCode


class TokenRefused(VerifyError):
    """The token proves nothing. Answer 401 `invalid_token` (RFC 6750 section 3.1)."""

    code: RefusalCode

    def __init__(self, code: RefusalCode, claim: str | None = None) -> None:
        super().__init__(code if claim is None else f"{code} ({claim})")
        self.code = code
        self.claim = claim
        """The claim that is missing or wrong, where the code is `invalid_claim`."""


class VerificationUnavailable(VerifyError):
    """Nothing can be said about the token. Answer 503: the same request may succeed later."""

    code: UnavailableCode

    def __init__(self, code: UnavailableCode) -> None:
        super().__init__(code)
        self.code = code


class MissingToken(SignetError):
    """The request has no `Authorization: Bearer`. Answer 401, without an error code."""


class MissingScope(SignetError):
    """The token is valid, but not for this. Answer 403 `insufficient_scope`."""

    def __init__(self, scopes: tuple[str, ...]) -> None:
        super().__init__("the token lacks a scope")
        self.scopes = scopes
        """All that the request needs, not only what is missing (RFC 6750 section 3)."""


class NotThisUser(SignetError):
    """The token is valid, but another user's or no person's. Answer 403: more scope cannot help."""
