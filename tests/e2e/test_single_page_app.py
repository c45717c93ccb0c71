"""The app of `docs/single-page-app.md` in Chromium, and what the page says does not work."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from processes import Owner
from single_page_app import NOBODY, Person, Stage, opened

pytestmark = pytest.mark.once

FRAME = "signinSilent({ silentRequestTimeoutInSeconds: 3 })"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, owned_by_module: Owner) -> Iterator[Stage]:
    with opened(tmp_path_factory.mktemp("single-page-app"), owned_by_module) as stage:
        yield stage


@pytest.fixture
def person(stage: Stage) -> Iterator[Person]:
    """A user with the app open."""
    with stage.app.served():
        yield stage.someone()


def test_login_api_call_and_logout(stage: Stage, person: Person) -> None:
    person.sees(NOBODY)
    person.logs_in()
    person.is_logged_in()
    assert person.page.url == f"{stage.app.url}/"
    assert person.tasks() == "200 []"

    person.page.reload()
    person.is_logged_in()
    kept = f"oidc.user:{stage.signet.issuer}:todo"
    assert person.page.evaluate("[Object.keys(sessionStorage), localStorage.length]") == [[kept], 0]
    refresh_token = person.user("refresh_token")
    assert refresh_token

    with person.page.expect_request(f"{person.home}/"):
        person.page.get_by_role("button", name="Log out").click()
    person.sees(NOBODY)
    assert f"GET {stage.signet.issuer}/oauth2/logout" in person.asked
    assert stage.refresh(refresh_token).json()["error"] == "invalid_grant"
    person.page.goto(f"{stage.signet.issuer}/account")
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Log in")
    assert person.visitor.complaints == []


def test_tokens_are_renewed_with_the_refresh_token(stage: Stage, person: Person) -> None:
    person.logs_in()
    person.is_logged_in()
    before = person.user("access_token")
    person.asked.clear()

    with person.page.expect_response("**/oauth2/userinfo"):
        pass

    person.page.wait_for_function(
        "before => manager.getUser().then(user => user.access_token !== before)", arg=before
    )
    assert set(person.asked) <= {
        f"POST {stage.signet.issuer}/oauth2/token",
        f"OPTIONS {stage.signet.issuer}/oauth2/userinfo",
        f"GET {stage.signet.issuer}/oauth2/userinfo",
    }
    assert person.tasks() == "200 []"
    assert person.visitor.complaints == []


def test_rejected_call_is_retried_once_with_a_new_token(person: Person) -> None:
    person.logs_in()
    person.is_logged_in()
    person.spoil_the_access_token()

    assert person.tasks() == "200 []"


def test_login_ended_at_signet_ends_in_the_app(stage: Stage, person: Person) -> None:
    person.logs_in()
    person.is_logged_in()
    account = person.page.context.new_page()
    account.goto(f"{stage.signet.issuer}/account")
    take_back = account.get_by_role("button", name="Withdraw access")
    take_back.click()
    take_back.wait_for(state="hidden")
    person.spoil_the_access_token()

    assert person.tasks().startswith("401 ")
    person.sees(NOBODY)


def test_access_token_without_the_audience_is_rejected_by_the_api(
    stage: Stage, person: Person
) -> None:
    stage.client("update", "todo", "--audience", "")
    try:
        person.logs_in()
        person.is_logged_in()
        assert person.tasks().startswith("401 ")
    finally:
        stage.client("update", "todo", "--audience", stage.signet.issuer)


def test_each_tab_has_its_own_login(stage: Stage, person: Person) -> None:
    person.logs_in()
    person.is_logged_in()
    other = person.visitor.open_tab().page
    person.sees(NOBODY, other)

    other.get_by_role("button", name="Log in").click()
    expect(other.get_by_role("heading", level=1)).to_have_text("Allow access?")
    other.locator("#consent-allow").click()
    person.sees(person.email, other)


def test_duplicated_tab_ends_the_login_of_both(person: Person) -> None:
    person.logs_in()
    person.is_logged_in()
    with person.page.expect_popup() as opening:
        person.page.evaluate("() => { open('/'); }")
    copy = opening.value
    person.sees(person.email, copy)

    # The second renewal shows that the response of the first has arrived.
    assert person.outcome("signinSilent()") == person.outcome("signinSilent()") == "ok"
    assert person.outcome("signinSilent()", copy) == "invalid_grant"
    assert person.outcome("signinSilent()") == "invalid_grant"


def test_signin_popup_has_no_opener_and_responds_over_a_channel(person: Person) -> None:
    popup = open_popup(person, "signinPopup()")
    assert popup.evaluate("window.opener") is None

    with popup.expect_event("close"):
        person.answers(popup)

    person.is_logged_in()
    assert person.page.evaluate("popup") == "ok"


def test_signin_popup_mistakes_a_page_of_signet_for_a_closed_window(person: Person) -> None:
    popup = open_popup(person, "signinPopup({ popupAbortOnClose: true })")

    assert person.page.evaluate("popup") == "Popup closed by user"
    assert not popup.is_closed()


def test_signin_popup_does_not_notice_that_it_is_closed(person: Person) -> None:
    popup = open_popup(person, "signinPopup()")

    popup.close()

    a_while = "new Promise(resolve => setTimeout(resolve, 3000, 'open'))"
    assert person.page.evaluate(f"Promise.race([popup, {a_while}])") == "open"


def test_signin_popup_fails_with_versions_before_3_3(stage: Stage) -> None:
    with stage.app.served("--alias:oidc-client-ts=oidc-client-ts-3.2"):
        person = stage.someone()
        popup = open_popup(person, "signinPopup()")
        assert person.page.evaluate("popup") == "Popup closed by user"

        person.answers(popup)

        person.sees("No window.opener. Can't complete notification.", popup)


def test_without_a_refresh_token_a_native_client_cannot_renew(stage: Stage, person: Person) -> None:
    log_in_without_refresh_token(person)

    assert person.outcome(FRAME) == "consent_required"
    person.page.context.clear_cookies()
    assert person.outcome(FRAME) == "login_required"


def test_the_cookie_is_not_sent_from_a_frame_of_another_site(stage: Stage, person: Person) -> None:
    person.page.goto(stage.app.other_site)
    log_in_without_refresh_token(person)
    assert person.outcome(FRAME) == "login_required"


def test_pages_of_signet_cannot_be_framed(person: Person) -> None:
    log_in_without_refresh_token(person)
    shown = FRAME.replace("{", "{ prompt: '', ")

    assert person.outcome(shown) == "IFrame timed out without a response"

    (complaint,) = person.visitor.complaints
    assert "frame-ancestors 'none'" in complaint


def test_callback_works_once(person: Person) -> None:
    with person.page.expect_request("**/callback?*") as callback:
        person.logs_in()
    person.is_logged_in()

    person.page.goto(callback.value.url)

    person.sees("No matching state found in storage")
    person.page.reload()
    person.is_logged_in()


def test_code_reuse_ends_the_login(stage: Stage, person: Person) -> None:
    callback = stopped_at_the_callback(person)
    redemption = f"manager.signinCallback({callback!r}).then(() => 'ok', it => it.error)"

    with person.page.expect_response(lambda it: it.url.endswith("/token") and it.ok) as redeemed:
        outcomes = person.page.evaluate(f"Promise.all([{redemption}, {redemption}])")

    assert "invalid_grant" in outcomes
    refresh_token = redeemed.value.json()["refresh_token"]
    assert stage.refresh(refresh_token).json()["error"] == "invalid_grant"


def test_denied_consent_is_reported_as_an_error(person: Person) -> None:
    person.page.get_by_role("button", name="Log in").click()
    person.answers(person.page, "consent-deny")

    person.sees("the user denied the request")


def test_unlisted_origin_cannot_log_in(stage: Stage, person: Person) -> None:
    stage.signet.restart(SIGNET_CORS_ORIGINS="http://localhost:3000")
    try:
        person.logs_in()
        person.sees("Failed to fetch")
        assert "No 'Access-Control-Allow-Origin' header" in person.visitor.complaints[0]
    finally:
        stage.signet.restart()


@pytest.mark.parametrize(
    ("method", "member"),
    [("signinRedirect", "redirect_uri"), ("signoutRedirect", "post_logout_redirect_uri")],
)
def test_unregistered_redirect_uri_is_named(method: str, member: str, person: Person) -> None:
    person.logs_in()
    person.is_logged_in()

    person.page.evaluate(
        "([method, member]) => { manager[method]({ [member]: `${location.origin}/other` }); }",
        [method, member],
    )

    said = f"{member} is not registered for the client"
    expect(person.page.get_by_text(said)).to_be_visible(timeout=15_000)


def open_popup(person: Person, call: str) -> Page:
    """The popup, at a page of Signet. `popup` settles to the result of the call."""
    with person.page.expect_popup() as opening:
        person.page.evaluate(
            f"() => {{ window.popup = manager.{call}.then(() => 'ok', it => it.message); }}"
        )
    popup = opening.value
    popup.get_by_role("heading", level=1).wait_for()
    return popup


def stopped_at_the_callback(person: Person) -> str:
    """The URL of a callback at which the app did nothing. The page is open again then."""
    script = "**/www/app.js"
    person.page.route(script, lambda route: route.abort())
    with person.page.expect_request("**/callback?*") as request:
        person.logs_in()
    person.page.wait_for_url("**/callback?*")
    person.page.unroute(script)
    person.page.goto(person.home)
    person.sees(NOBODY)
    return request.value.url


def log_in_without_refresh_token(person: Person) -> None:
    person.page.evaluate("() => { manager.signinRedirect({ scope: 'openid email' }); }")
    person.answers(person.page)
    person.is_logged_in()
    assert person.user("refresh_token") is None
