"""Reads the token of a request, and creates the response for each error (RFC 6750)."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from signet_verifier.errors import (
    MissingScope,
    MissingToken,
    NotThisUser,
    SignetError,
    VerificationUnavailable,
)

RETRY_AFTER_SECONDS = 5


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """The response to a refused request. It does not say which check failed; the log does."""

    status: int
    error: str
    description: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, str]:
        """The JSON body."""
        return {"error": self.error, "error_description": self.description}


def bearer_token(authorization: Iterable[str]) -> str:
    """The token of the `Authorization` headers of a request. No other location is read.

    Several headers are joined with commas, as HTTP defines; the result is never a valid token.
    """
    scheme, _, token = ", ".join(authorization).strip(" \t").partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise MissingToken("the request has no bearer token")
    return token


def answer(error: SignetError) -> ErrorAnswer:
    """The response for each error, as the README of all verifiers specifies it."""
    if isinstance(error, MissingToken):
        return _unauthorized("invalid_request", "The request needs an access token", "Bearer")
    if isinstance(error, MissingScope):
        scope = " ".join(error.scopes)
        return ErrorAnswer(
            403,
            "insufficient_scope",
            "The access token does not cover this request",
            {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
        )
    if isinstance(error, NotThisUser):
        return ErrorAnswer(403, "forbidden", "This belongs to another user")
    if isinstance(error, VerificationUnavailable):
        return ErrorAnswer(
            503,
            "temporarily_unavailable",
            "Access tokens cannot be checked right now",
            {"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    return _unauthorized(
        "invalid_token", "The access token is not valid", 'Bearer error="invalid_token"'
    )


def _unauthorized(error: str, description: str, challenge: str) -> ErrorAnswer:
    return ErrorAnswer(401, error, description, {"WWW-Authenticate": challenge})
