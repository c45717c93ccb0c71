"""Objects as JSON, including forms that JSON writers do not produce."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class _Absent:
    """Marks a member to be removed."""


ABSENT: Final = _Absent()

Text = dict[str, Any] | list[Any] | str | bytes
"""An object to be written as JSON, or text that is used unchanged."""


def compact(value: Any) -> str:
    """JSON without spaces, with members in their given order."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def change(members: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy with members replaced, added, or removed (`ABSENT`)."""
    changed = {**members, **changes}
    return {name: value for name, value in changed.items() if value is not ABSENT}


def spelled(members: dict[str, Any], name: str, value: str) -> str:
    """JSON in which the value of the member `name` is the text `value`."""
    rest = compact(change(members, **{name: ABSENT}))
    return f'{{"{name}":{value},{rest[1:]}'


def first(members: dict[str, Any], text: str) -> str:
    """JSON that begins with the members in `text`, which may repeat others."""
    return f"{{{text},{compact(members)[1:]}"


def nested(depth: int) -> str:
    """Nested lists."""
    return "[" * depth + "]" * depth


def octets(text: Text) -> bytes:
    """The bytes of a part of a token."""
    if isinstance(text, bytes):
        return text
    return (text if isinstance(text, str) else compact(text)).encode()


def shown(value: Any) -> str:
    """A value as written in the name of a case."""
    return "missing" if value is ABSENT else compact(value)


def base64url(text: Text) -> str:
    """Unpadded base64url (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(octets(text)).rstrip(b"=").decode()


def signing_input(header: Text, payload: Text) -> str:
    """The signing input of a compact JWS (RFC 7515 section 5.1)."""
    return f"{base64url(header)}.{base64url(payload)}"


def spaced(members: dict[str, Any], remainder: int) -> str:
    """The object as JSON, padded with spaces to a length of `remainder` modulo 3.

    With a remainder of 1, four bits of the last base64url character are unused.
    """
    text = compact(members)
    return text + " " * ((remainder - len(octets(text))) % 3)


def stray(part: str) -> str:
    """The part with an unused trailing bit set, if it has one."""
    return part[:-1] + ALPHABET[ALPHABET.index(part[-1]) + 1]


def broken(part: str, by: str) -> str:
    """The part with `by` inserted."""
    return f"{part[:8]}{by}{part[8:]}"


def other_alphabet(part: str) -> str:
    """The part in the standard base64 alphabet (RFC 4648 section 4).

    Raises:
        AssertionError: The part has neither of the two characters that differ.
    """
    plain = part.replace("-", "+").replace("_", "/")
    if plain == part:
        raise AssertionError(f"the same in both alphabets: {part}")
    return plain
