"""Strict base64url and JSON, so that all parsers read a token in the same way.

The standard library does the parsing. This module refuses what it accepts beyond canonical
base64url and strict JSON, which the README of all verifiers defines. All functions raise
`ValueError`.
"""

import base64
import json
from typing import Any, NoReturn

DEEPEST = 127
"""The maximum nesting depth of lists and objects, including the outermost."""


def decode_base64url(part: bytes) -> bytes:
    """Decodes unpadded canonical base64url (RFC 7515 section 2, RFC 4648 section 3.5)."""
    decoded = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    # The decoder skips characters outside its alphabet and drops spare bits. Encoding the result
    # again detects this.
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != part:
        raise ValueError("not canonical base64url")
    return decoded


def parse_object(document: bytes) -> dict[str, Any]:
    """Parses one JSON object in UTF-8 without duplicate names at any depth."""
    text = document.decode("utf-8")
    try:
        value = _decoder.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if type(value) is not dict:
        raise ValueError("not an object")
    if text.count("[") + text.count("{") > DEEPEST and _depth(value) > DEEPEST:
        raise ValueError("nested too deeply")
    if "\\u" in text:
        # Escapes may produce an unpaired surrogate, which cannot be encoded as UTF-8.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _object_without_repeated_names(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a name occurs twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _number(text: str) -> int | float:
    """Returns a float for `-0`, so that it does not count as a whole number."""
    return float(text) if text == "-0" else int(text)


_decoder = json.JSONDecoder(
    object_pairs_hook=_object_without_repeated_names,
    parse_constant=_refuse_constant,
    parse_int=_number,
)


def _depth(value: object) -> int:
    """Computed level by level, so that deep nesting does not exhaust the stack."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, (dict, list))]:
        depth += 1
        level = [
            member
            for item in level
            for member in (item.values() if isinstance(item, dict) else item)
        ]
    return depth
