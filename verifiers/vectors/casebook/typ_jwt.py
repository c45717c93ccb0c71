"""Tokens with `typ` `JWT`, with and without the option that accepts them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from casebook.accepted import CLIENT_CLAIMS, CLIENT_SAYS
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
from casebook.claims import NO_STRINGS
from casebook.forge import Forge
from casebook.header import TYPES
from casebook.text import ABSENT, Text, change, first, shown, signing_input

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
"""The claims of an ID token, with this API as its audience, which must not be a client."""

ID_TOKENS: list[tuple[str, Members, str]] = [
    ("an ID token", ID_TOKEN, "wrong_type"),
    ("an ID token without nonce", change(ID_TOKEN, nonce=ABSENT), "wrong_type"),
    ("an ID token without at_hash", change(ID_TOKEN, at_hash=ABSENT), "wrong_type"),
    ("an ID token without nonce and at_hash", change(ID_TOKEN, nonce=ABSENT, at_hash=ABSENT),
     "invalid_claim"),
    ("an ID token with what an access token has besides",
     change(ID_TOKEN, jti="token-1", client_id="web", scope="tasks:read", user_id=USER),
     "wrong_type"),
]

REFUSED_AS_EVER: list[tuple[str, Members, str]] = [
    ("iss that is another", {"iss": "https://evil.example"}, "wrong_issuer"),
    ("aud that is another", {"aud": "https://other.example.test"}, "wrong_audience"),
    ("exp of a minute ago", {"exp": NOW - 60}, "expired"),
    ("iat in an hour", {"iat": NOW + 3600}, "not_yet_valid"),
    ("sub missing", {"sub": ABSENT, "user_id": ABSENT}, "invalid_claim"),
    ("client_id empty", {"client_id": ""}, "invalid_claim"),
    ("jti empty", {"jti": ""}, "invalid_claim"),
    ("user_id that is another's", {"user_id": "bob"}, "invalid_claim"),
]

SEVERAL_FAULTS: list[tuple[str, Members, str]] = [
    ("a nonce before a missing scope", {"nonce": "n", "scope": ABSENT}, "wrong_type"),
    ("an at_hash before another audience", {"at_hash": "AAAA", "aud": "x"}, "wrong_type"),
    ("a missing client_id before another issuer", {"client_id": ABSENT, "iss": "x"},
     "invalid_claim"),
    ("a missing jti before another audience", {"jti": ABSENT, "aud": "x"}, "invalid_claim"),
    ("a missing scope before another issuer", {"scope": ABSENT, "iss": "x"}, "invalid_claim"),
]


def cases(forge: Forge) -> Iterator[Case]:
    """All with the option, except where the name of a case says otherwise."""
    yield from access_tokens(forge)
    yield from without_the_option(forge)
    yield from other_types(forge)
    yield from claims_of_access_tokens(forge)
    yield from claims_of_id_tokens(forge)
    yield from everything_else(forge)
    yield from several_faults(forge)


def passes(
    name: str, why: str, token: str, says: Members | None = None, **own: Any
) -> Case:
    """A token that the option accepts."""
    return accepted(f"typ JWT allowed: {name}", why, token, says, accept_typ_jwt=True, **own)


def fails(name: str, why: str, token: str, error: str, **own: Any) -> Case:
    """A token that is refused even with the option."""
    return refused(f"typ JWT allowed: {name}", why, token, error, accept_typ_jwt=True, **own)


def with_claims(forge: Forge, claims: Text) -> str:
    """A genuine token with `typ` `JWT` and these claims."""
    return forge.token(JWT, claims)


def access_tokens(forge: Forge) -> Iterator[Case]:
    """Access tokens for audiences with `typ` `JWT`, and for other audiences."""
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
        "a token of a client's own is accepted", "RFC 6749 section 4.4",
        with_claims(forge, CLIENT_CLAIMS), CLIENT_SAYS,
    )
    yield passes(
        "an empty scope is accepted", "a string",
        with_claims(forge, change(CLAIMS, scope="")), {"scope": ""},
    )
    yield passes(
        "claim names are told apart by case", "RFC 7519 section 10.1.1",
        with_claims(forge, change(CLAIMS, Nonce="n", AT_HASH="AAAA")),
    )
    why = "nothing more is asked of at+jwt than without the option"
    yield passes(
        "typ at+jwt needs no scope", why, forge.claims(change(CLAIMS, scope=ABSENT)), {"scope": ""}
    )
    for claim in ["nonce", "at_hash"]:
        yield passes(
            f"typ at+jwt may have {claim}", why, forge.claims(change(CLAIMS, **{claim: "AAAA"}))
        )


def without_the_option(forge: Forge) -> Iterator[Case]:
    """Without the option, only `at+jwt` is accepted, whatever the claims are."""
    why = "RFC 9068 section 4: at+jwt, unless set"
    for typ in NAMES:
        yield refused(
            f"an access token with typ {typ}", why,
            forge.token(change(HEADER, typ=typ), change(CLAIMS, status=STATUS)), "wrong_type",
            status_lists={LIST_URI: forge.list_token()},
        )
    yield refused(
        "an access token with typ JWT where the option is off", why, forge.token(JWT),
        "wrong_type", accept_typ_jwt=False,
    )


def other_types(forge: Forge) -> Iterator[Case]:
    """Types that are neither `JWT` nor `at+jwt`."""
    for value in OTHER_NAMES:
        yield fails(
            f"typ {shown(value)}", "RFC 8725 section 3.11: at+jwt or JWT",
            forge.token(change(HEADER, typ=value)), "wrong_type",
        )
    yield fails(
        "typ only in __proto__", "RFC 8725 section 3.11: typ is missing",
        forge.token(first(change(HEADER, typ=ABSENT), '"__proto__":{"typ":"JWT"}')), "wrong_type",
    )
    yield fails(
        "a status list with typ JWT", "draft-ietf-oauth-status-list section 5.1",
        with_claims(forge, change(CLAIMS, status=STATUS)), "status_unavailable",
        status_lists={LIST_URI: forge.list_token(header=change(LIST_HEADER, typ="JWT"))},
    )


def claims_of_access_tokens(forge: Forge) -> Iterator[Case]:
    """`client_id`, `jti` and `scope` must be strings."""
    why = "RFC 8725 section 3.12: what an ID token lacks must be there"
    for claim in ["client_id", "jti", "scope"]:
        for value in [ABSENT, *NO_STRINGS]:
            yield fails(
                f"{claim} {shown(value)}", why,
                with_claims(forge, change(CLAIMS, **{claim: value})), "invalid_claim",
            )
        yield fails(
            f"{claim} only in __proto__", why,
            with_claims(forge, first(
                change(CLAIMS, **{claim: ABSENT}), f'"__proto__":{{"{claim}":"web"}}'
            )),
            "invalid_claim",
        )


def claims_of_id_tokens(forge: Forge) -> Iterator[Case]:
    """`nonce` and `at_hash` must be absent."""
    why = "RFC 8725 section 3.12: what an ID token has must not be there"
    for claim in ["nonce", "at_hash"]:
        for value in ["AAAA", "", *NO_STRINGS]:
            yield fails(
                f"{claim} {shown(value)}", f"{why}; null is not absent",
                with_claims(forge, change(CLAIMS, **{claim: value})), "wrong_type",
            )
        yield fails(
            f"{claim} written with an escape", why,
            with_claims(forge, first(CLAIMS, f'"\\u{ord(claim[0]):04x}{claim[1:]}":"AAAA"')),
            "wrong_type",
        )
    for name, claims, error in ID_TOKENS:
        yield fails(name, why, with_claims(forge, claims), error)
    yield fails(
        "an ID token of a client's", why,
        with_claims(forge, change(ID_TOKEN, aud="web")), "wrong_type",
    )


def everything_else(forge: Forge) -> Iterator[Case]:
    """All other checks are the same as for `at+jwt`."""
    for name, changes, error in REFUSED_AS_EVER:
        yield fails(
            name, "every other check is as ever",
            with_claims(forge, change(CLAIMS, **changes)), error,
        )
    yield fails(
        "a token signed by a stranger", "RFC 7515 section 5.2",
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
    """Tokens with several faults: the first failing step determines the error."""
    why = "the order of the steps"
    for name, changes, error in SEVERAL_FAULTS:
        yield fails(name, why, with_claims(forge, change(CLAIMS, **changes)), error)
    yield fails(
        "a signature that is not valid before a nonce", why,
        f"{signing_input(JWT, change(CLAIMS, nonce='n'))}.AAAA", "bad_signature",
    )
