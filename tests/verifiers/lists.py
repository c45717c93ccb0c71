"""Mutations of the compressed list in a status list token."""

from __future__ import annotations

import gzip
import struct
import zlib
from random import Random

from draft import Draft, Raw, base64url
from values import NUMBERS, TEXTS, VALUES

MAX_SIZE = 1024 * 1024
"""The maximum size of a list that verifiers accept, in bytes."""


def other_statuses(draft: Draft, rng: Random) -> None:
    """A short list with random statuses of any width. The token's index may be beyond its end."""
    size = rng.choice([0, 1, 2, 4, 7, 8, 9, 15, 16, 17, 64])
    claim = draft.list_claims["status_list"] = {
        "bits": rng.choice([1, 2, 4, 8]),
        "lst": base64url(zlib.compress(rng.randbytes(size), rng.choice([0, 1, 6, 9]))),
    }
    if rng.random() < 0.2:
        claim["aggregation_uri"] = "x"


def other_list(draft: Draft, rng: Random) -> None:
    """Another value of the claim `status_list`."""
    claim = draft.list_claims["status_list"] = {"bits": 1, "lst": base64url(stream(rng))}
    kind = rng.randrange(10)
    if kind == 0:
        claim["bits"] = Raw(rng.choice(["1", "2", "4", "8", "1.0", "1e0", "0", "3", *NUMBERS]))
    elif kind == 1:
        claim["lst"] = rng.choice([*VALUES, *TEXTS])
    elif kind == 2:
        lst, at = claim["lst"], rng.randint(0, len(claim["lst"]))
        claim["lst"] = lst[:at] + rng.choice(["=", " ", "\n", "+", "A", "é"]) + lst[at:]
    elif kind == 3:
        claim.pop(rng.choice(["bits", "lst"]))
    elif kind == 4:
        draft.list_claims["status_list"] = rng.choice([*VALUES, [claim]])


def stream(rng: Random) -> bytes:
    """A zlib stream, valid or damaged."""
    kind = rng.randrange(14)
    plain = bytes(16) if rng.random() < 0.5 else rng.randbytes(16) * rng.choice([1, 40, 2500])
    packed = zlib.compress(plain, rng.choice([0, 1, 6, 9]))
    if kind == 0:
        return rng.choice([packed[2:-4], gzip.compress(plain), plain, b"", packed[2:], packed * 2])
    if kind == 1:
        return packed + rng.choice([b"\0", b"x", bytes(4), packed])
    if kind == 2:
        return packed[: rng.randrange(len(packed))]
    if kind == 3:
        return packed[:-4] + bytes(4)
    if kind == 4:
        return window(packed, rng.randrange(16), rng.random() < 0.2)
    if kind == 5:
        size = MAX_SIZE + rng.choice([-1, 0, 0, 1, 1, 4096])
        return zlib.compress(bytes(size), 9)
    if kind == 6:
        return packed[:2] + bytes([rng.randrange(256)]) + packed[3:]
    if kind == 7:
        return dictionary(plain)
    if kind == 8:
        return in_parts(plain, rng)
    if kind in {9, 10, 11}:
        return with_flipped_bits(packed, rng)
    return packed


def window(packed: bytes, size: int, wrong_check: bool) -> bytes:
    """Another window size in the header (RFC 1950 section 2.2), with a correct or wrong check."""
    first = size << 4 | 8
    second = packed[1] & 0xE0
    second += 31 - (first * 256 + second) % 31
    return bytes([first, (second + wrong_check) % 256]) + packed[2:]


def dictionary(plain: bytes) -> bytes:
    """A stream that requires a dictionary."""
    packer = zlib.compressobj(zdict=bytes(16))
    return packer.compress(plain) + packer.flush()


def in_parts(plain: bytes, rng: Random) -> bytes:
    """A stream of several blocks, some of them empty."""
    packer = zlib.compressobj(rng.choice([0, 1, 9]), zlib.DEFLATED, rng.choice([9, 12, 15]))
    half = len(plain) // 2
    flush = rng.choice([zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_PARTIAL_FLUSH, zlib.Z_BLOCK])
    return packer.compress(plain[:half]) + packer.flush(flush) * 2 + packer.compress(
        plain[half:]
    ) + packer.flush()


def with_flipped_bits(packed: bytes, rng: Random) -> bytes:
    """A stream with flipped bits in its blocks, and the checksum of the data that zlib reads."""
    blocks = bytearray(packed[2:-4])
    for _ in range(rng.choice([1, 1, 2])):
        bit = rng.randrange(min(len(blocks), 40) * 8)
        blocks[bit // 8] ^= 1 << bit % 8
    reader = zlib.decompressobj(-15)
    try:
        plain = reader.decompress(bytes(blocks), 4 * MAX_SIZE)
    except zlib.error:
        plain = b""
    unread = len(reader.unused_data)
    whole = bytes(blocks[: len(blocks) - unread])
    return packed[:2] + whole + struct.pack(">I", zlib.adler32(plain))
