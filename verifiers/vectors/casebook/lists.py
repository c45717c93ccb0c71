"""Status list tokens: optional claims, headers, signatures and format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from casebook.case import (
    CLAIMS,
    ISSUER,
    LEEWAY,
    LIST_HEADER,
    LIST_URI,
    NOW,
    STATUS,
    Case,
    Members,
    accepted,
    refused,
)
from casebook.certificate import certificate
from casebook.forge import GENUINE_LIST, Forge, hmac_jws, jwk, jws, status_list
from casebook.text import (
    ABSENT,
    Text,
    base64url,
    change,
    compact,
    insert,
    label,
    nested,
    prepend,
    signing_input,
    to_bytes,
    with_raw,
    with_spaces,
    with_stray_bits,
)

VALID_CLAIMS: list[tuple[str, Text]] = [
    ("with only the required claims", change(GENUINE_LIST, iss=ABSENT, exp=ABSENT, ttl=ABSENT)),
    ("without exp", change(GENUINE_LIST, exp=ABSENT)),
    ("without ttl", change(GENUINE_LIST, ttl=ABSENT)),
    ("without iss", change(GENUINE_LIST, iss=ABSENT)),
    ("with a ttl of one second", change(GENUINE_LIST, ttl=1)),
    ("with a ttl of half a second", change(GENUINE_LIST, ttl=0.5)),
    ("with a ttl of 1e300 seconds", with_raw(GENUINE_LIST, "ttl", "1e300")),
    ("with exp in the last second of the leeway", change(GENUINE_LIST, exp=NOW - LEEWAY + 1)),
    ("with exp of the largest valid time", change(GENUINE_LIST, exp=2**53 - 1)),
    ("with iat at the end of the leeway", change(GENUINE_LIST, iat=NOW + LEEWAY)),
    ("with iat 0", change(GENUINE_LIST, iat=0)),
    ("with other claims", change(GENUINE_LIST, aud="x", nbf="x", jti=7, x={"y": [None]})),
]
"""Valid claims of a list."""

TYPES = ["STATUSLIST+JWT", "application/statuslist+jwt", "Application/StatusList+JWT"]

HEADERS: list[tuple[str, list[Any]]] = [
    ("typ", [
        ABSENT, None, "", "JWT", "at+jwt", "application/at+jwt", "statuslist+cwt",
        "statuslist+jwt ", "statuslist+jwt;v=1", "text/statuslist+jwt", 7, ["statuslist+jwt"],
        # A letter that becomes S when converted to upper case.
        "\u017ftatu\u017fli\u017ft+jwt",
    ]),
    ("alg", [
        ABSENT, None, "", "none", "rs256", "RS384", "PS256", "HS256", "ES256", ["RS256"],
    ]),
    ("kid", [ABSENT, None, "", 1, "key-3", "KEY-1", "__proto__"]),
    ("crit", [["exp"], []]),
    ("b64", [False, True, None]),
    ("jku", [f"{ISSUER}/.well-known/jwks.json"]),
    ("x5u", ["https://evil.example/chain.pem"]),
    ("jwk", [None]),
    ("x5c", [[]]),
]
"""Parameters, and the values that are invalid for each."""

PAYLOADS: list[tuple[str, Text]] = [
    ("with a payload that is a list", [GENUINE_LIST]),
    ("with a payload that is null", "null"),
    ("with bytes after the object in its payload", compact(GENUINE_LIST) + "x"),
    ("with a byte order mark in its payload", "\ufeff" + compact(GENUINE_LIST)),
    ("with a byte that is not UTF-8",
     to_bytes(prepend(GENUINE_LIST, '"x":"?"')).replace(b"?", b"\xff")),
    ("with NaN", prepend(GENUINE_LIST, '"x":NaN')),
    ("with sub twice", prepend(GENUINE_LIST, f'"sub":"{LIST_URI}"')),
    ("with status_list twice", prepend(GENUINE_LIST, '"status_list":{}')),
    ("with status_list twice, once with an escape",
     prepend(GENUINE_LIST, r'"status\u005flist":{}')),
    ("with lst twice", with_raw(
        GENUINE_LIST, "status_list", prepend(GENUINE_LIST["status_list"], '"lst":""'))),
    ("with bits twice", with_raw(
        GENUINE_LIST, "status_list", prepend(GENUINE_LIST["status_list"], '"bits":1'))),
    ("with a depth of 200", prepend(GENUINE_LIST, f'"x":{nested(199)}')),
]
"""Texts that are not a JSON object with unique names."""


def cases(forge: Forge) -> Iterator[Case]:
    """Yields genuine access tokens, whose list determines the result."""
    yield from valid_lists(forge)
    yield from unavailable_lists(forge)
    yield from headers(forge)
    yield from signatures(forge)
    yield from shapes(forge)


def token_with_status(forge: Forge) -> str:
    """Returns a genuine token that refers to an entry of the list."""
    return forge.claims(change(CLAIMS, status=STATUS))


def usable(forge: Forge, name: str, why: str, status_list: str) -> Case:
    """Returns a case of a list that is accepted."""
    return accepted(
        f"list {name}", why, token_with_status(forge), status_lists={LIST_URI: status_list}
    )


def unusable(forge: Forge, name: str, why: str, status_list: str | None) -> Case:
    """Returns a case of a list that is treated as unavailable."""
    return refused(
        f"list {name}", why, token_with_status(forge), "status_unavailable",
        status_lists={LIST_URI: status_list},
    )


def with_members(**members: Any) -> Members:
    """Returns the claims of a genuine list, with changed members of `status_list`."""
    return change(GENUINE_LIST, status_list=change(GENUINE_LIST["status_list"], **members))


def valid_lists(forge: Forge) -> Iterator[Case]:
    """Yields valid lists, with and without optional claims."""
    for name, claims in VALID_CLAIMS:
        yield usable(
            forge, f"{name} is accepted", "draft-ietf-oauth-status-list section 5.1",
            forge.list_token(claims),
        )
    for typ in TYPES:
        yield usable(
            forge, f"of typ {typ} is accepted", "RFC 7515 section 4.1.9: media types",
            forge.list_token(header=change(LIST_HEADER, typ=typ)),
        )
    yield usable(
        forge, "signed by the second key of the set is accepted", "RFC 7517 section 4.5",
        forge.list_token(header=change(LIST_HEADER, kid="key-2"), key=forge.second),
    )
    yield usable(
        forge, "with unknown parameters is accepted", "RFC 7515 section 4",
        forge.list_token(header=change(LIST_HEADER, cty="x", x5t="AAAA", nonce=7)),
    )
    yield usable(
        forge, "with unknown members in status_list is accepted",
        "draft-ietf-oauth-status-list section 4.2",
        forge.list_token(with_members(aggregation_uri=f"{ISSUER}/status", x=1)),
    )


def unavailable_lists(forge: Forge) -> Iterator[Case]:
    """Yields lists that cannot be fetched."""
    why = "when_status_unavailable is refuse"
    yield unusable(forge, "that cannot be fetched", why, None)
    for name, lists in [
        ("that does not exist", {}),
        ("that exists only at another URI", {f"{ISSUER}/status/2": forge.list_token()}),
    ]:
        yield refused(
            f"list {name}", why, token_with_status(forge), "status_unavailable", status_lists=lists
        )


def headers(forge: Forge) -> Iterator[Case]:
    """Yields lists with headers that are also invalid in access tokens, and with other types."""
    for parameter, wrong in HEADERS:
        for value in wrong:
            yield unusable(
                forge, f"with {parameter} {label(value)}",
                "the same header checks as for an access token",
                forge.list_token(header=change(LIST_HEADER, **{parameter: value})),
            )
    yield unusable(
        forge, "with alg twice", "RFC 7515 section 4: names are unique",
        forge.list_token(header=prepend(LIST_HEADER, '"alg":"none"')),
    )


def signatures(forge: Forge) -> Iterator[Case]:
    """Yields lists that are unsigned, or not signed by the key that they name."""
    genuine = forge.list_token()
    signed, signature = genuine.rsplit(".", 1)
    other_payload = base64url(change(GENUINE_LIST, status_list=status_list({6: 1})))
    unsigned = signing_input(change(LIST_HEADER, alg="none"), GENUINE_LIST)
    hashed = signing_input(change(LIST_HEADER, alg="HS256"), GENUINE_LIST)
    in_token = change(
        CLAIMS, sub=LIST_URI, user_id=ABSENT, status_list=GENUINE_LIST["status_list"]
    )

    def by_stranger(**header: Any) -> str:
        return forge.list_token(header=change(LIST_HEADER, **header), key=forge.stranger)

    for name, text in [
        ("without a signature", f"{signed}."),
        ("without a signature, alg none", f"{unsigned}."),
        ("with an HMAC by the key set", hmac_jws(hashed, to_bytes(forge.jwks()))),
        ("signed by an attacker's key, with the kid of key-1", by_stranger()),
        ("signed by an attacker's key, with an unknown kid", by_stranger(kid="evil")),
        ("signed by an attacker's key, with this key in its header",
         by_stranger(jwk=jwk(forge.stranger, "key-1"))),
        ("signed by an attacker's key, with its certificate",
         by_stranger(x5c=[certificate(forge.stranger)])),
        ("signed by key-2, with the kid of key-1",
         forge.list_token(key=forge.second)),
        ("with the signature of another payload",
         f"{signed.split('.')[0]}.{other_payload}.{signature}"),
        ("with a truncated signature", genuine[:-4]),
        ("with the signature of the access token",
         f"{signed}.{token_with_status(forge).rsplit('.', 1)[1]}"),
        ("that is the access token itself", token_with_status(forge)),
        ("that is an access token with the claim status_list", forge.claims(in_token)),
    ]:
        yield unusable(forge, name, "signed by a key of the same key set", text)


def shapes(forge: Forge) -> Iterator[Case]:
    """Yields lists that are not a compact JWS of two JSON objects."""
    genuine = forge.list_token()
    header, payload, signature = genuine.split(".")
    spare = base64url(with_spaces(GENUINE_LIST, 1))
    for name, text in [
        ("that is empty", ""),
        ("that is an HTML page", "<!doctype html><title>Not found</title>"),
        ("that is JSON", compact(GENUINE_LIST)),
        ("of two parts", f"{header}.{payload}"),
        ("of four parts", f"{genuine}.{signature}"),
        ("in the JSON serialization",
         compact({"payload": payload, "protected": header, "signature": signature})),
        ("with a trailing line feed", f"{genuine}\n"),
        ("with a byte order mark", f"\ufeff{genuine}"),
        ("with a leading space", f" {genuine}"),
        ("with padding after its payload", jws(f"{header}.{spare}==", forge.first)),
        ("with stray bits in its payload", jws(f"{header}.{with_stray_bits(spare)}", forge.first)),
        ("with a line feed in its payload",
         jws(f"{header}.{insert(payload, chr(10))}", forge.first)),
        ("with stray bits in its signature", f"{header}.{payload}.{with_stray_bits(signature)}"),
    ]:
        yield unusable(forge, name, "a compact JWS, encoded like an access token", text)
    for name, claims in PAYLOADS:
        yield unusable(
            forge, name, "a JSON object in which no name occurs twice", forge.list_token(claims)
        )
