"""The example front end in a real browser, with Signet and the task API."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import APIResponse, Browser, Route

from browser import StaticFiles, Tab, Visitor, build, chromium
from clients import PASSWORD, SignetClient, random_email
from databases import fresh_database
from processes import ProcessKiller, Signet, TaskApi

pytestmark = pytest.mark.once

ROUNDS = 200
# Removes the browser features with which the app prevents concurrent refreshes by tabs.
DISABLE_COORDINATION = "delete Navigator.prototype.locks; delete window.BroadcastChannel;"
# Refreshes at the given time, in milliseconds since the epoch. The page's variable `round` is a
# promise of the result.
REFRESH_AT = """at => {
    window.round = (async () => {
        await new Promise(resolve => setTimeout(resolve, at - Date.now() - 4));
        while (Date.now() < at);
        const started = Date.now();
        const token = await session.refresh().catch(error => `failed: ${error}`);
        return { started, token, stored: localStorage.getItem("signet.login") };
    })();
}"""


@dataclass
class Deployment:
    signet: Signet
    url: str
    browser: Browser
    axe: str

    def visitor(self, *, script: str = "", **options: object) -> Visitor:
        context = self.browser.new_context(**options)
        if script:
            context.add_init_script(script)
        return Visitor(context, self.url)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, kill_after_module: ProcessKiller, browser: Browser
) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("frontend")
    files = StaticFiles(directory / "app")
    database = fresh_database(directory)
    signet = kill_after_module(
        Signet(
            directory,
            database,
            SIGNET_CORS_ORIGINS=files.url,
            # The shortest lifetime that the app must support. It then refreshes after one second.
            SIGNET_ACCESS_TOKEN_SECONDS="2",
            SIGNET_ATTEMPTS_PER_MINUTE="10000",
            SIGNET_REFRESHES_PER_MINUTE="10000",
        )
    ).start()
    task_api = kill_after_module(
        TaskApi(directory, signet.issuer, signet.audience, CORS_ORIGINS=files.url)
    ).start()
    project = build(directory / "app", signet.url, task_api.url)
    axe = (project.directory / "node_modules/axe-core/axe.min.js").read_text()
    with files.serving():
        yield Deployment(signet, files.url, browser, axe)
    database.drop()


def test_sign_up_tasks_logout_and_login(deployment: Deployment) -> None:
    visitor = deployment.visitor()
    tab = visitor.open_tab()
    email = random_email()

    tab.wait_for_heading("Log in")
    tab.sign_up(email, "Password1")
    assert "common" in tab.field_error("Password")
    tab.submit_credentials("Sign up", email, PASSWORD)
    tab.wait_for_heading("Tasks")
    assert tab.tasks() == {}

    tab.add("Water the plants")
    tab.add("<b>Write</b> a letter")
    tab.page.get_by_role("checkbox", name="Water").check()
    tab.page.get_by_text("1 of 2 still to do").wait_for()
    assert tab.tasks() == {"Water the plants": True, "<b>Write</b> a letter": False}

    tab.page.reload()
    assert tab.tasks() == {"Water the plants": True, "<b>Write</b> a letter": False}
    tab.page.get_by_role("button", name="Delete “Water the plants”").click()
    tab.page.get_by_text("1 of 1 still to do").wait_for()

    tab.log_out()
    tab.wait_for_heading("Log in")
    tab.page.reload()
    tab.wait_for_heading("Log in")
    tab.log_in(email, "Wrong-password-1")
    assert "The email address or the password is wrong." in tab.notice()
    tab.sign_up(email, PASSWORD)
    assert "There is an account" in tab.field_error("Email")
    tab.page.get_by_role("button", name="Log in").click()
    tab.log_in(email, PASSWORD)
    assert tab.tasks() == {"<b>Write</b> a letter": False}
    assert visitor.console_errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_front_end_is_accessible_at_320_pixels(deployment: Deployment, scheme: str) -> None:
    # A screen of 1280 pixels has 320 CSS pixels at a zoom of 400 % (WCAG 2.2, 1.4.10).
    smallest = {"width": 320, "height": 640}
    tab = deployment.visitor(viewport=smallest, color_scheme=scheme).open_tab()

    def assert_accessible() -> None:
        assert tab.accessibility_violations(deployment.axe) == []
        assert tab.overflow() <= 0

    assert_accessible()
    tab.log_in(random_email(), "Wrong-password-1")
    tab.notice()
    assert_accessible()
    tab.sign_up("grace@nowhere", "Password1")
    assert tab.field_error("Email") == "The email has a domain that is not valid."
    assert_accessible()
    tab.submit_credentials("Sign up", f"{'long' * 10}.{random_email()}", PASSWORD)
    tab.wait_for_heading("Tasks")
    tab.add("Water the plants")
    tab.page.get_by_role("checkbox", name="Water").check()
    tab.add("Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch")
    assert_accessible()
    tab.page.get_by_role("button", name="Add").click()
    assert tab.field_error("New task") == "Please enter a task."
    assert_accessible()


def test_expired_token_is_refreshed_silently(deployment: Deployment) -> None:
    visitor = deployment.visitor()
    tab = visitor.open_tab()
    tab.sign_up(random_email(), PASSWORD)
    tab.wait_for_heading("Tasks")

    time.sleep(2.1)
    tab.add("Water the plants")

    assert visitor.refreshes == [200]
    assert visitor.console_errors == []


def test_lost_refresh_response_does_not_log_out(deployment: Deployment) -> None:
    visitor = deployment.visitor()
    tab = visitor.open_tab()
    tab.sign_up(random_email(), PASSWORD)
    tab.wait_for_heading("Tasks")
    lost = []

    def drop_two_responses(route: Route) -> None:
        if len(lost) == 2:
            route.continue_()
        else:
            lost.append(route.fetch().json()["refresh_token"])
            route.abort()

    tab.page.route("**/api/auth/refresh", drop_two_responses)
    tab.page.reload()

    assert tab.tasks() == {}
    assert lost[0] == lost[1] == stored_login(tab)["refreshToken"]


def test_ended_session_leads_to_the_login_page(deployment: Deployment) -> None:
    visitor = deployment.visitor()
    tab = visitor.open_tab()
    tab.sign_up(random_email(), PASSWORD)
    tab.wait_for_heading("Tasks")
    token = tab.page.evaluate("() => session.accessToken()")
    with SignetClient(deployment.signet.url) as elsewhere:
        assert elsewhere.log_out(token).status_code == 200

    tab.page.reload()

    tab.wait_for_heading("Log in")
    assert tab.notice() == "You are logged out."
    assert visitor.refreshes[-1] == 401


def test_logout_applies_to_the_other_tab(deployment: Deployment) -> None:
    visitor = deployment.visitor()
    first = visitor.open_tab()
    first.sign_up(random_email(), PASSWORD)
    first.wait_for_heading("Tasks")
    second = visitor.open_tab()
    second.wait_for_heading("Tasks")

    first.log_out()

    second.wait_for_heading("Log in")
    assert second.page.evaluate("() => session.accessToken().catch(error => error.code)") == (
        "LOGGED_OUT"
    )
    # A login in the second tab also applies to the first.
    other = random_email()
    second.sign_up(other, PASSWORD)
    first.wait_for_heading("Tasks")
    first.page.get_by_text(other).wait_for()
    assert visitor.console_errors == []


@pytest.mark.parametrize("coordinated", [True, False], ids=["in turn", "without coordination"])
def test_concurrent_refreshes_in_two_tabs_keep_the_login(
    deployment: Deployment, coordinated: bool
) -> None:
    visitor = deployment.visitor(script="" if coordinated else DISABLE_COORDINATION)
    first = visitor.open_tab()
    first.sign_up(random_email(), PASSWORD)
    first.wait_for_heading("Tasks")
    second = visitor.open_tab()
    second.wait_for_heading("Tasks")
    assert second.tasks() == {}
    visitor.refreshes.clear()

    pairs = rounds = 0
    while pairs < ROUNDS:
        rounds += 1
        assert rounds <= 40 * ROUNDS, "this machine is too busy to start two refreshes at once"
        first_result, second_result = refresh_at_once(first, second)
        assert not first_result["token"].startswith("failed"), first_result
        assert not second_result["token"].startswith("failed"), second_result
        if first_result["started"] == second_result["started"]:
            pairs += 1
            # Both presented the same token, so they must have got the same successor.
            assert coordinated or first_result["stored"] == second_result["stored"]

    print(f"{pairs} pairs in {rounds} rounds, {len(visitor.refreshes)} refreshes")
    assert set(visitor.refreshes) == {200}
    if coordinated:
        # A tab uses the result of the other tab's refresh if it arrives within a time limit.
        assert rounds <= len(visitor.refreshes) <= 1.25 * rounds
    else:
        assert len(visitor.refreshes) == 2 * rounds
    for name, tab in {"first": first, "second": second}.items():
        tab.page.reload()
        tab.add(f"The {name} is still here")
    assert set(visitor.refreshes) == {200}
    assert visitor.console_errors == []


def test_late_response_does_not_replace_a_newer_token(deployment: Deployment) -> None:
    visitor = deployment.visitor(script=DISABLE_COORDINATION)
    newer_tab = visitor.open_tab()
    newer_tab.sign_up(random_email(), PASSWORD)
    newer_tab.wait_for_heading("Tasks")
    older_tab = visitor.open_tab()
    assert older_tab.tasks() == {}
    delayed: list[tuple[Route, APIResponse]] = []
    older_tab.page.route("**/api/auth/refresh", lambda it: delayed.append((it, it.fetch())))

    older_tab.page.evaluate("() => { window.late = session.refresh(); }")
    while not delayed:
        older_tab.page.wait_for_timeout(10)
    for _ in range(3):
        newer_tab.page.evaluate("() => session.refresh()")
    newest = stored_login(newer_tab)
    route, response = delayed[0]
    route.fulfill(response=response)
    older_tab.page.evaluate("() => window.late")
    older_tab.page.unroute("**/api/auth/refresh")

    assert stored_login(older_tab) == stored_login(newer_tab) == newest
    older_tab.page.evaluate("() => session.refresh()")
    assert set(visitor.refreshes) == {200}


def refresh_at_once(*tabs: Tab) -> list[dict[str, object]]:
    at = time.time() * 1000 // 1 + 25
    for tab in tabs:
        tab.page.evaluate(REFRESH_AT, at)
    return [tab.page.evaluate("() => window.round") for tab in tabs]


def stored_login(tab: Tab) -> dict[str, object]:
    return tab.page.evaluate("() => JSON.parse(localStorage.getItem('signet.login'))")
