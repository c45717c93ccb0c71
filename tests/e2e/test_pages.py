"""The hosted pages in a real browser, with the real Signet and a web client."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from clients import PASSWORD, SignetClient, some_email
from databases import Database
from hosted_pages import DESK, PHONE, Person, Stage, opened, signet_for_browsers
from playwright.sync_api import expect
from processes import Owner

pytestmark = pytest.mark.once

WRONG = "Wrong-password-1"
LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0h9v9"/></svg>'


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, owned_by_module: Owner) -> Iterator[Stage]:
    with opened(tmp_path_factory.mktemp("pages"), owned_by_module) as stage:
        yield stage


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


def test_wrong_password_is_shown_beside_the_fields(stage: Stage) -> None:
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


def test_client_gets_only_the_consented_scope(stage: Stage) -> None:
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

    # Neither login nor consent is required any more.
    person.sent_by_the_shop(prompt="none")
    person.is_at_the_shop()
    assert "code" in stage.shop.last()
    assert person.visitor.complaints == []


def test_sign_up_continues_the_pending_request(stage: Stage) -> None:
    """The request is posted from page to page: it is in no URL, and survives mistakes and
    reloads."""
    person = stage.someone()
    addresses: list[str] = []
    person.page.on("request", lambda request: addresses.append(request.url))

    person.sent_by_the_shop()
    person.page.get_by_role("button", name="Sign up").click()
    person.sees("Sign up")
    person.page.get_by_role("button", name="Log in").click()
    person.sees("Log in")
    person.page.get_by_role("button", name="Sign up").click()
    person.enter("grace@nowhere", "Password1")
    expect(person.page.locator("#username-problem")).to_contain_text("domain")
    person.enter(some_email(), PASSWORD)
    person.sees("Allow access?")
    person.page.reload()
    person.sees("Allow access?")
    person.click("consent-allow")
    person.is_at_the_shop()

    assert stage.shop.last()["state"] == "a-state"
    assert not [url for url in addresses if "v1." in url]
    assert person.visitor.complaints == []


def test_reload_back_button_and_second_tab_continue_the_request(stage: Stage) -> None:
    email, _ = stage.sign_up()
    person = stage.someone()
    person.sent_by_the_shop()
    person.page.reload()
    person.sees("Log in")
    other = person.visitor.open_tab().page
    other.goto(person.page.url)
    person.enter(email, PASSWORD)
    person.sees("Allow access?")

    # Back is the request itself, which continues for the user who is logged in by now.
    person.page.go_back()
    person.sees("Allow access?")
    # So does the form of a tab from before the login.
    other.locator("#username").fill(email)
    other.locator("#password").fill(PASSWORD)
    other.locator("#login-submit").click()
    expect(other.get_by_role("heading", level=1)).to_have_text("Allow access?")


def test_callback_may_redirect_to_another_origin_of_the_client(stage: Stage) -> None:
    """Chromium applies `form-action` to each redirect after a form."""
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
def test_form_post_works_with_and_without_scripts(stage: Stage, scripts: bool) -> None:
    person = stage.someone(java_script_enabled=scripts)

    person.sent_by_the_shop(response_mode="form_post", prompt="none")
    if not scripts:
        person.page.get_by_role("button", name="Continue").click()

    person.page.wait_for_url("https://rp.example/cb")
    assert stage.shop.last()["error"] == "login_required"
    assert stage.shop.last()["state"] == "a-state"
    assert person.visitor.complaints == []


def test_reauthentication_at_the_request_of_the_client(stage: Stage) -> None:
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


def test_logout_by_a_client_redirects_back_to_it(stage: Stage) -> None:
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

    # Another login than that of the client's ID token requires a confirmation.
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


def test_unregistered_redirect_uri_shows_an_error_page(stage: Stage) -> None:
    person = stage.someone()
    came = len(stage.shop.answers)

    person.sent_by_the_shop(redirect_uri="https://rp.example/elsewhere")

    person.sees("That does not work")
    expect(person.page.locator("main")).to_contain_text("redirect_uri")
    person.looks_right()
    assert len(stage.shop.answers) == came


def test_cookie_is_host_only_and_http_only(stage: Stage) -> None:
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
        assert cookie["expires"] == -1, "it is deleted when the browser is closed"
    assert before != after
    assert person.page.evaluate("document.cookie") == ""
    # Under its current name, and under that of the previous version.
    assert len(person.page.context.cookies()) == 2


def test_password_can_be_shown_and_is_sent_as_a_password(stage: Stage) -> None:
    email, _ = stage.sign_up()
    person = stage.someone()
    assert person.focused() == "username"
    password = person.page.locator("#password")
    password.fill(PASSWORD)

    person.page.get_by_role("button", name="Show what is typed").click()
    assert password.get_attribute("type") == "text"
    person.page.get_by_role("button", name="Hide what is typed").click()
    assert password.get_attribute("type") == "password"

    person.page.get_by_role("button", name="Show what is typed").click()
    person.enter(email, PASSWORD)
    person.sees("Your account")


def test_password_rules_are_checked_while_typing(stage: Stage) -> None:
    person = stage.someone()
    person.at("/signup")
    rules = person.page.locator("#password-hint li")
    met = person.page.locator("#password-hint .met")
    expect(rules).to_have_count(4)
    expect(met).to_have_count(0)

    for typed, number in (("aB1", 3), ("aaaaaaaa", 2), ("Aaaaaaa1", 4), ("ŻÓŁĆżółć٣", 4), ("", 0)):
        person.page.locator("#password").fill(typed)
        expect(met).to_have_count(number)


def test_existing_address_leads_to_the_login(stage: Stage) -> None:
    email, _ = stage.sign_up()
    person = stage.someone()
    person.at("/signup")
    person.enter(email, PASSWORD)
    person.looks_right()

    person.page.get_by_role("link", name="Log in instead").click()
    person.sees("Log in")

    # The pending request of a client is preserved.
    person.sent_by_the_shop()
    person.page.get_by_role("button", name="Sign up").click()
    person.enter(email, PASSWORD)
    person.page.get_by_role("button", name="Log in instead").click()
    person.enter(email, PASSWORD)
    person.sees("Allow access?")


def test_times_are_shown_in_the_time_zone_of_the_browser(stage: Stage) -> None:
    email, _ = stage.sign_up()
    zones = {"timezone_id": "Asia/Tokyo", "locale": "en-GB"}
    with_scripts, without = stage.someone(**zones), stage.someone(java_script_enabled=False)
    for person in (with_scripts, without):
        person.enter(email, PASSWORD)

    time = with_scripts.page.locator("time").first
    at = datetime.fromisoformat(time.get_attribute("datetime") or "")
    there = at.astimezone(timezone(timedelta(hours=9)))
    expect(time).to_contain_text(f"{there:%H:%M}")
    expect(without.page.locator("time").first).to_contain_text("UTC")


def test_requested_page_opens_after_the_login(stage: Stage) -> None:
    email, _ = stage.sign_up()
    person = stage.someone()
    person.at("/.well-known/change-password")
    person.enter(email, WRONG)
    person.enter(email, PASSWORD)
    person.sees("Change your password")
    # Addresses outside our pages are ignored.
    other = stage.someone()
    other.at("/login?then=https://evil.example/")
    other.enter(email, PASSWORD)
    other.sees("Your account")


def test_more_than_five_sessions_are_collapsed(stage: Stage) -> None:
    email, _ = stage.sign_up()
    with SignetClient(stage.signet.url) as client:
        for _ in range(6):
            client.log_in(email)
    person = stage.someone()
    person.enter(email, PASSWORD)

    first = person.page.locator(".entries").first
    expect(first.locator("> li")).to_have_count(5)
    expect(first.locator("> li").first).to_contain_text("this browser")
    person.looks_right()
    person.page.get_by_text("Show all 8").click()
    person.page.get_by_role("button", name="End ").last.click()
    expect(person.page.get_by_role("status")).to_have_text("That login has ended.")
    expect(person.page.get_by_text("Show all 7")).to_be_visible()


def test_error_page_shows_the_request_id_and_the_icon(stage: Stage) -> None:
    person = stage.someone()
    with person.page.expect_response("**/oauth2/authorize**") as answer:
        person.at("/oauth2/authorize?client_id=nobody")
    request_id = answer.value.headers["x-request-id"]
    expect(person.page.locator("code")).to_have_text(request_id)
    icon = person.page.locator("link[rel=icon]").evaluate("it => it.href")
    drawn = person.page.evaluate(
        """address => new Promise((done) => {
            const image = new Image();
            image.onload = () => done(image.naturalWidth);
            image.onerror = () => done(0);
            image.src = address;
        })""",
        icon,
    )
    assert drawn > 0


def test_pages_are_usable_with_the_keyboard(stage: Stage) -> None:
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

    assert person.focused() == "username"
    keyboard.type(email)
    tab_to("password")
    keyboard.type(PASSWORD)
    tab_to("login-submit")
    assert order == ["password", "password-reveal", "login-submit"]
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
    """Visits all pages, in each of their states."""
    email, _ = stage.sign_up()
    yield "log in"
    person.sent_by_the_shop()
    yield "log in for a client"
    person.enter(f"{'long' * 10}.{email}", WRONG)
    yield "log in, refused"
    person.page.get_by_role("button", name="Sign up").click()
    yield "sign up"
    person.enter("grace@nowhere", "Password1")
    yield "sign up, refused"
    person.sent_by_the_shop(scope="openid email offline_access", prompt="consent")
    person.enter(email, PASSWORD)
    person.sees("Allow access?")
    yield "consent"
    person.at("/account?done=password")
    yield "account"
    person.page.get_by_role("link", name="Change your password").click()
    yield "change of password"
    person.page.locator("#current-password").fill(WRONG)
    person.page.locator("#new-password").fill("Difference-Engine-1822")
    person.click("password-submit")
    yield "change of password, refused"
    person.at("/account")
    person.page.get_by_role("link", name="Delete your account").click()
    yield "deletion"
    person.page.locator("#password").fill(WRONG)
    person.click("delete-submit")
    yield "deletion, refused"
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
def test_every_page_is_accessible(stage: Stage, scheme: str, size: dict[str, int]) -> None:
    person = stage.someone(viewport=size, color_scheme=scheme)
    seen = 0
    for _ in every_page(stage, person):
        person.looks_right()
        seen += 1
    assert seen == 15
    assert person.visitor.complaints == []
    # The page of a form post response stays if no script submits it.
    person.page.route("**/submit.js", lambda route: route.abort())
    person.sent_by_the_shop(response_mode="form_post", prompt="none")
    person.sees("One moment")
    person.looks_right()


@pytest.mark.parametrize("accent", ["#ffe600", "#000000", "#ffffff", "#767676", "#1e2427"])
def test_branding_is_readable(
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
