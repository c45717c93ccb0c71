"""Newly generated keys, and tokens signed with them."""

from __future__ import annotations

import hmac
import zlib
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from casebook.case import CLAIMS, HEADER, LIST_CLAIMS, LIST_HEADER, LIST_URI, Members
from casebook.text import Text, base64url, change, signing_input

EXPONENT = 65537


def new_key(bits: int = 2048, exponent: int = EXPONENT) -> rsa.RSAPrivateKey:
    """Generates a key for RS256."""
    return rsa.generate_private_key(exponent, bits)


def integer(number: int) -> str:
    """Encodes a number as Base64urlUInt (RFC 7518 section 2)."""
    return base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def jwk(key: rsa.RSAPrivateKey, kid: str, **members: Any) -> Members:
    """Returns the public key, as Signet publishes it."""
    public = key.public_key().public_numbers()
    return {
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": kid,
        "n": integer(public.n),
        "e": integer(public.e),
        **members,
    }


def signature(key: rsa.RSAPrivateKey, signed: str) -> bytes:
    """Signs by RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3)."""
    return key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())


def jws(signed: str, key: rsa.RSAPrivateKey) -> str:
    """Signs a signing input, which need not be valid, and returns the compact JWS."""
    return f"{signed}.{base64url(signature(key, signed))}"


def hmac_jws(signed: str, secret: bytes, digest: str = "sha256") -> str:
    """Returns the compact JWS of a signing input, with an HMAC instead of a signature."""
    return f"{signed}.{base64url(hmac.digest(secret, signed.encode(), digest))}"


def packed(statuses: dict[int, int], bits: int, size: int) -> bytes:
    """Returns an uncompressed status list of `size` entries; entries not in `statuses` are 0."""
    array = bytearray(size * bits // 8)
    for index, status in statuses.items():
        array[index * bits // 8] |= status << (index * bits % 8)
    return bytes(array)


def status_list(statuses: dict[int, int], bits: int = 1, size: int = 128) -> Members:
    """Returns the claim `status_list` of a status list token."""
    return {"bits": bits, "lst": base64url(zlib.compress(packed(statuses, bits, size), 9))}


GENUINE_LIST = {**LIST_CLAIMS, "status_list": status_list({})}
"""The claims of a list in which nothing is revoked."""


@dataclass(frozen=True)
class Forge:
    """The issuer's two RSA keys, an attacker's RSA key, and an EC key for key sets."""

    first: rsa.RSAPrivateKey = field(default_factory=new_key)
    second: rsa.RSAPrivateKey = field(default_factory=new_key)
    stranger: rsa.RSAPrivateKey = field(default_factory=new_key)
    curve: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def keys(self) -> list[Members]:
        """Returns the issuer's public keys."""
        return [jwk(self.first, "key-1"), jwk(self.second, "key-2")]

    def jwks(self, *more: Any) -> Members:
        """Returns the issuer's key set, with additional keys."""
        return {"keys": [*self.keys(), *more]}

    def token(
        self, header: Text = HEADER, claims: Text = CLAIMS, key: rsa.RSAPrivateKey | None = None
    ) -> str:
        """Returns an access token, signed by the first key unless `key` is given."""
        return jws(signing_input(header, claims), key or self.first)

    def claims(self, claims: Text) -> str:
        """Returns a genuine access token with these claims."""
        return self.token(claims=claims)

    def list_token(
        self,
        claims: Text = GENUINE_LIST,
        header: Text = LIST_HEADER,
        key: rsa.RSAPrivateKey | None = None,
    ) -> str:
        """Returns a status list token."""
        return self.token(header, claims, key)

    def lists(self, statuses: dict[int, int], bits: int, size: int = 128) -> dict[str, str]:
        """Returns the list at `LIST_URI`, with these statuses."""
        claims = change(GENUINE_LIST, status_list=status_list(statuses, bits, size))
        return {LIST_URI: self.list_token(claims)}

