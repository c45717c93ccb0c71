"""The type of a case, and constructors for accepted and refused tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Members = dict[str, Any]
"""A JSON object."""

ISSUER = "https://id.example.test"
AUDIENCE = "https://api.example.test"
NOW = 1_800_000_000
LEEWAY = 30

USER = "user-1"
SESSION = "session-1"
LIST_URI = f"{ISSUER}/status/1"

HEADER: Members = {"typ": "at+jwt", "alg": "RS256", "kid": "key-1"}

CLAIMS: Members = {
    "iss": ISSUER,
    "sub": USER,
    "aud": AUDIENCE,
    "exp": NOW + 900,
    "iat": NOW - 10,
    "jti": "token-1",
    "client_id": "web",
    "sid": SESSION,
    "auth_time": NOW - 60,
    "scope": "tasks:read",
    "user_id": USER,
    "email": "alice@example.test",
}

STATUS: Members = {"status_list": {"idx": 7, "uri": LIST_URI}}

LIST_HEADER: Members = {"typ": "statuslist+jwt", "alg": "RS256", "kid": "key-1"}

LIST_CLAIMS: Members = {
    "iss": ISSUER,
    "sub": LIST_URI,
    "iat": NOW - 10,
    "exp": NOW + 3600,
    "ttl": 300,
}

SAYS: Members = {
    "subject": USER,
    "user_id": USER,
    "client_id": "web",
    "session_id": SESSION,
    "scope": "tasks:read",
    "email": "alice@example.test",
    "token_id": "token-1",
    "issued_at": NOW - 10,
    "expires_at": NOW + 900,
    "auth_time": NOW - 60,
}
"""The result of verifying a token with `CLAIMS`."""


@dataclass(frozen=True)
class Case:
    """A token, the settings to verify it with, and the expected result."""

    name: str
    why: str
    token: str
    expect: Members
    own: Members = field(default_factory=dict)
    """Overrides: `now`, `jwks`, `issuer`, `audience`, `accept_typ_jwt` or `status_lists`."""


def accepted(
    name: str, why: str, token: str, says: Members | None = None, **own: Any
) -> Case:
    """A token that is accepted; `says` lists the differences from `SAYS`."""
    return Case(name, why, token, {**SAYS, **(says or {})}, own)


def refused(name: str, why: str, token: str, error: str, **own: Any) -> Case:
    """A token that is refused with the code `error`."""
    return Case(name, why, token, {"error": error}, own)
