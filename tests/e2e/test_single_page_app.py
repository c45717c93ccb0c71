"""The app of `docs/single-page-app.md` in Chromium, and the failures that the page describes."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from processes import ProcessKiller
from single_page_app import LOGGED_OUT_TEXT, Deployment, Person, start_deployment

pytestmark = pytest.mark.once

SILENT_SIGNIN = "signinSilent({ silentRequestTimeoutInSeconds: 3 })"


@pytest.fixture(scope="module")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, kill_after_module: ProcessKiller
) -> Iterator[Deployment]:
    with start_deployment(
        tmp_path_factory.mktemp("single-page-app"), kill_after_module
    ) as deployment:
        yield deployment


@pytest.fixture
def person(deployment: Deployment) -> Iterator[Person]:
    """A user who has opened the app."""
    with deployment.app.serve():
        yield deployment.new_user()


def test_login_api_call_and_logout(deployment: Deployment, person: Person) -> None:
    person.wait_for_text(LOGGED_OUT_TEXT)
    person.log_in()
    person.wait_until_logged_in()
    assert person.page.url == f"{deployment.app.url}/"
    assert person.tasks() == "200 []"

    person.page.reload()
    person.wait_until_logged_in()
    storage_key = f"oidc.user:{deployment.signet.issuer}:todo"
    assert person.page.evaluate("[Object.keys(sessionStorage), localStorage.length]") == [
        [storage_key],
        0,
    ]
    refresh_token = person.stored_user("refresh_token")
    assert refresh_token

    with person.page.expect_request(f"{person.app_url}/"):
        person.page.get_by_role("button", name="Log out").click()
    person.wait_for_text(LOGGED_OUT_TEXT)
    assert f"GET {deployment.signet.issuer}/oauth2/logout" in person.requests
    assert deployment.refresh(refresh_token).json()["error"] == "invalid_grant"
    person.page.goto(f"{deployment.signet.issuer}/account")
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Log in")
    assert person.visitor.console_errors == []


def test_tokens_are_renewed_with_the_refresh_token(deployment: Deployment, person: Person) -> None:
    person.log_in()
    person.wait_until_logged_in()
    before = person.stored_user("access_token")
    person.requests.clear()

    with person.page.expect_response("**/oauth2/userinfo"):
        pass

    person.page.wait_for_function(
        "before => manager.getUser().then(user => user.access_token !== before)", arg=before
    )
    assert set(person.requests) <= {
        f"POST {deployment.signet.issuer}/oauth2/token",
        f"OPTIONS {deployment.signet.issuer}/oauth2/userinfo",
        f"GET {deployment.signet.issuer}/oauth2/userinfo",
    }
    assert person.tasks() == "200 []"
    assert person.visitor.console_errors == []


def test_rejected_api_call_is_retried_with_a_new_token(person: Person) -> None:
    person.log_in()
    person.wait_until_logged_in()
    person.invalidate_access_token()

    assert person.tasks() == "200 []"


def test_withdrawn_consent_ends_the_login_in_the_app(
    deployment: Deployment, person: Person
) -> None:
    person.log_in()
    person.wait_until_logged_in()
    account = person.page.context.new_page()
    account.goto(f"{deployment.signet.issuer}/account")
    withdraw = account.get_by_role("button", name="Withdraw access")
    withdraw.click()
    withdraw.wait_for(state="hidden")
    person.invalidate_access_token()

    assert person.tasks().startswith("401 ")
    person.wait_for_text(LOGGED_OUT_TEXT)


def test_access_token_without_the_audience_is_rejected_by_the_api(
    deployment: Deployment, person: Person
) -> None:
    deployment.run_client_command("update", "todo", "--audience", "")
    try:
        person.log_in()
        person.wait_until_logged_in()
        assert person.tasks().startswith("401 ")
    finally:
        deployment.run_client_command("update", "todo", "--audience", deployment.signet.issuer)


def test_each_tab_has_its_own_login(deployment: Deployment, person: Person) -> None:
    person.log_in()
    person.wait_until_logged_in()
    other = person.visitor.open_tab().page
    person.wait_for_text(LOGGED_OUT_TEXT, other)

    other.get_by_role("button", name="Log in").click()
    expect(other.get_by_role("heading", level=1)).to_have_text("Allow access?")
    other.locator("#consent-allow").click()
    person.wait_for_text(person.email, other)


def test_duplicated_tab_ends_the_login_of_both(person: Person) -> None:
    person.log_in()
    person.wait_until_logged_in()
    with person.page.expect_popup() as opening:
        person.page.evaluate("() => { open('/'); }")
    copy = opening.value
    person.wait_for_text(person.email, copy)

    # The second renewal succeeds only if the response of the first has arrived.
    assert person.outcome("signinSilent()") == person.outcome("signinSilent()") == "ok"
    assert person.outcome("signinSilent()", copy) == "invalid_grant"
    assert person.outcome("signinSilent()") == "invalid_grant"


def test_signin_popup_has_no_opener_and_responds_over_a_channel(person: Person) -> None:
    popup = open_popup(person, "signinPopup()")
    assert popup.evaluate("window.opener") is None

    with popup.expect_event("close"):
        person.complete_login_pages(popup)

    person.wait_until_logged_in()
    assert person.page.evaluate("popup") == "ok"


def test_signin_popup_treats_a_page_of_signet_as_a_closed_window(person: Person) -> None:
    popup = open_popup(person, "signinPopup({ popupAbortOnClose: true })")

    assert person.page.evaluate("popup") == "Popup closed by user"
    assert not popup.is_closed()


def test_signin_popup_does_not_detect_that_it_is_closed(person: Person) -> None:
    popup = open_popup(person, "signinPopup()")

    popup.close()

    a_while = "new Promise(resolve => setTimeout(resolve, 3000, 'open'))"
    assert person.page.evaluate(f"Promise.race([popup, {a_while}])") == "open"


def test_signin_popup_fails_with_versions_before_3_3(deployment: Deployment) -> None:
    with deployment.app.serve("--alias:oidc-client-ts=oidc-client-ts-3.2"):
        person = deployment.new_user()
        popup = open_popup(person, "signinPopup()")
        assert person.page.evaluate("popup") == "Popup closed by user"

        person.complete_login_pages(popup)

        person.wait_for_text("No window.opener. Can't complete notification.", popup)


def test_native_client_without_a_refresh_token_cannot_renew(
    deployment: Deployment, person: Person
) -> None:
    log_in_without_refresh_token(person)

    assert person.outcome(SILENT_SIGNIN) == "consent_required"
    person.page.context.clear_cookies()
    assert person.outcome(SILENT_SIGNIN) == "login_required"


def test_cookie_is_not_sent_in_a_frame_of_another_site(
    deployment: Deployment, person: Person
) -> None:
    person.page.goto(deployment.app.other_site)
    log_in_without_refresh_token(person)
    assert person.outcome(SILENT_SIGNIN) == "login_required"


def test_pages_of_signet_cannot_be_framed(person: Person) -> None:
    log_in_without_refresh_token(person)
    shown = SILENT_SIGNIN.replace("{", "{ prompt: '', ")

    assert person.outcome(shown) == "IFrame timed out without a response"

    (console_error,) = person.visitor.console_errors
    assert "frame-ancestors 'none'" in console_error


def test_callback_works_once(person: Person) -> None:
    with person.page.expect_request("**/callback?*") as callback:
        person.log_in()
    person.wait_until_logged_in()

    person.page.goto(callback.value.url)

    person.wait_for_text("No matching state found in storage")
    person.page.reload()
    person.wait_until_logged_in()


def test_code_reuse_ends_the_login(deployment: Deployment, person: Person) -> None:
    callback = url_of_unprocessed_callback(person)
    redemption = f"manager.signinCallback({callback!r}).then(() => 'ok', it => it.error)"

    with person.page.expect_response(lambda it: it.url.endswith("/token") and it.ok) as redeemed:
        outcomes = person.page.evaluate(f"Promise.all([{redemption}, {redemption}])")

    assert "invalid_grant" in outcomes
    refresh_token = redeemed.value.json()["refresh_token"]
    assert deployment.refresh(refresh_token).json()["error"] == "invalid_grant"


def test_denied_consent_is_reported_as_an_error(person: Person) -> None:
    person.page.get_by_role("button", name="Log in").click()
    person.complete_login_pages(person.page, "consent-deny")

    person.wait_for_text("the user denied the request")


def test_origin_missing_in_cors_origins_cannot_log_in(
    deployment: Deployment, person: Person
) -> None:
    deployment.signet.restart(SIGNET_CORS_ORIGINS="http://localhost:3000")
    try:
        person.log_in()
        person.wait_for_text("Failed to fetch")
        assert "No 'Access-Control-Allow-Origin' header" in person.visitor.console_errors[0]
    finally:
        deployment.signet.restart()


@pytest.mark.parametrize(
    ("method", "member"),
    [("signinRedirect", "redirect_uri"), ("signoutRedirect", "post_logout_redirect_uri")],
)
def test_error_page_names_the_unregistered_redirect_uri(
    method: str, member: str, person: Person
) -> None:
    person.log_in()
    person.wait_until_logged_in()

    person.page.evaluate(
        "([method, member]) => { manager[method]({ [member]: `${location.origin}/other` }); }",
        [method, member],
    )

    said = f"{member} is not registered for the client"
    expect(person.page.get_by_text(said)).to_be_visible(timeout=15_000)


def open_popup(person: Person, call: str) -> Page:
    """Opens a popup by a method of `manager`. Returns it when it shows a page of Signet.

    The page's variable `popup` is a promise of the result of the call.
    """
    with person.page.expect_popup() as opening:
        person.page.evaluate(
            f"() => {{ window.popup = manager.{call}.then(() => 'ok', it => it.message); }}"
        )
    popup = opening.value
    popup.get_by_role("heading", level=1).wait_for()
    return popup


def url_of_unprocessed_callback(person: Person) -> str:
    """Logs in without running the app at the callback. Returns the callback's URL.

    The app is open again afterwards.
    """
    script = "**/www/app.js"
    person.page.route(script, lambda route: route.abort())
    with person.page.expect_request("**/callback?*") as request:
        person.log_in()
    person.page.wait_for_url("**/callback?*")
    person.page.unroute(script)
    person.page.goto(person.app_url)
    person.wait_for_text(LOGGED_OUT_TEXT)
    return request.value.url


def log_in_without_refresh_token(person: Person) -> None:
    person.page.evaluate("() => { manager.signinRedirect({ scope: 'openid email' }); }")
    person.complete_login_pages(person.page)
    person.wait_until_logged_in()
    assert person.stored_user("refresh_token") is None
