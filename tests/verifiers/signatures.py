"""Signatures that are not the one of the issuer's key over this token."""

from __future__ import annotations

import hashlib
from random import Random

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from draft import FORGE, SHA256_INFO, Signing, genuine, signature

BYTES = 256
"""Length of a signature by a key of 2048 bits."""

WITHOUT_NULL = bytes.fromhex("302f300b06096086480165030402010420")

INFOS = [
    SHA256_INFO,
    WITHOUT_NULL,
    bytes.fromhex("308131300d060960864801650304020105000420"),  # a length in the long form
    bytes.fromhex("3031300d060960864801650304020105000520"),  # no octet string
    bytes.fromhex("3032300e06096086480165030402010581000420"),  # NULL in the long form
    bytes.fromhex("3033300f0609608648016503040201050202000420"),  # NULL that has content
    bytes.fromhex("3031300d060960864801650304020205000420"),  # SHA-384
    bytes.fromhex("3031300d060960864801650304020105002420"),  # a string of parts
    bytes.fromhex("3080300d060960864801650304020105000420"),  # a length that is not told
    bytes.fromhex("302f300d060960864801650304020105000420"),  # too short
    b"",
]
"""What stands before the hash, rightly and wrongly."""


def other(rng: Random) -> Signing:
    """A signature by another key or scheme, or one that was altered."""
    kind, bit = rng.randrange(9), rng.randrange(BYTES * 8)

    def signing(signed: str) -> bytes:
        good = genuine(signed)
        text = signed.encode()
        flipped = (int.from_bytes(good, "big") ^ 1 << bit).to_bytes(BYTES, "big")
        if kind < 2:
            return flipped
        if kind == 2:
            return [b"", good[:-1], good[1:], b"\0" + good, good + b"\0", good * 2][bit % 6]
        if kind == 3:
            return signature([FORGE.second, FORGE.stranger][bit % 2], signed)
        if kind == 4:
            return [bytes(BYTES), b"\xff" * BYTES, b"\1", bytes(BYTES - 1) + b"\1"][bit % 4]
        if kind == 5:
            digest = [hashes.SHA1(), hashes.SHA384(), hashes.SHA512()][bit % 3]
            return FORGE.first.sign(text, padding.PKCS1v15(), digest)
        if kind == 6:
            salted = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
            return FORGE.first.sign(text, salted, hashes.SHA256())
        if kind == 7:
            # A number beyond the modulus, or none at all where it does not fit.
            number = int.from_bytes(good, "big") + FORGE.first.public_key().public_numbers().n
            return number.to_bytes(BYTES + 1, "big").removeprefix(b"\0")
        return signature(FORGE.first, signed[:-1])

    return signing


def odd_block(rng: Random) -> tuple[Signing, set[str]]:
    """A block made and signed by hand, and the languages that are documented to accept it."""
    info, shape = rng.choice(INFOS), rng.randrange(6)

    def signing(signed: str) -> bytes:
        end = b"\0" + info + hashlib.sha256(signed.encode()).digest()
        block = b"\0\1" + b"\xff" * (BYTES - 2 - len(end)) + end
        if shape == 1:
            block = b"\0\2" + block[2:]
        elif shape == 2:
            block = b"\0\1" + b"\xff" * 8 + end
            block += bytes(BYTES - len(block))
        elif shape == 3:
            block = block.replace(b"\xff\0", b"\xfe\0", 1)
        return raised(block)

    accepted_by_java = info == WITHOUT_NULL and shape not in {1, 2, 3}
    return signing, {"java"} if accepted_by_java else set()


def raised(block: bytes) -> bytes:
    """A block signed as it is (RFC 8017 section 5.2.1)."""
    private = FORGE.first.private_numbers()
    number = pow(int.from_bytes(block, "big"), private.d, private.public_numbers.n)
    return number.to_bytes(BYTES, "big")
