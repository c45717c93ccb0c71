"""Signatures that are not RS256 by the named key over this header and payload."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from casebook.case import CLAIMS, HEADER, ISSUER, Case, refused
from casebook.forge import Forge, hmac_jws, integer, jwk, signature
from casebook.text import base64url, change, compact, signing_input, to_bytes

BYTES = 256
"""Length of a signature by a 2048-bit key."""

SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
"""The prefix of the hash (RFC 8017 section 9.2, note 1)."""


def cases(forge: Forge) -> Iterator[Case]:
    """Yields missing signatures, HMACs, other schemes, and altered signatures."""
    yield from unsigned(forge)
    yield from hmacs(forge)
    yield from other_schemes(forge)
    yield from altered(forge)
    yield from mismatched(forge)
    yield from forged_padding(forge)


def unsigned(forge: Forge) -> Iterator[Case]:
    """Yields tokens with `alg` none, with and without a signature (RFC 7515 appendix A.5)."""
    genuine = forge.token().rsplit(".", 1)[1]
    for name in ["none", "None", "NONE", "nOnE", "none ", "", "null"]:
        signed = signing_input(change(HEADER, alg=name), CLAIMS)
        yield refused(
            f"alg {compact(name)} without a signature", "RFC 8725 section 3.1", f"{signed}.",
            "unsupported_algorithm",
        )
        yield refused(
            f"alg {compact(name)} with the signature of another token", "RFC 8725 section 3.1",
            f"{signed}.{genuine}", "unsupported_algorithm",
        )
    yield refused(
        "alg RS256 without a signature", "RFC 7515 section 5.2",
        f"{signing_input(HEADER, CLAIMS)}.", "bad_signature",
    )


def hmacs(forge: Forge) -> Iterator[Case]:
    """Yields HMACs with the public key or public text as the secret (RFC 8725 section 2.1)."""
    public = forge.first.public_key()
    pem, der = serialization.Encoding.PEM, serialization.Encoding.DER
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    pkcs1 = serialization.PublicFormat.PKCS1
    key = jwk(forge.first, "key-1")
    numbers = public.public_numbers()
    secrets = {
        "the public key as PEM": public.public_bytes(pem, spki),
        "the public key as PEM without its last line feed": public.public_bytes(pem, spki).strip(),
        "the public key as PKCS #1 PEM": public.public_bytes(pem, pkcs1),
        "the public key as DER": public.public_bytes(der, spki),
        "the public key as PKCS #1 DER": public.public_bytes(der, pkcs1),
        "the public key as JWK": to_bytes(key),
        "the key set": to_bytes(forge.jwks()),
        "the modulus": numbers.n.to_bytes(BYTES, "big"),
        "the modulus as base64url": to_bytes(integer(numbers.n)),
        "the kid": b"key-1",
        "the issuer": to_bytes(ISSUER),
        "the empty string": b"",
    }
    for name, secret in secrets.items():
        for alg, error in [("HS256", "unsupported_algorithm"), ("RS256", "bad_signature")]:
            yield refused(
                f"an HMAC with {name} as the secret, alg {alg}", "RFC 8725 sections 2.1 and 3.1",
                hmac_jws(signing_input(change(HEADER, alg=alg), CLAIMS), secret), error,
            )
    for alg in ["HS384", "HS512"]:
        signed = signing_input(change(HEADER, alg=alg), CLAIMS)
        yield refused(
            f"an HMAC with the public key as PEM as the secret, alg {alg}",
            "RFC 8725 sections 2.1 and 3.1",
            hmac_jws(signed, public.public_bytes(pem, spki), f"sha{alg[2:]}"),
            "unsupported_algorithm",
        )


def other_schemes(forge: Forge) -> Iterator[Case]:
    """Yields genuine signatures by the right key, with another scheme."""
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    for name, alg, pad, digest in [
        ("RSASSA-PKCS1-v1_5 with SHA-1", "RS1", padding.PKCS1v15(), hashes.SHA1()),  # noqa: S303
        ("RSASSA-PKCS1-v1_5 with SHA-384", "RS384", padding.PKCS1v15(), hashes.SHA384()),
        ("RSASSA-PKCS1-v1_5 with SHA-512", "RS512", padding.PKCS1v15(), hashes.SHA512()),
        ("RSASSA-PSS with SHA-256", "PS256", pss, hashes.SHA256()),
    ]:
        for named, error in [(alg, "unsupported_algorithm"), ("RS256", "bad_signature")]:
            signed = signing_input(change(HEADER, alg=named), CLAIMS)
            other_signature = forge.first.sign(signed.encode(), pad, digest)
            yield refused(
                f"{name} by the right key, alg {named}", "RFC 8725 section 3.1",
                f"{signed}.{base64url(other_signature)}", error,
            )
    curve = {"kty": "EC", "crv": "P-256", "use": "sig", "kid": "key-ec", **point(forge.curve)}
    edwards = ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"cases").digest())
    raw = edwards.public_key().public_bytes_raw()
    okp = {"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "key-ed", "x": base64url(raw)}
    jwks = forge.jwks(curve, okp)
    for named, error in [("ES256", "unsupported_algorithm"), ("RS256", "unknown_key")]:
        signed = signing_input(change(HEADER, alg=named, kid="key-ec"), CLAIMS)
        yield refused(
            f"ECDSA by a key of the set, alg {named}", "RFC 8725 section 3.1: only RS256",
            f"{signed}.{base64url(ecdsa(forge.curve, signed))}", error, jwks=jwks,
        )
    for named, error in [("EdDSA", "unsupported_algorithm"), ("RS256", "unknown_key")]:
        signed = signing_input(change(HEADER, alg=named, kid="key-ed"), CLAIMS)
        yield refused(
            f"EdDSA by a key of the set, alg {named}", "RFC 8725 section 3.1: only RS256",
            f"{signed}.{base64url(edwards.sign(signed.encode()))}", error, jwks=jwks,
        )
    signed = signing_input(change(HEADER, alg="ES256", kid="key-ec"), CLAIMS)
    yield refused(
        "an ECDSA signature of zeros", "CVE-2022-21449: r and s of 0",
        f"{signed}.{base64url(bytes(64))}", "unsupported_algorithm", jwks=jwks,
    )


def altered(forge: Forge) -> Iterator[Case]:
    """Yields altered genuine signatures."""
    signed = signing_input(HEADER, CLAIMS)
    genuine = signature(forge.first, signed)
    for name, altered_signature in [
        ("with its first bit flipped", flipped(genuine, 0)),
        ("with its last bit flipped", flipped(genuine, BYTES * 8 - 1)),
        ("with a bit in its middle flipped", flipped(genuine, 1000)),
        ("without its last byte", genuine[:-1]),
        ("without its first byte", genuine[1:]),
        ("with a leading zero byte", b"\0" + genuine),
        ("with a trailing zero byte", genuine + b"\0"),
        ("that occurs twice", genuine + genuine),
        ("with its bytes reversed", genuine[::-1]),
        ("of three bytes", b"\0\0\0"),
        ("of bytes that are all 0", bytes(BYTES)),
        ("of the number one", (1).to_bytes(BYTES, "big")),
        ("of bits that are all 1", b"\xff" * BYTES),
    ]:
        yield refused(
            f"a signature {name}", "RFC 8017 section 8.2.2",
            f"{signed}.{base64url(altered_signature)}", "bad_signature",
        )
    yield refused(
        "a signature with the modulus added", "RFC 8017 section 5.2.2: below the modulus",
        with_modulus_added(forge.first), "bad_signature",
    )


def mismatched(forge: Forge) -> Iterator[Case]:
    """Yields genuine signatures over other content or by other keys."""
    header, payload, genuine = forge.token().split(".")
    bob = base64url(change(CLAIMS, sub="bob", user_id="bob"))
    for name, token in [
        ("the payload of another user with the signature of the original payload",
         f"{header}.{bob}.{genuine}"),
        ("a payload with one letter changed",
         f"{header}.{base64url(change(CLAIMS, jti=CLAIMS['jti'][:-1] + 'c'))}.{genuine}"),
        ("a changed header with the original signature",
         f"{base64url(change(HEADER, typ='application/at+jwt'))}.{payload}.{genuine}"),
        ("a header with an added space",
         f"{base64url(compact(HEADER) + ' ')}.{payload}.{genuine}"),
        ("a kid changed to that of another key",
         f"{base64url(change(HEADER, kid='key-2'))}.{payload}.{genuine}"),
        ("a token signed by key-2, with the kid of key-1", forge.token(key=forge.second)),
        ("a token signed by an attacker's key, with the kid of key-1",
         forge.token(key=forge.stranger)),
        ("a signature over the payload only",
         f"{header}.{payload}.{base64url(signature(forge.first, payload))}"),
        ("a signature over the parts without their dot",
         f"{header}.{payload}.{base64url(signature(forge.first, header + payload))}"),
        ("a signature over the decoded parts",
         f"{header}.{payload}."
         f"{base64url(signature(forge.first, compact(HEADER) + '.' + compact(CLAIMS)))}"),
    ]:
        yield refused(name, "RFC 7515 section 5.2", token, "bad_signature")


def forged_padding(forge: Forge) -> Iterator[Case]:
    """Yields blocks that only a lenient padding check accepts (RFC 8017 section 8.2.2)."""
    signed = signing_input(HEADER, CLAIMS)
    digest = hashlib.sha256(signed.encode()).digest()
    info = SHA256_INFO + digest
    info_without_parameters = bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + digest
    for name, encoded in [
        ("with bytes after the hash", block(b"\0\1" + b"\xff" * 8 + b"\0" + info, b"\0", b"")),
        ("with block type 2", block(b"\0\2", b"\xff", b"\0" + info)),
        ("with padding that is not all ones", block(b"\0\1", b"\xff", b"\xfe\0" + info)),
        ("without padding", block(b"", b"\0", info)),
        ("with only the hash", block(b"\0\1", b"\xff", b"\0" + digest)),
    ]:
        yield refused(
            f"a block {name}", "RFC 8017 section 8.2.2: the whole block is compared",
            f"{signed}.{base64url(sign_block(forge.first, encoded))}", "bad_signature",
        )
    encoded = block(b"\0\1", b"\xff", b"\0" + info_without_parameters)
    yield refused(
        "a block whose hash identifier lacks the parameters", "RFC 8017 section 9.2, note 1",
        f"{signed}.{base64url(sign_block(forge.first, encoded))}", "bad_signature",
        accepted_by=["java"],
    )


def block(start: bytes, fill: bytes, end: bytes) -> bytes:
    """Returns a block as long as the modulus, with `fill` repeated between `start` and `end`."""
    return start + fill * (BYTES - len(start) - len(end)) + end


def sign_block(key: rsa.RSAPrivateKey, encoded: bytes) -> bytes:
    """Signs a block without padding it (RFC 8017 section 5.2.1), which libraries do not offer."""
    private = key.private_numbers()
    number = pow(int.from_bytes(encoded, "big"), private.d, private.public_numbers.n)
    return number.to_bytes(BYTES, "big")


def with_modulus_added(key: rsa.RSAPrivateKey) -> str:
    """Returns a token whose signature is a number above the modulus, but of the same length."""
    modulus = key.private_numbers().public_numbers.n
    for _ in range(10_000):
        signed = signing_input(HEADER, change(CLAIMS, jti=secrets.token_hex(8)))
        number = int.from_bytes(signature(key, signed), "big") + modulus
        if number < 2 ** (BYTES * 8):
            return f"{signed}.{base64url(number.to_bytes(BYTES, 'big'))}"
    raise AssertionError("no signature is small enough")


def flipped(original: bytes, bit: int) -> bytes:
    """Returns the signature with one bit flipped; bit 0 is the first."""
    changed = bytearray(original)
    changed[bit // 8] ^= 0x80 >> bit % 8
    return bytes(changed)


def point(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    """Returns the public key as members of a JWK (RFC 7518 section 6.2.1)."""
    numbers = key.public_key().public_numbers()
    return {name: base64url(getattr(numbers, name).to_bytes(32, "big")) for name in ("x", "y")}


def ecdsa(key: ec.EllipticCurvePrivateKey, signed: str) -> bytes:
    """Returns an ES256 signature (RFC 7518 section 3.4)."""
    numbers = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return b"".join(number.to_bytes(32, "big") for number in numbers)
