"""The runners of the languages.

Each language has a runner among its tests: a command that reads `CASES_FILE` and writes
`VERDICTS_FILE`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

Command = tuple[list[str], Path, dict[str, str]]
"""A command, its working directory, and its additional environment variables."""


@dataclass(frozen=True)
class Runners:
    """The commands of the runners. Some need files that `scripts/test` builds in `target`."""

    target: Path

    def rust(self) -> Command:
        test = ["--package", "signet-verifier", "--test", "it", "--", "--exact", "cases::verdicts"]
        return ["cargo", "test", "--locked", "--quiet", *test], REPOSITORY, {}

    def python(self) -> Command:
        sources = {"PYTHONPATH": str(REPOSITORY / "verifiers/python/src")}
        return [sys.executable, "tests/verdicts.py"], REPOSITORY / "verifiers/python", sources

    def typescript(self) -> Command:
        return ["node", "build/verdicts.js"], self.target / "verifiers/typescript", {}

    def go(self) -> Command:
        test = str(self.target / "verifiers/go.test")
        return [test, "-test.run", "^TestVerdicts$"], REPOSITORY / "verifiers/go", {}

    def java(self) -> Command:
        built = [f"target/{classes}" for classes in ("classes", "test-classes")]
        logging = "-Djava.util.logging.config.file=../logging.properties"
        command = ["java", logging, "-cp", os.pathsep.join(built), "dev.signet.verifier.Verdicts"]
        return command, self.target / "verifiers/java/signet-verifier", {}

    def build_go(self) -> None:
        """Builds the runner of Go, since `go test` does not keep its program."""
        subprocess.run(
            ["go", "test", "-c", "-o", str(self.target / "verifiers/go.test"), "."],
            cwd=REPOSITORY / "verifiers/go",
            check=True,
        )

    def all(self) -> dict[str, Callable[[], Command]]:
        """Each language's command."""
        return {
            "rust": self.rust,
            "python": self.python,
            "typescript": self.typescript,
            "go": self.go,
            "java": self.java,
        }


def verdicts(command: Command, cases: Path, verdicts: Path) -> list[str]:
    """Runs a command. Returns its verdicts, one line per case.

    Raises:
        SystemExit: the command failed.
    """
    arguments, directory, variables = command
    files = {"CASES_FILE": str(cases), "VERDICTS_FILE": str(verdicts)}
    done = subprocess.run(
        arguments,
        cwd=directory,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **variables, **files},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        raise SystemExit(f"{arguments} failed:\n{done.stdout[-4000:]}")
    return verdicts.read_text(encoding="utf-8").removesuffix("\n").split("\n")
