"""The account pages in a real browser: logins, consents, password change and deletion."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import PASSWORD, SignetClient
from hosted_pages import DESK, PHONE, Deployment, register, start_deployment
from playwright.sync_api import expect
from processes import ProcessKiller

pytestmark = pytest.mark.once

NEW_PASSWORD = "Difference-Engine-1822"


@pytest.fixture(scope="module")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, kill_after_module: ProcessKiller
) -> Iterator[Deployment]:
    with start_deployment(tmp_path_factory.mktemp("pages"), kill_after_module) as deployment:
        yield deployment


def test_account_page_ends_sessions(deployment: Deployment) -> None:
    email, tokens = deployment.sign_up()
    first, second = deployment.open_browser(), deployment.open_browser()
    for person in (first, second):
        person.submit_credentials(email, PASSWORD)
        person.wait_for_heading("Your account")
    first.open("/account")
    end_buttons = first.page.get_by_role("button", name="End ")
    expect(end_buttons).to_have_count(2)

    def api_status() -> int:
        bearer = {"Authorization": f"Bearer {tokens.access_token}"}
        with SignetClient(deployment.signet.url) as client:
            return client.get("/api/auth/me", headers=bearer).status_code

    row = first.page.get_by_role("listitem").filter(has_text="python-httpx")
    assert api_status() == 200
    row.get_by_role("button").click()
    expect(end_buttons).to_have_count(1)
    assert api_status() == 401

    first.click("end-all")
    first.wait_for_heading("You are logged out")
    second.open("/account")
    second.wait_for_heading("Log in")
    assert first.visitor.console_errors == second.visitor.console_errors == []


def test_profile_is_edited_without_scripts_and_by_keyboard(deployment: Deployment) -> None:
    for scripts in (True, False):
        email, _ = deployment.sign_up()
        person = deployment.open_browser(java_script_enabled=scripts)
        person.submit_credentials(email, PASSWORD)
        person.page.get_by_role("link", name="Edit your profile").click()
        person.wait_for_heading("Your profile")
        person.page.get_by_label("Full name").fill(f"Ada {scripts}")
        person.page.get_by_label("Date of birth").fill("10.12.1815")
        person.page.keyboard.press("Enter")

        birthdate = person.page.get_by_label("Date of birth")
        expect(birthdate).to_have_accessible_description(re.compile("YYYY-MM-DD.*only the year"))
        assert person.page.title().startswith("Error: ")
        birthdate.fill("1815-12-10")
        person.page.get_by_label("Language").select_option("de")
        person.click("profile-submit")

        # The language applies at once.
        expect(person.page.get_by_role("status")).to_have_text("Ihr Profil wurde gespeichert.")
        claims = person.page.locator(".claims")
        expect(claims).to_contain_text(f"Ada {scripts}")
        expect(claims).to_contain_text("Deutsch")
        expect(claims).to_contain_text("1815-12-10")
        assert person.visitor.console_errors == []


def test_data_is_downloaded_as_a_file(deployment: Deployment) -> None:
    email, _ = deployment.sign_up()
    for scripts in (True, False):
        person = deployment.open_browser(java_script_enabled=scripts)
        person.submit_credentials(email, PASSWORD)
        person.page.get_by_role("link", name="Download your data").click()
        person.wait_for_heading("Download your data")
        person.page.get_by_label("Your password").fill(PASSWORD)

        with person.page.expect_download() as download:
            person.click("download-submit")

        assert download.value.suggested_filename == "account-data.json"
        data = json.loads(Path(download.value.path()).read_text())
        assert data["account"]["email"] == email
        assert data["events"][0]["type"] == "signup"
        assert data["events"][-1]["type"] == "data_downloaded"
        person.wait_for_heading("Download your data")
        assert person.visitor.console_errors == []


def test_other_logins_end_at_once(deployment: Deployment) -> None:
    email, _ = deployment.sign_up()
    first, second = deployment.open_browser(), deployment.open_browser()
    for person in (first, second):
        person.submit_credentials(email, PASSWORD)
        person.wait_for_heading("Your account")
    first.open("/account")

    first.click("end-others")

    expect(first.page.get_by_role("status")).to_have_text("All other sessions have ended.")
    expect(first.page.get_by_role("button", name="Log out all others")).to_have_count(0)
    second.open("/account")
    second.wait_for_heading("Log in")
    assert first.visitor.console_errors == []


def test_password_change_ends_all_other_logins(deployment: Deployment) -> None:
    email, _ = deployment.sign_up()
    first, second = deployment.open_browser(), deployment.open_browser()
    for person in (first, second):
        person.submit_credentials(email, PASSWORD)
        person.wait_for_heading("Your account")
    before = first.cookie()
    first.open("/.well-known/change-password")
    first.wait_for_heading("Change your password")
    current, new = (first.page.locator(f"#{name}-password") for name in ("current", "new"))

    current.fill("Wrong-password-1")
    new.fill("short")
    first.click("password-submit")
    expect(new).to_have_accessible_description(re.compile("needs at least 8 characters"))
    assert first.page.title().startswith("Error: ")
    expect(current).to_have_accessible_description("This is not your password.")
    assert first.focused() == "current-password"
    current.fill(PASSWORD)
    new.fill(NEW_PASSWORD)
    first.page.keyboard.press("Enter")

    first.wait_for_heading("Your account")
    expect(first.page.get_by_role("status")).to_contain_text("Your password is changed.")
    first.assert_accessible()
    assert first.cookie() != before
    second.open("/account")
    second.wait_for_heading("Log in")
    second.submit_credentials(email, PASSWORD)
    second.page.get_by_role("alert").wait_for()
    second.submit_credentials(email, NEW_PASSWORD)
    second.wait_for_heading("Your account")
    assert first.visitor.console_errors == second.visitor.console_errors == []


def test_account_is_deleted_only_with_its_password(deployment: Deployment) -> None:
    email, _ = deployment.sign_up()
    person = deployment.open_browser()
    person.submit_credentials(email, PASSWORD)
    person.page.get_by_role("link", name="Delete your account").click()
    person.wait_for_heading("Delete your account?")

    person.page.get_by_label("Your password").fill("Wrong-password-1")
    person.click("delete-submit")
    expect(person.page.get_by_label("Your password")).to_have_accessible_description(
        "This is not your password."
    )
    person.page.get_by_label("Your password").fill(PASSWORD)
    person.click("delete-submit")

    person.wait_for_heading("The account is deleted")
    person.assert_accessible()
    # The browser still has its cookie, which is invalid.
    person.open("/account")
    person.wait_for_heading("Log in")
    person.submit_credentials(email, PASSWORD)
    person.page.get_by_role("alert").wait_for()
    assert person.visitor.console_errors == []


def test_account_page_withdraws_a_consent(deployment: Deployment) -> None:
    email, _ = deployment.sign_up()
    person = deployment.open_browser()
    person.open_authorization_url(scope="openid offline_access")
    person.submit_credentials(email, PASSWORD)
    person.click("consent-allow")
    person.wait_until_at_shop()
    tokens = deployment.shop.redeem(
        deployment.signet.url, deployment.shop.last_parameters()["code"]
    )
    person.open("/account")
    name = "Withdraw access of The <Corner> Shop, rp.example"
    button = person.page.get_by_role("button", name=name, exact=True)

    button.click()

    person.wait_for_heading("Your account")
    expect(button).to_have_count(0)
    userinfo = {"Authorization": f"Bearer {tokens['access_token']}"}
    with SignetClient(deployment.signet.url) as client:
        assert client.get("/oauth2/userinfo", headers=userinfo).status_code == 401
    person.open_authorization_url(prompt="none")
    person.wait_until_at_shop()
    assert deployment.shop.last_parameters()["error"] == "consent_required"
    person.open_authorization_url()
    person.wait_for_heading("Allow access?")
    assert person.visitor.console_errors == []


def client_with_long_name(number: int) -> str:
    """A client whose name has the maximum length, and consists of one word or of several."""
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


def test_long_list_of_consents_is_accessible(deployment: Deployment, tmp_path: Path) -> None:
    clients = tmp_path / "clients.toml"
    clients.write_text("".join(map(client_with_long_name, range(30))))
    register(deployment.signet, clients)
    email, _ = deployment.sign_up()
    person = deployment.open_browser()
    person.submit_credentials(email, PASSWORD)
    person.wait_for_heading("Your account")

    def assert_accessible_everywhere(path: str) -> None:
        person.open(path)
        for scheme in ("light", "dark"):
            person.page.emulate_media(color_scheme=scheme)
            for size in (PHONE, DESK):
                person.page.set_viewport_size(size)
                person.assert_accessible()

    listed = person.page.get_by_role("button", name="Withdraw access")
    for number in range(30):
        if number < 2:
            assert_accessible_everywhere("/account")
            expect(listed).to_have_count(number)
        scope = f"openid email profile address phone tasks:read-{'x' * 60}"
        person.open_authorization_url(client_id=f"long-{number}", scope=scope)
        person.wait_for_heading("Allow access?")
        if number < 2:
            assert_accessible_everywhere(person.page.url.removeprefix(deployment.signet.issuer))
        person.click("consent-allow")
        person.wait_until_at_shop()
    assert_accessible_everywhere("/account")
    expect(listed).to_have_count(30)
    assert person.visitor.console_errors == []
