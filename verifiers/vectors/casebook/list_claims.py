"""Status list tokens with a genuine signature and invalid claims."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import Any

from casebook.case import ISSUER, LEEWAY, LIST_URI, NOW, Case, Members
from casebook.forge import GENUINE_LIST, Forge, packed
from casebook.lists import unusable, usable, with_members
from casebook.text import (
    ABSENT,
    base64url,
    change,
    insert,
    label,
    standard_alphabet,
    with_raw,
    with_stray_bits,
)

MEBIBYTE = 2**20
ENTRIES = packed({}, 1, 1024)
STREAM = zlib.compress(ENTRIES, 9)

WRONG: list[tuple[str, str, list[Any]]] = [
    ("sub", "sub equals the uri, byte for byte", [
        ABSENT, None, "", 7, [LIST_URI], f"{ISSUER}/status/2", f"{LIST_URI}/", f"{LIST_URI}#",
        LIST_URI[:-1], LIST_URI.upper(), "HTTPS" + LIST_URI[5:], LIST_URI.replace(":", "%3A"),
    ]),
    ("iss", "iss is optional, and equals the issuer", [
        None, "", 7, [ISSUER], f"{ISSUER}/", "https://evil.example", ISSUER.upper(),
    ]),
    ("status_list", "an object with bits and lst", [
        ABSENT, None, [], "", 7, {}, [GENUINE_LIST["status_list"]],
    ]),
    ("ttl", "ttl is optional, and a number above 0", [
        None, 0, -1, -300, "300", "", True, [300], {},
    ]),
    ("iat", "an integer from 0 to 2^53 - 1", [ABSENT, None, str(NOW), True, [NOW]]),
    ("exp", "an integer from 0 to 2^53 - 1", [None, str(NOW + 900), True, [NOW + 900]]),
]
"""Claim, why, and the values that are invalid for the claim."""

TIMES: list[tuple[str, Members]] = [
    ("exp a minute ago", {"exp": NOW - 60}),
    ("exp at the end of the leeway", {"exp": NOW - LEEWAY}),
    ("exp 0", {"exp": 0}),
    ("iat in an hour", {"iat": NOW + 3600}),
    ("iat a second after the leeway", {"iat": NOW + LEEWAY + 1}),
]

INVALID_TIMES = ["-1", str(2**53), f"{NOW}.5", "1e300"]
"""JSON numbers that are not valid times."""

INVALID_BITS: list[Any] = [ABSENT, None, 0, 3, 5, 7, 16, 32, -1, "1", True, [1], 1.5]

INVALID_LST: list[Any] = [ABSENT, None, "", 7, True, [], {}]


def cases(forge: Forge) -> Iterator[Case]:
    """Yields lists with invalid claims, and then lists with an invalid compressed list."""
    yield from claims(forge)
    yield from sizes(forge)
    yield from streams(forge)
    yield from encodings(forge)


def claims(forge: Forge) -> Iterator[Case]:
    """Yields lists with missing or wrong claims."""
    for claim, why, values in WRONG:
        for value in values:
            yield unusable(
                forge, f"with {claim} {label(value)}", why,
                forge.list_token(change(GENUINE_LIST, **{claim: value})),
            )
    for name, changes in TIMES:
        yield unusable(
            forge, f"with {name}", "now < exp + leeway, iat <= now + leeway",
            forge.list_token(change(GENUINE_LIST, **changes)),
        )
    for claim in ["iat", "exp"]:
        for number in INVALID_TIMES:
            yield unusable(
                forge, f"with {claim} {number}", "an integer from 0 to 2^53 - 1",
                forge.list_token(with_raw(GENUINE_LIST, claim, number)),
            )
    for value in INVALID_BITS:
        yield unusable(
            forge, f"with bits {label(value)}", "bits is 1, 2, 4 or 8",
            forge.list_token(with_members(bits=value)),
        )


def sizes(forge: Forge) -> Iterator[Case]:
    """Yields other ways of compression, and decompressed sizes around the limit of 1 MiB."""
    for level in [0, 1, 6]:
        yield usable(
            forge, f"compressed at level {level} is accepted", "RFC 1950: any level",
            packed_as(forge, zlib.compress(ENTRIES, level)),
        )
    narrow = zlib.compressobj(9, zlib.DEFLATED, 9)
    yield usable(
        forge, "compressed with a small window is accepted", "RFC 1950 section 2.2: CINFO",
        packed_as(forge, narrow.compress(ENTRIES) + narrow.flush()),
    )
    why = "at most 1 MiB after decompression"
    yield usable(
        forge, "of exactly 1 MiB after decompression is accepted", why,
        packed_as(forge, zlib.compress(bytes(MEBIBYTE), 9)),
    )
    yield unusable(
        forge, "of 1 MiB and a byte after decompression", why,
        packed_as(forge, zlib.compress(bytes(MEBIBYTE + 1), 9)),
    )
    yield unusable(
        forge, "of 64 MiB after decompression", why,
        packed_as(forge, zlib.compress(bytes(64 * MEBIBYTE), 9)),
    )


def packed_as(forge: Forge, stream: bytes) -> str:
    """Returns a status list token with this compressed list."""
    return forge.list_token(with_members(lst=base64url(stream)))


def streams(forge: Forge) -> Iterator[Case]:
    """Yields lists with data that is not exactly one zlib stream (RFC 1950)."""
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    dictionary = zlib.compressobj(9, zlib.DEFLATED, 15, zdict=bytes(128))
    # Method 9 instead of 8, with matching check bits (RFC 1950 section 2.2).
    method_9 = bytes([0x79, 0xD2]) + STREAM[2:]
    for name, stream in [
        ("that is not compressed", ENTRIES),
        ("that is a raw deflate stream", raw.compress(ENTRIES) + raw.flush()),
        ("that is a gzip stream", gzip.compress(ENTRIES, 9, mtime=0)),
        ("whose zlib stream lacks its last byte", STREAM[:-1]),
        ("whose zlib stream has no checksum", STREAM[:-4]),
        ("whose zlib stream lacks its second half", STREAM[: len(STREAM) // 2]),
        ("that is only the header of a zlib stream", STREAM[:2]),
        ("whose zlib stream has a wrong checksum", STREAM[:-1] + bytes([STREAM[-1] ^ 1])),
        ("whose zlib stream has wrong check bits in its header",
         bytes([STREAM[0], STREAM[1] ^ 1]) + STREAM[2:]),
        ("whose zlib stream has another compression method", method_9),
        ("whose zlib stream needs a dictionary", dictionary.compress(ENTRIES) + dictionary.flush()),
        ("that is a zlib stream and a byte", STREAM + b"\0"),
        ("that is a zlib stream and a line feed", STREAM + b"\n"),
        ("that is two zlib streams", STREAM + STREAM),
        ("that is a byte and a zlib stream", b"\0" + STREAM),
    ]:
        yield unusable(
            forge, f"with an lst {name}", "exactly one complete zlib stream",
            packed_as(forge, stream),
        )


def encodings(forge: Forge) -> Iterator[Case]:
    """Yields lists whose zlib stream is not in canonical base64url."""
    for value in INVALID_LST:
        yield unusable(
            forge, f"with lst {label(value)}", "a string",
            forge.list_token(with_members(lst=value)),
        )
    # The length is 1 modulo 3, so that padding and unused bits are possible.
    text = base64url(next(
        stream for size in range(64, 4096, 8)
        if len(stream := zlib.compress(packed({0: 0}, 1, size), 9)) % 3 == 1
    ))
    invalid_encodings = [
        ("with padding", f"{text}=="),
        ("with a line feed inside", insert(text, "\n")),
        ("with a trailing line feed", f"{text}\n"),
        ("with a space inside", insert(text, " ")),
        ("with a character outside of the alphabet", insert(text, "!")),
        ("with stray trailing bits", with_stray_bits(text)),
        ("in hexadecimal", STREAM.hex()),
        ("in the standard base64 alphabet", standard_base64()),
    ]
    for name, spelling in invalid_encodings:
        yield unusable(
            forge, f"with lst {name}", "canonical unpadded base64url",
            forge.list_token(with_members(lst=spelling)),
        )


def standard_base64() -> str:
    """Returns a list in standard base64 whose base64url form differs."""
    for index in range(1024):
        text = base64url(zlib.compress(packed({index: 1, index // 2: 1}, 1, 1024), 9))
        if "-" in text or "_" in text:
            return standard_alphabet(text)
    raise AssertionError("no list has two spellings")
