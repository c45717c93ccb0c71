"""Every case of `verifiers/vectors/authorization.json`, which all languages run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_signet import Signet
from test_answers import asgi_app, fastapi_app

FILE = Path(__file__).parents[2] / "vectors" / "authorization.json"
CASES = json.loads(FILE.read_text())["cases"]


@pytest.mark.parametrize("application", [fastapi_app, asgi_app])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_authorization(case: Mapping[str, Any], application: Any, signet: Signet) -> None:
    token = signet.token()
    headers = [(b"Authorization", insert(token, value)) for value in case["authorization"]]
    body = insert(token, case.get("body", ""))
    if body:
        headers.append((b"Content-Type", b"application/x-www-form-urlencoded"))

    # Unlike a server, this transport forwards every value unchanged.
    async with signet.verifier() as verifier:
        transport = httpx.ASGITransport(application(verifier))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            response = await client.request(
                "POST" if body else "GET",
                f"/me?{insert(token, case.get('query', '')).decode()}",
                headers=headers,
                content=body,
            )

    found: dict[str, Any] = {"status": response.status_code}
    if response.status_code != 200:
        found["error"] = response.json()["error"]
        found["www_authenticate"] = response.headers.get("WWW-Authenticate")
    assert found == case["expect"]


def insert(token: str, template: str) -> bytes:
    return template.replace("{token}", token).encode("latin-1")
