"""The hosted pages in a real browser, with Signet and a web client."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from clients import PASSWORD, SignetClient, random_email
from databases import Database
from hosted_pages import DESK, PHONE, Deployment, Person, signet_for_browsers, start_deployment
from playwright.sync_api import Locator, expect
from processes import ProcessKiller

pytestmark = pytest.mark.once

WRONG = "Wrong-password-1"
LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0h9v9"/></svg>'


@pytest.fixture(scope="module")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, kill_after_module: ProcessKiller
) -> Iterator[Deployment]:
    with start_deployment(tmp_path_factory.mktemp("pages"), kill_after_module) as deployment:
        yield deployment


def test_sign_up_log_out_and_log_in_again(deployment: Deployment) -> None:
    person = deployment.open_browser()
    email = random_email()
    person.page.get_by_role("link", name="Sign up").click()

    person.submit_credentials("grace@nowhere", "Password1")
    expect(person.page.locator("#username-problem")).to_contain_text("domain")
    expect(person.page.locator("#password-problem")).to_contain_text("common")
    assert person.focused() == "username"
    assert person.page.title().startswith("Error: ")
    assert person.page.locator("#password").input_value() == ""
    person.submit_credentials(email, PASSWORD)
    person.wait_for_heading("Your account")
    expect(person.page.locator("main")).to_contain_text(email)
    expect(person.page.locator("main")).to_contain_text("Chrome on Linux")

    person.page.get_by_role("link", name="Log out of this browser").click()
    person.click("logout-confirm")
    person.wait_for_heading("You are logged out")
    assert person.cookie() is None
    person.open("/account")
    person.wait_for_heading("Log in")
    person.submit_credentials(email, PASSWORD)
    person.wait_for_heading("Your account")
    assert person.visitor.console_errors == []


def test_wrong_password_is_shown_beside_the_fields(deployment: Deployment) -> None:
    email, _ = deployment.sign_up()
    person = deployment.open_browser()

    person.submit_credentials(email, WRONG)

    problem = person.page.get_by_role("alert")
    expect(problem).to_have_text("The email address or the password is not right.")
    for field in ("username", "password"):
        described = person.page.locator(f"#{field}").get_attribute("aria-describedby")
        assert described == problem.get_attribute("id")
    assert person.page.locator("#username").input_value() == email
    assert person.page.locator("#password").input_value() == ""
    assert person.focused() == "password"
    person.submit_credentials(email, PASSWORD)
    person.wait_for_heading("Your account")
    assert person.visitor.console_errors == []


def test_client_gets_only_the_consented_scope(deployment: Deployment) -> None:
    email, _ = deployment.sign_up()
    person = deployment.open_browser()

    person.open_authorization_url()
    expect(person.page.locator("main")).to_contain_text("The <Corner> Shop")
    person.submit_credentials(email, PASSWORD)
    person.wait_for_heading("Allow access?")
    expect(person.page.locator("main")).to_contain_text("rp.example")
    person.click("consent-deny")
    person.wait_until_at_shop()
    assert deployment.shop.last_parameters()["error"] == "access_denied"

    person.open_authorization_url()
    person.click("consent-allow")
    person.wait_until_at_shop()
    assert deployment.shop.last_parameters()["state"] == "a-state"
    assert deployment.shop.last_parameters()["iss"] == deployment.signet.issuer
    tokens = deployment.shop.redeem(
        deployment.signet.url, deployment.shop.last_parameters()["code"]
    )
    assert tokens["id_token"]

    # Neither login nor consent is required any more.
    person.open_authorization_url(prompt="none")
    person.wait_until_at_shop()
    assert "code" in deployment.shop.last_parameters()
    assert person.visitor.console_errors == []


def test_sign_up_continues_the_pending_request(deployment: Deployment) -> None:
    """The pending request is posted from page to page. It is in no URL, and is preserved after
    mistakes and reloads."""
    person = deployment.open_browser()
    urls: list[str] = []
    person.page.on("request", lambda request: urls.append(request.url))

    person.open_authorization_url()
    person.page.get_by_role("button", name="Sign up").click()
    person.wait_for_heading("Sign up")
    person.page.get_by_role("button", name="Log in").click()
    person.wait_for_heading("Log in")
    person.page.get_by_role("button", name="Sign up").click()
    person.submit_credentials("grace@nowhere", "Password1")
    expect(person.page.locator("#username-problem")).to_contain_text("domain")
    person.submit_credentials(random_email(), PASSWORD)
    person.wait_for_heading("Allow access?")
    person.page.reload()
    person.wait_for_heading("Allow access?")
    person.click("consent-allow")
    person.wait_until_at_shop()

    assert deployment.shop.last_parameters()["state"] == "a-state"
    assert not [url for url in urls if "v1." in url]
    assert person.visitor.console_errors == []


def test_reload_back_button_and_second_tab_continue_the_request(deployment: Deployment) -> None:
    email, _ = deployment.sign_up()
    person = deployment.open_browser()
    person.open_authorization_url()
    person.page.reload()
    person.wait_for_heading("Log in")
    other = person.visitor.open_tab().page
    other.goto(person.page.url)
    person.submit_credentials(email, PASSWORD)
    person.wait_for_heading("Allow access?")

    # The previous page is the authorization request, which continues with the new login.
    person.page.go_back()
    person.wait_for_heading("Allow access?")
    # The login form that the second tab opened before the login also continues the request.
    other.locator("#username").fill(email)
    other.locator("#password").fill(PASSWORD)
    other.locator("#login-submit").click()
    expect(other.get_by_role("heading", level=1)).to_have_text("Allow access?")


def test_callback_may_redirect_to_another_origin(deployment: Deployment) -> None:
    """Chromium applies the policy `form-action` to every redirect after a form submission."""
    email, _ = deployment.sign_up()
    person = deployment.open_browser()

    person.open_authorization_url(redirect_uri="https://rp.example/and-on")
    person.submit_credentials(email, PASSWORD)
    person.click("consent-allow")

    person.page.wait_for_url("https://app.example/")
    person.open_authorization_url(redirect_uri="https://rp.example/and-on", prompt="login")
    person.submit_credentials(email, PASSWORD)
    person.page.wait_for_url("https://app.example/")
    assert person.visitor.console_errors == []


@pytest.mark.parametrize("scripts", [True, False])
def test_form_post_works_with_and_without_scripts(deployment: Deployment, scripts: bool) -> None:
    person = deployment.open_browser(java_script_enabled=scripts)

    person.open_authorization_url(response_mode="form_post", prompt="none")
    if not scripts:
        person.page.get_by_role("button", name="Continue").click()

    person.page.wait_for_url("https://rp.example/cb")
    assert deployment.shop.last_parameters()["error"] == "login_required"
    assert deployment.shop.last_parameters()["state"] == "a-state"
    assert person.visitor.console_errors == []


def test_prompt_login_requires_a_new_login(deployment: Deployment) -> None:
    email, _ = deployment.sign_up()
    person = deployment.open_browser()
    person.submit_credentials(email, PASSWORD)
    before = person.cookie()

    person.open_authorization_url(prompt="login")
    person.wait_for_heading("Log in")
    person.submit_credentials(email, PASSWORD)
    person.wait_for_heading("Allow access?")

    after = person.cookie()
    assert before
    assert after
    assert before["value"] != after["value"]
    assert person.visitor.console_errors == []


def test_logout_by_a_client_redirects_back_to_it(deployment: Deployment) -> None:
    email, _ = deployment.sign_up()
    person = deployment.open_browser()
    person.open_authorization_url()
    person.submit_credentials(email, PASSWORD)
    person.click("consent-allow")
    person.wait_until_at_shop()
    hint = deployment.shop.redeem(deployment.signet.url, deployment.shop.last_parameters()["code"])[
        "id_token"
    ]
    query = f"id_token_hint={hint}&post_logout_redirect_uri=https://rp.example/bye&state=s"

    person.open(f"/oauth2/logout?{query}")
    person.wait_until_at_shop()
    assert deployment.shop.requests[-1] == ("/bye", {"state": "s"})
    assert person.cookie() is None

    # The ID token belongs to the previous login, so a logout of the new one needs confirmation.
    person.open("/login")
    person.submit_credentials(email, PASSWORD)
    person.wait_for_heading("Your account")
    person.open(f"/oauth2/logout?{query}")
    person.wait_for_heading("Log out?")
    person.assert_accessible()
    person.click("logout-confirm")
    person.wait_until_at_shop()
    person.open("/logout")
    person.wait_for_heading("You are logged out")
    assert person.visitor.console_errors == []


def test_unregistered_redirect_uri_shows_an_error_page(deployment: Deployment) -> None:
    person = deployment.open_browser()
    requests_before = len(deployment.shop.requests)

    person.open_authorization_url(redirect_uri="https://rp.example/elsewhere")

    person.wait_for_heading("That does not work")
    expect(person.page.locator("main")).to_contain_text("redirect_uri")
    person.assert_accessible()
    assert len(deployment.shop.requests) == requests_before


def test_cookie_is_host_only_and_http_only(deployment: Deployment) -> None:
    email, _ = deployment.sign_up()
    person = deployment.open_browser()

    before = person.cookie()
    person.submit_credentials(email, PASSWORD)
    person.wait_for_heading("Your account")
    after = person.cookie()

    for cookie in (before, after):
        assert cookie
        assert (cookie["domain"], cookie["path"]) == ("localhost", "/")
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Lax")
        assert cookie["expires"] == -1, "the cookie must be deleted when the browser is closed"
    assert before != after
    assert person.page.evaluate("document.cookie") == ""
    # The cookie has two names: the current one, and that of the previous version.
    assert len(person.page.context.cookies()) == 2


def test_password_can_be_shown_and_is_sent_as_a_password(deployment: Deployment) -> None:
    email, _ = deployment.sign_up()
    person = deployment.open_browser()
    assert person.focused() == "username"
    password = person.page.locator("#password")
    password.fill(PASSWORD)

    person.page.get_by_role("button", name="Show what is typed").click()
    assert password.get_attribute("type") == "text"
    person.page.get_by_role("button", name="Hide what is typed").click()
    assert password.get_attribute("type") == "password"

    person.page.get_by_role("button", name="Show what is typed").click()
    person.submit_credentials(email, PASSWORD)
    person.wait_for_heading("Your account")


def test_password_rules_are_checked_while_typing(deployment: Deployment) -> None:
    person = deployment.open_browser()
    person.open("/signup")
    rules = person.page.locator("#password-hint li")
    met = person.page.locator("#password-hint .met")
    expect(rules).to_have_count(4)
    expect(met).to_have_count(0)

    for typed, number in (("aB1", 3), ("aaaaaaaa", 2), ("Aaaaaaa1", 4), ("ŻÓŁĆżółć٣", 4), ("", 0)):
        person.page.locator("#password").fill(typed)
        expect(met).to_have_count(number)


def test_sign_up_with_an_existing_address_offers_the_login(deployment: Deployment) -> None:
    email, _ = deployment.sign_up()
    person = deployment.open_browser()
    person.open("/signup")
    person.submit_credentials(email, PASSWORD)
    person.assert_accessible()

    person.page.get_by_role("link", name="Log in instead").click()
    person.wait_for_heading("Log in")

    # The pending request of a client is preserved.
    person.open_authorization_url()
    person.page.get_by_role("button", name="Sign up").click()
    person.submit_credentials(email, PASSWORD)
    person.page.get_by_role("button", name="Log in instead").click()
    person.submit_credentials(email, PASSWORD)
    person.wait_for_heading("Allow access?")


def test_times_are_shown_in_the_time_zone_of_the_browser(deployment: Deployment) -> None:
    email, _ = deployment.sign_up()
    zones = {"timezone_id": "Asia/Tokyo", "locale": "en-GB"}
    with_scripts, without = (
        deployment.open_browser(**zones),
        deployment.open_browser(java_script_enabled=False),
    )
    for person in (with_scripts, without):
        person.submit_credentials(email, PASSWORD)

    time = with_scripts.page.locator("time").first
    expect(time).to_contain_text(f"{in_tokyo(time):%H:%M}")
    expect(without.page.locator("time").first).to_contain_text("UTC")


def in_tokyo(time: Locator) -> datetime:
    """The time of a `time` element."""
    at = datetime.fromisoformat(time.get_attribute("datetime") or "")
    return at.astimezone(timezone(timedelta(hours=9)))


def test_login_continues_to_the_requested_page(deployment: Deployment) -> None:
    email, _ = deployment.sign_up()
    person = deployment.open_browser()
    person.open("/.well-known/change-password")
    person.submit_credentials(email, WRONG)
    person.submit_credentials(email, PASSWORD)
    person.wait_for_heading("Change your password")
    # URLs other than those of Signet's pages are ignored.
    other = deployment.open_browser()
    other.open("/login?then=https://evil.example/")
    other.submit_credentials(email, PASSWORD)
    other.wait_for_heading("Your account")


def test_more_than_five_sessions_are_collapsed(deployment: Deployment) -> None:
    email, _ = deployment.sign_up()
    with SignetClient(deployment.signet.url) as client:
        for _ in range(6):
            client.log_in(email)
    person = deployment.open_browser()
    person.submit_credentials(email, PASSWORD)

    first = person.page.locator(".entries").first
    expect(first.locator("> li")).to_have_count(5)
    expect(first.locator("> li").first).to_contain_text("this browser")
    person.assert_accessible()
    person.page.get_by_text("Show all 8").click()
    person.page.get_by_role("button", name="End ").last.click()
    expect(person.page.get_by_role("status")).to_have_text("The session has ended.")
    expect(person.page.get_by_text("Show all 7")).to_be_visible()


def test_error_page_shows_the_request_id_and_the_icon(deployment: Deployment) -> None:
    person = deployment.open_browser()
    with person.page.expect_response("**/oauth2/authorize**") as answer:
        person.open("/oauth2/authorize?client_id=nobody")
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


def test_pages_are_usable_with_the_keyboard(deployment: Deployment) -> None:
    email, _ = deployment.sign_up()
    person = deployment.open_browser()
    keyboard = person.page.keyboard
    person.open_authorization_url()
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
    person.wait_for_heading("Allow access?")
    tab_to("consent-allow")
    tab_to("consent-deny")
    keyboard.press("Shift+Tab")
    keyboard.press("Space")
    person.wait_until_at_shop()
    assert "code" in deployment.shop.last_parameters()
    person.open("/logout")
    tab_to("logout-confirm")
    keyboard.press("Enter")
    person.wait_for_heading("You are logged out")


@dataclass(frozen=True)
class Words:
    """The texts by which a test finds elements without an id, in one language."""

    language: str
    sign_up: str
    allow_access: str
    your_account: str
    change_password: str
    delete_account: str
    one_moment: str


ENGLISH = Words(
    language="en",
    sign_up="Sign up",
    allow_access="Allow access?",
    your_account="Your account",
    change_password="Change your password",
    delete_account="Delete your account",
    one_moment="One moment",
)
GERMAN = Words(
    language="de",
    sign_up="Registrieren",
    allow_access="Zugriff erlauben?",
    your_account="Ihr Konto",
    change_password="Passwort ändern",
    delete_account="Konto löschen",
    one_moment="Einen Moment",
)


def every_page(deployment: Deployment, person: Person, words: Words = ENGLISH) -> Iterator[str]:
    """Visits all pages in all of their states."""
    email, _ = deployment.sign_up()
    yield "log in"
    person.open_authorization_url()
    yield "log in for a client"
    person.submit_credentials(f"{'long' * 10}.{email}", WRONG)
    yield "log in, refused"
    person.page.get_by_role("button", name=words.sign_up).click()
    yield "sign up"
    person.submit_credentials("grace@nowhere", "Password1")
    yield "sign up, refused"
    person.open_authorization_url(scope="openid email offline_access", prompt="consent")
    person.submit_credentials(email, PASSWORD)
    person.wait_for_heading(words.allow_access)
    yield "consent"
    person.open("/account?done=password")
    yield "account"
    person.page.locator("a[href=edit-profile]").click()
    yield "profile"
    person.page.locator("#name").fill("Augusta Ada King, Countess of Lovelace")
    person.page.locator("#website").fill("nowhere")
    person.click("profile-submit")
    yield "profile, refused"
    person.page.locator("#website").fill(f"https://ada.example/{'long' * 20}")
    person.page.locator("#locale").select_option(words.language)
    person.page.locator("#address-street_address").fill("12 St James's Square\nLondon")
    person.click("profile-submit")
    person.wait_for_heading(words.your_account)
    yield "account with a profile"
    person.page.get_by_role("link", name=words.change_password).click()
    yield "change of password"
    person.page.locator("#current-password").fill(WRONG)
    person.page.locator("#new-password").fill("Difference-Engine-1822")
    person.click("password-submit")
    yield "change of password, refused"
    person.open("/account")
    person.page.locator("a[href=download-data]").click()
    yield "download"
    person.page.locator("#password").fill(WRONG)
    person.click("download-submit")
    yield "download, refused"
    person.open("/account")
    person.page.get_by_role("link", name=words.delete_account).click()
    yield "deletion"
    person.page.locator("#password").fill(WRONG)
    person.click("delete-submit")
    yield "deletion, refused"
    person.open("/logout")
    yield "log out"
    person.click("logout-confirm")
    yield "message"
    person.open("/oauth2/authorize")
    yield "error"
    person.open("/consent?flow=x")
    yield "expired request"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_every_page_is_accessible(
    deployment: Deployment, scheme: str, size: dict[str, int]
) -> None:
    person = deployment.open_browser(viewport=size, color_scheme=scheme)
    assert_every_page_is_accessible(deployment, person, ENGLISH)


def test_every_german_page_is_accessible(deployment: Deployment) -> None:
    """German words are longer, so they must fit on the smallest screen."""
    person = deployment.open_browser(viewport=PHONE, locale="de-DE")
    assert_every_page_is_accessible(deployment, person, GERMAN)


def assert_every_page_is_accessible(deployment: Deployment, person: Person, words: Words) -> None:
    seen = 0
    for _ in every_page(deployment, person, words):
        person.assert_accessible()
        assert person.page.locator("html").get_attribute("lang") == words.language
        seen += 1
    assert seen == 20
    assert person.visitor.console_errors == []
    # Without its script, the page of a `form_post` response is not submitted and stays visible.
    person.page.route("**/submit.js", lambda route: route.abort())
    person.open_authorization_url(response_mode="form_post", prompt="none")
    person.wait_for_heading(words.one_moment)
    person.assert_accessible()


def test_log_in_in_german(deployment: Deployment) -> None:
    email, _ = deployment.sign_up()
    person = deployment.open_browser(locale="de-AT", timezone_id="Asia/Tokyo")
    person.wait_for_heading("Anmelden")
    assert person.page.title() == "Anmelden · Signet"

    person.submit_credentials(email, WRONG)
    expect(person.page.get_by_role("alert")).to_have_text(
        "Die E-Mail-Adresse oder das Passwort ist falsch."
    )
    person.page.locator("#password").fill(PASSWORD)
    person.page.get_by_role("button", name="Eingabe anzeigen").click()
    expect(person.page.get_by_role("button", name="Eingabe verbergen")).to_have_text("Verbergen")
    person.click("login-submit")

    person.wait_for_heading("Ihr Konto")
    time = person.page.locator("time").first
    expect(time).to_have_text(f"{in_tokyo(time):%d.%m.%Y, %H:%M}")
    expect(person.page.locator("main")).to_contain_text("Chrome unter Linux")
    person.page.get_by_role("link", name="In diesem Browser abmelden").click()
    person.click("logout-confirm")
    person.wait_for_heading("Sie sind abgemeldet")
    assert person.visitor.console_errors == []


def test_client_chooses_the_language_of_its_flow(deployment: Deployment) -> None:
    """The browser is in English, and the flow in German. Times have the notation of the page."""
    email, _ = deployment.sign_up()
    person = deployment.open_browser(timezone_id="Asia/Tokyo")

    person.open_authorization_url(ui_locales="de")
    person.page.get_by_role("button", name="Registrieren").click()
    person.wait_for_heading("Registrieren")
    person.page.get_by_role("button", name="Anmelden").click()
    person.wait_for_heading("Anmelden")
    person.submit_credentials(email, PASSWORD)
    person.wait_for_heading("Zugriff erlauben?")
    person.page.reload()
    person.wait_for_heading("Zugriff erlauben?")
    person.click("consent-allow")
    person.wait_until_at_shop()
    person.open("/account?ui_locales=de")
    time = person.page.locator("time").first
    expect(time).to_have_text(f"{in_tokyo(time):%d.%m.%Y, %H:%M}")
    person.open("/account")
    person.wait_for_heading("Your account")
    assert person.visitor.console_errors == []


@pytest.mark.parametrize("accent", ["#ffe600", "#000000", "#ffffff", "#767676", "#1e2427"])
def test_branding_is_accessible(
    deployment: Deployment,
    tmp_path: Path,
    database: Database,
    kill_after_test: ProcessKiller,
    accent: str,
) -> None:
    logo = tmp_path / "logo.svg"
    logo.write_text(LOGO)
    signet = kill_after_test(
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
        person = Deployment(
            signet, deployment.shop, deployment.browser, deployment.axe
        ).open_browser(color_scheme=scheme)
        assert person.page.title() == "Log in · Ada & <Sons>"
        expect(person.page.get_by_role("banner")).to_have_text("Ada & <Sons>")
        width = "document.querySelector('.logo').naturalWidth"
        person.page.wait_for_function(f"{width} > 0")
        person.assert_accessible()
        assert person.visitor.console_errors == []
