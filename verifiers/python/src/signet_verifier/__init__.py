"""Verifies Signet's access tokens locally: with its public keys, and with its lists of sessions
that have ended. The README has a short example for FastAPI."""

from signet_verifier.access_token import AccessToken
from signet_verifier.errors import (
    MissingScope,
    MissingToken,
    NotThisUser,
    SignetError,
    TokenRefused,
    VerificationUnavailable,
    VerifyError,
)
from signet_verifier.verifier import Verifier

__all__ = [
    "AccessToken",
    "MissingScope",
    "MissingToken",
    "NotThisUser",
    "SignetError",
    "TokenRefused",
    "VerificationUnavailable",
    "Verifier",
    "VerifyError",
]
