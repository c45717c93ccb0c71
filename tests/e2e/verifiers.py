"""The verifiers in Rust and TypeScript, as processes that keep running while Signet restarts."""

import os
import subprocess
from pathlib import Path

from node import NodeProject, run
from processes import REPOSITORY, Process, clean_environment


class LineVerifier(Process):
    """A program that reads one token per line and prints whether it is accepted."""

    def __init__(self, name: str, directory: Path, command: list[str]) -> None:
        super().__init__(name, directory)
        self._command = command

    def start(self) -> "LineVerifier":
        self._process = subprocess.Popen(
            self._command,
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self

    def accepts(self, token: str) -> bool:
        assert self._process is not None and self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{token}\n".encode())
        self._process.stdin.flush()
        verdict = self._process.stdout.readline().decode().strip()
        assert verdict == "accepted" or verdict.startswith("refused: "), verdict
        return verdict == "accepted"


def rust_verifier(directory: Path, issuer: str, audience: str) -> LineVerifier:
    """The example program of the crate."""
    build = ("cargo", "build", "--quiet", "--locked", "--package", "signet-verifier")
    run(*build, "--features", "http,vendored", "--example", "verify", cwd=REPOSITORY)
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    program = str(target / "debug/examples/verify")
    return LineVerifier("rust-verifier", directory, [program, issuer, audience])


def typescript_verifier(directory: Path, issuer: str, audience: str) -> LineVerifier:
    """The npm package, as it is published."""
    project = NodeProject(REPOSITORY / "verifiers/typescript")
    project.bin("tsc")
    program = str(REPOSITORY / "tests/clients/verify.mjs")
    package = str(project.directory / "dist/index.js")
    return LineVerifier(
        "typescript-verifier", directory, ["node", program, package, issuer, audience]
    )
