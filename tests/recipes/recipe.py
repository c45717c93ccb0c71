"""A recipe: a small service with a stock library, described by its `recipe.json`."""

import json
import os
import secrets
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "faults"))

from harness import REPOSITORY, free_port, httpx  # noqa: E402
from processes import Process, clean_environment  # noqa: E402

BUILD_SECONDS = 900
TARGET = REPOSITORY / "target/recipes"


@dataclass(frozen=True)
class Recipe:
    """The members of a `recipe.json`, which README.md explains."""

    name: str
    library: str
    version: str
    kind: str
    language: str
    build: list[str]
    run: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    ours: bool = False
    accepts_wrongly: list[str] = field(default_factory=list)
    refuses_in_rotation: str = ""
    login: str = "/login"
    callback: str = "/callback"
    session: bool = False
    logout: str = ""
    after_logout: str = ""
    backchannel_logout: str = ""

    @property
    def directory(self) -> Path:
        return HERE / self.name

    @property
    def output(self) -> Path:
        """The output folder of the build: `$OUT` in `build`, `run` and `environment`."""
        return TARGET / self.name

    def expand(self, command: list[str]) -> list[str]:
        variables = {"$OUT": str(self.output), "$PYTHON": sys.executable}
        for name, value in variables.items():
            command = [word.replace(name, value) for word in command]
        return command

    def make(self) -> None:
        """Runs the build command with the caller's environment, except for Signet's settings."""
        self.output.mkdir(parents=True, exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if "SIGNET" not in name}
        built = subprocess.run(
            self.expand(self.build),
            cwd=self.directory,
            env={**environment, "OUT": str(self.output)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
        assert built.returncode == 0, f"{self.name} does not build:\n{built.stdout}{built.stderr}"


def recipe_names() -> list[str]:
    return sorted(path.parent.name for path in HERE.glob("*/recipe.json"))


def read_recipe(name: str) -> Recipe:
    members: dict[str, Any] = json.loads((HERE / name / "recipe.json").read_text())
    recipe = Recipe(**members)
    assert recipe.name == name, f"{name}/recipe.json names {recipe.name}"
    return recipe


class Service(Process):
    """The running program of a recipe."""

    def __init__(self, recipe: Recipe, directory: Path, port: int | None = None) -> None:
        directory.mkdir(exist_ok=True)
        super().__init__(recipe.name, directory)
        self.recipe = recipe
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment_mark = f"RECIPE_PROCESS={secrets.token_hex(16)}"

    def launch(self, **environment: str) -> "Service":
        """Starts the program without waiting until it responds."""
        recipe_environment = {
            name: self.recipe.expand([it])[0] for name, it in self.recipe.environment.items()
        }
        self.spawn(
            self.recipe.expand(self.recipe.run),
            {
                **clean_environment(),
                "HOME": os.environ.get("HOME", "/"),
                "OUT": str(self.recipe.output),
                **recipe_environment,
                **environment,
                "PORT": str(self.port),
                **dict([self._environment_mark.split("=")]),
            },
        )
        return self

    def answers(self) -> bool:
        """Whether the program responds to requests."""
        try:
            httpx.get(f"{self.url}/whoami", timeout=5)
        except httpx.TransportError:
            return False
        return True

    @property
    def has_exited(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def kill(self) -> None:
        """Also kills processes that the program started, such as the application behind a proxy.

        They are found by a variable in their environment, even if the program has exited.
        """
        super().kill()
        for environment in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if self._environment_mark.encode() in environment.read_bytes().split(b"\0"):
                    os.kill(int(environment.parent.name), signal.SIGKILL)
