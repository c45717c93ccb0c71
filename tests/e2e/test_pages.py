"""The hosted pages in a real browser, with the real Signet and a client on the web."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from browser import FRONTEND, Tab, Visitor, chromium
from clients import PASSWORD, SignetClient, Tokens, some_email
from databases import Database, fresh_database
from node import NodeProject
from processes import SIGNET_BIN, Owner, Signet, clean_environment
from relying_party import CLIENT, RelyingParty

pytestmark = pytest.mark.once

WRONG = "Wrong-password-1"
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 800}
COOKIE = "__Host-signet"
LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0h9v9"/></svg>'


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
        """Somebody who has an account, and a session of the JSON API."""
        email = some_email()
        with SignetClient(self.signet.url) as client:
            return email, Tokens.of(client.sign_up(email), 201)


class Person:
    """What somebody does and sees on the pages."""

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
        return next((dict(it) for it in cookies if it.get("name") == COOKIE), None)

    def focused(self) -> str:
        return str(self.page.evaluate("document.activeElement.id"))

    def looks_right(self) -> None:
        tab = Tab(self.page)
        assert tab.barriers(self._stage.axe) == [], self.page.url
        assert tab.overflow() <= 0, self.page.url
        small = self.page.evaluate(
            """() => [...document.querySelectorAll('a, button, input:not([type=hidden])')]
                .filter(it => it.getBoundingClientRect().height < 24).map(it => it.outerHTML)"""
        )
        assert small == [], self.page.url


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, owned_by_module: Owner) -> Iterator[Stage]:
    directory = tmp_path_factory.mktemp("pages")
    database = fresh_database(directory)
    signet = owned_by_module(signet_for_browsers(directory, database))
    signet.start()
    clients = directory / "clients.toml"
    clients.write_text(CLIENT)
    register(signet, clients)
    axe = NodeProject(FRONTEND).directory / "node_modules/axe-core/axe.min.js"
    with RelyingParty(directory) as shop, chromium(shop.chromium_argument) as browser:
        yield Stage(signet, shop, browser, axe.read_text())
    database.drop()


def register(signet: Signet, clients: Path) -> None:
    subprocess.run(
        [SIGNET_BIN, "client", "apply", str(clients)],
        env={**clean_environment(), **signet.settings},
        check=True,
        capture_output=True,
    )


def signet_for_browsers(directory: Path, database: Database, **settings: str) -> Signet:
    """Signet at `http://localhost`, which Chromium trusts with `__Host-` cookies, too."""
    limits = {
        name: "10000"
        for name in ("SIGNET_ATTEMPTS_PER_MINUTE", "SIGNET_ACCOUNT_ATTEMPTS_PER_MINUTE")
    }
    # A busy machine is no reason to turn people away.
    signet = Signet(directory, database, SIGNET_HASH_WAIT_SECONDS="60", **limits, **settings)
    signet.settings["SIGNET_ISSUER"] = f"http://localhost:{signet.port}"
    return signet


def test_sign_up_log_out_and_log_in_again(stage: Stage) -> None:
    person = stage.someone()
    email = some_email()
    person.page.get_by_role("link", name="Sign up").click()

    person.enter("grace@nowhere", "Password1")
    expect(person.page.locator("#username-problem")).to_contain_text("domain")
    expect(person.page.locator("#password-problem")).to_contain_text("common")
    assert person.focused() == "username"
    assert person.page.title().startswith("Error: ")
    assert person.page.locator("#password").input_value() == ""
    person.enter(email, PASSWORD)
    person.sees("Your account")
    expect(person.page.locator("main")).to_contain_text(email)
    expect(person.page.locator("main")).to_contain_text("Chrome on Linux")

    person.page.get_by_role("link", name="Log out of this browser").click()
    person.click("logout-confirm")
    person.sees("You are logged out")
    assert person.cookie() is None
    person.at("/account")
    person.sees("Log in")
    person.enter(email, PASSWORD)
    person.sees("Your account")
    assert person.visitor.complaints == []


def test_a_wrong_password_is_said_beside_the_fields(stage: Stage) -> None:
    email, _ = stage.sign_up()
    person = stage.someone()

    person.enter(email, WRONG)

    problem = person.page.get_by_role("alert")
    expect(problem).to_have_text("The email address or the password is not right.")
    for field in ("username", "password"):
        described = person.page.locator(f"#{field}").get_attribute("aria-describedby")
        assert described == problem.get_attribute("id")
    assert person.page.locator("#username").input_value() == email
    assert person.page.locator("#password").input_value() == ""
    assert person.focused() == "password"
    person.enter(email, PASSWORD)
    person.sees("Your account")
    assert person.visitor.complaints == []


def test_a_client_gets_what_it_was_allowed_and_no_more(stage: Stage) -> None:
    email, _ = stage.sign_up()
    person = stage.someone()

    person.sent_by_the_shop()
    expect(person.page.locator("main")).to_contain_text("The <Corner> Shop")
    person.enter(email, PASSWORD)
    person.sees("Allow access?")
    expect(person.page.locator("main")).to_contain_text("rp.example")
    person.click("consent-deny")
    person.is_at_the_shop()
    assert stage.shop.last()["error"] == "access_denied"

    person.sent_by_the_shop()
    person.click("consent-allow")
    person.is_at_the_shop()
    assert stage.shop.last()["state"] == "a-state"
    assert stage.shop.last()["iss"] == stage.signet.issuer
    tokens = stage.shop.redeem(stage.signet.url, stage.shop.last()["code"])
    assert tokens["id_token"]

    # Nothing is left to be asked.
    person.sent_by_the_shop(prompt="none")
    person.is_at_the_shop()
    assert "code" in stage.shop.last()
    assert person.visitor.complaints == []


def test_a_callback_may_lead_on_to_another_origin_of_the_client(stage: Stage) -> None:
    """Chromium holds `form-action` against each redirect that follows a form."""
    email, _ = stage.sign_up()
    person = stage.someone()

    person.sent_by_the_shop(redirect_uri="https://rp.example/and-on")
    person.enter(email, PASSWORD)
    person.click("consent-allow")

    person.page.wait_for_url("https://app.example/")
    person.sent_by_the_shop(redirect_uri="https://rp.example/and-on", prompt="login")
    person.enter(email, PASSWORD)
    person.page.wait_for_url("https://app.example/")
    assert person.visitor.complaints == []


@pytest.mark.parametrize("scripts", [True, False])
def test_an_answer_is_posted_with_and_without_scripts(stage: Stage, scripts: bool) -> None:
    person = stage.someone(java_script_enabled=scripts)

    person.sent_by_the_shop(response_mode="form_post", prompt="none")
    if not scripts:
        person.page.get_by_role("button", name="Continue").click()

    person.page.wait_for_url("https://rp.example/cb")
    assert stage.shop.last()["error"] == "login_required"
    assert stage.shop.last()["state"] == "a-state"
    assert person.visitor.complaints == []


def test_a_person_who_is_logged_in_logs_in_again_if_the_client_says_so(stage: Stage) -> None:
    email, _ = stage.sign_up()
    person = stage.someone()
    person.enter(email, PASSWORD)
    before = person.cookie()

    person.sent_by_the_shop(prompt="login")
    person.sees("Log in")
    person.enter(email, PASSWORD)
    person.sees("Allow access?")

    after = person.cookie()
    assert before
    assert after
    assert before["value"] != after["value"]
    assert person.visitor.complaints == []


def test_a_logout_by_a_client_leads_back_to_it(stage: Stage) -> None:
    email, _ = stage.sign_up()
    person = stage.someone()
    person.sent_by_the_shop()
    person.enter(email, PASSWORD)
    person.click("consent-allow")
    person.is_at_the_shop()
    hint = stage.shop.redeem(stage.signet.url, stage.shop.last()["code"])["id_token"]
    query = f"id_token_hint={hint}&post_logout_redirect_uri=https://rp.example/bye&state=s"

    person.at(f"/oauth2/logout?{query}")
    person.is_at_the_shop()
    assert stage.shop.answers[-1] == ("/bye", {"state": "s"})
    assert person.cookie() is None

    # Another login than the one that the client knows of: that is not ended without a question.
    person.at("/login")
    person.enter(email, PASSWORD)
    person.sees("Your account")
    person.at(f"/oauth2/logout?{query}")
    person.sees("Log out?")
    person.looks_right()
    person.click("logout-confirm")
    person.is_at_the_shop()
    person.at("/logout")
    person.sees("You are logged out")
    assert person.visitor.complaints == []


def test_a_redirect_that_is_not_registered_ends_on_a_page(stage: Stage) -> None:
    person = stage.someone()
    came = len(stage.shop.answers)

    person.sent_by_the_shop(redirect_uri="https://rp.example/elsewhere")

    person.sees("That does not work")
    expect(person.page.locator("main")).to_contain_text("redirect_uri")
    person.looks_right()
    assert len(stage.shop.answers) == came


def test_the_account_page_ends_sessions(stage: Stage) -> None:
    email, tokens = stage.sign_up()
    here, there = stage.someone(), stage.someone()
    for person in (here, there):
        person.enter(email, PASSWORD)
        person.sees("Your account")
    here.at("/account")
    others = here.page.get_by_role("button", name="End ")
    expect(others).to_have_count(2)

    def answer() -> int:
        bearer = {"Authorization": f"Bearer {tokens.access_token}"}
        with SignetClient(stage.signet.url) as client:
            return client.get("/api/auth/me", headers=bearer).status_code

    row = here.page.get_by_role("listitem").filter(has_text="python-httpx")
    assert answer() == 200
    row.get_by_role("button").click()
    expect(others).to_have_count(1)
    assert answer() == 401

    here.click("end-all")
    here.sees("You are logged out")
    there.at("/account")
    there.sees("Log in")
    assert here.visitor.complaints == there.visitor.complaints == []


def test_what_was_allowed_is_taken_back_on_the_account_page(stage: Stage) -> None:
    email, _ = stage.sign_up()
    person = stage.someone()
    person.sent_by_the_shop(scope="openid offline_access")
    person.enter(email, PASSWORD)
    person.click("consent-allow")
    person.is_at_the_shop()
    tokens = stage.shop.redeem(stage.signet.url, stage.shop.last()["code"])
    person.at("/account")
    name = "Take back what The <Corner> Shop, rp.example, may do"
    button = person.page.get_by_role("button", name=name, exact=True)

    button.click()

    person.sees("Your account")
    expect(button).to_have_count(0)
    userinfo = {"Authorization": f"Bearer {tokens['access_token']}"}
    with SignetClient(stage.signet.url) as client:
        assert client.get("/oauth2/userinfo", headers=userinfo).status_code == 401
    person.sent_by_the_shop(prompt="none")
    person.is_at_the_shop()
    assert stage.shop.last()["error"] == "consent_required"
    person.sent_by_the_shop()
    person.sees("Allow access?")
    assert person.visitor.complaints == []


def long_named(number: int) -> str:
    """A client whose name is as long as names get, in words or in one."""
    words = f"Department {number}: an application for looking after things".ljust(98, "…")
    name = words if number % 2 else f"{number}".rjust(100, "W")
    host = f"a-rather-long-name-for-a-service.of-department-{number}.example"
    return f"""
[[client]]
client_id = "long-{number}"
client_name = "{name}"
redirect_uris = ["https://rp.example/cb"]
scope = "openid email profile address phone tasks:read-{"x" * 60}"
audiences = ["https://{host}/v1"]
token_endpoint_auth_method = "none"
"""


def test_everybody_can_read_and_use_a_long_list_of_what_was_allowed(
    stage: Stage, tmp_path: Path
) -> None:
    clients = tmp_path / "clients.toml"
    clients.write_text("".join(map(long_named, range(30))))
    register(stage.signet, clients)
    email, _ = stage.sign_up()
    person = stage.someone()
    person.enter(email, PASSWORD)
    person.sees("Your account")

    def looks_right_everywhere(path: str) -> None:
        person.at(path)
        for scheme in ("light", "dark"):
            person.page.emulate_media(color_scheme=scheme)
            for size in (PHONE, DESK):
                person.page.set_viewport_size(size)
                person.looks_right()

    listed = person.page.get_by_role("button", name="Take back")
    for number in range(30):
        if number < 2:
            looks_right_everywhere("/account")
            expect(listed).to_have_count(number)
        scope = f"openid email profile address phone tasks:read-{'x' * 60}"
        person.sent_by_the_shop(client_id=f"long-{number}", scope=scope)
        person.sees("Allow access?")
        if number < 2:
            looks_right_everywhere(person.page.url.removeprefix(stage.signet.issuer))
        person.click("consent-allow")
        person.is_at_the_shop()
    looks_right_everywhere("/account")
    expect(listed).to_have_count(30)
    assert person.visitor.complaints == []


def test_the_cookie_is_for_this_host_alone_and_for_no_script(stage: Stage) -> None:
    email, _ = stage.sign_up()
    person = stage.someone()

    before = person.cookie()
    person.enter(email, PASSWORD)
    person.sees("Your account")
    after = person.cookie()

    for cookie in (before, after):
        assert cookie
        assert (cookie["domain"], cookie["path"]) == ("localhost", "/")
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Lax")
        assert cookie["expires"] == -1, "it goes when the browser is closed"
    assert before != after
    assert person.page.evaluate("document.cookie") == ""
    assert len(person.page.context.cookies()) == 1


def test_the_keyboard_is_enough(stage: Stage) -> None:
    email, _ = stage.sign_up()
    person = stage.someone()
    keyboard = person.page.keyboard
    person.sent_by_the_shop()
    order = []

    def tab_to(identifier: str) -> None:
        for _ in range(10):
            keyboard.press("Tab")
            order.append(person.focused())
            if order[-1] == identifier:
                outline = person.page.evaluate("getComputedStyle(document.activeElement).outline")
                assert "solid 2px" in outline, outline
                return
        raise AssertionError(f"{identifier} is not reached: {order}")

    tab_to("username")
    keyboard.type(email)
    tab_to("password")
    keyboard.type(PASSWORD)
    tab_to("login-submit")
    assert order == ["username", "password", "login-submit"]
    keyboard.press("Enter")
    person.sees("Allow access?")
    tab_to("consent-allow")
    tab_to("consent-deny")
    keyboard.press("Shift+Tab")
    keyboard.press("Space")
    person.is_at_the_shop()
    assert "code" in stage.shop.last()
    person.at("/logout")
    tab_to("logout-confirm")
    keyboard.press("Enter")
    person.sees("You are logged out")


def every_page(stage: Stage, person: Person) -> Iterator[str]:
    """Leads somebody through all pages, in each state that they have."""
    email, _ = stage.sign_up()
    yield "log in"
    person.sent_by_the_shop()
    yield "log in for a client"
    person.enter(f"{'long' * 10}.{email}", WRONG)
    yield "log in, refused"
    person.page.get_by_role("link", name="Sign up").click()
    yield "sign up"
    person.enter("grace@nowhere", "Password1")
    yield "sign up, refused"
    person.sent_by_the_shop(scope="openid email offline_access", prompt="consent")
    person.enter(email, PASSWORD)
    person.sees("Allow access?")
    yield "consent"
    person.at("/account")
    yield "account"
    person.at("/logout")
    yield "log out"
    person.click("logout-confirm")
    yield "message"
    person.at("/oauth2/authorize")
    yield "error"
    person.at("/consent?flow=x")
    yield "stale"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_everybody_can_read_and_use_every_page(
    stage: Stage, scheme: str, size: dict[str, int]
) -> None:
    person = stage.someone(viewport=size, color_scheme=scheme)
    seen = 0
    for _ in every_page(stage, person):
        person.looks_right()
        seen += 1
    assert seen == 11
    assert person.visitor.complaints == []
    # The page of a posted answer stays if no script sends it on.
    person.page.route("**/submit.js", lambda route: route.abort())
    person.sent_by_the_shop(response_mode="form_post", prompt="none")
    person.sees("One moment")
    person.looks_right()


@pytest.mark.parametrize("accent", ["#ffe600", "#000000", "#ffffff", "#767676", "#1e2427"])
def test_any_name_logo_and_accent_can_be_read(
    stage: Stage, tmp_path: Path, database: Database, owned: Owner, accent: str
) -> None:
    logo = tmp_path / "logo.svg"
    logo.write_text(LOGO)
    signet = owned(
        signet_for_browsers(
            tmp_path,
            database,
            SIGNET_SERVICE_NAME="Ada & <Sons>",
            SIGNET_LOGO=str(logo),
            SIGNET_ACCENT_COLOR=accent,
        )
    )
    signet.start()
    for scheme in ("light", "dark"):
        person = Stage(signet, stage.shop, stage.browser, stage.axe).someone(color_scheme=scheme)
        assert person.page.title() == "Log in · Ada & <Sons>"
        expect(person.page.get_by_role("banner")).to_have_text("Ada & <Sons>")
        width = "document.querySelector('.logo').naturalWidth"
        person.page.wait_for_function(f"{width} > 0")
        person.looks_right()
        assert person.visitor.complaints == []
