"""Second and third clicks with a real mouse on the forms of the hosted pages (A3).

With the page's script a form is sent once. Without scripts, each click sends the form, and Signet
answers the last request like the first. On PostgreSQL two instances answer in turn.
`DOUBLE_CLICK_ROUNDS` is the number of repetitions.
"""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest
from clients import PASSWORD, random_email
from hosted_pages import Deployment, Person, start_deployment
from playwright.sync_api import expect
from processes import ProcessKiller

ROUNDS = int(os.environ.get("DOUBLE_CLICK_ROUNDS", "1"))
LATENCIES = (0, 80, 250)
"""In milliseconds."""
SECONDS_BETWEEN_CLICKS = 0.09
NEW_PASSWORD = "Difference-Engine-1822"


@dataclass(frozen=True)
class Clicks:
    """The clicks on a form's button, and the browser that sends the form."""

    number: int
    latency: int
    """Additional latency of each request, in milliseconds."""
    has_script: bool


CLICKS = [
    *(Clicks(number, latency, False) for latency in LATENCIES for number in (2, 3)),
    *(Clicks(3, latency, True) for latency in LATENCIES),
] * ROUNDS
# For the forms of the account pages, which do not redirect to a client.
ACCOUNT_PAGE_CLICKS = [Clicks(3, 80, False), Clicks(2, 250, True)]


@pytest.fixture(scope="module")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, kill_after_module: ProcessKiller
) -> Iterator[Deployment]:
    with start_deployment(tmp_path_factory.mktemp("double"), kill_after_module) as deployment:
        yield deployment


def open_browser(deployment: Deployment, clicks: Clicks) -> Person:
    person = deployment.open_browser(java_script_enabled=clicks.has_script)
    session = person.page.context.new_cdp_session(person.page)
    session.send("Network.enable")
    conditions = {"latency": clicks.latency, "downloadThroughput": -1, "uploadThroughput": -1}
    session.send("Network.emulateNetworkConditions", {"offline": False, **conditions})
    return person


def fill(person: Person, email: str, password: str) -> None:
    person.page.locator("#username").fill(email)
    person.page.locator("#password").fill(password)


def click(person: Person, clicks: Clicks, selector: str) -> None:
    """Clicks repeatedly at the button's position, even if the page changes meanwhile."""
    person.page.locator(selector).scroll_into_view_if_needed()
    box = person.page.locator(selector).bounding_box()
    assert box
    for click_number in range(clicks.number):
        if click_number:
            time.sleep(SECONDS_BETWEEN_CLICKS)
        person.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def assert_login_takes_effect_once(
    deployment: Deployment, person: Person, clicks: Clicks, state: str
) -> None:
    person.wait_until_at_shop()
    person.page.wait_for_load_state()
    received = [
        it for path, it in deployment.shop.requests if path == "/cb" and it["state"] == state
    ]
    assert all("code" in it for it in received), received
    if clicks.has_script:
        assert len(received) == 1, received
    assert deployment.shop.redeem(deployment.signet.url, received[-1]["code"])["access_token"]


@pytest.mark.parametrize("clicks", CLICKS, ids=str)
def test_login_form_takes_effect_once(deployment: Deployment, clicks: Clicks) -> None:
    email, _ = deployment.sign_up()
    person, state = open_browser(deployment, clicks), str(uuid4())
    give_consent(deployment, person, email)
    person.open_authorization_url(state=state, prompt="login", nonce=state)
    fill(person, email, PASSWORD)

    click(person, clicks, "#login-submit")

    assert_login_takes_effect_once(deployment, person, clicks, state)


def give_consent(deployment: Deployment, person: Person, email: str) -> None:
    person.open_authorization_url()
    person.submit_credentials(email, PASSWORD)
    person.click("consent-allow")
    person.wait_until_at_shop()


@pytest.mark.parametrize("clicks", CLICKS, ids=str)
def test_sign_up_and_consent_forms_take_effect_once(deployment: Deployment, clicks: Clicks) -> None:
    person, state = open_browser(deployment, clicks), str(uuid4())
    person.open_authorization_url(state=state, nonce=state)
    person.page.get_by_role("button", name="Sign up").click()
    fill(person, random_email(), PASSWORD)

    click(person, clicks, "#signup-submit")
    heading = person.page.get_by_role("heading", level=1)
    expect(heading).to_have_text(re.compile("Allow access|The client"))
    # A repeated click may already have hit the consent button, at the same position.
    if heading.inner_text() == "Allow access?":
        click(person, clicks, "#consent-allow")

    assert_login_takes_effect_once(deployment, person, clicks, state)


@pytest.mark.parametrize("clicks", ACCOUNT_PAGE_CLICKS, ids=str)
def test_account_page_forms_take_effect_once(deployment: Deployment, clicks: Clicks) -> None:
    email, _ = deployment.sign_up()
    person = open_browser(deployment, clicks)
    person.open("/login")
    fill(person, email, PASSWORD)
    click(person, clicks, "#login-submit")
    person.wait_for_heading("Your account")

    person.open("/change-password")
    person.page.locator("#current-password").fill(PASSWORD)
    person.page.locator("#new-password").fill(NEW_PASSWORD)
    click(person, clicks, "button[type=submit]")
    person.wait_for_heading("Your account")
    expect(person.page.get_by_role("status")).to_contain_text("Your password is changed.")

    person.open("/logout")
    click(person, clicks, "#logout-confirm")
    person.wait_for_heading("You are logged out")

    person.open("/login")
    person.submit_credentials(email, NEW_PASSWORD)
    person.wait_for_heading("Your account")
    person.open("/delete-account")
    person.page.locator("#password").fill(NEW_PASSWORD)
    click(person, clicks, "button[type=submit]")
    person.wait_for_heading("The account is deleted")
    assert person.visitor.console_errors == []
