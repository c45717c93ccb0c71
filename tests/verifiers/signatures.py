"""Invalid signatures."""

from __future__ import annotations

import hashlib
from random import Random

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from draft import FORGE, SHA256_INFO, Signing, genuine, signature

BYTES = 256
"""The length of a signature by a key of 2048 bits."""

WITHOUT_NULL = bytes.fromhex("302f300b06096086480165030402010420")

INFOS = [
    SHA256_INFO,
    WITHOUT_NULL,
    bytes.fromhex("308131300d060960864801650304020105000420"),  # length in the long form
    bytes.fromhex("3031300d060960864801650304020105000520"),  # not an octet string
    bytes.fromhex("3032300e06096086480165030402010581000420"),  # NULL in the long form
    bytes.fromhex("3033300f0609608648016503040201050202000420"),  # NULL with content
    bytes.fromhex("3031300d060960864801650304020205000420"),  # SHA-384
    bytes.fromhex("3031300d060960864801650304020105002420"),  # constructed octet string
    bytes.fromhex("3080300d060960864801650304020105000420"),  # indefinite length
    bytes.fromhex("302f300d060960864801650304020105000420"),  # length too short
    b"",
]
"""Correct and incorrect prefixes of the hash (DigestInfo)."""


def other(rng: Random) -> Signing:
    """A signature by another key or scheme, or an altered one."""
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
            # A number that exceeds the modulus. It may need another byte.
            number = int.from_bytes(good, "big") + FORGE.first.public_key().public_numbers().n
            return number.to_bytes(BYTES + 1, "big").removeprefix(b"\0")
        return signature(FORGE.first, signed[:-1])

    return signing


def odd_block(rng: Random) -> tuple[Signing, set[str]]:
    """Signs an incorrect PKCS #1 block. Also returns the languages that may accept it."""
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
        return sign_raw(block)

    accepted_by_java = info == WITHOUT_NULL and shape not in {1, 2, 3}
    return signing, {"java"} if accepted_by_java else set()


def sign_raw(block: bytes) -> bytes:
    """Signs a block without padding (RFC 8017 section 5.2.1)."""
    private = FORGE.first.private_numbers()
    number = pow(int.from_bytes(block, "big"), private.d, private.public_numbers.n)
    return number.to_bytes(BYTES, "big")
