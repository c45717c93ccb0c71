"""Every shared case of `verifiers/vectors`, which all languages run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from signet_verifier import Verifier, VerifyError
from signet_verifier.status_list import StatusList, unpack

CASES = json.loads((Path(__file__).parents[2] / "vectors" / "cases.json").read_text())


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["name"])
async def test_case(case: Mapping[str, Any]) -> None:
    setting = {**CASES, **case}
    client = httpx.AsyncClient(
        transport=httpx.MockTransport(lambda request: serve(setting, request))
    )
    async with client:
        verifier = Verifier(
            issuer=setting["issuer"],
            audience=setting["audience"],
            accept_typ_jwt=setting.get("accept_typ_jwt", False),
            leeway_seconds=setting["leeway_seconds"],
            http_client=client,
            clock=lambda: float(setting["now"]),
            monotonic=lambda: 0.0,
        )
        try:
            token = await verifier.verify(case["token"])
            found = {name: getattr(token, name) for name in token.__slots__}
        except VerifyError as error:
            found = {"error": error.code}

    expected = case["expect"]
    assert "error" in expected or expected.keys() == found.keys()
    assert found == expected


def serve(setting: Mapping[str, Any], request: httpx.Request) -> httpx.Response:
    url = str(request.url)
    if url == f"{setting['issuer']}/.well-known/jwks.json":
        jwks = setting["jwks"]
        return httpx.Response(200, content=jwks if isinstance(jwks, str) else json.dumps(jwks))
    status_list = setting.get("status_lists", {}).get(url)
    if status_list is None:
        return httpx.Response(404)
    media_type = {"Content-Type": "application/statuslist+jwt"}
    return httpx.Response(200, content=status_list, headers=media_type)


@pytest.mark.parametrize("packed", CASES["lists"], ids=lambda packed: packed["name"])
def test_status_lists_of_the_draft_are_unpacked(packed: Mapping[str, Any]) -> None:
    bits, statuses = unpack({"bits": packed["bits"], "lst": packed["lst"]})
    status_list = StatusList(bits, statuses)

    named = {int(index): value for index, value in packed["statuses"].items()}
    for index in range(packed["size"]):
        assert status_list.status(index) == named.get(index, 0), index
    assert status_list.status(packed["size"]) is None
