"""The app of `docs/single-page-app.md`, unchanged except for the addresses."""

import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from browser import Visitor, chromium
from clients import PASSWORD, SignetClient, Tokens, some_email
from databases import fresh_database
from docs_example import block_with
from hosted_pages import signet_for_browsers
from node import PROGRAMS, NodeProject
from playwright.sync_api import Browser, Page, Request, expect
from processes import (
    REPOSITORY,
    SIGNET_BIN,
    START_SECONDS,
    Owner,
    Signet,
    TaskApi,
    clean_environment,
    free_port,
)

PAGE = "single-page-app.md"
PROJECT = REPOSITORY / "tests/clients/stock/browser"
MARKS = {
    "login.js": ("js", "new UserManager"),
    "app.js": ("js", "showTasks"),
    "index.html": ("html", "<title>"),
}
NOBODY = "Nobody is logged in."

# Gives test scripts access to `manager`; appended to the page's own lines.
FOR_THE_TEST = "globalThis.manager = manager;\n"
# The library renews the token a minute before it expires: here, after six seconds.
ACCESS_TOKEN_SECONDS = "66"


class App:
    """The files and commands of the page."""

    def __init__(self, port: int, issuer: str, api: str) -> None:
        self.url = f"http://localhost:{port}"
        self.other_site = f"http://127.0.0.1:{port}"
        """The same app at a URL that is cross-site to an issuer at `http://localhost`."""
        self._addresses = {
            "http://localhost:8080": issuer,
            "http://localhost:8000": api,
            "localhost:3000": f"localhost:{port}",
        }
        self._directory = NodeProject(PROJECT).directory
        for name, (language, mark) in MARKS.items():
            (self._directory / name).write_text(self._block(language, mark))
        with (self._directory / "login.js").open("a") as login:
            login.write(FOR_THE_TEST)

    @property
    def registration(self) -> list[str]:
        """The arguments after `signet client` in the page's command."""
        _signet, _client, *arguments = self._command("signet client create")
        return arguments

    @contextmanager
    def served(self, *options: str) -> Iterator[None]:
        """Serves it by the page's own command, which exits with its standard input."""
        _npx, program, *arguments = self._command("npx esbuild")
        path = self._directory / "node_modules/.bin" / program
        process = subprocess.Popen(
            [path, *arguments, "--log-level=warning", *options],
            cwd=self._directory,
            env={**os.environ, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"},
            stdin=subprocess.PIPE,
        )
        with process:
            self._wait_until_served()
            yield

    def _wait_until_served(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/www/app.js").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError("the app is not served")

    def _command(self, beginning: str) -> list[str]:
        return shlex.split(self._block("sh", beginning).replace("\\\n", ""))

    def _block(self, language: str, mark: str) -> str:
        block = block_with(language, mark, PAGE)
        for written, address in self._addresses.items():
            block = block.replace(written, address)
        return block


@dataclass
class Stage:
    """Signet, an API, and a browser for the app."""

    signet: Signet
    app: App
    browser: Browser

    def someone(self) -> "Person":
        """A user with an account and a separate browser."""
        email = some_email()
        with SignetClient(self.signet.url) as client:
            Tokens.of(client.sign_up(email), 201)
        return Person(self, email)

    def client(self, *arguments: str) -> None:
        """`signet client …`."""
        subprocess.run(
            [SIGNET_BIN, "client", *arguments],
            env={**clean_environment(), **self.signet.settings},
            check=True,
            capture_output=True,
        )

    def refresh(self, refresh_token: str) -> httpx.Response:
        form = {"grant_type": "refresh_token", "client_id": "todo", "refresh_token": refresh_token}
        return httpx.post(f"{self.signet.url}/oauth2/token", data=form)


class Person:
    """What a user does and sees, in the app and at Signet."""

    def __init__(self, stage: Stage, email: str) -> None:
        self.email = email
        self.home = stage.app.url
        self.asked: list[str] = []
        """The requests of all tabs: method and URL without its query."""
        context = stage.browser.new_context()
        self.visitor = Visitor(context, self.home)
        context.on("request", self._note)
        self.page: Page = self.visitor.open_tab().page

    def logs_in(self) -> None:
        """Logs in with the button of the app."""
        self.page.get_by_role("button", name="Log in").click()
        self.answers(self.page)

    def answers(self, page: Page, button: str = "consent-allow") -> None:
        """Logs in at Signet and answers the consent page."""
        page.locator("#username").fill(self.email)
        page.locator("#password").fill(PASSWORD)
        page.locator("#login-submit").click()
        page.locator(f"#{button}").click()

    def is_logged_in(self) -> None:
        self.sees(f"{self.email} is ")

    def sees(self, text: str, page: Page | None = None) -> None:
        expect((page or self.page).locator("#who")).to_contain_text(text, timeout=15_000)

    def tasks(self) -> str:
        """The response of the API."""
        answer = self.page.locator("#answer")
        self.page.evaluate("document.getElementById('answer').textContent = ''")
        self.page.get_by_role("button", name="My tasks").click()
        expect(answer).not_to_be_empty(timeout=15_000)
        return answer.inner_text()

    def user(self, member: str) -> str | None:
        """The user object that the library stores."""
        value = self.page.evaluate("name => manager.getUser().then(user => user[name])", member)
        return None if value is None else str(value)

    def spoil_the_access_token(self) -> None:
        """Makes the access token invalid at all APIs; the refresh token stays."""
        self.page.evaluate(
            """async () => {
                const user = await manager.getUser();
                user.access_token = "spoilt";
                await manager.storeUser(user);
            }"""
        )

    def outcome(self, call: str, page: Page | None = None) -> str:
        """`ok`, or the error of a method of `manager`."""
        return str(
            (page or self.page).evaluate(
                f"() => manager.{call}.then(() => 'ok', it => it.error ?? it.message)"
            )
        )

    def _note(self, request: Request) -> None:
        self.asked.append(f"{request.method} {request.url.partition('?')[0]}")


@contextmanager
def opened(directory: Path, owner: Owner) -> Iterator[Stage]:
    database = fresh_database(directory)
    port = free_port()
    origins = f"http://localhost:{port} http://127.0.0.1:{port}"
    signet = owner(signet_for_browsers(directory, database, SIGNET_CORS_ORIGINS=origins)).start()
    api = TaskApi(directory, signet.issuer, signet.audience, CORS_ORIGINS=origins.replace(" ", ","))
    owner(api).start()
    app = App(port, signet.issuer, api.url)
    with chromium() as browser:
        stage = Stage(signet, app, browser)
        of_the_test = ("--access-token-seconds", ACCESS_TOKEN_SECONDS)
        of_the_other_site = ("--redirect-uri", "http://127.0.0.1/callback")
        stage.client(*app.registration, *of_the_test, *of_the_other_site)
        yield stage
    database.drop()
