"""The claim `status`, and the values of genuine lists at its index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from casebook.accepted import CLIENT_CLAIMS, CLIENT_SAYS
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
from casebook.text import ABSENT, change, shown, spelled

DRAFT = "draft-ietf-oauth-status-list"

NO_STATUS: list[Any] = [
    None, "valid", 0, True, [], {}, [STATUS], {"status_list": None}, {"status_list": []},
    {"status_list": "7"}, {"status_list": {}}, {"Status_list": STATUS["status_list"]},
    STATUS["status_list"],
]

NO_INDEX: list[Any] = [ABSENT, None, "7", "", True, [7], {}]

NO_NUMBERS = [
    "-1", "-0", "7.5", "7.0", "7e0", "0.7e1", "1e300", str(2**53), str(2**63), str(2**64 + 7),
]
"""JSON numbers that are not a valid index."""

NO_URIS: list[Any] = [
    ABSENT, None, 1, True, [LIST_URI], {}, "", "/status/1", "status/1", ISSUER,
    "//id.example.test/status/1", f"{ISSUER}.evil.example/status/1", f"{ISSUER}.evil/status/1",
    f"{ISSUER}@evil.example/status/1", f"{ISSUER}:8443/status/1", f"{ISSUER}?/status/1",
    f"{ISSUER}#/status/1", f"{ISSUER}\\status/1",
    "https://evil.example/status/1", "https://evil.example/https://id.example.test/status/1",
    "https://ID.example.test/status/1", "HTTPS://id.example.test/status/1",
    "http://id.example.test/status/1", f" {LIST_URI}", "file:///etc/passwd",
    "data:application/statuslist+jwt,x", "http://127.0.0.1/status/1",
]

PLACES = [
    ("right below the issuer", ISSUER, f"{ISSUER}/"),
    ("far below the issuer", ISSUER, f"{ISSUER}/a/b/c"),
    ("below an issuer with a path", f"{ISSUER}/tenant", f"{ISSUER}/tenant/status/1"),
    ("below an issuer with a port", f"{ISSUER}:8443", f"{ISSUER}:8443/status/1"),
]
"""Name, issuer, `uri`."""

VALUES = {1: [1], 2: [1, 2, 3], 4: [1, 2, 3, 8, 15], 8: [1, 2, 3, 4, 16, 128, 255]}
"""Statuses to test for each number of bits."""

MEANING = {1: "revoked", 2: "suspended"}
"""Errors by status. Any other status except 0 counts as revoked."""

BEYOND = {1: [128, 2**32], 2: [128], 4: [128],
          8: [128, 2**29, 2**31, 2**32, 2**32 + 7, 2**53 - 1]}
"""Indexes outside a list of 128 entries, by number of bits; many overflow 32 bits."""

BEFORE: list[tuple[str, Members, str]] = [
    ("another issuer", {"iss": "x"}, "wrong_issuer"),
    ("another audience", {"aud": "x"}, "wrong_audience"),
    ("an end that has passed", {"exp": NOW - 31}, "expired"),
    ("a start that has not come", {"nbf": NOW + 31}, "not_yet_valid"),
    ("a claim that is missing", {"jti": ABSENT}, "invalid_claim"),
]
"""Faults that are detected before the status is checked."""


def cases(forge: Forge) -> Iterator[Case]:
    """The claim, then lists."""
    yield from references(forge)
    yield from places(forge)
    yield from values(forge)
    yield from clients(forge)
    yield from ends(forge)
    yield from order(forge)


def pointing(index: Any = 7, uri: Any = LIST_URI, **claims: Any) -> Members:
    """Claims that refer to this entry."""
    reference = change({}, idx=index, uri=uri)
    return change(CLAIMS, status={"status_list": reference}, **claims)


def references(forge: Forge) -> Iterator[Case]:
    """Valid and invalid values of the claim."""
    for value in NO_STATUS:
        yield refused(
            f"status {shown(value)}",
            f"{DRAFT} section 6.2: an object with the object status_list",
            forge.claims(change(CLAIMS, status=value)), "invalid_claim",
        )
    for value in NO_INDEX:
        yield refused(
            f"status idx {shown(value)}", f"{DRAFT} section 6.2: a whole number from 0",
            forge.claims(pointing(value)), "invalid_claim",
        )
    for number in NO_NUMBERS:
        status = f'{{"status_list":{spelled({"uri": LIST_URI}, "idx", number)}}}'
        yield refused(
            f"status idx {number}",
            "a whole number from 0 to below 2^53, written with digits alone",
            forge.claims(spelled(CLAIMS, "status", status)), "invalid_claim",
        )
    for uri in NO_URIS:
        yield refused(
            f"status uri {shown(uri)}",
            "a string that begins with issuer + /; nothing else is ever fetched",
            forge.claims(pointing(uri=uri)), "invalid_claim",
        )


def places(forge: Forge) -> Iterator[Case]:
    """Valid and invalid URIs of lists, and the list that a URI selects."""
    for name, issuer, uri in PLACES:
        made = forge.list_token(change(GENUINE_LIST, iss=issuer, sub=uri))
        yield accepted(
            f"status of a list {name}", "uri begins with issuer + /",
            forge.claims(pointing(uri=uri, iss=issuer)), status_lists={uri: made}, issuer=issuer,
        )
    tenant = f"{ISSUER}/tenant"
    for uri in [LIST_URI, f"{ISSUER}/tenants/status/1", tenant]:
        yield refused(
            f"status uri {uri} of an issuer with the path /tenant",
            "a string that begins with issuer + /",
            forge.claims(pointing(uri=uri, iss=tenant)), "invalid_claim", issuer=tenant,
        )
    other = f"{ISSUER}/status/2"
    clear = forge.list_token(change(GENUINE_LIST, sub=other))
    lists = {**forge.lists({7: 1}, 1), other: clear}
    yield accepted(
        "status valid in its own list, revoked in another", "uri chooses the list",
        forge.claims(pointing(uri=other)), status_lists=lists,
    )
    yield refused(
        "status revoked in its own list, valid in another", "uri chooses the list",
        forge.claims(pointing()), "revoked", status_lists=lists,
    )
    more = {
        "status_list": {**STATUS["status_list"], "bits": 8, "x": None},
        "status_attestation": {"x": 1},
    }
    yield accepted(
        "status with other members beside is read", "unknown members are ignored",
        forge.claims(change(CLAIMS, status=more)), status_lists=forge.lists({6: 1, 8: 1}, 1),
    )


def values(forge: Forge) -> Iterator[Case]:
    """Every entry size, and the entries next to one that is set."""
    packing = f"{DRAFT} section 4.1: least significant first"
    for bits, statuses in VALUES.items():
        for status in statuses:
            yield refused(
                f"status {status} in a list of {bits} bits", f"{DRAFT} section 7.1: {status}",
                forge.claims(pointing()), MEANING.get(status, "revoked"),
                status_lists=forge.lists({7: status}, bits),
            )
        highest = 2**bits - 1
        yield accepted(
            f"status 0 between others in a list of {bits} bits", packing,
            forge.claims(pointing()), status_lists=forge.lists({6: highest, 8: highest}, bits),
        )
        for index in range(8 // bits + (bits > 1)):
            yield refused(
                f"status at index {index} in a list of {bits} bits", packing,
                forge.claims(pointing(index)), "revoked",
                status_lists=forge.lists({index: highest}, bits, 16),
            )
    all_others = {index: 1 for index in range(128) if index != 7}
    yield accepted(
        "status 0 where every other is revoked", packing, forge.claims(pointing()),
        status_lists=forge.lists(all_others, 1),
    )
    yield refused(
        "status revoked where every other is valid", packing, forge.claims(pointing(100_000)),
        "revoked", status_lists=forge.lists({100_000: 1}, 1, 2**20),
    )


def clients(forge: Forge) -> Iterator[Case]:
    """Clients' own tokens, which usually have no status; a status is checked if present."""
    token = forge.claims(change(CLIENT_CLAIMS, status=STATUS))
    for status, error in MEANING.items():
        yield refused(
            f"status {status} of a client's own token", "status, if there, is asked for",
            token, error, status_lists=forge.lists({7: status}, 2),
        )
    yield accepted(
        "status 0 of a client's own token", "status, if there, is asked for", token, CLIENT_SAYS,
        status_lists=forge.lists({6: 1}, 1),
    )
    yield refused(
        "status of a client's own token whose list cannot be had",
        "status, if there, is asked for", token, "status_unavailable", status_lists={},
    )


def ends(forge: Forge) -> Iterator[Case]:
    """The first and the last entry, and indexes outside the list."""
    for bits, beyond in BEYOND.items():
        for index in [0, 127]:
            others = {other: 2**bits - 1 for other in range(128) if other != index}
            yield accepted(
                f"status idx {index} of 128 in a list of {bits} bits", "an entry of the list",
                forge.claims(pointing(index)), status_lists=forge.lists(others, bits),
            )
        for index in beyond:
            yield refused(
                f"status idx {index} of 128 in a list of {bits} bits",
                "beyond the end of the list",
                forge.claims(pointing(index)), "invalid_claim", status_lists=forge.lists({}, bits),
            )
    yield refused(
        "status idx 0 of a list without entries", "beyond the end of the list",
        forge.claims(pointing(0)), "invalid_claim", status_lists=forge.lists({}, 1, 0),
    )


def order(forge: Forge) -> Iterator[Case]:
    """The status is checked last."""
    why = "the order of the steps"
    for name, changes, error in BEFORE:
        token = forge.claims(pointing(**changes))
        yield refused(
            f"{name} before a status that is revoked", why, token, error,
            status_lists=forge.lists({7: 1}, 1),
        )
        yield refused(
            f"{name} before a list that cannot be had", why, token, error, status_lists={}
        )
    old = change(GENUINE_LIST, exp=NOW - 60, status_list=status_list({7: 1}))
    yield refused(
        "status revoked in a list that has expired", "as if it could not be had",
        forge.claims(pointing()), "status_unavailable",
        status_lists={LIST_URI: forge.list_token(old)},
    )
