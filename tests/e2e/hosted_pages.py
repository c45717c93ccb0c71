"""Users at the hosted pages: a real browser, the real Signet, and a web client."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from browser import FRONTEND, Tab, Visitor, chromium
from clients import SignetClient, Tokens, some_email
from databases import Database, PostgresDatabase, fresh_database
from node import NodeProject
from playwright.sync_api import Browser, Page, expect
from processes import SIGNET_BIN, Owner, Signet, clean_environment
from relying_party import CLIENT, RelyingParty
from round_robin import RoundRobin

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 800}
COOKIE = "__Host-signet-"


@dataclass
class Stage:
    signet: Signet
    shop: RelyingParty
    browser: Browser
    axe: str

    def someone(self, **options: object) -> "Person":
        context = self.browser.new_context(ignore_https_errors=True, **options)
        return Person(self, Visitor(context, f"{self.signet.issuer}/login"))

    def sign_up(self) -> tuple[str, Tokens]:
        """A user with an account and a session of the JSON API."""
        email = some_email()
        with SignetClient(self.signet.url) as client:
            return email, Tokens.of(client.sign_up(email), 201)


class Person:
    """What a user does and sees on the pages."""

    def __init__(self, stage: Stage, visitor: Visitor) -> None:
        self._stage = stage
        self.visitor = visitor
        self.page: Page = visitor.open_tab().page

    def at(self, path: str) -> None:
        self.page.goto(f"{self._stage.signet.issuer}{path}")

    def sent_by_the_shop(self, **more: str) -> None:
        self.page.goto(self._stage.shop.request(self._stage.signet.issuer, **more))

    def enter(self, email: str, password: str) -> None:
        self.page.locator("#username").fill(email)
        self.page.locator("#password").fill(password)
        self.page.locator("#login-submit, #signup-submit").click()

    def click(self, identifier: str) -> None:
        self.page.locator(f"#{identifier}").click()

    def sees(self, heading: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(heading, timeout=15_000)

    def is_at_the_shop(self) -> None:
        self.sees("The client")

    def cookie(self) -> dict[str, object] | None:
        cookies = self.page.context.cookies()
        return next((dict(it) for it in cookies if str(it.get("name")).startswith(COOKIE)), None)

    def focused(self) -> str:
        return str(self.page.evaluate("document.activeElement.id"))

    def looks_right(self) -> None:
        tab = Tab(self.page)
        assert tab.barriers(self._stage.axe) == [], self.page.url
        assert tab.overflow() <= 0, self.page.url
        small = self.page.evaluate(
            """() => [...document.querySelectorAll('a, button, input:not([type=hidden], [hidden])')]
                .filter(it => it.getBoundingClientRect().height < 24).map(it => it.outerHTML)"""
        )
        assert small == [], self.page.url


@contextmanager
def opened(directory: Path, owner: Owner) -> Iterator[Stage]:
    """Signet, a registered web client, and a browser that resolves both. On PostgreSQL two
    instances handle the browser's requests in turn."""
    database = fresh_database(directory)
    instances = [signet_for_browsers(directory, database)]
    if isinstance(database, PostgresDatabase):
        instances.append(signet_for_browsers(directory, database))
    with RoundRobin([signet.port for signet in instances]) as proxy:
        for signet in instances:
            if len(instances) > 1:
                signet.settings["SIGNET_ISSUER"] = f"http://localhost:{proxy.port}"
            owner(signet).start()
        clients = directory / "clients.toml"
        clients.write_text(CLIENT)
        register(instances[0], clients)
        axe = NodeProject(FRONTEND).directory / "node_modules/axe-core/axe.min.js"
        with RelyingParty(directory) as shop, chromium(shop.chromium_argument) as browser:
            yield Stage(instances[0], shop, browser, axe.read_text())
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
    """Signet at `http://localhost`, where Chromium accepts `__Host-` cookies, too."""
    limits = {
        name: "10000"
        for name in ("SIGNET_ATTEMPTS_PER_MINUTE", "SIGNET_ACCOUNT_ATTEMPTS_PER_MINUTE")
    }
    # Hashing on a busy machine must not cause refusals.
    signet = Signet(directory, database, SIGNET_HASH_BACKLOG_SECONDS="60", **limits, **settings)
    signet.settings["SIGNET_ISSUER"] = f"http://localhost:{signet.port}"
    return signet
