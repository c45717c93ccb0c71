"""The self-service pages in a real browser: logins, consents, password, account."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import PASSWORD, SignetClient
from hosted_pages import DESK, PHONE, Stage, opened, register
from playwright.sync_api import expect
from processes import Owner

pytestmark = pytest.mark.once

NEW_PASSWORD = "Difference-Engine-1822"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, owned_by_module: Owner) -> Iterator[Stage]:
    with opened(tmp_path_factory.mktemp("pages"), owned_by_module) as stage:
        yield stage


def test_account_page_ends_sessions(stage: Stage) -> None:
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


def test_password_change_ends_all_other_logins(stage: Stage) -> None:
    email, _ = stage.sign_up()
    here, there = stage.someone(), stage.someone()
    for person in (here, there):
        person.enter(email, PASSWORD)
        person.sees("Your account")
    before = here.cookie()
    here.at("/.well-known/change-password")
    here.sees("Change your password")
    current, new = (here.page.locator(f"#{name}-password") for name in ("current", "new"))

    current.fill("Wrong-password-1")
    new.fill("short")
    here.click("password-submit")
    expect(new).to_have_accessible_description(re.compile("needs at least 8 characters"))
    assert here.page.title().startswith("Error: ")
    expect(current).to_have_accessible_description("This is not your password.")
    assert here.focused() == "current-password"
    current.fill(PASSWORD)
    new.fill(NEW_PASSWORD)
    here.page.keyboard.press("Enter")

    here.sees("Your account")
    expect(here.page.get_by_role("status")).to_contain_text("Your password is changed.")
    here.looks_right()
    assert here.cookie() != before
    there.at("/account")
    there.sees("Log in")
    there.enter(email, PASSWORD)
    there.page.get_by_role("alert").wait_for()
    there.enter(email, NEW_PASSWORD)
    there.sees("Your account")
    assert here.visitor.complaints == there.visitor.complaints == []


def test_account_deletion(stage: Stage) -> None:
    email, _ = stage.sign_up()
    person = stage.someone()
    person.enter(email, PASSWORD)
    person.page.get_by_role("link", name="Delete your account").click()
    person.sees("Delete your account?")

    person.page.get_by_label("Your password").fill("Wrong-password-1")
    person.click("delete-submit")
    expect(person.page.get_by_label("Your password")).to_have_accessible_description(
        "This is not your password."
    )
    person.page.get_by_label("Your password").fill(PASSWORD)
    person.click("delete-submit")

    person.sees("The account is deleted")
    person.looks_right()
    # The remaining cookie is invalid.
    person.at("/account")
    person.sees("Log in")
    person.enter(email, PASSWORD)
    person.page.get_by_role("alert").wait_for()
    assert person.visitor.complaints == []


def test_account_page_withdraws_a_consent(stage: Stage) -> None:
    email, _ = stage.sign_up()
    person = stage.someone()
    person.sent_by_the_shop(scope="openid offline_access")
    person.enter(email, PASSWORD)
    person.click("consent-allow")
    person.is_at_the_shop()
    tokens = stage.shop.redeem(stage.signet.url, stage.shop.last()["code"])
    person.at("/account")
    name = "Withdraw access of The <Corner> Shop, rp.example"
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
    """A client with a name of maximum length, as one word or several."""
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


def test_long_list_of_consents_is_accessible(stage: Stage, tmp_path: Path) -> None:
    clients = tmp_path / "clients.toml"
    clients.write_text("".join(map(long_named, range(30))))
    register(stage.signet, clients)
    email, _ = stage.sign_up()
    person = stage.someone()
    person.enter(email, PASSWORD)
    person.sees("Your account")

    def assert_accessible_everywhere(path: str) -> None:
        person.at(path)
        for scheme in ("light", "dark"):
            person.page.emulate_media(color_scheme=scheme)
            for size in (PHONE, DESK):
                person.page.set_viewport_size(size)
                person.looks_right()

    listed = person.page.get_by_role("button", name="Withdraw access")
    for number in range(30):
        if number < 2:
            assert_accessible_everywhere("/account")
            expect(listed).to_have_count(number)
        scope = f"openid email profile address phone tasks:read-{'x' * 60}"
        person.sent_by_the_shop(client_id=f"long-{number}", scope=scope)
        person.sees("Allow access?")
        if number < 2:
            assert_accessible_everywhere(person.page.url.removeprefix(stage.signet.issuer))
        person.click("consent-allow")
        person.is_at_the_shop()
    assert_accessible_everywhere("/account")
    expect(listed).to_have_count(30)
    assert person.visitor.complaints == []
