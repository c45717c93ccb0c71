"""Runs a case of `verifiers/vectors`."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

from signet_verifier import Verifier, VerifyError

Case = Mapping[str, Any]


async def verdict_on(case: Case) -> dict[str, Any]:
    """Verifies the token of a complete case, and returns the result in the format of `expect`."""
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: serve(case, request)))
    async with client:
        verifier = Verifier(
            issuer=case["issuer"],
            audience=case["audience"],
            accept_typ_jwt=case.get("accept_typ_jwt", False),
            leeway_seconds=case["leeway_seconds"],
            http_client=client,
            clock=lambda: float(case["now"]),
            monotonic=lambda: 0.0,
        )
        try:
            token = await verifier.verify(case["token"])
        except VerifyError as error:
            return {"error": error.code}
        return {name: getattr(token, name) for name in token.__slots__}


def serve(case: Case, request: httpx.Request) -> httpx.Response:
    url = str(request.url)
    if url == f"{case['issuer']}/.well-known/jwks.json":
        jwks = case["jwks"]
        return httpx.Response(200, content=jwks if isinstance(jwks, str) else json.dumps(jwks))
    status_list = case.get("status_lists", {}).get(url)
    if status_list is None:
        return httpx.Response(404)
    media_type = {"Content-Type": "application/statuslist+jwt"}
    return httpx.Response(200, content=status_list, headers=media_type)
