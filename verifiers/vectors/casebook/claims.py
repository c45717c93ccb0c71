"""Genuine tokens with invalid claims."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from casebook.case import AUDIENCE, CLAIMS, ISSUER, LEEWAY, NOW, USER, Case, Members, refused
from casebook.forge import Forge
from casebook.text import ABSENT, change, first, shown, spelled

NO_STRINGS: list[Any] = [None, 7, True, ["a"], {}]
"""Values that are not valid for a claim that is a string."""

OTHER_ISSUERS = [
    ("with a slash at its end", f"{ISSUER}/"),
    ("in capitals", ISSUER.upper()),
    ("with its host in capitals", ISSUER.replace("id", "ID")),
    ("by another scheme", ISSUER.replace("https", "http")),
    ("with its port", f"{ISSUER}:443"),
    ("with more of a host", f"{ISSUER}.evil.test"),
    ("cut short", ISSUER[:-1]),
    ("after a space", f" {ISSUER}"),
    ("before a NUL", f"{ISSUER}\0"),
    ("with a letter that only looks alike", ISSUER.replace("e", "\u0435", 1)),
    ("that is another", "https://evil.example"),
]

OTHER_AUDIENCES: list[Any] = [
    "https://other.example.test", ["https://other.example.test"], [], "", [""],
    f"{AUDIENCE}/", AUDIENCE.upper(), AUDIENCE[:-1], f"{AUDIENCE}.evil.test",
    f"{AUDIENCE} https://other.example.test", f"{AUDIENCE},x", "*", ISSUER,
]

NO_AUDIENCES: list[Any] = [
    ABSENT, None, True, 7, {AUDIENCE: 1}, [AUDIENCE, 7], [None, AUDIENCE], [[AUDIENCE]],
    [{"aud": AUDIENCE}, AUDIENCE],
]

TIMES = [("exp", NOW + 900), ("iat", NOW), ("nbf", NOW), ("auth_time", NOW)]
"""The claims that are times in seconds, with a valid value for each."""

NO_SECONDS = [
    "-1", "-0", str(2**53), str(2**63), str(2**64 + NOW), f"{NOW}.5", f"{NOW}.0",
    f"{NOW}.0000000001", "1.8e9", "1e300", "-1e300", "1e-300",
]
"""JSON numbers that are not valid times."""

OTHER_USERS = [
    ("that is another's", USER, "bob"),
    ("that is empty", USER, ""),
    ("in capitals", USER, USER.upper()),
    ("with a space at its end", USER, f"{USER} "),
    ("with a NUL at its end", USER, f"{USER}\0"),
    ("that is a prefix", USER, USER[:-1]),
    ("that is equal only when composed", "\u00e9", "e\u0301"),
    ("that is equal only in width", "bob", "\uff42\uff4f\uff42"),
]
"""Name, `sub`, `user_id`."""

SEVERAL_FAULTS: list[tuple[str, Members, str]] = [
    ("another issuer before another audience", {"iss": "x", "aud": "x"}, "wrong_issuer"),
    ("another audience before an end that has passed", {"aud": "x", "exp": 1}, "wrong_audience"),
    ("an end that has passed before a start that has not come", {"exp": 1, "iat": NOW + 900},
     "expired"),
    ("a start that has not come before a missing claim", {"iat": NOW + 900, "jti": ABSENT},
     "not_yet_valid"),
    ("an issue that has not come before a start that is no number", {"iat": NOW + 900, "nbf": "1"},
     "not_yet_valid"),
]


def cases(forge: Forge) -> Iterator[Case]:
    """One fault each, except in the last group."""
    yield from issuers(forge)
    yield from audiences(forge)
    yield from passed_and_to_come(forge)
    yield from seconds(forge)
    yield from texts(forge)
    yield from users(forge)
    for name, changes, error in SEVERAL_FAULTS:
        yield refused(
            name, "the order of the steps", forge.claims(change(CLAIMS, **changes)), error
        )


def issuers(forge: Forge) -> Iterator[Case]:
    """`iss` is the issuer, byte for byte."""
    for name, iss in OTHER_ISSUERS:
        yield refused(
            f"iss {name}", "RFC 8725 section 3.8: compared byte for byte",
            forge.claims(change(CLAIMS, iss=iss)), "wrong_issuer",
        )
    for value in [ABSENT, "", *NO_STRINGS, [ISSUER]]:
        yield refused(
            f"iss {shown(value)}", "RFC 9068 section 2.2: a string that is not empty",
            forge.claims(change(CLAIMS, iss=value)), "invalid_claim",
        )
    yield refused(
        "iss of the usual issuer where the own is another", "iss is the issuer",
        forge.token(), "wrong_issuer", issuer="https://other.example.test",
    )


def audiences(forge: Forge) -> Iterator[Case]:
    """`aud` names the audience."""
    for value in OTHER_AUDIENCES:
        yield refused(
            f"aud {shown(value)}", "RFC 7519 section 4.1.3, RFC 8725 section 3.9",
            forge.claims(change(CLAIMS, aud=value)), "wrong_audience",
        )
    for value in NO_AUDIENCES:
        yield refused(
            f"aud {shown(value)}", "RFC 7519 section 4.1.3: a string or a list of strings",
            forge.claims(change(CLAIMS, aud=value)), "invalid_claim",
        )
    yield refused(
        "aud of the usual audience where the own is another", "aud names the audience",
        forge.token(), "wrong_audience", audience="urn:example:reports",
    )


def passed_and_to_come(forge: Forge) -> Iterator[Case]:
    """Expired times, and times in the future."""
    for name, exp in [
        ("of a minute ago", NOW - 60), ("at the end of the leeway", NOW - LEEWAY), ("0", 0),
    ]:
        yield refused(
            f"exp {name}", "RFC 7519 section 4.1.4: now < exp + leeway",
            forge.claims(change(CLAIMS, exp=exp)), "expired",
        )
    yield refused(
        "a token that was good a quarter of an hour ago", "RFC 7519 section 4.1.4",
        forge.token(), "expired", now=NOW + 900 + LEEWAY,
    )
    yield refused(
        "a token that will be good in a minute", "RFC 7519 section 4.1.6",
        forge.token(), "not_yet_valid", now=NOW - 60,
    )
    for claim in ["iat", "nbf"]:
        for name, second in [
            ("in an hour", NOW + 3600), ("a second past the leeway", NOW + LEEWAY + 1),
            ("as late as there is", 2**53 - 1),
        ]:
            yield refused(
                f"{claim} {name}", "RFC 7519 sections 4.1.5, 4.1.6: not after now + leeway",
                forge.claims(change(CLAIMS, **{claim: second})), "not_yet_valid",
            )


def seconds(forge: Forge) -> Iterator[Case]:
    """Values that are not valid times."""
    for claim, second in TIMES:
        required: list[Any] = [ABSENT] if claim in ("exp", "iat") else []
        wrong: list[Any] = [None, "", str(second), True, [second], {}]
        for value in required + wrong:
            yield refused(
                f"{claim} {shown(value)}", "RFC 7519 section 2: NumericDate",
                forge.claims(change(CLAIMS, **{claim: value})), "invalid_claim",
            )
        for number in NO_SECONDS:
            yield refused(
                f"{claim} {number}",
                "whole seconds from 0 to below 2^53, written with digits alone",
                forge.claims(spelled(CLAIMS, claim, number)), "invalid_claim",
            )


def texts(forge: Forge) -> Iterator[Case]:
    """Strings that are missing or empty, and values of other types."""
    for claim in ["sub", "jti", "client_id"]:
        # Without user_id, so that this claim is the only fault.
        members = change(CLAIMS, user_id=ABSENT)
        for value in [ABSENT, "", *NO_STRINGS]:
            yield refused(
                f"{claim} {shown(value)}", "RFC 9068 section 2.2: a string that is not empty",
                forge.claims(change(members, **{claim: value})), "invalid_claim",
            )
    for claim in ["user_id", "email", "sid", "scope"]:
        for value in NO_STRINGS:
            yield refused(
                f"{claim} {shown(value)}", "a string, if there; null is not absent",
                forge.claims(change(CLAIMS, **{claim: value})), "invalid_claim",
            )


def users(forge: Forge) -> Iterator[Case]:
    """`user_id` equals `sub`."""
    for name, sub, user_id in OTHER_USERS:
        yield refused(
            f"user_id {name}", "user_id equals sub, byte for byte",
            forge.claims(change(CLAIMS, sub=sub, user_id=user_id)), "invalid_claim",
        )
    yield refused(
        "sub and user_id of the same number", "neither is a string",
        forge.claims(change(CLAIMS, sub=7, user_id=7)), "invalid_claim",
    )
    inherited = first(
        change(CLAIMS, sub=ABSENT, user_id=ABSENT), f'"__proto__":{{"sub":"{USER}"}}'
    )
    yield refused(
        "sub only in __proto__", "RFC 9068 section 2.2: sub is missing",
        forge.claims(inherited), "invalid_claim",
    )
