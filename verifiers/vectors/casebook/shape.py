"""Tokens that are not a compact JWS, or not in canonical base64url."""

from __future__ import annotations

from collections.abc import Iterator

from casebook.accepted import padded
from casebook.case import CLAIMS, HEADER, Case, refused
from casebook.forge import Forge, seal
from casebook.text import (
    base64url,
    broken,
    change,
    compact,
    other_alphabet,
    spaced,
    stray,
)

ENCODING = "RFC 7515 section 2, RFC 4648 section 3: canonical unpadded base64url"


def cases(forge: Forge) -> Iterator[Case]:
    """All of them `malformed`."""
    yield from parts(forge)
    yield from encodings(forge)
    yield from encodings_of_signatures(forge)


def parts(forge: Forge) -> Iterator[Case]:
    """Tokens without exactly three parts, or not in compact form."""
    valid = forge.token()
    header, payload, signature = valid.split(".")
    members = {"protected": header, "signature": signature}
    for name, token in [
        ("nothing at all", ""),
        ("one part", header),
        ("two parts", f"{header}.{payload}"),
        ("four parts", f"{valid}.{signature}"),
        ("four parts, the last one empty", f"{valid}."),
        ("four parts, the first one empty", f".{valid}"),
        ("five parts, as a JWE has", f"{header}..{payload}.{signature}.{signature}"),
        ("dots alone", ".."),
        ("eight thousand dots", "." * 8192),
        ("an empty header", f".{payload}.{signature}"),
        ("the scheme before the token", f"Bearer {valid}"),
        ("a space before the token", f" {valid}"),
        ("a line feed after the token", f"{valid}\n"),
        ("a NUL after the token", f"{valid}\0"),
        ("a byte order mark before the token", f"\ufeff{valid}"),
        ("two tokens with a comma", f"{valid},{valid}"),
        ("a tilde after the token, as an SD-JWT has", f"{valid}~"),
        ("the flattened JSON serialization", compact({"payload": payload, **members})),
        ("the general JSON serialization",
         compact({"payload": payload, "signatures": [members]})),
        ("letters beyond ASCII", f"{header}.{payload}é.{signature}"),
        ("letters of another width", f"{header}.{payload}.{signature[:-4]}\uff21{signature[-3:]}"),
        ("full stops of another kind", valid.replace(".", "\u3002")),
    ]:
        yield refused(name, "RFC 7515 section 3.1: three parts", token, "malformed")
    yield refused(
        "an empty payload", "RFC 7519 section 7.2: the payload is a JSON object",
        seal(f"{header}.", forge.first), "malformed",
    )
    yield refused("a token of 8 KiB and a byte", "at most 8 KiB", padded(forge, 8193), "malformed")


def encodings(forge: Forge) -> Iterator[Case]:
    """Encodings that a lenient decoder accepts, signed in the encoding used."""
    header, payload = base64url(HEADER), base64url(CLAIMS)
    full = base64url(spaced(CLAIMS, 0))
    spare_header, spare_payload = (base64url(spaced(part, 1)) for part in (HEADER, CLAIMS))
    # The base64url of "?>" and "~" contains "_" and "-".
    plain = other_alphabet(base64url(change(CLAIMS, x="?>?>?>~~~~~~")))
    for name, signed in [
        ("padding after the header", f"{spare_header}==.{payload}"),
        ("padding after the payload", f"{header}.{spare_payload}=="),
        ("padding cut short after the payload", f"{header}.{spare_payload}="),
        ("needless padding after the payload", f"{header}.{full}===="),
        ("the alphabet of plain base64 in the payload", f"{header}.{plain}"),
        ("a line feed in the header", f"{broken(header, chr(10))}.{payload}"),
        ("a tab in the header", f"{broken(header, chr(9))}.{payload}"),
        ("a line feed in the payload", f"{header}.{broken(payload, chr(10))}"),
        ("a line feed at the end of the payload", f"{header}.{payload}\n"),
        ("a carriage return in the payload", f"{header}.{broken(payload, chr(13))}"),
        ("a space in the payload", f"{header}.{broken(payload, ' ')}"),
        ("a NUL in the payload", f"{header}.{broken(payload, chr(0))}"),
        ("a character of no alphabet in the payload", f"{header}.{broken(payload, '!')}"),
        ("a percent escape in the payload", f"{header}.{broken(payload, '%41')}"),
        ("stray bits at the end of the header", f"{stray(spare_header)}.{payload}"),
        ("stray bits at the end of the payload", f"{header}.{stray(spare_payload)}"),
        ("a single character left over in the payload", f"{header}.{full}A"),
    ]:
        yield refused(name, ENCODING, seal(signed, forge.first), "malformed")


def encodings_of_signatures(forge: Forge) -> Iterator[Case]:
    """The same for the signature, which is not itself signed."""
    signed, signature = forge.token().rsplit(".", 1)
    for name, spelling in [
        ("padding after the signature", f"{signature}=="),
        ("a line feed in the signature", broken(signature, "\n")),
        ("a space at the end of the signature", f"{signature} "),
        ("stray bits at the end of the signature", stray(signature)),
        ("a signature cut by a character", signature[:-1]),
        ("the alphabet of plain base64 in the signature", f"{signature[:-8]}+/+/{signature[-4:]}"),
    ]:
        yield refused(name, ENCODING, f"{signed}.{spelling}", "malformed")
