"""Signet and the task API as processes, each on a free port and stopped by its pid."""

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TypeVar

import httpx

from databases import Database

REPOSITORY = Path(__file__).resolve().parents[2]
SIGNET_BIN = Path(os.environ.get("SIGNET_BIN", REPOSITORY / "target/debug/signet")).absolute()
TASK_API = REPOSITORY / "examples/task-api"
GO_TASK_API = REPOSITORY / "examples/task-api-go"

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
"""The name of this worker of pytest-xdist."""

START_SECONDS = 30
STOP_SECONDS = 10


class Process:
    """A server process whose output goes to a file."""

    def __init__(self, name: str, directory: Path) -> None:
        self.output_path = directory / f"{name}.log"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def spawn(self, command: list[str], environment: Mapping[str, str]) -> None:
        assert self._process is None, "already running"
        with self.output_path.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=self._directory,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # The default of login shells. Files must be private without a stricter umask.
                umask=0o022,
            )

    def wait_until_ready(self, url: str, status: int = 200, seconds: float = START_SECONDS) -> None:
        assert self._process is not None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                code = self._process.returncode
                raise AssertionError(f"exited with {code} instead of starting:\n{self.output}")
            try:
                if httpx.get(url, timeout=2).status_code == status:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"not ready after {seconds} s:\n{self.output}")

    @property
    def pid(self) -> int:
        assert self._process is not None, "not running"
        return self._process.pid

    @property
    def output(self) -> str:
        """All output since the first start."""
        return self.output_path.read_bytes().decode(errors="replace")

    def stop(self) -> int:
        """Sends SIGTERM. Returns the exit code."""
        assert self._process is not None, "not running"
        self._process.terminate()
        return self.wait(STOP_SECONDS)

    def kill(self) -> None:
        """Sends SIGKILL if the process is running."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def wait(self, seconds: float) -> int:
        assert self._process is not None, "not running"
        code = self._process.wait(seconds)
        self._process = None
        return code


P = TypeVar("P", bound=Process)


class ProcessKiller:
    """Kills the given processes when the stack closes, even after a failure."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def __call__(self, process: P) -> P:
        self._stack.callback(process.kill)
        return process


class Signet(Process):
    """A `signet serve` with the same home directory, database and port after restarts."""

    def __init__(self, directory: Path, database: Database, **settings: str) -> None:
        super().__init__("signet", directory)
        self.database = database
        self.master_key_path = directory / "keys" / "master.key"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = {
            "SIGNET_DATABASE_URL": database.url,
            "SIGNET_MASTER_KEY_FILE": str(self.master_key_path),
            "SIGNET_LISTEN": f"127.0.0.1:{self.port}",
            "SIGNET_ISSUER": self.url,
            **settings,
        }
        self.master_key_path.parent.mkdir(mode=0o700, exist_ok=True)

    @property
    def issuer(self) -> str:
        return self.settings["SIGNET_ISSUER"]

    @property
    def audience(self) -> str:
        return self.settings.get("SIGNET_AUDIENCE", self.issuer)

    def start(self, **settings: str) -> "Signet":
        """Starts the server. The given settings apply to this run only."""
        self._serve(settings)
        self.wait_until_ready(f"{self.url}/readyz")
        return self

    def restart(self, **settings: str) -> "Signet":
        self.stop()
        return self.start(**settings)

    def start_expecting_exit(self, **settings: str) -> tuple[int, str]:
        """Starts the server, which must exit by itself. Returns the exit code and the output."""
        written_before = len(self.output) if self.output_path.exists() else 0
        self._serve(settings)
        try:
            code = self.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("the server is running, but it should have exited") from None
        return code, self.output[written_before:]

    def _serve(self, settings: Mapping[str, str]) -> None:
        assert SIGNET_BIN.is_file(), f"{SIGNET_BIN} is missing: cargo build, or set SIGNET_BIN"
        environment = {**clean_environment(), **self.settings, **settings}
        self.spawn([str(SIGNET_BIN), "serve"], environment)


class TaskApi(Process):
    """The task API in Python, run by uvicorn."""

    def __init__(self, directory: Path, issuer: str, audience: str, **settings: str) -> None:
        super().__init__("task-api", directory)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = {
            "SIGNET_ISSUER": issuer,
            "SIGNET_AUDIENCE": audience,
            "TASKS_DATABASE": str(directory / "tasks.db"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **settings,
        }

    def start(self) -> "TaskApi":
        self.spawn(self._command(), {**clean_environment(), **self.settings})
        self.wait_until_ready(f"{self.url}/health")
        return self

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", "uvicorn", "app:app", "--app-dir", str(TASK_API)]
        return [*command, "--host", "127.0.0.1", "--port", str(self.port)]


class GoTaskApi(TaskApi):
    """The task API in Go."""

    def _command(self) -> list[str]:
        self.settings["LISTEN"] = f"127.0.0.1:{self.port}"
        return [str(go_program(GO_TASK_API))]


@cache
def go_program(module: Path) -> Path:
    """Builds the program of a Go module, below target/."""
    # Each worker of pytest-xdist builds its own program, so that none replaces a running one.
    program = REPOSITORY / "target/e2e-go" / WORKER / module.name
    command = ["go", "build", "-o", str(program), "."]
    built = subprocess.run(command, cwd=module, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return program


def clean_environment() -> dict[str, str]:
    """The variables that programs need to run, without the caller's settings of Signet."""
    names = ("PATH", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE")
    return {name: os.environ[name] for name in names if name in os.environ}


_reserved_ports: set[int] = set()

# Each worker of pytest-xdist has its own ports: another worker could take a port before the caller
# binds it.
_ports_per_worker = 17_000 // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_first_port = 15_000 + _ports_per_worker * int(WORKER.removeprefix("gw"))


def free_port() -> int:
    """A free port below the ephemeral ports (32768 and up on Linux).

    The system does not assign such a port to another process before the caller binds it.
    """
    while True:
        port = random.randrange(_first_port, _first_port + _ports_per_worker)
        if port in _reserved_ports:
            continue
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        _reserved_ports.add(port)
        return port
