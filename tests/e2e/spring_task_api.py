"""The task API of `examples/task-api-spring`, built from the sources of this repository."""

import shutil
from functools import lru_cache
from pathlib import Path

from node import run
from processes import REPOSITORY, TaskApi, clean_environment

VERIFIER = "verifiers/java"
EXAMPLE = "examples/task-api-spring"
BUILT = REPOSITORY / "target/e2e-spring-task-api"

BUILD_SECONDS = 600
"""Maven downloads some 60 MB on the first build."""

START_SECONDS = 120
"""A JVM starts slowly while other tests run."""

# This parent builds the verifier and the example together, so that the example finds the verifier's
# starter although it is not installed.
PARENT_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>example</groupId>
  <artifactId>parent</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <modules>
    <module>{VERIFIER}</module>
    <module>{EXAMPLE}</module>
  </modules>
</project>
"""


@lru_cache(maxsize=1)
def build() -> Path:
    """Builds the application from copies, so that no file is written beside the sources."""
    shutil.rmtree(BUILT, ignore_errors=True)
    for part in (VERIFIER, EXAMPLE):
        shutil.copytree(
            REPOSITORY / part, BUILT / part, ignore=shutil.ignore_patterns("target", "*.mv.db")
        )
    (BUILT / "pom.xml").write_text(PARENT_POM)
    only = ("--projects", EXAMPLE, "--also-make", "-Dmaven.test.skip")
    run("mvn", "--batch-mode", "--quiet", *only, "package", cwd=BUILT, seconds=BUILD_SECONDS)
    return BUILT / EXAMPLE / "target/task-api.jar"


class SpringTaskApi(TaskApi):
    """The task API in Spring Boot, with the same routes and settings as the Python example."""

    def start(self) -> "SpringTaskApi":
        # The optimising compiler would not pay off for the few requests of a test.
        command = ["java", "-XX:TieredStopAtLevel=1", "-jar", str(build())]
        self.spawn(command, {**clean_environment(), **self.settings, "PORT": str(self.port)})
        self.wait_until_ready(f"{self.url}/health", seconds=START_SECONDS)
        return self
