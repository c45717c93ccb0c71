"""A3: a second and a third click, with a real mouse, on each form of the pages that completes
something.

With the page's script a form is sent once. Without it, it is sent on each click, and the service
answers the last like the first. On PostgreSQL two instances answer in turn. `DOUBLE_CLICK_ROUNDS`
repeats the whole.
"""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest
from clients import PASSWORD, some_email
from hosted_pages import Person, Stage, opened
from playwright.sync_api import expect
from processes import Owner

ROUNDS = int(os.environ.get("DOUBLE_CLICK_ROUNDS", "1"))
LATENCIES = (0, 80, 250)
BETWEEN_CLICKS = 0.09
NEW_PASSWORD = "Difference-Engine-1822"


@dataclass(frozen=True)
class Mouse:
    """The number and interval of clicks, and the speed of the connection."""

    clicks: int
    latency: int
    """Additional latency of each request, in milliseconds."""
    has_script: bool


MICE = [
    *(Mouse(clicks, latency, False) for latency in LATENCIES for clicks in (2, 3)),
    *(Mouse(3, latency, True) for latency in LATENCIES),
] * ROUNDS
# For forms that do not redirect to a client.
SLOW_MICE = [Mouse(3, 80, False), Mouse(2, 250, True)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, owned_by_module: Owner) -> Iterator[Stage]:
    with opened(tmp_path_factory.mktemp("double"), owned_by_module) as stage:
        yield stage


def someone(stage: Stage, mouse: Mouse) -> Person:
    person = stage.someone(java_script_enabled=mouse.has_script)
    session = person.page.context.new_cdp_session(person.page)
    session.send("Network.enable")
    line = {"latency": mouse.latency, "downloadThroughput": -1, "uploadThroughput": -1}
    session.send("Network.emulateNetworkConditions", {"offline": False, **line})
    return person


def fill(person: Person, email: str, password: str) -> None:
    person.page.locator("#username").fill(email)
    person.page.locator("#password").fill(password)


def click(person: Person, mouse: Mouse, selector: str) -> None:
    """Clicks at the button's position, whatever the page does meanwhile."""
    person.page.locator(selector).scroll_into_view_if_needed()
    box = person.page.locator(selector).bounding_box()
    assert box
    for number in range(mouse.clicks):
        if number:
            time.sleep(BETWEEN_CLICKS)
        person.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def assert_arrives_once(stage: Stage, person: Person, mouse: Mouse, state: str) -> None:
    person.is_at_the_shop()
    person.page.wait_for_load_state()
    brought = [it for path, it in stage.shop.answers if path == "/cb" and it["state"] == state]
    assert all("code" in it for it in brought), brought
    if mouse.has_script:
        assert len(brought) == 1, brought
    assert stage.shop.redeem(stage.signet.url, brought[-1]["code"])["access_token"]


@pytest.mark.parametrize("mouse", MICE, ids=str)
def test_login_form_takes_effect_once(stage: Stage, mouse: Mouse) -> None:
    email, _ = stage.sign_up()
    person, state = someone(stage, mouse), str(uuid4())
    allow_the_shop(stage, person, email)
    person.sent_by_the_shop(state=state, prompt="login", nonce=state)
    fill(person, email, PASSWORD)

    click(person, mouse, "#login-submit")

    assert_arrives_once(stage, person, mouse, state)


def allow_the_shop(stage: Stage, person: Person, email: str) -> None:
    person.sent_by_the_shop()
    person.enter(email, PASSWORD)
    person.click("consent-allow")
    person.is_at_the_shop()


@pytest.mark.parametrize("mouse", MICE, ids=str)
def test_sign_up_and_consent_forms_take_effect_once(stage: Stage, mouse: Mouse) -> None:
    person, state = someone(stage, mouse), str(uuid4())
    person.sent_by_the_shop(state=state, nonce=state)
    person.page.get_by_role("button", name="Sign up").click()
    fill(person, some_email(), PASSWORD)

    click(person, mouse, "#signup-submit")
    heading = person.page.get_by_role("heading", level=1)
    expect(heading).to_have_text(re.compile("Allow access|The client"))
    # A click may have hit the button of the next page, at the same position.
    if heading.inner_text() == "Allow access?":
        click(person, mouse, "#consent-allow")

    assert_arrives_once(stage, person, mouse, state)


@pytest.mark.parametrize("mouse", SLOW_MICE, ids=str)
def test_account_page_forms_take_effect_once(stage: Stage, mouse: Mouse) -> None:
    email, _ = stage.sign_up()
    person = someone(stage, mouse)
    person.at("/login")
    fill(person, email, PASSWORD)
    click(person, mouse, "#login-submit")
    person.sees("Your account")

    person.at("/change-password")
    person.page.locator("#current-password").fill(PASSWORD)
    person.page.locator("#new-password").fill(NEW_PASSWORD)
    click(person, mouse, "button[type=submit]")
    person.sees("Your account")
    expect(person.page.get_by_role("status")).to_contain_text("Your password is changed.")

    person.at("/logout")
    click(person, mouse, "#logout-confirm")
    person.sees("You are logged out")

    person.at("/login")
    person.enter(email, NEW_PASSWORD)
    person.sees("Your account")
    person.at("/delete-account")
    person.page.locator("#password").fill(NEW_PASSWORD)
    click(person, mouse, "button[type=submit]")
    person.sees("The account is deleted")
    assert person.visitor.complaints == []
