"""The app of `docs/single-page-app.md`, unchanged except for hosts and ports."""

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
from clients import PASSWORD, SignetClient, Tokens, random_email
from databases import fresh_database
from docs_example import block_with
from hosted_pages import signet_for_browsers
from node import PROGRAMS, NodeProject
from playwright.sync_api import Browser, Page, Request, expect
from processes import (
    REPOSITORY,
    SIGNET_BIN,
    START_SECONDS,
    ProcessKiller,
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
LOGGED_OUT_TEXT = "Nobody is logged in."

# Gives test scripts access to `manager`. The line is appended to the page's code.
EXPOSE_MANAGER = "globalThis.manager = manager;\n"
# The library renews a token a minute before its expiry, so here after six seconds.
ACCESS_TOKEN_SECONDS = "66"


class App:
    """The app, with the files and commands of the page."""

    def __init__(self, port: int, issuer: str, api: str) -> None:
        self.url = f"http://localhost:{port}"
        self.other_site = f"http://127.0.0.1:{port}"
        """A URL of the app that is cross-site to an issuer at `http://localhost`."""
        self._replacements = {
            "http://localhost:8080": issuer,
            "http://localhost:8000": api,
            "localhost:3000": f"localhost:{port}",
        }
        self._directory = NodeProject(PROJECT).directory
        for name, (language, mark) in MARKS.items():
            (self._directory / name).write_text(self._block(language, mark))
        with (self._directory / "login.js").open("a") as login:
            login.write(EXPOSE_MANAGER)

    @property
    def registration(self) -> list[str]:
        """The arguments after `signet client` in the page's command."""
        _signet, _client, *arguments = self._command("signet client create")
        return arguments

    @contextmanager
    def serve(self, *options: str) -> Iterator[None]:
        """Serves the app with the page's command, which exits when its standard input is closed."""
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
        for written, new in self._replacements.items():
            block = block.replace(written, new)
        return block


@dataclass
class Deployment:
    """Signet, the app with its API, and a browser."""

    signet: Signet
    app: App
    browser: Browser

    def new_user(self) -> "Person":
        """A user with an account and a separate browser."""
        email = random_email()
        with SignetClient(self.signet.url) as client:
            Tokens.of(client.sign_up(email), 201)
        return Person(self, email)

    def run_client_command(self, *arguments: str) -> None:
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
    """A user of the app and of Signet's pages."""

    def __init__(self, deployment: Deployment, email: str) -> None:
        self.email = email
        self.app_url = deployment.app.url
        self.requests: list[str] = []
        """The requests of all tabs: method, and URL without the query."""
        context = deployment.browser.new_context()
        self.visitor = Visitor(context, self.app_url)
        context.on("request", self._record_request)
        self.page: Page = self.visitor.open_tab().page

    def log_in(self) -> None:
        """Starts a login in the app and completes it on Signet's pages."""
        self.page.get_by_role("button", name="Log in").click()
        self.complete_login_pages(self.page)

    def complete_login_pages(self, page: Page, button: str = "consent-allow") -> None:
        """Logs in on Signet's page and answers the consent page."""
        page.locator("#username").fill(self.email)
        page.locator("#password").fill(PASSWORD)
        page.locator("#login-submit").click()
        page.locator(f"#{button}").click()

    def wait_until_logged_in(self) -> None:
        self.wait_for_text(f"{self.email} is ")

    def wait_for_text(self, text: str, page: Page | None = None) -> None:
        expect((page or self.page).locator("#who")).to_contain_text(text, timeout=15_000)

    def tasks(self) -> str:
        """Requests the tasks in the app. Returns the shown response of the API."""
        answer = self.page.locator("#answer")
        self.page.evaluate("document.getElementById('answer').textContent = ''")
        self.page.get_by_role("button", name="My tasks").click()
        expect(answer).not_to_be_empty(timeout=15_000)
        return answer.inner_text()

    def stored_user(self, member: str) -> str | None:
        """A member of the user object that the library stores."""
        value = self.page.evaluate("name => manager.getUser().then(user => user[name])", member)
        return None if value is None else str(value)

    def invalidate_access_token(self) -> None:
        """Replaces the stored access token with an invalid one. The refresh token stays."""
        self.page.evaluate(
            """async () => {
                const user = await manager.getUser();
                user.access_token = "invalid";
                await manager.storeUser(user);
            }"""
        )

    def outcome(self, call: str, page: Page | None = None) -> str:
        """Calls a method of `manager`. Returns `ok` or its error."""
        return str(
            (page or self.page).evaluate(
                f"() => manager.{call}.then(() => 'ok', it => it.error ?? it.message)"
            )
        )

    def _record_request(self, request: Request) -> None:
        self.requests.append(f"{request.method} {request.url.partition('?')[0]}")


@contextmanager
def start_deployment(directory: Path, kill_later: ProcessKiller) -> Iterator[Deployment]:
    database = fresh_database(directory)
    port = free_port()
    origins = f"http://localhost:{port} http://127.0.0.1:{port}"
    signet = kill_later(
        signet_for_browsers(directory, database, SIGNET_CORS_ORIGINS=origins)
    ).start()
    api = TaskApi(directory, signet.issuer, signet.audience, CORS_ORIGINS=origins.replace(" ", ","))
    kill_later(api).start()
    app = App(port, signet.issuer, api.url)
    with chromium() as browser:
        deployment = Deployment(signet, app, browser)
        test_options = ("--access-token-seconds", ACCESS_TOKEN_SECONDS)
        other_site_options = ("--redirect-uri", "http://127.0.0.1/callback")
        deployment.run_client_command(*app.registration, *test_options, *other_site_options)
        yield deployment
    database.drop()
