"""Genuine tokens with invalid claims."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from casebook.case import AUDIENCE, CLAIMS, ISSUER, LEEWAY, NOW, USER, Case, Members, refused
from casebook.forge import Forge
from casebook.text import ABSENT, change, label, prepend, with_raw

NOT_STRINGS: list[Any] = [None, 7, True, ["a"], {}]
"""Values that are not strings."""

OTHER_ISSUERS = [
    ("with a trailing slash", f"{ISSUER}/"),
    ("in upper case", ISSUER.upper()),
    ("with its host in upper case", ISSUER.replace("id", "ID")),
    ("with another scheme", ISSUER.replace("https", "http")),
    ("with an explicit port", f"{ISSUER}:443"),
    ("with a longer host name", f"{ISSUER}.evil.test"),
    ("without its last character", ISSUER[:-1]),
    ("with a leading space", f" {ISSUER}"),
    ("with a trailing NUL", f"{ISSUER}\0"),
    ("with a look-alike letter", ISSUER.replace("e", "\u0435", 1)),
    ("of another issuer", "https://evil.example"),
]

OTHER_AUDIENCES: list[Any] = [
    "https://other.example.test", ["https://other.example.test"], [], "", [""],
    f"{AUDIENCE}/", AUDIENCE.upper(), AUDIENCE[:-1], f"{AUDIENCE}.evil.test",
    f"{AUDIENCE} https://other.example.test", f"{AUDIENCE},x", "*", ISSUER,
]

INVALID_AUDIENCES: list[Any] = [
    ABSENT, None, True, 7, {AUDIENCE: 1}, [AUDIENCE, 7], [None, AUDIENCE], [[AUDIENCE]],
    [{"aud": AUDIENCE}, AUDIENCE],
]

TIMES = [("exp", NOW + 900), ("iat", NOW), ("nbf", NOW), ("auth_time", NOW)]
"""The claims that are times in seconds, with a valid value for each."""

INVALID_TIMES = [
    "-1", "-0", str(2**53), str(2**63), str(2**64 + NOW), f"{NOW}.5", f"{NOW}.0",
    f"{NOW}.0000000001", "1.8e9", "1e300", "-1e300", "1e-300",
]
"""JSON numbers that are not valid times."""

OTHER_USERS = [
    ("of another user", USER, "bob"),
    ("that is empty", USER, ""),
    ("in upper case", USER, USER.upper()),
    ("with a trailing space", USER, f"{USER} "),
    ("with a trailing NUL", USER, f"{USER}\0"),
    ("that is a prefix of sub", USER, USER[:-1]),
    ("that equals sub only after Unicode composition", "\u00e9", "e\u0301"),
    ("that equals sub only after width folding", "bob", "\uff42\uff4f\uff42"),
]
"""Name of the case, `sub`, `user_id`."""

SEVERAL_FAULTS: list[tuple[str, Members, str]] = [
    ("wrong issuer and wrong audience: the issuer is reported", {"iss": "x", "aud": "x"},
     "wrong_issuer"),
    ("wrong audience and expired: the audience is reported", {"aud": "x", "exp": 1},
     "wrong_audience"),
    ("expired and not yet valid: expiry is reported", {"exp": 1, "iat": NOW + 900}, "expired"),
    ("not yet valid and without jti: not yet valid is reported",
     {"iat": NOW + 900, "jti": ABSENT}, "not_yet_valid"),
    ("iat in the future and nbf not a number: not yet valid is reported",
     {"iat": NOW + 900, "nbf": "1"}, "not_yet_valid"),
]


def cases(forge: Forge) -> Iterator[Case]:
    """Yields tokens with one fault, and finally tokens with two faults."""
    yield from issuers(forge)
    yield from audiences(forge)
    yield from expired_and_future(forge)
    yield from times(forge)
    yield from texts(forge)
    yield from users(forge)
    for name, changes, error in SEVERAL_FAULTS:
        yield refused(
            name, "the first failing step determines the error",
            forge.claims(change(CLAIMS, **changes)), error,
        )


def issuers(forge: Forge) -> Iterator[Case]:
    """Yields tokens whose `iss` is not the issuer, byte for byte."""
    for name, iss in OTHER_ISSUERS:
        yield refused(
            f"iss {name}", "RFC 8725 section 3.8: compared byte for byte",
            forge.claims(change(CLAIMS, iss=iss)), "wrong_issuer",
        )
    for value in [ABSENT, "", *NOT_STRINGS, [ISSUER]]:
        yield refused(
            f"iss {label(value)}", "RFC 9068 section 2.2: a string that is not empty",
            forge.claims(change(CLAIMS, iss=value)), "invalid_claim",
        )
    yield refused(
        "iss of the default issuer if the verifier is configured for another one",
        "iss is the issuer",
        forge.token(), "wrong_issuer", issuer="https://other.example.test",
    )


def audiences(forge: Forge) -> Iterator[Case]:
    """Yields tokens whose `aud` does not name the audience."""
    for value in OTHER_AUDIENCES:
        yield refused(
            f"aud {label(value)}", "RFC 7519 section 4.1.3, RFC 8725 section 3.9",
            forge.claims(change(CLAIMS, aud=value)), "wrong_audience",
        )
    for value in INVALID_AUDIENCES:
        yield refused(
            f"aud {label(value)}", "RFC 7519 section 4.1.3: a string or a list of strings",
            forge.claims(change(CLAIMS, aud=value)), "invalid_claim",
        )
    yield refused(
        "aud of the default audience if the verifier is configured for another one",
        "aud names the audience",
        forge.token(), "wrong_audience", audience="urn:example:reports",
    )


def expired_and_future(forge: Forge) -> Iterator[Case]:
    """Yields expired tokens, and tokens whose start is in the future."""
    for name, exp in [
        ("a minute ago", NOW - 60), ("at the end of the leeway", NOW - LEEWAY), ("0", 0),
    ]:
        yield refused(
            f"exp {name}", "RFC 7519 section 4.1.4: now < exp + leeway",
            forge.claims(change(CLAIMS, exp=exp)), "expired",
        )
    yield refused(
        "a token at the end of the leeway after exp", "RFC 7519 section 4.1.4",
        forge.token(), "expired", now=NOW + 900 + LEEWAY,
    )
    yield refused(
        "a token whose iat is 50 seconds in the future", "RFC 7519 section 4.1.6",
        forge.token(), "not_yet_valid", now=NOW - 60,
    )
    for claim in ["iat", "nbf"]:
        for name, time in [
            ("in an hour", NOW + 3600), ("a second after the leeway", NOW + LEEWAY + 1),
            ("of the largest valid time", 2**53 - 1),
        ]:
            yield refused(
                f"{claim} {name}", "RFC 7519 sections 4.1.5, 4.1.6: not after now + leeway",
                forge.claims(change(CLAIMS, **{claim: time})), "not_yet_valid",
            )


def times(forge: Forge) -> Iterator[Case]:
    """Yields tokens with values that are not valid times."""
    for claim, time in TIMES:
        required: list[Any] = [ABSENT] if claim in ("exp", "iat") else []
        wrong: list[Any] = [None, "", str(time), True, [time], {}]
        for value in required + wrong:
            yield refused(
                f"{claim} {label(value)}", "RFC 7519 section 2: NumericDate",
                forge.claims(change(CLAIMS, **{claim: value})), "invalid_claim",
            )
        for number in INVALID_TIMES:
            yield refused(
                f"{claim} {number}",
                "an integer from 0 to 2^53 - 1, written only with digits",
                forge.claims(with_raw(CLAIMS, claim, number)), "invalid_claim",
            )


def texts(forge: Forge) -> Iterator[Case]:
    """Yields tokens in which a string is missing, empty, or a value of another type."""
    for claim in ["sub", "jti", "client_id"]:
        # The token has no user_id, so that this claim is the only fault.
        members = change(CLAIMS, user_id=ABSENT)
        for value in [ABSENT, "", *NOT_STRINGS]:
            yield refused(
                f"{claim} {label(value)}", "RFC 9068 section 2.2: a string that is not empty",
                forge.claims(change(members, **{claim: value})), "invalid_claim",
            )
    for claim in ["user_id", "email", "sid", "scope"]:
        for value in NOT_STRINGS:
            yield refused(
                f"{claim} {label(value)}", "an optional string; null is not absent",
                forge.claims(change(CLAIMS, **{claim: value})), "invalid_claim",
            )


def users(forge: Forge) -> Iterator[Case]:
    """Yields tokens whose `user_id` does not equal `sub`, and tokens without `sub`."""
    for name, sub, user_id in OTHER_USERS:
        yield refused(
            f"user_id {name}", "user_id equals sub, byte for byte",
            forge.claims(change(CLAIMS, sub=sub, user_id=user_id)), "invalid_claim",
        )
    yield refused(
        "sub and user_id that are the same number", "both must be strings",
        forge.claims(change(CLAIMS, sub=7, user_id=7)), "invalid_claim",
    )
    inherited = prepend(
        change(CLAIMS, sub=ABSENT, user_id=ABSENT), f'"__proto__":{{"sub":"{USER}"}}'
    )
    yield refused(
        "sub only in __proto__", "RFC 9068 section 2.2: sub is missing",
        forge.claims(inherited), "invalid_claim",
    )
