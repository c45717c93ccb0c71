"""Tokens that are not a compact JWS, or not in canonical base64url."""

from __future__ import annotations

from collections.abc import Iterator

from casebook.accepted import padded
from casebook.case import CLAIMS, HEADER, Case, refused
from casebook.forge import Forge, jws
from casebook.text import (
    base64url,
    change,
    compact,
    insert,
    standard_alphabet,
    with_spaces,
    with_stray_bits,
)

ENCODING = "RFC 7515 section 2, RFC 4648 section 3: canonical unpadded base64url"


def cases(forge: Forge) -> Iterator[Case]:
    """Yields tokens that are `malformed`."""
    yield from parts(forge)
    yield from encodings(forge)
    yield from encodings_of_signatures(forge)


def parts(forge: Forge) -> Iterator[Case]:
    """Yields texts that are not a compact JWS, a token with an empty payload, and a long one."""
    valid = forge.token()
    header, payload, signature = valid.split(".")
    members = {"protected": header, "signature": signature}
    for name, token in [
        ("an empty string", ""),
        ("one part", header),
        ("two parts", f"{header}.{payload}"),
        ("four parts", f"{valid}.{signature}"),
        ("four parts, the last one empty", f"{valid}."),
        ("four parts, the first one empty", f".{valid}"),
        ("five parts, as a JWE has", f"{header}..{payload}.{signature}.{signature}"),
        ("only two dots", ".."),
        ("eight thousand dots", "." * 8192),
        ("an empty header", f".{payload}.{signature}"),
        ("the scheme Bearer before the token", f"Bearer {valid}"),
        ("a space before the token", f" {valid}"),
        ("a line feed after the token", f"{valid}\n"),
        ("a NUL after the token", f"{valid}\0"),
        ("a byte order mark before the token", f"\ufeff{valid}"),
        ("two tokens with a comma", f"{valid},{valid}"),
        ("a tilde after the token, as an SD-JWT has", f"{valid}~"),
        ("the flattened JSON serialization", compact({"payload": payload, **members})),
        ("the general JSON serialization",
         compact({"payload": payload, "signatures": [members]})),
        ("a non-ASCII letter in the payload", f"{header}.{payload}é.{signature}"),
        ("a full-width letter in the signature",
         f"{header}.{payload}.{signature[:-4]}\uff21{signature[-3:]}"),
        ("ideographic full stops instead of dots", valid.replace(".", "\u3002")),
    ]:
        yield refused(name, "RFC 7515 section 3.1: three base64url parts", token, "malformed")
    yield refused(
        "an empty payload", "RFC 7519 section 7.2: the payload is a JSON object",
        jws(f"{header}.", forge.first), "malformed",
    )
    yield refused(
        "a token of 8 KiB plus one byte", "at most 8 KiB", padded(forge, 8193), "malformed"
    )


def encodings(forge: Forge) -> Iterator[Case]:
    """Yields encodings that a lenient decoder accepts. The signature covers the given encoding."""
    header, payload = base64url(HEADER), base64url(CLAIMS)
    # Its length needs no padding.
    aligned_payload = base64url(with_spaces(CLAIMS, 0))
    header_with_spare_bits = base64url(with_spaces(HEADER, 1))
    payload_with_spare_bits = base64url(with_spaces(CLAIMS, 1))
    # The base64url of "?>" and "~" contains "_" and "-".
    standard = standard_alphabet(base64url(change(CLAIMS, x="?>?>?>~~~~~~")))
    for name, signed in [
        ("padding after the header", f"{header_with_spare_bits}==.{payload}"),
        ("padding after the payload", f"{header}.{payload_with_spare_bits}=="),
        ("incomplete padding after the payload", f"{header}.{payload_with_spare_bits}="),
        ("needless padding after the payload", f"{header}.{aligned_payload}===="),
        ("the standard base64 alphabet in the payload", f"{header}.{standard}"),
        ("a line feed in the header", f"{insert(header, chr(10))}.{payload}"),
        ("a tab in the header", f"{insert(header, chr(9))}.{payload}"),
        ("a line feed in the payload", f"{header}.{insert(payload, chr(10))}"),
        ("a line feed at the end of the payload", f"{header}.{payload}\n"),
        ("a carriage return in the payload", f"{header}.{insert(payload, chr(13))}"),
        ("a space in the payload", f"{header}.{insert(payload, ' ')}"),
        ("a NUL in the payload", f"{header}.{insert(payload, chr(0))}"),
        ("a character outside of the alphabet in the payload", f"{header}.{insert(payload, '!')}"),
        ("a percent escape in the payload", f"{header}.{insert(payload, '%41')}"),
        ("stray bits at the end of the header",
         f"{with_stray_bits(header_with_spare_bits)}.{payload}"),
        ("stray bits at the end of the payload",
         f"{header}.{with_stray_bits(payload_with_spare_bits)}"),
        ("a payload whose length is 1 modulo 4", f"{header}.{aligned_payload}A"),
    ]:
        yield refused(name, ENCODING, jws(signed, forge.first), "malformed")


def encodings_of_signatures(forge: Forge) -> Iterator[Case]:
    """Yields encodings of the signature that a lenient decoder accepts."""
    signed, signature = forge.token().rsplit(".", 1)
    for name, spelling in [
        ("padding after the signature", f"{signature}=="),
        ("a line feed in the signature", insert(signature, "\n")),
        ("a space at the end of the signature", f"{signature} "),
        ("stray bits at the end of the signature", with_stray_bits(signature)),
        ("a signature without its last character", signature[:-1]),
        ("the standard base64 alphabet in the signature", f"{signature[:-8]}+/+/{signature[-4:]}"),
    ]:
        yield refused(name, ENCODING, f"{signed}.{spelling}", "malformed")
