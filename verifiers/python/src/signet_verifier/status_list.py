"""Lists of the sessions that have ended (draft-ietf-oauth-status-list). No I/O and no clock."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from signet_verifier.checks import (
    Jws,
    Rules,
    check_header,
    optional,
    parse_jws,
    seconds,
)
from signet_verifier.encoding import decode_base64url
from signet_verifier.errors import TokenRefused

LARGEST_LIST = 2 * 1024 * 1024
"""In bytes, as fetched."""

LARGEST_INFLATED = 1024 * 1024
"""In bytes; a million sessions take an eighth of this."""

LONGEST_TTL = 24 * 3600.0
"""In seconds. A list is fetched again after a day, even if its `ttl` is longer."""

MEDIA_TYPE = "application/statuslist+jwt"

_TYPES = frozenset({"statuslist+jwt", MEDIA_TYPE})


@dataclass(frozen=True, slots=True)
class StatusList:
    """The statuses of many tokens, 1, 2, 4 or 8 bits each."""

    bits: int
    packed: bytes
    expires_at: int | None = None
    """`exp`, in seconds since 1970. The list must not be used after it, plus the leeway."""
    ttl: float | None = None
    """The number of seconds after which the list is fetched again."""

    def status(self, index: int) -> int | None:
        """0 is valid, 1 revoked, 2 suspended; `None` for an index beyond the end of the list."""
        octet, offset = divmod(index * self.bits, 8)
        if octet >= len(self.packed):
            return None
        return (self.packed[octet] >> offset) & ((1 << self.bits) - 1)


def parse_status_list_token(token: bytes) -> Jws:
    """Parses a fetched list and checks its header, so that its key can be looked up.

    Raises `TokenRefused`, like the checks below. The caller treats a refused list as unavailable.
    """
    jws = parse_jws(token, LARGEST_LIST)
    check_header(jws.header, _TYPES)
    return jws


def check_status_list(claims: Mapping[str, Any], uri: str, rules: Rules, now: float) -> StatusList:
    """Checks the claims of a list with a valid signature, and unpacks it."""
    if claims.get("sub") != uri:
        raise TokenRefused("invalid_claim", "sub")
    if claims.get("iss", rules.issuer) != rules.issuer:
        raise TokenRefused("wrong_issuer")
    if seconds(claims, "iat") > now + rules.leeway_seconds:
        raise TokenRefused("not_yet_valid")
    expires_at = optional(claims, "exp", seconds, None)
    if expires_at is not None and now >= expires_at + rules.leeway_seconds:
        raise TokenRefused("expired")
    ttl = optional(claims, "ttl", _duration, None)
    try:
        bits, packed = unpack(claims.get("status_list"))
    except ValueError as error:
        raise TokenRefused("invalid_claim", "status_list") from error
    return StatusList(bits, packed, expires_at, ttl)


def _duration(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or value <= 0:
        raise TokenRefused("invalid_claim", name)
    return min(value, LONGEST_TTL)


def unpack(status_list: object) -> tuple[int, bytes]:
    """Returns the bits per status, and the statuses, of the claim `status_list`. Raises
    `ValueError` if the claim is invalid."""
    match status_list:
        case {"bits": int(bits), "lst": str(lst)} if type(bits) is int and bits in (1, 2, 4, 8):
            return bits, _inflate(decode_base64url(lst.encode("ascii")))
    raise ValueError("not a status list")


def _inflate(compressed: bytes) -> bytes:
    """Inflates exactly one complete zlib stream, up to a maximum size."""
    stream = zlib.decompressobj()
    try:
        inflated = stream.decompress(compressed, LARGEST_INFLATED + 1)
    except zlib.error as error:
        raise ValueError("not a zlib stream") from error
    if len(inflated) > LARGEST_INFLATED or not stream.eof or stream.unused_data:
        raise ValueError("not one zlib stream of a fitting size")
    return inflated
