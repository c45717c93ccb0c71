"""Writes JSON and base64url, including forms that their encoders do not produce."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class _Absent:
    """The type of `ABSENT`, which marks a member to be removed."""


ABSENT: Final = _Absent()

Text = dict[str, Any] | list[Any] | str | bytes
"""An object to be written as JSON, or text that is used unchanged."""


def compact(value: Any) -> str:
    """Writes JSON without spaces, with members in their given order."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def change(members: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Returns a copy with members replaced, added, or removed (`ABSENT`)."""
    changed = {**members, **changes}
    return {name: value for name, value in changed.items() if value is not ABSENT}


def with_raw(members: dict[str, Any], name: str, value: str) -> str:
    """Returns JSON in which the value of the member `name` is the text `value`."""
    others = compact(change(members, **{name: ABSENT}))
    return f'{{"{name}":{value},{others[1:]}'


def prepend(members: dict[str, Any], text: str) -> str:
    """Returns JSON that begins with the members in `text`, which may repeat other members."""
    return f"{{{text},{compact(members)[1:]}"


def nested(depth: int) -> str:
    """Returns `depth` nested lists."""
    return "[" * depth + "]" * depth


def to_bytes(text: Text) -> bytes:
    """Returns the bytes of a part of a token."""
    if isinstance(text, bytes):
        return text
    return (text if isinstance(text, str) else compact(text)).encode()


def label(value: Any) -> str:
    """Returns a value as it is written in the name of a case."""
    return "missing" if value is ABSENT else compact(value)


def base64url(text: Text) -> str:
    """Returns unpadded base64url (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(to_bytes(text)).rstrip(b"=").decode()


def signing_input(header: Text, payload: Text) -> str:
    """Returns the signing input of a compact JWS (RFC 7515 section 5.1)."""
    return f"{base64url(header)}.{base64url(payload)}"


def with_spaces(members: dict[str, Any], remainder: int) -> str:
    """Returns the object as JSON, padded with spaces to a length of `remainder` modulo 3.

    With a remainder of 1, four bits of the last base64url character are spare.
    """
    text = compact(members)
    return text + " " * ((remainder - len(to_bytes(text))) % 3)


def with_stray_bits(part: str) -> str:
    """Returns the part with a stray bit: a spare trailing bit, which it must have, is set."""
    return part[:-1] + ALPHABET[ALPHABET.index(part[-1]) + 1]


def insert(part: str, text: str) -> str:
    """Returns the part with `text` inserted."""
    return f"{part[:8]}{text}{part[8:]}"


def standard_alphabet(part: str) -> str:
    """Returns the part in the standard base64 alphabet (RFC 4648 section 4).

    Raises:
        AssertionError: The part has neither of the two characters that differ.
    """
    plain = part.replace("-", "+").replace("_", "/")
    if plain == part:
        raise AssertionError(f"the same in both alphabets: {part}")
    return plain
