"""Whether the verdicts of several languages on one case are one behaviour, as `verifiers/README.md`
describes it."""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any

Verdicts = dict[str, str]
"""`accepted` with what the token says, or the code of the refusal, by language."""

EARLIER = frozenset({
    "forbidden_header", "unsupported_algorithm", "wrong_type", "unknown_key", "bad_signature",
    "keys_unavailable",
})
"""Refusals for which a fault of `kid` or of the payload may be passed over at first."""

UNREADABLE = frozenset({"malformed", "keys_unavailable", "status_unavailable"})
"""What a document that cannot be read leads to."""

NUMBER = re.compile(rb"-?\d[\d.]*(?:[eE][+-]?\d+)?")


def verdict(line: str) -> str:
    """A line of a runner, in a form that is equal in all languages: Go has no word for absent."""
    said = json.loads(line)
    if "error" in said:
        return str(said["error"])
    told = {name: value for name, value in said.items() if value not in (None, "")}
    return f"accepted {json.dumps(told, sort_keys=True)}"


def differ(case: dict[str, Any], found: Verdicts) -> bool:
    """Whether the verdicts differ in a way that is not documented."""
    exempt = case.get("exempt", ())
    kinds = {kind for language, kind in found.items() if language not in exempt}
    if len(kinds) > 1 and has_number_out_of_range(case):
        kinds -= UNREADABLE
    return len(kinds) > 1 and not (
        len(kinds) == 2 and "malformed" in kinds and kinds & EARLIER
    )


def has_number_out_of_range(case: dict[str, Any]) -> bool:
    """Whether a document of the case has a number that no double can hold."""
    tokens = [case["token"], *filter(None, case.get("status_lists", {}).values())]
    texts = [decoded(part) for token in tokens for part in token.split(".")[:2]]
    jwks = case.get("jwks", "")
    return any(
        is_out_of_range(number)
        for text in [*texts, (jwks if isinstance(jwks, str) else json.dumps(jwks)).encode()]
        for number in NUMBER.findall(text)
    )


def decoded(part: str) -> bytes:
    """What a part of a token holds, if it is base64url."""
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return b""


def is_out_of_range(number: bytes) -> bool:
    """Whether it becomes infinite as a double."""
    try:
        return math.isinf(float(number))
    except ValueError:
        return False
