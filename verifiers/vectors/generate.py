#!/usr/bin/env python3
"""Writes `cases.json` and `authorization.json`; with `--check`, checks that they are up to date.

Each run generates new keys and discards them, so no two outputs of `cases.json` are equal.
`--check` compares only the values that do not depend on a key.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from casebook import (
    accepted,
    authorization,
    claims,
    documents,
    header,
    key_sets,
    list_claims,
    lists,
    shape,
    signature,
    status,
    typ_jwt,
)
from casebook.case import AUDIENCE, ISSUER, LEEWAY, NOW, Case
from casebook.forge import Forge

HERE = Path(__file__).parent
CASES = HERE / "cases.json"
AUTHORIZATION = HERE / "authorization.json"
PACKING = HERE / "packing.json"
GROUPS = [
    accepted, shape, documents, header, signature, typ_jwt, claims, status, lists, list_claims,
    key_sets,
]


def document() -> dict[str, Any]:
    """Builds the contents of `cases.json` with new keys.

    Raises:
        SystemExit: Two cases have the same name.
    """
    forge = Forge()
    cases = [case for group in GROUPS for case in group.cases(forge)]
    require_unique(case.name for case in cases)
    return {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "now": NOW,
        "leeway_seconds": LEEWAY,
        "jwks": forge.jwks(),
        "cases": [members(case) for case in cases],
        "lists": json.loads(PACKING.read_text()),
    }


def authorization_document() -> dict[str, Any]:
    """Builds the contents of `authorization.json`, which depend on no key.

    Raises:
        SystemExit: Two cases have the same name.
    """
    cases = authorization.cases()
    require_unique(case["name"] for case in cases)
    return {"cases": cases}


def require_unique(names: Iterable[str]) -> None:
    """Exits if a name occurs twice."""
    duplicates = [name for name, count in Counter(names).items() if count > 1]
    if duplicates:
        raise SystemExit(f"names used by two cases: {', '.join(duplicates)}")


def members(case: Case) -> dict[str, Any]:
    """Returns a case as it is written in the file."""
    return {
        "name": case.name,
        "why": case.why,
        "token": case.token,
        **case.settings,
        "expect": case.expect,
    }


def as_text(whole: dict[str, Any]) -> str:
    """Returns JSON with one case on each line, so that a diff shows the changed cases."""

    def compact(value: Any) -> str:
        return json.dumps(value, separators=(",", ":"))

    def lines(value: Any) -> str:
        if not isinstance(value, list):
            return compact(value)
        return "[\n" + ",\n".join(compact(item) for item in value) + "\n]"

    text = ",\n".join(f"{compact(name)}: {lines(value)}" for name, value in whole.items())
    return f"{{\n{text}\n}}\n"


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the path and value of every leaf of the document; tokens are split into parts.

    It yields only the header of a status list token, because zlib versions compress the
    same list differently.
    """
    if isinstance(value, dict) and value:
        for name, member in value.items():
            yield from leaves(member, f"{path} {name}")
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            name = item["name"] if isinstance(item, dict) and "name" in item else index
            yield from leaves(item, f"{path} {name!r}")
    elif isinstance(value, str):
        parts = value.split(".")
        yield from ((f"{path} {index}", part) for index, part in enumerate(
            parts[:1] if " status_lists " in path else parts
        ))
    else:
        yield path, value


def stale() -> list[str]:
    """Returns the paths at which `cases.json` differs from the values that two runs share."""
    existing, first, second = (
        dict(leaves(whole)) for whole in (json.loads(CASES.read_text()), document(), document())
    )
    absent = object()
    fixed = (path for path in first if first[path] == second.get(path, absent))
    differing = {path for path in fixed if existing.get(path, absent) != first[path]}
    return sorted(differing | (existing.keys() - first.keys() - second.keys()))


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    if parser.parse_args().check:
        if paths := stale():
            raise SystemExit(f"{CASES.name} is stale, run {Path(__file__).name}: {paths[:9]}")
        if AUTHORIZATION.read_text() != as_text(authorization_document()):
            raise SystemExit(f"{AUTHORIZATION.name} is stale, run {Path(__file__).name}")
        print(f"{CASES.name} and {AUTHORIZATION.name} are up to date")
        return
    AUTHORIZATION.write_text(as_text(authorization_document()))
    whole = document()
    CASES.write_text(as_text(whole))
    print(f"{len(whole['cases'])} cases, {CASES.stat().st_size} bytes")


if __name__ == "__main__":
    main()
