"""Decides whether the verdicts of several languages on a case are equivalent.

`verifiers/README.md` describes the permitted differences.
"""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any

Verdicts = dict[str, str]
"""By language: `accepted` with the token's data, or the code of the rejection."""

DETECTED_EARLIER = frozenset({
    "forbidden_header", "unsupported_algorithm", "wrong_type", "unknown_key", "bad_signature",
    "keys_unavailable",
})
"""Rejections that may precede the detection of a malformed `kid` or payload."""

UNREADABLE = frozenset({"malformed", "keys_unavailable", "status_unavailable"})
"""Rejections because a document cannot be parsed."""

NUMBER = re.compile(rb"-?\d[\d.]*(?:[eE][+-]?\d+)?")


def verdict(line: str) -> str:
    """Normalizes a runner's line, since Go prints absent members as empty ones."""
    result = json.loads(line)
    if "error" in result:
        return str(result["error"])
    members = {name: value for name, value in result.items() if value not in (None, "")}
    return f"accepted {json.dumps(members, sort_keys=True)}"


def differ(case: dict[str, Any], found: Verdicts) -> bool:
    """Whether the verdicts differ in a way that is not permitted."""
    exempt = case.get("exempt", ())
    kinds = {kind for language, kind in found.items() if language not in exempt}
    # Some languages refuse such a number as malformed, in a token, in a list or in the key set.
    if len(kinds) > 1 and has_number_out_of_range(case):
        kinds -= UNREADABLE
    # A malformed `kid` or payload may be detected after one of these other errors.
    return len(kinds) > 1 and not (
        len(kinds) == 2 and "malformed" in kinds and kinds & DETECTED_EARLIER
    )


def has_number_out_of_range(case: dict[str, Any]) -> bool:
    """Whether a document of the case has a number outside the range of a double."""
    tokens = [case["token"], *filter(None, case.get("status_lists", {}).values())]
    texts = [decoded(part) for token in tokens for part in token.split(".")[:2]]
    jwks = case.get("jwks", "")
    return any(
        is_out_of_range(number)
        for text in [*texts, (jwks if isinstance(jwks, str) else json.dumps(jwks)).encode()]
        for number in NUMBER.findall(text)
    )


def decoded(part: str) -> bytes:
    """The decoded part of a token, empty if it is not base64url."""
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return b""


def is_out_of_range(number: bytes) -> bool:
    """Whether the number becomes infinite as a double."""
    try:
        return math.isinf(float(number))
    except ValueError:
        return False
