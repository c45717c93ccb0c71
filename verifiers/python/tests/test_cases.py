"""Every shared case of `verifiers/vectors`, which all languages run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cases import Case, verdict_on

from signet_verifier.status_list import StatusList, unpack

CASES = json.loads((Path(__file__).parents[2] / "vectors" / "cases.json").read_text())


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["name"])
async def test_case(case: Case) -> None:
    expected = case["expect"]

    actual = await verdict_on({**CASES, **case})

    assert actual == expected


@pytest.mark.parametrize("packed", CASES["lists"], ids=lambda packed: packed["name"])
def test_status_lists_of_the_draft_are_unpacked(packed: Mapping[str, Any]) -> None:
    bits, statuses = unpack({"bits": packed["bits"], "lst": packed["lst"]})
    status_list = StatusList(bits, statuses)

    named = {int(index): value for index, value in packed["statuses"].items()}
    for index in range(packed["size"]):
        assert status_list.status(index) == named.get(index, 0), index
    assert status_list.status(packed["size"]) is None
