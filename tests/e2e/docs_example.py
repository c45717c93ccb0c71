"""The code blocks of pages in `docs/`."""

import re
from typing import Any

from processes import REPOSITORY

SETTINGS = 'ISSUER, AUDIENCE = "http://localhost:8080", "http://localhost:8080"'


def block_with(language: str, mark: str, page: str = "verify-a-token.md") -> str:
    """The one code block of this language that contains `mark`."""
    text = (REPOSITORY / "docs" / page).read_text()
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    (block,) = (block for block in blocks if mark in block)
    return block


def stock_pyjwt(issuer: str, audience: str) -> dict[str, Any]:
    """Runs the code block for PyJWT with this issuer and audience. Returns its definitions."""
    block = block_with("python", SETTINGS)
    names: dict[str, Any] = {}
    exec(block.replace(SETTINGS, f"ISSUER, AUDIENCE = {issuer!r}, {audience!r}"), names)
    return names
