"""The code blocks of `docs/verify-a-token.md`."""

import re
from typing import Any

from processes import REPOSITORY

SETTINGS = 'ISSUER, AUDIENCE = "http://localhost:8080", "http://localhost:8080"'


def block_with(language: str, mark: str) -> str:
    """The one block of this language that holds `mark`."""
    page = (REPOSITORY / "docs/verify-a-token.md").read_text()
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    (block,) = (block for block in blocks if mark in block)
    return block


def stock_pyjwt(issuer: str, audience: str) -> dict[str, Any]:
    """What the block for PyJWT defines, with the address of an issuer of the tests."""
    block = block_with("python", SETTINGS)
    names: dict[str, Any] = {}
    exec(block.replace(SETTINGS, f"ISSUER, AUDIENCE = {issuer!r}, {audience!r}"), names)
    return names
