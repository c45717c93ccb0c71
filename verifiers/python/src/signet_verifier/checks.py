"""The checks of a token, without I/O and clock. No claim is used before the signature is verified.

1. size and shape, the header and the payload as JSON;
2. the header, which may name a key of the key set but not contain one;
3. the signature;
4. with `typ` `JWT`, if that is accepted, that it is not an ID token;
5. the claims;
6. the status that the token refers to.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeGuard, TypeVar

from signet_verifier.access_token import AccessToken
from signet_verifier.encoding import decode_base64url, parse_object
from signet_verifier.errors import RefusalCode, TokenRefused

LONGEST_TOKEN = 8 * 1024
"""In bytes; Signet's tokens have about one thousand."""

WHOLE_NUMBERS_END = 2**53
"""All languages represent whole numbers below this limit exactly."""

ACCESS_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})

JWT_TYPES = frozenset({"jwt", "application/jwt"})
"""The types of any JWT (RFC 7519 section 5.1), including ID tokens."""

# `crit` and `b64` change how a token is parsed; the other members contain a key or its URL.
_FORBIDDEN = frozenset({"crit", "b64", "jwk", "jku", "x5c", "x5u"})

_Members = Mapping[str, Any]
_T = TypeVar("_T")
_D = TypeVar("_D")


@dataclass(frozen=True, slots=True)
class Rules:
    """The expected values of an access token."""

    issuer: str
    audience: str
    leeway_seconds: float


class Jws(NamedTuple):
    """A compact JWS (RFC 7515 section 3.1), parsed but not yet verified."""

    header: _Members
    payload: _Members
    signed: bytes
    """Header and payload as sent: what the signature covers."""
    signature: bytes

    @property
    def kid(self) -> str:
        """The key id in the header; `parse_jws` has checked that it is present."""
        kid: str = self.header["kid"]
        return kid


class StatusReference(NamedTuple):
    """The location of a token's status (draft-ietf-oauth-status-list section 6.1)."""

    uri: str
    idx: int


def parse_jws(text: str | bytes, longest: int) -> Jws:
    """Parses `text`; refuses it as `malformed` if any part violates the strict syntax."""
    if len(text) > longest:
        raise TokenRefused("malformed")
    try:
        encoded = text.encode("ascii") if isinstance(text, str) else text
        signed, signature = encoded.rsplit(b".", 1)
        # A fourth part would leave a dot in the payload, which is not base64url.
        header, payload = signed.split(b".", 1)
        return Jws(
            header=_parse_header(header),
            payload=parse_object(decode_base64url(payload)),
            signed=signed,
            signature=decode_base64url(signature),
        )
    except ValueError as error:
        raise TokenRefused("malformed") from error


@lru_cache(maxsize=32)
def _parse_header(part: bytes) -> _Members:
    """Cached, since all tokens of one key have the same header."""
    header = parse_object(decode_base64url(part))
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise ValueError("names no key")
    return header


def check_header(header: _Members, types: frozenset[str]) -> str:
    """Returns the header's `typ`, one of `types`, in lower case.

    Parameters that are not checked here are ignored, as RFC 7515 section 4 requires.
    """
    if not _FORBIDDEN.isdisjoint(header):
        raise TokenRefused("forbidden_header")
    # The verifier chooses the algorithm, never the token (RFC 8725 section 3.1).
    if header.get("alg") != "RS256":
        raise TokenRefused("unsupported_algorithm")
    typ = header.get("typ")
    # Media types ignore case (RFC 7515 section 4.1.9).
    if not isinstance(typ, str) or typ.lower() not in types:
        raise TokenRefused("wrong_type")
    return typ.lower()


def check_no_id_token(claims: _Members) -> None:
    """Distinguishes an access token from an ID token by its claims, if `typ` does not.

    Signet's ID tokens lack `client_id`, `jti` and `scope`, and have `at_hash` and usually `nonce`
    (OpenID Connect Core sections 2, 3.1.3.6; RFC 8725 section 3.12).
    """
    if "nonce" in claims or "at_hash" in claims:
        raise TokenRefused("wrong_type")
    for name in ("client_id", "jti", "scope"):
        _any_text(claims, name)


def check_claims(
    claims: _Members, rules: Rules, now: float
) -> tuple[AccessToken, StatusReference | None]:
    """Checks the claims of an access token at `now`, in seconds since 1970."""
    if _text(claims, "iss") != rules.issuer:
        raise TokenRefused("wrong_issuer")
    if not _names_audience(claims, rules.audience):
        raise TokenRefused("wrong_audience")
    expires_at = seconds(claims, "exp")
    if now >= expires_at + rules.leeway_seconds:
        raise TokenRefused("expired")
    issued_at = seconds(claims, "iat")
    latest_start = now + rules.leeway_seconds
    if issued_at > latest_start or optional(claims, "nbf", seconds, 0) > latest_start:
        raise TokenRefused("not_yet_valid")
    subject = _text(claims, "sub")
    user_id = optional(claims, "user_id", _any_text, None)
    if user_id is not None and user_id != subject:
        raise TokenRefused("invalid_claim", "user_id")
    token = AccessToken(
        subject=subject,
        user_id=user_id,
        client_id=_text(claims, "client_id"),
        session_id=optional(claims, "sid", _any_text, None),
        scope=optional(claims, "scope", _any_text, ""),
        email=optional(claims, "email", _any_text, None),
        token_id=_text(claims, "jti"),
        issued_at=issued_at,
        expires_at=expires_at,
        auth_time=optional(claims, "auth_time", seconds, None),
    )
    return token, _status_reference(claims, rules.issuer)


def check_status(status: int | None) -> None:
    """Refuses every status except 0 (valid). `None` means an index beyond the end of the list."""
    if status == 0:
        return
    if status is None:
        raise TokenRefused("invalid_claim", "status")
    code: RefusalCode = "suspended" if status == 2 else "revoked"
    raise TokenRefused(code)


def seconds(claims: _Members, name: str) -> int:
    """A NumericDate in whole seconds. Fractions are refused because readers may round
    differently."""
    value = claims.get(name)
    if not _is_whole_number(value):
        raise TokenRefused("invalid_claim", name)
    return value


def optional(
    claims: _Members, name: str, read: Callable[[_Members, str], _T], default: _D
) -> _T | _D:
    """Reads a claim that may be absent; `null` does not count as absent."""
    return read(claims, name) if name in claims else default


def _is_whole_number(value: object) -> TypeGuard[int]:
    """From 0 to below 2^53, written without a fraction. `True` is not a number."""
    return type(value) is int and 0 <= value < WHOLE_NUMBERS_END


def _names_audience(claims: _Members, audience: str) -> bool:
    """`aud` is a string or a list of strings (RFC 7519 section 4.1.3)."""
    named = claims.get("aud")
    if isinstance(named, str):
        return named == audience
    if isinstance(named, list) and all(isinstance(one, str) for one in named):
        return audience in named
    raise TokenRefused("invalid_claim", "aud")


def _status_reference(claims: _Members, issuer: str) -> StatusReference | None:
    if "status" not in claims:
        return None
    match claims["status"]:
        case {"status_list": {"idx": idx, "uri": str(uri)}} if (
            # Only lists of this issuer, so that a token cannot choose where requests are sent.
            _is_whole_number(idx) and uri.startswith(issuer + "/")
        ):
            return StatusReference(uri, idx)
    raise TokenRefused("invalid_claim", "status")


def _any_text(claims: _Members, name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        raise TokenRefused("invalid_claim", name)
    return value


def _text(claims: _Members, name: str) -> str:
    value = _any_text(claims, name)
    if not value:
        raise TokenRefused("invalid_claim", name)
    return value
