"""`tests/conformance/prepare` fills in the configuration of the official suite."""

import json
import subprocess
from pathlib import Path

import httpx
import pytest

from processes import REPOSITORY, SIGNET_BIN, Signet, clean_environment

pytestmark = pytest.mark.once

PREPARE = REPOSITORY / "tests/conformance/prepare"


def test_prepare_is_idempotent_on_a_running_signet(signet: Signet, tmp_path: Path) -> None:
    signet.start()
    file = tmp_path / "filled.json"
    environment = {**clean_environment(), **signet.settings, "SIGNET_BIN": str(SIGNET_BIN)}
    for _ in range(2):
        command = [str(PREPARE), signet.url, str(file)]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)

        text = file.read_text()
        assert "signet.example" not in text and "printed by" not in text
        configuration = json.loads(text)
        assert configuration["server"]["discoveryUrl"].startswith(signet.url)
        override = configuration["override"]["oidcc-backchannel-rp-initiated-logout"]
        for client in (configuration["client"], configuration["client2"], override["client"]):
            credentials = (client["client_id"], client["client_secret"])
            answer = httpx.post(
                f"{signet.url}/oauth2/introspect", data={"token": "x"}, auth=credentials
            )
            assert (answer.status_code, answer.json()) == (200, {"active": False})
        account = {"email": "conformance@example.com", "password": "Analytical-Engine-1843"}
        tokens = httpx.post(f"{signet.url}/api/auth/login", json=account).json()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        me = httpx.get(f"{signet.url}/api/auth/me", headers=bearer).json()
        assert "birthdate" in json.dumps(me)
    assert file.stat().st_mode & 0o077 == 0
