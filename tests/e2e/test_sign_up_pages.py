"""Who may sign up: the hosted pages with invites, and where sign-up is closed, in a real browser."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from clients import PASSWORD, random_email
from databases import Database
from hosted_pages import (
    DESK,
    PHONE,
    Deployment,
    Person,
    register,
    signet_for_browsers,
    start_deployment,
)
from playwright.sync_api import expect
from processes import SIGNET_BIN, ProcessKiller, clean_environment
from relying_party import CLIENT

pytestmark = pytest.mark.once

BY_INVITE = "You can sign up here only with an invitation."
INVALID = "This invitation is not valid."


@pytest.fixture(scope="module")
def opened(
    tmp_path_factory: pytest.TempPathFactory, kill_after_module: ProcessKiller
) -> Iterator[Deployment]:
    """Signet with the default, `SIGNET_SIGNUP=open`."""
    with start_deployment(tmp_path_factory.mktemp("pages"), kill_after_module) as deployment:
        yield deployment


@pytest.fixture
def deployment(
    request: pytest.FixtureRequest,
    opened: Deployment,
    tmp_path: Path,
    database: Database,
    kill_after_test: ProcessKiller,
) -> Deployment:
    """Signet with `SIGNET_SIGNUP=invite`, or with the value that the test sets."""
    mode = getattr(request, "param", "invite")
    signet = kill_after_test(signet_for_browsers(tmp_path, database, SIGNET_SIGNUP=mode))
    signet.start()
    clients = tmp_path / "clients.toml"
    clients.write_text(CLIENT)
    register(signet, clients)
    return replace(opened, signet=signet)


def run(deployment: Deployment, *arguments: str) -> str:
    finished = subprocess.run(
        [SIGNET_BIN, *arguments],
        env={**clean_environment(), **deployment.signet.settings},
        check=True,
        capture_output=True,
        text=True,
    )
    return finished.stdout.strip()


def invite(deployment: Deployment, email: str) -> str:
    """The link of a new invite."""
    return run(deployment, "account", "invite", email)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_invite_link_leads_to_an_account(deployment: Deployment, scripts: bool) -> None:
    """A scanner, whose browser runs scripts, opens the link before the person does."""
    email = random_email()
    link = invite(deployment, email)
    assert link.startswith(f"{deployment.signet.issuer}/signup?invite=")
    for _ in range(3):
        deployment.open_browser().page.goto(link)
    person = deployment.open_browser(java_script_enabled=scripts)

    person.page.goto(link)
    person.wait_for_heading("Sign up")
    address = person.page.locator("#username")
    assert address.input_value() == email
    assert not address.is_editable()
    person.page.locator("#password").fill("short")
    person.click("signup-submit")
    expect(person.page.locator("#password-problem")).to_be_visible()
    assert person.page.locator("#username").input_value() == email
    person.page.locator("#password").fill(PASSWORD)
    person.click("signup-submit")
    person.wait_for_heading("Your account")
    expect(person.page.locator("main")).to_contain_text(email)
    assert person.visitor.console_errors == []

    other = deployment.open_browser(java_script_enabled=scripts)
    other.page.goto(link)
    expect(other.page.locator("main")).to_contain_text(INVALID)
    other.page.get_by_role("link", name="Log in").click()
    other.submit_credentials(email, PASSWORD)
    other.wait_for_heading("Your account")


@pytest.mark.parametrize("deployment", ["invite", "closed"], indirect=True)
def test_pages_offer_no_sign_up_that_would_be_refused(deployment: Deployment) -> None:
    email = random_email()
    run(deployment, "account", "create", email)
    person = deployment.open_browser()

    person.wait_for_heading("Log in")
    assert person.page.get_by_text("Sign up").count() == 0
    person.open_authorization_url()
    person.wait_for_heading("Log in")
    assert person.page.get_by_text("Sign up").count() == 0
    assert person.visitor.console_errors == []


def test_prompt_create_leads_back_to_the_login_of_the_request(deployment: Deployment) -> None:
    email = random_email()
    link = invite(deployment, email)
    deployment.open_browser().page.goto(link)
    person = deployment.open_browser()
    person.page.goto(link)
    person.page.locator("#password").fill(PASSWORD)
    person.click("signup-submit")
    person.wait_for_heading("Your account")

    other = deployment.open_browser()
    other.open_authorization_url(prompt="create")
    expect(other.page.locator("main")).to_contain_text(BY_INVITE)
    other.page.get_by_role("button", name="Log in").click()
    other.wait_for_heading("Log in")
    other.submit_credentials(email, PASSWORD)
    other.wait_for_heading("Allow access?")
    other.click("consent-allow")
    other.wait_until_at_shop()
    assert "code" in deployment.shop.last_parameters()


@pytest.mark.parametrize("deployment", ["closed"], indirect=True)
def test_prompt_create_is_refused_where_sign_up_is_closed(deployment: Deployment) -> None:
    person = deployment.open_browser()

    person.open_authorization_url(prompt="create")

    person.wait_until_at_shop()
    assert deployment.shop.last_parameters()["error"] == "invalid_request"


def test_prompt_create_continues_the_request_after_the_sign_up(opened: Deployment) -> None:
    person = opened.open_browser()

    person.open_authorization_url(prompt="create")
    person.wait_for_heading("Sign up")
    person.submit_credentials(random_email(), PASSWORD)
    person.wait_for_heading("Allow access?")
    person.click("consent-allow")
    person.wait_until_at_shop()

    assert "code" in opened.shop.last_parameters()
    assert person.visitor.console_errors == []


def every_page(deployment: Deployment, person: Person) -> Iterator[str]:
    """Visits all pages of this module in all of their states."""
    email = random_email()
    link = invite(deployment, email)
    person.open("/signup")
    yield "sign up, by invite only"
    person.open_authorization_url(prompt="create")
    yield "sign up for a client, by invite only"
    person.page.goto(link)
    yield "sign up with an invite"
    run(deployment, "invite", "revoke", email)
    person.page.locator("#password").fill(PASSWORD)
    person.click("signup-submit")
    yield "sign up, invite refused"
    person.page.goto(link)
    yield "invalid invite"
    person.open("/login")
    yield "log in without a link to the sign-up"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_every_sign_up_page_is_accessible(
    deployment: Deployment, scheme: str, size: dict[str, int]
) -> None:
    person = deployment.open_browser(viewport=size, color_scheme=scheme)
    seen = 0
    for _ in every_page(deployment, person):
        person.assert_accessible()
        seen += 1
    assert seen == 6
