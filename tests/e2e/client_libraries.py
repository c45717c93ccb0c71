"""The applications of `docs/client-libraries.md`, unchanged except for hosts and ports."""

import json
import os
import re
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from node import PROGRAMS, NodeProject, run
from person import Person
from processes import REPOSITORY, Process, Signet, clean_environment, free_port
from stock import manage_clients

PAGE = REPOSITORY / "docs/client-libraries.md"
EXPRESS = REPOSITORY / "tests/clients/stock/express"
"""The Node project of the applications."""

REGISTRATION = "the registration"
COMMAND = re.compile(r"```sh\n(signet client create .*?)```", re.DOTALL)
FILE = re.compile(r"`(shop[\w./]*)`:\n\n```\w+\n(.*?)```", re.DOTALL)


class Application(Process):
    """The application of one library, set up by the steps of the page.

    The steps register the client and write the files; `start` serves them.
    """

    def __init__(
        self, library: str, directory: Path, signet: Signet, changes: Mapping[str, str]
    ) -> None:
        """`changes` maps parts of the page's code to replacements."""
        super().__init__("shop", directory)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        code = apply_changes(section_code(library), changes)
        replacements = {
            "http://localhost:8080": signet.issuer,
            "http://localhost:3000": self.url,
            '(3000, "localhost")': f'({port}, "127.0.0.1")',
        }
        for original, new in replacements.items():
            code = {name: text.replace(original, new) for name, text in code.items()}
        _signet, _client, *arguments = shlex.split(code.pop(REGISTRATION).replace("\\\n", ""))
        self._files = code
        self._settings = {
            **clean_environment(),
            "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "SESSION_SECRET": secrets.token_hex(32),
            "SHOP_SECRET": manage_clients(signet, directory, *arguments).strip(),
        }

    def start(self) -> "Application":
        host, port = self.url.removeprefix("http://").split(":")
        if "shop.mjs" in self._files:
            home = NodeProject(EXPRESS).directory
            self._write_files(home)
            self._spawn("node", str(home / "shop.mjs"))
        elif "shop.py" in self._files:
            self._write_files(self._directory)
            self._spawn("flask", "--app", "shop", "run", "--host", host, "--port", port)
        else:
            self._make_django_project()
            self._spawn("python", "manage.py", "runserver", "--noreload", f"{host}:{port}")
        self.wait_until_ready(f"{self.url}/")
        return self

    def user(self, person: Person) -> dict[str, Any] | None:
        """The user data that the application shows to `person`, or None without a login."""
        shown = person.visit(f"{self.url}/")
        assert shown.status == 200, f"{shown}\n{self.output}"
        user: dict[str, Any] | None = json.loads(shown.text)
        return user

    def manage(self, *arguments: str, **settings: str) -> None:
        """Runs a management command of Django."""
        environment = {**self._settings, **settings}
        run("python", "manage.py", *arguments, cwd=self._directory, seconds=60, **environment)

    def _make_django_project(self) -> None:
        run("django-admin", "startproject", "shop", ".", cwd=self._directory)
        settings = self._directory / "shop/settings.py"
        generated = settings.read_text()
        self._write_files(self._directory)
        settings.write_text(f"{generated}\n{settings.read_text()}")
        self.manage("migrate")

    def _write_files(self, directory: Path) -> None:
        for name, text in self._files.items():
            (directory / name).write_text(text)

    def _spawn(self, program: str, *arguments: str) -> None:
        self.spawn([str(PROGRAMS / program), *arguments], self._settings)


def section_code(library: str) -> dict[str, str]:
    """The files of a library's section by name, and its registration command."""
    heading = re.escape(f"## {library}\n")
    (section,) = re.findall(rf"^{heading}(.*?)(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.M)
    (command,) = COMMAND.findall(section)
    return {REGISTRATION: command, **dict(FILE.findall(section))}


def apply_changes(code: dict[str, str], changes: Mapping[str, str]) -> dict[str, str]:
    for original, replacement in changes.items():
        found = sum(text.count(original) for text in code.values())
        assert found == 1, f"{original!r} occurs {found} times"
        code = {name: text.replace(original, replacement) for name, text in code.items()}
    return code


def table() -> dict[str, list[str]]:
    """The rows of the page's table by library, without the library's column."""
    rows = re.findall(r"^\| \[(.*?)\]\(#.*?\) \| (.*) \|$", PAGE.read_text(), re.M)
    return {library: cells.split(" | ") for library, cells in rows}
