"""The setup for tests of the hosted pages: Signet, a web client and users with real browsers."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from browser import FRONTEND, Tab, Visitor, chromium
from clients import SignetClient, Tokens, random_email
from databases import Database, PostgresDatabase, fresh_database
from node import NodeProject
from playwright.sync_api import Browser, Page, expect
from processes import SIGNET_BIN, ProcessKiller, Signet, clean_environment
from relying_party import CLIENT, RelyingParty
from round_robin import RoundRobin

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 800}
COOKIE = "__Host-signet-"


@dataclass
class Deployment:
    signet: Signet
    shop: RelyingParty
    browser: Browser
    axe: str

    def open_browser(self, **options: object) -> "Person":
        context = self.browser.new_context(ignore_https_errors=True, **options)
        return Person(self, Visitor(context, f"{self.signet.issuer}/login"))

    def sign_up(self) -> tuple[str, Tokens]:
        """Signs up an account over the JSON API. Returns its email address and tokens."""
        email = random_email()
        with SignetClient(self.signet.url) as client:
            return email, Tokens.of(client.sign_up(email), 201)


class Person:
    """A user of the hosted pages with a separate browser context."""

    def __init__(self, deployment: Deployment, visitor: Visitor) -> None:
        self._deployment = deployment
        self.visitor = visitor
        self.page: Page = visitor.open_tab().page

    def open(self, path: str) -> None:
        self.page.goto(f"{self._deployment.signet.issuer}{path}")

    def open_authorization_url(self, **more: str) -> None:
        self.page.goto(
            self._deployment.shop.authorization_url(self._deployment.signet.issuer, **more)
        )

    def submit_credentials(self, email: str, password: str) -> None:
        self.page.locator("#username").fill(email)
        self.page.locator("#password").fill(password)
        self.page.locator("#login-submit, #signup-submit").click()

    def click(self, identifier: str) -> None:
        self.page.locator(f"#{identifier}").click()

    def wait_for_heading(self, heading: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(heading, timeout=15_000)

    def wait_until_at_shop(self) -> None:
        self.wait_for_heading("The client")

    def cookie(self) -> dict[str, object] | None:
        cookies = self.page.context.cookies()
        return next((dict(it) for it in cookies if str(it.get("name")).startswith(COOKIE)), None)

    def focused(self) -> str:
        return str(self.page.evaluate("document.activeElement.id"))

    def assert_accessible(self) -> None:
        tab = Tab(self.page)
        assert tab.accessibility_violations(self._deployment.axe) == [], self.page.url
        assert tab.overflow() <= 0, self.page.url
        small = self.page.evaluate(
            """() => [...document.querySelectorAll('a, button, input:not([type=hidden], [hidden])')]
                .filter(it => it.getBoundingClientRect().height < 24).map(it => it.outerHTML)"""
        )
        assert small == [], self.page.url


@contextmanager
def start_deployment(directory: Path, kill_later: ProcessKiller) -> Iterator[Deployment]:
    """Starts Signet, a registered web client and a browser that reaches both.

    On PostgreSQL two instances handle the browser's requests in turn.
    """
    database = fresh_database(directory)
    instances = [signet_for_browsers(directory, database)]
    if isinstance(database, PostgresDatabase):
        instances.append(signet_for_browsers(directory, database))
    with RoundRobin([signet.port for signet in instances]) as proxy:
        for signet in instances:
            if len(instances) > 1:
                signet.settings["SIGNET_ISSUER"] = f"http://localhost:{proxy.port}"
            kill_later(signet).start()
        clients = directory / "clients.toml"
        clients.write_text(CLIENT)
        register(instances[0], clients)
        axe = NodeProject(FRONTEND, copy_again=False).directory / "node_modules/axe-core/axe.min.js"
        with RelyingParty(directory) as shop, chromium(shop.chromium_argument) as browser:
            yield Deployment(instances[0], shop, browser, axe.read_text())
        if len(instances) > 1:
            assert all(proxy.answered[signet.port] for signet in instances), proxy.answered
    database.drop()


def register(signet: Signet, clients: Path) -> None:
    subprocess.run(
        [SIGNET_BIN, "client", "apply", str(clients)],
        env={**clean_environment(), **signet.settings},
        check=True,
        capture_output=True,
    )


def signet_for_browsers(directory: Path, database: Database, **settings: str) -> Signet:
    """Signet at `http://localhost`, where Chromium accepts `__Host-` cookies without https."""
    limits = {
        name: "10000"
        for name in ("SIGNET_ATTEMPTS_PER_MINUTE", "SIGNET_ACCOUNT_ATTEMPTS_PER_MINUTE")
    }
    # On a busy machine, slow hashing must not cause rejected requests.
    signet = Signet(directory, database, SIGNET_HASH_BACKLOG_SECONDS="60", **limits, **settings)
    signet.settings["SIGNET_ISSUER"] = f"http://localhost:{signet.port}"
    return signet
