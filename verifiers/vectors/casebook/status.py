"""The claim `status`, and the values of genuine lists at its index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from casebook.accepted import CLIENT_CLAIMS, CLIENT_RESULT
from casebook.case import (
    CLAIMS,
    ISSUER,
    LIST_URI,
    NOW,
    STATUS,
    Case,
    Members,
    accepted,
    refused,
)
from casebook.forge import GENUINE_LIST, Forge, status_list
from casebook.text import ABSENT, change, label, with_raw

DRAFT = "draft-ietf-oauth-status-list"

INVALID_STATUS: list[Any] = [
    None, "valid", 0, True, [], {}, [STATUS], {"status_list": None}, {"status_list": []},
    {"status_list": "7"}, {"status_list": {}}, {"Status_list": STATUS["status_list"]},
    STATUS["status_list"],
]

INVALID_INDEX: list[Any] = [ABSENT, None, "7", "", True, [7], {}]

INVALID_NUMBERS = [
    "-1", "-0", "7.5", "7.0", "7e0", "0.7e1", "1e300", str(2**53), str(2**63), str(2**64 + 7),
]
"""JSON numbers that are not a valid index."""

INVALID_URIS: list[Any] = [
    ABSENT, None, 1, True, [LIST_URI], {}, "", "/status/1", "status/1", ISSUER,
    "//id.example.test/status/1", f"{ISSUER}.evil.example/status/1", f"{ISSUER}.evil/status/1",
    f"{ISSUER}@evil.example/status/1", f"{ISSUER}:8443/status/1", f"{ISSUER}?/status/1",
    f"{ISSUER}#/status/1", f"{ISSUER}\\status/1",
    "https://evil.example/status/1", "https://evil.example/https://id.example.test/status/1",
    "https://ID.example.test/status/1", "HTTPS://id.example.test/status/1",
    "http://id.example.test/status/1", f" {LIST_URI}", "file:///etc/passwd",
    "data:application/statuslist+jwt,x", "http://127.0.0.1/status/1",
]

VALID_URIS = [
    ("directly below the issuer", ISSUER, f"{ISSUER}/"),
    ("several levels below the issuer", ISSUER, f"{ISSUER}/a/b/c"),
    ("below an issuer with a path", f"{ISSUER}/tenant", f"{ISSUER}/tenant/status/1"),
    ("below an issuer with a port", f"{ISSUER}:8443", f"{ISSUER}:8443/status/1"),
]
"""Name of the case, issuer, `uri`."""

VALUES = {1: [1], 2: [1, 2, 3], 4: [1, 2, 3, 8, 15], 8: [1, 2, 3, 4, 16, 128, 255]}
"""Statuses to test, by number of bits."""

ERRORS = {1: "revoked", 2: "suspended"}
"""Errors by status. Any other status except 0 counts as revoked."""

OUT_OF_RANGE = {1: [128, 2**32], 2: [128], 4: [128],
          8: [128, 2**29, 2**31, 2**32, 2**32 + 7, 2**53 - 1]}
"""Indexes outside a list of 128 entries, by number of bits; many overflow 32 bits."""

EARLIER_FAULTS: list[tuple[str, Members, str]] = [
    ("wrong issuer", {"iss": "x"}, "wrong_issuer"),
    ("wrong audience", {"aud": "x"}, "wrong_audience"),
    ("expired", {"exp": NOW - 31}, "expired"),
    ("not yet valid", {"nbf": NOW + 31}, "not_yet_valid"),
    ("missing claim", {"jti": ABSENT}, "invalid_claim"),
]
"""Faults that are detected before the status is checked."""


def cases(forge: Forge) -> Iterator[Case]:
    """Yields values of the claim, and then values of lists."""
    yield from references(forge)
    yield from uris(forge)
    yield from values(forge)
    yield from client_tokens(forge)
    yield from bounds(forge)
    yield from order(forge)


def claims_with_status(index: Any = 7, uri: Any = LIST_URI, **claims: Any) -> Members:
    """Returns claims that refer to this entry."""
    reference = change({}, idx=index, uri=uri)
    return change(CLAIMS, status={"status_list": reference}, **claims)


def references(forge: Forge) -> Iterator[Case]:
    """Yields invalid values of the claim."""
    for value in INVALID_STATUS:
        yield refused(
            f"status {label(value)}",
            f"{DRAFT} section 6.2: an object with the object status_list",
            forge.claims(change(CLAIMS, status=value)), "invalid_claim",
        )
    for value in INVALID_INDEX:
        yield refused(
            f"status idx {label(value)}", f"{DRAFT} section 6.2: an integer from 0",
            forge.claims(claims_with_status(value)), "invalid_claim",
        )
    for number in INVALID_NUMBERS:
        status = f'{{"status_list":{with_raw({"uri": LIST_URI}, "idx", number)}}}'
        yield refused(
            f"status idx {number}",
            "an integer from 0 to 2^53 - 1, written only with digits",
            forge.claims(with_raw(CLAIMS, "status", status)), "invalid_claim",
        )
    for uri in INVALID_URIS:
        yield refused(
            f"status uri {label(uri)}",
            "a string that begins with issuer + /, since nothing else is fetched",
            forge.claims(claims_with_status(uri=uri)), "invalid_claim",
        )


def uris(forge: Forge) -> Iterator[Case]:
    """Yields valid and invalid URIs of lists, and checks which list a URI selects."""
    for name, issuer, uri in VALID_URIS:
        list_token = forge.list_token(change(GENUINE_LIST, iss=issuer, sub=uri))
        yield accepted(
            f"status of a list {name}", "uri begins with issuer + /",
            forge.claims(claims_with_status(uri=uri, iss=issuer)),
            status_lists={uri: list_token}, issuer=issuer,
        )
    tenant = f"{ISSUER}/tenant"
    for uri in [LIST_URI, f"{ISSUER}/tenants/status/1", tenant]:
        yield refused(
            f"status uri {uri} of an issuer with the path /tenant",
            "a string that begins with issuer + /",
            forge.claims(claims_with_status(uri=uri, iss=tenant)), "invalid_claim", issuer=tenant,
        )
    other = f"{ISSUER}/status/2"
    without_revocations = forge.list_token(change(GENUINE_LIST, sub=other))
    lists = {**forge.lists({7: 1}, 1), other: without_revocations}
    yield accepted(
        "status valid in its own list, revoked in another", "uri selects the list",
        forge.claims(claims_with_status(uri=other)), status_lists=lists,
    )
    yield refused(
        "status revoked in its own list, valid in another", "uri selects the list",
        forge.claims(claims_with_status()), "revoked", status_lists=lists,
    )
    more = {
        "status_list": {**STATUS["status_list"], "bits": 8, "x": None},
        "status_attestation": {"x": 1},
    }
    yield accepted(
        "status with unknown members is accepted", "unknown members are ignored",
        forge.claims(change(CLAIMS, status=more)), status_lists=forge.lists({6: 1, 8: 1}, 1),
    )


def values(forge: Forge) -> Iterator[Case]:
    """Yields every entry size, with the tested entry set and with the entries next to it set."""
    packing = f"{DRAFT} section 4.1: least significant bit first"
    for bits, statuses in VALUES.items():
        for status in statuses:
            yield refused(
                f"status {status} in a list of {bits} bits", f"{DRAFT} section 7.1: {status}",
                forge.claims(claims_with_status()), ERRORS.get(status, "revoked"),
                status_lists=forge.lists({7: status}, bits),
            )
        highest = 2**bits - 1
        yield accepted(
            f"status 0 between other statuses in a list of {bits} bits", packing,
            forge.claims(claims_with_status()),
            status_lists=forge.lists({6: highest, 8: highest}, bits),
        )
        for index in range(8 // bits + (bits > 1)):
            yield refused(
                f"status at index {index} in a list of {bits} bits", packing,
                forge.claims(claims_with_status(index)), "revoked",
                status_lists=forge.lists({index: highest}, bits, 16),
            )
    all_others = {index: 1 for index in range(128) if index != 7}
    yield accepted(
        "status 0 if all other entries are revoked", packing, forge.claims(claims_with_status()),
        status_lists=forge.lists(all_others, 1),
    )
    yield refused(
        "status revoked if all other entries are valid", packing,
        forge.claims(claims_with_status(100_000)), "revoked",
        status_lists=forge.lists({100_000: 1}, 1, 2**20),
    )


def client_tokens(forge: Forge) -> Iterator[Case]:
    """Yields client credentials tokens. They usually have no status; if present, it is checked."""
    token = forge.claims(change(CLIENT_CLAIMS, status=STATUS))
    for status, error in ERRORS.items():
        yield refused(
            f"status {status} of a client credentials token", "a status is checked if present",
            token, error, status_lists=forge.lists({7: status}, 2),
        )
    yield accepted(
        "status 0 of a client credentials token", "a status is checked if present", token,
        CLIENT_RESULT, status_lists=forge.lists({6: 1}, 1),
    )
    yield refused(
        "status of a client credentials token whose list is unavailable",
        "a status is checked if present", token, "status_unavailable", status_lists={},
    )


def bounds(forge: Forge) -> Iterator[Case]:
    """Yields the first and the last entry, and indexes outside of the list."""
    for bits, beyond in OUT_OF_RANGE.items():
        for index in [0, 127]:
            others = {other: 2**bits - 1 for other in range(128) if other != index}
            yield accepted(
                f"status idx {index} of 128 in a list of {bits} bits", "an entry of the list",
                forge.claims(claims_with_status(index)), status_lists=forge.lists(others, bits),
            )
        for index in beyond:
            yield refused(
                f"status idx {index} of 128 in a list of {bits} bits",
                "beyond the end of the list",
                forge.claims(claims_with_status(index)), "invalid_claim",
                status_lists=forge.lists({}, bits),
            )
    yield refused(
        "status idx 0 of a list without entries", "beyond the end of the list",
        forge.claims(claims_with_status(0)), "invalid_claim", status_lists=forge.lists({}, 1, 0),
    )


def order(forge: Forge) -> Iterator[Case]:
    """Yields tokens with another fault in addition: the status is checked last."""
    why = "the first failing step determines the error"
    for name, changes, error in EARLIER_FAULTS:
        token = forge.claims(claims_with_status(**changes))
        yield refused(
            f"{name} and revoked: {error} is reported", why, token, error,
            status_lists=forge.lists({7: 1}, 1),
        )
        yield refused(
            f"{name} and list unavailable: {error} is reported", why, token, error,
            status_lists={},
        )
    old = change(GENUINE_LIST, exp=NOW - 60, status_list=status_list({7: 1}))
    yield refused(
        "status revoked in a list that has expired", "an expired list counts as unavailable",
        forge.claims(claims_with_status()), "status_unavailable",
        status_lists={LIST_URI: forge.list_token(old)},
    )
