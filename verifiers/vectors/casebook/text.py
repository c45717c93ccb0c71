"""Objects as JSON, with the oddities that no JSON writer writes."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class _Absent:
    """Stands for a member that is taken away."""


ABSENT: Final = _Absent()

Text = dict[str, Any] | list[Any] | str | bytes
"""An object to be written as JSON, or text that is taken as it is."""


def compact(value: Any) -> str:
    """JSON without spaces, in the order of the members."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def change(members: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy with members replaced, added, or taken away (`ABSENT`)."""
    changed = {**members, **changes}
    return {name: value for name, value in changed.items() if value is not ABSENT}


def spelled(members: dict[str, Any], name: str, value: str) -> str:
    """JSON whose member `name` has a value written exactly so."""
    rest = compact(change(members, **{name: ABSENT}))
    return f'{{"{name}":{value},{rest[1:]}'


def first(members: dict[str, Any], text: str) -> str:
    """JSON that begins with the members written in `text`, repeated or not."""
    return f"{{{text},{compact(members)[1:]}"


def nested(depth: int) -> str:
    """Lists in one another."""
    return "[" * depth + "]" * depth


def octets(text: Text) -> bytes:
    """The bytes of a part of a token."""
    if isinstance(text, bytes):
        return text
    return (text if isinstance(text, str) else compact(text)).encode()


def shown(value: Any) -> str:
    """A value as it stands in the name of a case."""
    return "missing" if value is ABSENT else compact(value)


def base64url(text: Text) -> str:
    """Unpadded base64url (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(octets(text)).rstrip(b"=").decode()


def signing_input(header: Text, payload: Text) -> str:
    """What a compact JWS signs (RFC 7515 section 5.1)."""
    return f"{base64url(header)}.{base64url(payload)}"


def spaced(members: dict[str, Any], remainder: int) -> str:
    """The object as JSON with spaces after it: `remainder` bytes more than groups of three.

    With one byte more, the last of two characters has four bits to spare.
    """
    text = compact(members)
    return text + " " * ((remainder - len(octets(text))) % 3)


def stray(part: str) -> str:
    """The part with a bit set that belongs to no byte, if it has one to spare."""
    return part[:-1] + ALPHABET[ALPHABET.index(part[-1]) + 1]


def broken(part: str, by: str) -> str:
    """The part with something put into it."""
    return f"{part[:8]}{by}{part[8:]}"


def other_alphabet(part: str) -> str:
    """The part as plain base64 has it (RFC 4648 section 4).

    Raises:
        AssertionError: the part has neither of the two characters that differ.
    """
    plain = part.replace("-", "+").replace("_", "/")
    if plain == part:
        raise AssertionError(f"the same in both alphabets: {part}")
    return plain
