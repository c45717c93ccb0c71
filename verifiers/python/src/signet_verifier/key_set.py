"""The issuer's public keys, parsed once and found by `kid`."""

from collections.abc import Mapping
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm
from jwt.exceptions import InvalidKeyError

from signet_verifier.encoding import decode_base64url, parse_object

LARGEST_KEY_SET = 256 * 1024
"""In bytes; Signet's key sets have a few thousand."""

# RFC 7518 section 3.3 sets the lower bound; the upper bound limits a signature check to 1 ms.
_LEAST_BITS, _MOST_BITS = 2048, 8192

# 65537, as in every key of Signet. If any exponent were accepted, `e` = 1 would make forging easy.
_EXPONENT = "AQAB"

_RS256 = RSAAlgorithm(RSAAlgorithm.SHA256)


class PublicKey:
    """An RSA key for RS256 signatures only."""

    def __init__(self, modulus: str) -> None:
        # Only these members are used, so a published private key is not imported.
        key = _RS256.from_jwk({"kty": "RSA", "n": modulus, "e": _EXPONENT})
        self._key = cast(RSAPublicKey, key)

    def verifies(self, signed: bytes, signature: bytes) -> bool:
        """RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3)."""
        return _RS256.verify(signed, self._key, signature)


KeySet = Mapping[str, PublicKey]
"""The usable keys of a JWK set, by `kid`."""


def parse_key_set(document: bytes) -> KeySet:
    """Reads a JWK set (RFC 7517 section 5). Keys of unsupported kinds are ignored.

    Raises `ValueError` if it is not a JWK set, or if two usable keys share a `kid`: a token would
    not identify the key that signed it.
    """
    if len(document) > LARGEST_KEY_SET:
        raise ValueError("too large for a key set")
    entries = parse_object(document).get("keys")
    if not isinstance(entries, list):
        raise ValueError("not a key set")
    keys: dict[str, PublicKey] = {}
    for entry in entries:
        key = _usable_key(entry)
        if key is None:
            continue
        if entry["kid"] in keys:
            raise ValueError("two keys of the set have the same kid")
        keys[entry["kid"]] = key
    return keys


def _usable_key(entry: Any) -> PublicKey | None:
    match entry:
        case {"kty": "RSA", "kid": str(kid), "n": str(modulus), "e": str(exponent)} if (
            kid and exponent == _EXPONENT and _is_for_rs256(entry) and _has_fitting_length(modulus)
        ):
            try:
                return PublicKey(modulus)
            except (InvalidKeyError, ValueError):
                return None
    return None


def _is_for_rs256(entry: Mapping[str, Any]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    return (
        entry.get("alg", "RS256") == "RS256"
        and entry.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
    )


def _has_fitting_length(modulus: str) -> bool:
    """Counts bits, not bytes, and accepts only the shortest encoding (RFC 7518 section 2)."""
    try:
        octets = decode_base64url(modulus.encode("ascii"))
    except ValueError:
        return False
    bits = int.from_bytes(octets, "big").bit_length()
    return octets[:1] != b"\0" and _LEAST_BITS <= bits <= _MOST_BITS
