"""A token before it is signed, with its status list and key set."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "verifiers/vectors"))

from casebook.case import (
    AUDIENCE,
    CLAIMS,
    HEADER,
    ISSUER,
    LEEWAY,
    LIST_HEADER,
    LIST_URI,
    NOW,
    STATUS,
)
from casebook.forge import GENUINE_LIST, Forge, signature
from casebook.signature import SHA256_INFO
from casebook.text import base64url
from cryptography.hazmat.primitives.asymmetric import rsa

__all__ = [
    "AUDIENCE",
    "FORGE",
    "ISSUER",
    "LIST_URI",
    "NOW",
    "SHA256_INFO",
    "Draft",
    "Raw",
    "Signing",
    "base64url",
    "genuine",
    "shared_members",
    "signature",
]

FORGE = Forge()

Members = dict[str, Any]
Signing = Callable[[str], bytes]


@dataclass(frozen=True)
class Raw:
    """A value of an object that is written to JSON unchanged."""

    text: str


@lru_cache(maxsize=4096)
def _signature(key: rsa.RSAPrivateKey, signed: str) -> bytes:
    return signature(key, signed)


def genuine(signed: str) -> bytes:
    """Signs with the issuer's first key."""
    return _signature(FORGE.first, signed)


def shared_members() -> Members:
    """The first line of a file of cases, with the members that all cases share."""
    return {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "now": NOW,
        "leeway_seconds": LEEWAY,
        "jwks": json.dumps(FORGE.jwks()),
    }


def write(value: Any) -> str:
    """JSON without spaces, with members in their given order."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        members = (f"{json.dumps(name)}:{write(member)}" for name, member in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(write, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


@dataclass
class Draft:
    """A token in three stages: objects, JSON texts, signed token.

    Each kind of mutation applies to one of these stages.
    """

    header: Members = field(default_factory=lambda: dict(HEADER))
    claims: Members = field(default_factory=lambda: {**CLAIMS, "status": _copy(STATUS)})
    list_header: Members = field(default_factory=lambda: dict(LIST_HEADER))
    list_claims: Members = field(default_factory=lambda: _copy(GENUINE_LIST))
    keys: list[Any] = field(default_factory=lambda: _copy(FORGE.keys()))
    texts: dict[str, bytes] = field(default_factory=dict)
    signing: Signing = genuine
    list_signing: Signing = genuine
    token: str = ""
    status_list: str | None = None
    settings: Members = field(default_factory=dict)
    """Members `now`, `audience` or `accept_typ_jwt` that differ from the shared ones."""
    exempt: set[str] = field(default_factory=set)
    """Languages that are permitted to have a different verdict on this token."""

    def write(self) -> None:
        """Writes the objects as JSON texts."""
        parts = {
            "header": self.header,
            "claims": self.claims,
            "list_header": self.list_header,
            "list_claims": self.list_claims,
            "jwks": {"keys": self.keys},
        }
        self.texts = {name: write(value).encode() for name, value in parts.items()}

    def sign(self) -> None:
        """Signs the texts."""
        self.token = self._signed_token("header", "claims", self.signing)
        self.status_list = self._signed_token("list_header", "list_claims", self.list_signing)

    def _signed_token(self, header: str, claims: str, signing: Signing) -> str:
        signed = f"{base64url(self.texts[header])}.{base64url(self.texts[claims])}"
        return f"{signed}.{base64url(signing(signed))}"

    def case(self) -> Members:
        """The case as a line of a file of cases.

        Bytes of a key set that are not UTF-8 become replacement characters.
        """
        case = {"token": self.token, **self.settings}
        if self.status_list is not None:
            case["status_lists"] = {LIST_URI: self.status_list}
        jwks = self.texts["jwks"].decode(errors="replace")
        if jwks != write({"keys": FORGE.keys()}):
            case["jwks"] = jwks
        if self.exempt:
            case["exempt"] = sorted(self.exempt)
        return case


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value))
