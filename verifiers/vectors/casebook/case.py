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

RESULT: Members = {
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
    settings: Members = field(default_factory=dict)
    """The settings that differ from those of the file.

    They are `now`, `jwks`, `issuer`, `audience`, `accept_typ_jwt` and `status_lists`.
    """


def accepted(
    name: str, why: str, token: str, differences: Members | None = None, **settings: Any
) -> Case:
    """Returns a case of an accepted token; `differences` are those from `RESULT`."""
    return Case(name, why, token, {**RESULT, **(differences or {})}, settings)


def refused(name: str, why: str, token: str, error: str, **settings: Any) -> Case:
    """Returns a case of a token that is refused with the code `error`."""
    return Case(name, why, token, {"error": error}, settings)
