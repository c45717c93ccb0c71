"""Tokens with `typ` `JWT`, with and without the option that accepts them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from casebook.accepted import CLIENT_CLAIMS, CLIENT_RESULT
from casebook.case import (
    AUDIENCE,
    CLAIMS,
    HEADER,
    ISSUER,
    LIST_HEADER,
    LIST_URI,
    NOW,
    SESSION,
    STATUS,
    USER,
    Case,
    Members,
    accepted,
    refused,
)
from casebook.claims import NOT_STRINGS
from casebook.forge import Forge
from casebook.header import TYPES
from casebook.text import ABSENT, Text, change, label, prepend, signing_input

JWT = change(HEADER, typ="JWT")

NAMES = ["JWT", "jwt", "Jwt", "application/jwt", "application/JWT", "Application/Jwt"]
"""Forms of the media type `application/jwt`."""

OTHER_NAMES: list[Any] = [
    *(value for value in TYPES if value not in NAMES),
    "JWT ", " JWT", "JWT\0", "JWTx", "JWT;v=1", "/JWT", "text/jwt", "application/",
    "application/application/jwt", "jwt+jwt", "at+jwt jwt", "JWS", "JOSE", ["JWT"], {"typ": "JWT"},
    "appl\u0131cat\u0131on/jwt", "\uff2a\uff37\uff34",
]

ID_TOKEN: Members = {
    "iss": ISSUER,
    "sub": USER,
    "aud": AUDIENCE,
    "exp": NOW + 900,
    "iat": NOW - 10,
    "auth_time": NOW - 60,
    "nonce": "n",
    "acr": "1",
    "amr": ["pwd"],
    "sid": SESSION,
    "at_hash": "77QmUPtjPfzWtF2AnpK9RQ",
    "email": "alice@example.test",
}
"""The claims of an ID token whose audience is the API. No real ID token has this audience."""

ID_TOKENS: list[tuple[str, Members, str]] = [
    ("an ID token", ID_TOKEN, "wrong_type"),
    ("an ID token without nonce", change(ID_TOKEN, nonce=ABSENT), "wrong_type"),
    ("an ID token without at_hash", change(ID_TOKEN, at_hash=ABSENT), "wrong_type"),
    ("an ID token without nonce and at_hash", change(ID_TOKEN, nonce=ABSENT, at_hash=ABSENT),
     "invalid_claim"),
    ("an ID token with all claims of an access token",
     change(ID_TOKEN, jti="token-1", client_id="web", scope="tasks:read", user_id=USER),
     "wrong_type"),
]

OTHER_FAULTS: list[tuple[str, Members, str]] = [
    ("iss of another issuer", {"iss": "https://evil.example"}, "wrong_issuer"),
    ("aud of another audience", {"aud": "https://other.example.test"}, "wrong_audience"),
    ("exp a minute ago", {"exp": NOW - 60}, "expired"),
    ("iat in an hour", {"iat": NOW + 3600}, "not_yet_valid"),
    ("sub missing", {"sub": ABSENT, "user_id": ABSENT}, "invalid_claim"),
    ("client_id empty", {"client_id": ""}, "invalid_claim"),
    ("jti empty", {"jti": ""}, "invalid_claim"),
    ("user_id of another user", {"user_id": "bob"}, "invalid_claim"),
]

SEVERAL_FAULTS: list[tuple[str, Members, str]] = [
    ("a nonce and no scope: nonce is reported", {"nonce": "n", "scope": ABSENT}, "wrong_type"),
    ("an at_hash and a wrong audience: at_hash is reported", {"at_hash": "AAAA", "aud": "x"},
     "wrong_type"),
    ("no client_id and a wrong issuer: client_id is reported", {"client_id": ABSENT, "iss": "x"},
     "invalid_claim"),
    ("no jti and a wrong audience: jti is reported", {"jti": ABSENT, "aud": "x"}, "invalid_claim"),
    ("no scope and a wrong issuer: scope is reported", {"scope": ABSENT, "iss": "x"},
     "invalid_claim"),
]


def cases(forge: Forge) -> Iterator[Case]:
    """Yields cases with the option, and some cases without the option."""
    yield from access_tokens(forge)
    yield from without_the_option(forge)
    yield from other_types(forge)
    yield from claims_of_access_tokens(forge)
    yield from claims_of_id_tokens(forge)
    yield from other_checks(forge)
    yield from several_faults(forge)


def passes(
    name: str, why: str, token: str, differences: Members | None = None, **settings: Any
) -> Case:
    """Returns a case of a token that is accepted with the option."""
    name = f"typ JWT allowed: {name}"
    return accepted(name, why, token, differences, accept_typ_jwt=True, **settings)


def fails(name: str, why: str, token: str, error: str, **settings: Any) -> Case:
    """Returns a case of a token that is refused even with the option."""
    name = f"typ JWT allowed: {name}"
    return refused(name, why, token, error, accept_typ_jwt=True, **settings)


def with_claims(forge: Forge, claims: Text) -> str:
    """Returns a genuine token with `typ` `JWT` and these claims."""
    return forge.token(JWT, claims)


def access_tokens(forge: Forge) -> Iterator[Case]:
    """Yields access tokens for audiences with `typ` `JWT`, and for other audiences."""
    why = "RFC 7519 section 5.1, RFC 7515 section 4.1.9: media types"
    for typ in NAMES:
        yield passes(
            f"typ {typ} is accepted", why, forge.token(change(HEADER, typ=typ))
        )
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt"]:
        yield passes(
            f"typ {typ} is accepted", "RFC 9068 section 4", forge.token(change(HEADER, typ=typ))
        )
    yield passes(
        "a token with a status is accepted", "draft-ietf-oauth-status-list section 6.1",
        with_claims(forge, change(CLAIMS, status=STATUS)),
        status_lists={LIST_URI: forge.list_token()},
    )
    yield passes(
        "a client credentials token is accepted", "RFC 6749 section 4.4",
        with_claims(forge, CLIENT_CLAIMS), CLIENT_RESULT,
    )
    yield passes(
        "an empty scope is accepted", "scope is a string",
        with_claims(forge, change(CLAIMS, scope="")), {"scope": ""},
    )
    yield passes(
        "claim names are case-sensitive", "RFC 7519 section 10.1.1",
        with_claims(forge, change(CLAIMS, Nonce="n", AT_HASH="AAAA")),
    )
    why = "the option adds no requirement for at+jwt"
    yield passes(
        "typ at+jwt needs no scope", why, forge.claims(change(CLAIMS, scope=ABSENT)), {"scope": ""}
    )
    for claim in ["nonce", "at_hash"]:
        yield passes(
            f"typ at+jwt may have {claim}", why, forge.claims(change(CLAIMS, **{claim: "AAAA"}))
        )


def without_the_option(forge: Forge) -> Iterator[Case]:
    """Yields tokens that are refused without the option, which accepts only `at+jwt`."""
    why = "RFC 9068 section 4: without the option, only at+jwt"
    for typ in NAMES:
        yield refused(
            f"an access token with typ {typ}", why,
            forge.token(change(HEADER, typ=typ), change(CLAIMS, status=STATUS)), "wrong_type",
            status_lists={LIST_URI: forge.list_token()},
        )
    yield refused(
        "an access token with typ JWT if the option is off", why, forge.token(JWT),
        "wrong_type", accept_typ_jwt=False,
    )


def other_types(forge: Forge) -> Iterator[Case]:
    """Yields tokens with types that are neither `JWT` nor `at+jwt`."""
    for value in OTHER_NAMES:
        yield fails(
            f"typ {label(value)}", "RFC 8725 section 3.11: at+jwt or JWT",
            forge.token(change(HEADER, typ=value)), "wrong_type",
        )
    yield fails(
        "typ only in __proto__", "RFC 8725 section 3.11: typ is missing",
        forge.token(prepend(change(HEADER, typ=ABSENT), '"__proto__":{"typ":"JWT"}')), "wrong_type",
    )
    yield fails(
        "a status list with typ JWT", "draft-ietf-oauth-status-list section 5.1",
        with_claims(forge, change(CLAIMS, status=STATUS)), "status_unavailable",
        status_lists={LIST_URI: forge.list_token(header=change(LIST_HEADER, typ="JWT"))},
    )


def claims_of_access_tokens(forge: Forge) -> Iterator[Case]:
    """Yields tokens in which `client_id`, `jti` or `scope` is not a string."""
    why = "RFC 8725 section 3.12: claims that an ID token lacks are required"
    for claim in ["client_id", "jti", "scope"]:
        for value in [ABSENT, *NOT_STRINGS]:
            yield fails(
                f"{claim} {label(value)}", why,
                with_claims(forge, change(CLAIMS, **{claim: value})), "invalid_claim",
            )
        yield fails(
            f"{claim} only in __proto__", why,
            with_claims(forge, prepend(
                change(CLAIMS, **{claim: ABSENT}), f'"__proto__":{{"{claim}":"web"}}'
            )),
            "invalid_claim",
        )


def claims_of_id_tokens(forge: Forge) -> Iterator[Case]:
    """Yields tokens with `nonce` or `at_hash`, and ID tokens."""
    why = "RFC 8725 section 3.12: claims that only an ID token has are refused"
    for claim in ["nonce", "at_hash"]:
        for value in ["AAAA", "", *NOT_STRINGS]:
            yield fails(
                f"{claim} {label(value)}", f"{why}; null is not absent",
                with_claims(forge, change(CLAIMS, **{claim: value})), "wrong_type",
            )
        yield fails(
            f"{claim} written with an escape", why,
            with_claims(forge, prepend(CLAIMS, f'"\\u{ord(claim[0]):04x}{claim[1:]}":"AAAA"')),
            "wrong_type",
        )
    for name, claims, error in ID_TOKENS:
        yield fails(name, why, with_claims(forge, claims), error)
    yield fails(
        "an ID token for a client", why,
        with_claims(forge, change(ID_TOKEN, aud="web")), "wrong_type",
    )


def other_checks(forge: Forge) -> Iterator[Case]:
    """Yields tokens that fail a check which is the same as for `at+jwt`."""
    for name, changes, error in OTHER_FAULTS:
        yield fails(
            name, "all other checks are the same as for at+jwt",
            with_claims(forge, change(CLAIMS, **changes)), error,
        )
    yield fails(
        "a token signed by an attacker's key", "RFC 7515 section 5.2",
        forge.token(JWT, key=forge.stranger), "bad_signature",
    )
    yield fails(
        "alg none", "RFC 8725 section 3.1", forge.token(change(JWT, alg="none")),
        "unsupported_algorithm",
    )
    yield fails(
        "an unknown key", "RFC 7517 section 4.5", forge.token(change(JWT, kid="key-3")),
        "unknown_key",
    )


def several_faults(forge: Forge) -> Iterator[Case]:
    """Yields tokens with several faults. The first failing step determines the error."""
    why = "the first failing step determines the error"
    for name, changes, error in SEVERAL_FAULTS:
        yield fails(name, why, with_claims(forge, change(CLAIMS, **changes)), error)
    yield fails(
        "an invalid signature and a nonce: the signature is reported", why,
        f"{signing_input(JWT, change(CLAIMS, nonce='n'))}.AAAA", "bad_signature",
    )
