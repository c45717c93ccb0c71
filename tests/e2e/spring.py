"""Spring Boot's resource server: the application of `tests/clients/stock/spring`."""

import shutil
from pathlib import Path

import httpx

from node import run
from processes import REPOSITORY, Process, clean_environment, free_port

SOURCE = REPOSITORY / "tests/clients/stock/spring"
BUILT = REPOSITORY / "target/e2e-spring"
JAR = BUILT / "target/tasks.jar"
PROPERTIES = "spring.security.oauth2.resourceserver.jwt"

BUILD_SECONDS = 900
"""Maven downloads 60 MB on the first build."""


def build() -> None:
    """Builds the application from a copy, so that no file is written beside the sources."""
    shutil.rmtree(BUILT, ignore_errors=True)
    shutil.copytree(SOURCE, BUILT, ignore=shutil.ignore_patterns("target"))
    run("mvn", "--batch-mode", "--quiet", "package", cwd=BUILT, seconds=BUILD_SECONDS)


class Spring(Process):
    """The application with an issuer and an audience as its only properties about tokens.

    If `audience` is empty, the property `audiences` is empty.
    """

    def __init__(self, name: str, directory: Path, issuer: str, audience: str) -> None:
        super().__init__(name, directory)
        port = free_port()
        self.tasks = f"http://127.0.0.1:{port}/tasks"
        self._command = [
            "java",
            "-jar",
            str(JAR),
            "--server.address=127.0.0.1",
            f"--server.port={port}",
            f"--{PROPERTIES}.issuer-uri={issuer}",
            f"--{PROPERTIES}.audiences={audience}",
        ]

    def start(self) -> "Spring":
        self.spawn(self._command, clean_environment())
        self.wait_until_ready(self.tasks, 401)
        return self

    def get(self, token: str) -> httpx.Response:
        return self._request("GET", token)

    def post(self, token: str) -> httpx.Response:
        return self._request("POST", token)

    def _request(self, method: str, token: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.request(method, self.tasks, headers=headers, timeout=30)
