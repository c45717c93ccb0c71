"""Generated requests check that the running service conforms to its OpenAPI document."""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from clients import SignetClient
from processes import Signet, clean_environment

SEED = 7638
EXAMPLES = 25
TIME_LIMIT_SECONDS = 300

# A reset and a verification need a one-time token or a code from a mail, and consents are only given on the pages.
# This list may only shrink.
NEVER_SUCCEED = {
    "POST /api/auth/password/reset",
    "POST /api/auth/password/reset/code",
    "POST /api/auth/email/verify",
    "POST /api/auth/email/verify/code",
    "DELETE /api/auth/consents/{client_id}",
}

HERE = Path(__file__).parent


def test_service_conforms_to_its_openapi_document(signet: Signet, tmp_path: Path) -> None:
    # Responses with 429 would pass every check.
    for name in ("ATTEMPTS", "ACCOUNT_ATTEMPTS", "REFRESHES", "REQUESTS"):
        signet.settings[f"SIGNET_{name}_PER_MINUTE"] = "1000000"
    # Without mail, the operations that send mail respond with 404.
    signet.settings["SIGNET_MAIL"] = f"file:{tmp_path}"
    signet.settings["SIGNET_MAIL_FROM"] = "signet@example.test"
    signet.start()
    calls_file = tmp_path / "calls.jsonl"

    finished = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli"),
            *("--config-file", str(HERE / "schemathesis.toml")),
            *("run", f"{signet.url}/openapi.json"),
            *("--checks", "all", "--phases", "examples,coverage,fuzzing,stateful"),
            *("--seed", str(SEED), "--max-examples", str(EXAMPLES), "--no-shrink"),
            *("--generation-database", "none", "--continue-on-failure", "--no-color"),
        ],
        cwd=tmp_path,
        env={
            **clean_environment(),
            "PYTHONPATH": str(HERE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
            "SIGNET_URL": signet.url,
            "CALLS_FILE": str(calls_file),
        },
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_SECONDS,
        check=False,
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    statuses = defaultdict(set)
    for line in calls_file.read_text().splitlines():
        operation, status = json.loads(line)
        statuses[operation].add(status)
    throttled = {name for name, seen in statuses.items() if seen & {429, 503}}
    assert throttled == set()
    documented = documented_operations(signet)
    assert set(statuses) == documented
    unsuccessful = {name for name in documented if not any(s < 400 for s in statuses[name])}
    assert unsuccessful <= NEVER_SUCCEED


def documented_operations(signet: Signet) -> set[str]:
    with SignetClient(signet.url) as client:
        paths = client.get("/openapi.json").json()["paths"]
    methods = {"get", "put", "post", "delete", "patch"}
    return {
        f"{method.upper()} {path}"
        for path, operations in paths.items()
        for method in operations.keys() & methods
    }
