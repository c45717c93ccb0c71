"""The example of the README, run unchanged."""

import re
from pathlib import Path
from typing import Any

import httpx
from fake_signet import AUDIENCE, ISSUER, USER, Signet

import signet_verifier


async def test_fastapi_example_serves_only_the_owner(signet: Signet, monkeypatch: Any) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    block = next(iter(re.findall(r"```python\n(.*?)```", readme, re.DOTALL)))
    assert "https://id.example" in block
    assert "https://tasks.example" in block
    block = block.replace("https://id.example", ISSUER).replace("https://tasks.example", AUDIENCE)
    monkeypatch.setattr(signet_verifier, "Verifier", lambda **_settings: signet.verifier())
    names: dict[str, Any] = {"tasks_of": lambda user_id: [f"a task of {user_id}"]}
    exec(block, names)

    transport = httpx.ASGITransport(names["app"])
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:

        async def status(token: str | None, user_id: str) -> int:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            return (await client.get(f"/users/{user_id}/tasks", headers=headers)).status_code

        assert await status(signet.token(), USER) == 200
        assert await status(signet.token(), "somebody-else") == 403
        assert await status(None, USER) == 401
        signet.revoke(3)
        signet.clocks.advance(10)
        assert await status(signet.token(), USER) == 401
