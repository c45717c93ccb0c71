"""A token in the making, with the documents around it, and how it is written and signed."""

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
    "shared",
    "signature",
]

FORGE = Forge()

Members = dict[str, Any]
Signing = Callable[[str], bytes]


@dataclass(frozen=True)
class Raw:
    """Stands in an object for a value that is written exactly so."""

    text: str


@lru_cache(maxsize=4096)
def _signature(key: rsa.RSAPrivateKey, signed: str) -> bytes:
    return signature(key, signed)


def genuine(signed: str) -> bytes:
    """The signature of the issuer's first key."""
    return _signature(FORGE.first, signed)


def shared() -> Members:
    """What all cases of a file have in common."""
    return {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "now": NOW,
        "leeway_seconds": LEEWAY,
        "jwks": json.dumps(FORGE.jwks()),
    }


def write(value: Any) -> str:
    """JSON without spaces, in the order of the members."""
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
    """Objects, then the texts they are written as, then tokens: each kind of mutation finds what
    it changes at its own stage."""

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
    own: Members = field(default_factory=dict)
    """The case's own `now`, `audience` or `accept_typ_jwt`."""
    exempt: set[str] = field(default_factory=set)
    """Languages that are documented to take this token otherwise."""

    def write(self) -> None:
        """Makes texts of the objects."""
        parts = {
            "header": self.header,
            "claims": self.claims,
            "list_header": self.list_header,
            "list_claims": self.list_claims,
            "jwks": {"keys": self.keys},
        }
        self.texts = {name: write(value).encode() for name, value in parts.items()}

    def sign(self) -> None:
        """Makes tokens of the texts."""
        self.token = self._sealed("header", "claims", self.signing)
        self.status_list = self._sealed("list_header", "list_claims", self.list_signing)

    def _sealed(self, header: str, claims: str, signing: Signing) -> str:
        signed = f"{base64url(self.texts[header])}.{base64url(self.texts[claims])}"
        return f"{signed}.{base64url(signing(signed))}"

    def case(self) -> Members:
        """As a line of a file of cases. What is not UTF-8 in a key set becomes a mark for that:
        the file could not hold it."""
        case = {"token": self.token, **self.own}
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
