"""npm projects of this repository, run in copies."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

from processes import REPOSITORY

CONTRACT = REPOSITORY / "openapi/openapi.json"
PROGRAMS = Path(sys.executable).parent
COPIES = Path(os.environ.get("E2E_NODE_DIR", REPOSITORY / "target/e2e-node")).absolute()
NOT_COPIED = ("node_modules", "dist", "built", "generated")


class NodeProject:
    """A copy of `source` below `target/`, with the packages of its lock file installed.

    Only one test module may use a project, because the modules run in parallel. Modules that only
    need the packages pass `copy_again=False`, which leaves an existing copy as it is.
    """

    def __init__(self, source: Path, *, copy_again: bool = True) -> None:
        self.directory = COPIES / source.relative_to(REPOSITORY).as_posix().replace("/", "-")
        COPIES.mkdir(parents=True, exist_ok=True)
        with self.directory.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._prepare(source, copy_again)

    def _prepare(self, source: Path, copy_again: bool) -> None:
        packages = self.directory / "node_modules"
        installed_for = packages / ".installed-for"
        lock = (source / "package-lock.json").read_text()
        if not installed_for.exists() or installed_for.read_text() != lock:
            shutil.rmtree(self.directory, ignore_errors=True)
            self._copy(source)
            self.run("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
            installed_for.write_text(lock)
            return
        if not copy_again:
            return
        for entry in self.directory.iterdir():
            if entry.is_dir() and entry != packages:
                shutil.rmtree(entry)
            elif entry.is_file():
                entry.unlink()
        self._copy(source)

    def _copy(self, source: Path) -> None:
        ignored = shutil.ignore_patterns(*NOT_COPIED)
        shutil.copytree(source, self.directory, ignore=ignored, dirs_exist_ok=True)

    def bin(self, program: str, *arguments: object, **environment: str) -> str:
        """Runs a program of an installed npm package. Returns its output."""
        path = self.directory / "node_modules/.bin" / program
        return self.run(str(path), *arguments, **environment)

    def run(self, *command: object, **environment: str) -> str:
        return run(*command, cwd=self.directory, **environment)


def run(*command: object, cwd: Path, seconds: float = 600, **environment: str) -> str:
    """Runs a program that must succeed. Returns its standard output.

    Programs of this Python environment, including Node and npm, come first in its PATH.
    """
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    finished = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "PATH": path, "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert finished.returncode == 0, f"{command}:\n{finished.stdout}{finished.stderr}"
    return finished.stdout
