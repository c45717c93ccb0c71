"""The programs of `tests/clients/java` and `tests/clients/go`.

They call Signet through clients that openapi-generator generates.
"""

import os
import shutil
from functools import lru_cache
from pathlib import Path

import pytest

from node import CONTRACT, run
from processes import REPOSITORY

CLIENTS = REPOSITORY / "tests/clients"
BUILT = REPOSITORY / "target/e2e-generated-clients"

BUILD_SECONDS = 600
"""On the first build, Maven downloads the dependencies of the generator."""

SHORT_LIVED = "-XX:TieredStopAtLevel=1"
"""An option for a JVM that exits before its optimising compiler pays off."""

without_java = pytest.mark.skipif(
    "E2E_WITHOUT_JAVA" in os.environ, reason="scripts/test --without-java"
)
without_go = pytest.mark.skipif(
    # The generator is a Java program, so the Go client requires Java and Go.
    not {"E2E_WITHOUT_GO", "E2E_WITHOUT_JAVA"}.isdisjoint(os.environ),
    reason="scripts/test --without-go or --without-java",
)


@lru_cache(maxsize=1)
def generate() -> None:
    """Generates both clients and compiles the Java client with one run of Maven, in copies."""
    shutil.rmtree(BUILT, ignore_errors=True)
    for language in ("java", "go"):
        ignored = shutil.ignore_patterns("target", "signet", "lifecycle")
        shutil.copytree(CLIENTS / language, BUILT / language, ignore=ignored)
    maven_properties = (f"-Dcontract={CONTRACT}", f"-Dgo.directory={BUILT / 'go/signet'}")
    build = ("mvn", "--batch-mode", "--quiet", *maven_properties, "process-classes")
    run(*build, cwd=BUILT / "java", seconds=BUILD_SECONDS, MAVEN_OPTS=SHORT_LIVED)


def run_java_client(*arguments: str) -> str:
    generate()
    classes = BUILT / "java/target"
    java = ("java", SHORT_LIVED, "-cp", f"{classes}/classes:{classes}/lib/*")
    return run(*java, "example.Lifecycle", *arguments, cwd=BUILT)


def run_go_client(*arguments: str) -> str:
    generate()
    directory: Path = BUILT / "go"
    run("go", "vet", "./...", cwd=directory)
    return run("go", "run", ".", *arguments, cwd=directory)
