"""Tokens that a verifier must accept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from casebook.case import (
    AUDIENCE,
    CLAIMS,
    HEADER,
    LEEWAY,
    LIST_URI,
    NOW,
    STATUS,
    Case,
    Members,
    accepted,
)
from casebook.forge import Forge
from casebook.text import ABSENT, Text, base64url, change, compact, nested, prepend, with_raw

CLIENT_CLAIMS = change(
    CLAIMS, sub="worker", client_id="worker", user_id=ABSENT, email=ABSENT, sid=ABSENT,
    auth_time=ABSENT,
)
CLIENT_RESULT: Members = {
    "subject": "worker", "user_id": None, "client_id": "worker", "session_id": None,
    "email": None, "auth_time": None,
}
"""How the result of a client credentials token differs from `RESULT`."""

OTHER_AUDIENCE = "https://other.example.test"
UNICODE = "användare ✓ 𝄞"

TYPES = ["AT+JWT", "At+Jwt", "application/at+jwt", "Application/AT+JWT"]

HEADERS: list[tuple[str, str, Text]] = [
    ("unknown parameters are ignored", "RFC 7515 section 4",
     change(HEADER, cty="x", nonce="n", x5t="AAAA", **{"x5t#S256": "AAAA", "later": [{}]})),
    ("parameter names are case-sensitive", "RFC 7515 section 4",
     change(HEADER, JWK={}, Crit=["exp"], B64=False, ALG="none", Kid="key-2")),
    ("parameters named like members of every JavaScript object are ignored", "RFC 7515 section 4",
     change(HEADER, constructor=1, toString=2, hasOwnProperty=3)),
    ("a parameter __proto__ is ignored", "RFC 7515 section 4",
     prepend(HEADER, '"__proto__":{"alg":"none","jwk":{}}')),
    ("a header with white space is accepted", "RFC 8259 section 2",
     ' {\n\t"kid" : "key-1" ,\r\n "alg":"RS256", "typ":"at+jwt" } \n'),
    ("a header with escapes is accepted", "RFC 8259 section 7",
     r'{"\u0061lg":"\u0052S256","typ":"at\u002bjwt","k\u0069d":"key\u002D1"}'),
    ("a header with its members in another order is accepted", "RFC 8259 section 4",
     change(change(HEADER, typ=ABSENT), typ="at+jwt")),
]
"""Name of the case, why, and header."""

CHANGES: list[tuple[str, str, Members, Members]] = [
    ("aud may be a list with one member", "RFC 7519 section 4.1.3", {"aud": [AUDIENCE]}, {}),
    ("aud may also name other audiences", "RFC 7519 section 4.1.3",
     {"aud": [OTHER_AUDIENCE, AUDIENCE]}, {}),
    ("aud may name the audience twice", "RFC 7519 section 4.1.3",
     {"aud": [AUDIENCE, AUDIENCE]}, {}),
    ("unknown claims are ignored", "RFC 7519 section 4",
     {"act": {"sub": "x", "n": [1.5, None, {"a": -1}]}, "azp": 7, "nonce": None}, {}),
    ("claim names are case-sensitive", "RFC 7519 section 10.1.1",
     {"Sub": "bob", "EXP": 1, "User_id": "bob", "Status": 7}, {}),
    ("claims named like members of every JavaScript object are ignored", "RFC 7519 section 4",
     {"constructor": 1, "toString": 2}, {}),
    ("a claim with an empty name is ignored", "RFC 8259 section 4", {"": "x"}, {}),
    ("a name may occur in several objects", "RFC 7519 section 4",
     {"x": [{"sub": 1}, {"sub": 2, "x": {"sub": 3}}]}, {}),
    ("two hundred lists side by side do not count as nesting", "the maximum depth is 127",
     {"x": [[], {}] * 100}, {}),
    ("two hundred brackets in a string do not count as nesting", "the maximum depth is 127",
     {"x": "[{" * 100 + '\\"' + "[" * 200}, {}),
    ("email, sid and scope may be absent", "optional claims",
     {"email": ABSENT, "sid": ABSENT, "scope": ABSENT},
     {"email": None, "session_id": None, "scope": ""}),
    ("email, sid and scope may be empty", "optional strings",
     {"email": "", "sid": "", "scope": ""}, {"email": "", "session_id": "", "scope": ""}),
    ("auth_time may be absent", "RFC 9068 section 2.2.1: optional",
     {"auth_time": ABSENT}, {"auth_time": None}),
    ("auth_time may be 0", "whole seconds from 0",
     {"auth_time": 0}, {"auth_time": 0}),
    ("a token without user_id is a client credentials token, whatever its sub is",
     "only users' tokens have user_id", {"user_id": ABSENT}, {"user_id": None}),
    ("non-ASCII text is preserved", "RFC 8259 section 8.1: UTF-8",
     {"sub": UNICODE, "user_id": UNICODE, "email": "alïce@exämple.test", "scope": "läsa ✓"},
     {"subject": UNICODE, "user_id": UNICODE, "email": "alïce@exämple.test", "scope": "läsa ✓"}),
]
"""Name of the case, why, changes to the claims, and changes to the result."""

TIMES: list[tuple[str, Members, Members]] = [
    ("exp in the last second of the leeway", {"exp": NOW - LEEWAY + 1},
     {"expires_at": NOW - LEEWAY + 1}),
    ("exp of the largest valid time", {"exp": 2**53 - 1}, {"expires_at": 2**53 - 1}),
    ("iat at the end of the leeway", {"iat": NOW + LEEWAY}, {"issued_at": NOW + LEEWAY}),
    ("iat 0", {"iat": 0}, {"issued_at": 0}),
    ("nbf at the end of the leeway", {"nbf": NOW + LEEWAY}, {}),
    ("nbf 0", {"nbf": 0}, {}),
    ("auth_time in the future", {"auth_time": NOW + 900}, {"auth_time": NOW + 900}),
]
"""Name of the case, changes to the claims, and changes to the result."""


def cases(forge: Forge) -> Iterator[Case]:
    """Yields whole tokens, headers, claims, settings, and values just within a limit."""
    yield from whole_tokens(forge)
    yield from headers(forge)
    yield from claims(forge)
    yield from settings(forge)
    yield from times(forge)
    yield from sizes(forge)


def whole_tokens(forge: Forge) -> Iterator[Case]:
    """Yields tokens as Signet issues them."""
    yield accepted(
        "a user's token is accepted", "RFC 9068 section 2.2",
        forge.claims(change(CLAIMS, status=STATUS)), status_lists={LIST_URI: forge.list_token()},
    )
    yield accepted(
        "a client credentials token is accepted without a status list",
        "RFC 6749 section 4.4: neither user_id nor status",
        forge.claims(CLIENT_CLAIMS), CLIENT_RESULT,
    )
    yield accepted(
        "a user's token without the claim status needs no status list",
        "draft-ietf-oauth-status-list section 6.1: the claim is optional", forge.token(),
    )
    yield accepted(
        "a token signed by the second key of the set is accepted",
        "RFC 7517 section 4.5: kid selects the key",
        forge.token(change(HEADER, kid="key-2"), key=forge.second),
    )
    yield accepted(
        "a token with only the required claims is accepted", "RFC 9068 section 2.2",
        forge.claims(change(CLIENT_CLAIMS, scope=ABSENT)), {**CLIENT_RESULT, "scope": ""},
    )


def headers(forge: Forge) -> Iterator[Case]:
    """Yields tokens with valid headers."""
    for typ in TYPES:
        yield accepted(
            f"typ {typ} is accepted", "RFC 9068 section 4, RFC 7515 section 4.1.9: media types",
            forge.token(change(HEADER, typ=typ)),
        )
    for name, why, header in HEADERS:
        yield accepted(name, why, forge.token(header))


def claims(forge: Forge) -> Iterator[Case]:
    """Yields tokens with valid claims."""
    for name, why, changes, differences in CHANGES:
        yield accepted(name, why, forge.claims(change(CLAIMS, **changes)), differences)
    yield accepted(
        "escapes in text are decoded", "RFC 8259 section 7",
        forge.claims(with_raw(change(CLAIMS, sub="𝄞é"), "user_id", r'"\ud834\udd1e\u00e9"')),
        {"subject": "𝄞é", "user_id": "𝄞é"},
    )
    yield accepted(
        "a claim __proto__ is ignored", "RFC 7519 section 4",
        forge.claims(prepend(CLAIMS, '"__proto__":{"user_id":"bob","status":7}')),
    )
    yield accepted(
        "names that only look alike are different names",
        "RFC 8259 section 8.3: compared by code unit",
        forge.claims(prepend(CLAIMS, r'"\u00e9":1,"e\u0301":2')),
    )


def settings(forge: Forge) -> Iterator[Case]:
    """Yields tokens that are valid only with other settings of the verifier."""
    audience = "urn:example:reports"
    yield accepted(
        "another audience is accepted if the verifier is configured for it",
        "aud names the audience",
        forge.claims(change(CLAIMS, aud=audience)), audience=audience,
    )
    issuer = "https://other.example.test/a"
    yield accepted(
        "another issuer is accepted if the verifier is configured for it", "iss is the issuer",
        forge.claims(change(CLAIMS, iss=issuer)), issuer=issuer,
    )


def times(forge: Forge) -> Iterator[Case]:
    """Yields tokens with times just within a limit."""
    for name, changes, differences in TIMES:
        yield accepted(
            f"{name} is accepted",
            "RFC 7519 sections 4.1.4 to 4.1.6: now < exp + leeway, iat <= now + leeway",
            forge.claims(change(CLAIMS, **changes)), differences,
        )
    late = 2**32 + 5
    yield accepted(
        "times after 2106 are accepted", "times may have more than 32 bits",
        forge.claims(change(CLAIMS, iat=late, exp=late + 900, auth_time=late)),
        {"issued_at": late, "expires_at": late + 900, "auth_time": late}, now=late,
    )


def sizes(forge: Forge) -> Iterator[Case]:
    """Yields tokens of the maximum size and depth."""
    yield accepted("a token of exactly 8 KiB is accepted", "at most 8 KiB", padded(forge, 8192))
    deep = f'"x":{nested(126)}'
    yield accepted(
        "a header with a depth of 127 is accepted", "the maximum depth is 127",
        forge.token(prepend(HEADER, deep)),
    )
    yield accepted(
        "a payload with a depth of 127 is accepted", "the maximum depth is 127",
        forge.claims(prepend(CLAIMS, deep)),
    )


def padded(forge: Forge, length: int) -> str:
    """Returns a genuine token of this length.

    Raises:
        AssertionError: No token has this length.
    """
    # Lengthens the header if the payload alone cannot produce this length.
    for spare in range(3):
        header: dict[str, Any] = change(HEADER, pad="x" * spare)
        room = length - len(f"{base64url(header)}..{base64url(bytes(256))}")
        pad = room * 3 // 4 - len(compact(change(CLAIMS, pad="")))
        token = forge.token(header, change(CLAIMS, pad="x" * pad))
        if len(token) == length:
            return token
    raise AssertionError(f"no token has {length} bytes")
