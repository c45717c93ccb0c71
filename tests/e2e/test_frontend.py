"""The example front end in a real browser, with the real Signet and the real task API."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import APIResponse, Browser, Route

from browser import StaticFiles, Tab, Visitor, build, chromium
from clients import PASSWORD, SignetClient, some_email
from databases import fresh_database
from processes import Owner, Signet, TaskApi

pytestmark = pytest.mark.once

ROUNDS = 200
# Removes what the app uses to keep tabs from refreshing concurrently.
WITHOUT_COORDINATION = "delete Navigator.prototype.locks; delete window.BroadcastChannel;"
# Waits for an instant and refreshes; `round` settles to the result.
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
class Stage:
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
def stage(
    tmp_path_factory: pytest.TempPathFactory, owned_by_module: Owner, browser: Browser
) -> Iterator[Stage]:
    directory = tmp_path_factory.mktemp("frontend")
    files = StaticFiles(directory / "app")
    database = fresh_database(directory)
    signet = owned_by_module(
        Signet(
            directory,
            database,
            SIGNET_CORS_ORIGINS=files.url,
            # The shortest lifetime that the app must support: it refreshes a second after it got a
            # token.
            SIGNET_ACCESS_TOKEN_SECONDS="2",
            SIGNET_ATTEMPTS_PER_MINUTE="10000",
            SIGNET_REFRESHES_PER_MINUTE="10000",
        )
    ).start()
    task_api = owned_by_module(
        TaskApi(directory, signet.issuer, signet.audience, CORS_ORIGINS=files.url)
    ).start()
    project = build(directory / "app", signet.url, task_api.url)
    axe = (project.directory / "node_modules/axe-core/axe.min.js").read_text()
    with files.serving():
        yield Stage(signet, files.url, browser, axe)
    database.drop()


def test_sign_up_tasks_logout_and_login(stage: Stage) -> None:
    visitor = stage.visitor()
    tab = visitor.open_tab()
    email = some_email()

    tab.sees("Log in")
    tab.sign_up(email, "Password1")
    assert "common" in tab.problem_of("Password")
    tab.enter("Sign up", email, PASSWORD)
    tab.sees("Tasks")
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
    tab.sees("Log in")
    tab.page.reload()
    tab.sees("Log in")
    tab.log_in(email, "Wrong-password-1")
    assert "do not belong together" in tab.notice()
    tab.sign_up(email, PASSWORD)
    assert "There is an account" in tab.problem_of("Email")
    tab.page.get_by_role("button", name="Log in").click()
    tab.log_in(email, PASSWORD)
    assert tab.tasks() == {"<b>Write</b> a letter": False}
    assert visitor.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_front_end_is_accessible_at_320_pixels(stage: Stage, scheme: str) -> None:
    # 320 pixels: what remains of 1280 at a zoom of 400 % (WCAG 2.2, 1.4.10).
    smallest = {"width": 320, "height": 640}
    tab = stage.visitor(viewport=smallest, color_scheme=scheme).open_tab()

    def assert_accessible() -> None:
        assert tab.barriers(stage.axe) == []
        assert tab.overflow() <= 0

    assert_accessible()
    tab.log_in(some_email(), "Wrong-password-1")
    tab.notice()
    assert_accessible()
    tab.sign_up("grace@nowhere", "Password1")
    assert tab.problem_of("Email") == "The email has a domain that is not valid."
    assert_accessible()
    tab.enter("Sign up", f"{'long' * 10}.{some_email()}", PASSWORD)
    tab.sees("Tasks")
    tab.add("Water the plants")
    tab.page.get_by_role("checkbox", name="Water").check()
    tab.add("Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch")
    assert_accessible()
    tab.page.get_by_role("button", name="Add").click()
    assert tab.problem_of("New task") == "What is there to do?"
    assert_accessible()


def test_expired_token_is_refreshed_silently(stage: Stage) -> None:
    visitor = stage.visitor()
    tab = visitor.open_tab()
    tab.sign_up(some_email(), PASSWORD)
    tab.sees("Tasks")

    time.sleep(2.1)
    tab.add("Water the plants")

    assert visitor.refreshes == [200]
    assert visitor.complaints == []


def test_lost_refresh_response_does_not_log_out(stage: Stage) -> None:
    visitor = stage.visitor()
    tab = visitor.open_tab()
    tab.sign_up(some_email(), PASSWORD)
    tab.sees("Tasks")
    lost = []

    def lose_two(route: Route) -> None:
        if len(lost) == 2:
            route.continue_()
        else:
            lost.append(route.fetch().json()["refresh_token"])
            route.abort()

    tab.page.route("**/api/auth/refresh", lose_two)
    tab.page.reload()

    assert tab.tasks() == {}
    assert lost[0] == lost[1] == login_of(tab)["refreshToken"]


def test_session_ended_elsewhere_leads_to_the_login_page(stage: Stage) -> None:
    visitor = stage.visitor()
    tab = visitor.open_tab()
    tab.sign_up(some_email(), PASSWORD)
    tab.sees("Tasks")
    token = tab.page.evaluate("() => session.accessToken()")
    with SignetClient(stage.signet.url) as elsewhere:
        assert elsewhere.log_out(token).status_code == 200

    tab.page.reload()

    tab.sees("Log in")
    assert tab.notice() == "You are logged out."
    assert visitor.refreshes[-1] == 401


def test_logout_applies_to_the_other_tab(stage: Stage) -> None:
    visitor = stage.visitor()
    first = visitor.open_tab()
    first.sign_up(some_email(), PASSWORD)
    first.sees("Tasks")
    second = visitor.open_tab()
    second.sees("Tasks")

    first.log_out()

    second.sees("Log in")
    assert second.page.evaluate("() => session.accessToken().catch(error => error.code)") == (
        "LOGGED_OUT"
    )
    # A login in the other tab applies here as well.
    other = some_email()
    second.sign_up(other, PASSWORD)
    first.sees("Tasks")
    first.page.get_by_text(other).wait_for()
    assert visitor.complaints == []


@pytest.mark.parametrize("coordinated", [True, False], ids=["in turn", "without coordination"])
def test_concurrent_refreshes_in_two_tabs_keep_the_login(stage: Stage, coordinated: bool) -> None:
    visitor = stage.visitor(script="" if coordinated else WITHOUT_COORDINATION)
    first = visitor.open_tab()
    first.sign_up(some_email(), PASSWORD)
    first.sees("Tasks")
    second = visitor.open_tab()
    second.sees("Tasks")
    assert second.tasks() == {}
    visitor.refreshes.clear()

    pairs = rounds = 0
    while pairs < ROUNDS:
        rounds += 1
        assert rounds <= 5 * ROUNDS, "this machine is too busy to start two refreshes at once"
        here, there = refresh_at_once(first, second)
        assert not here["token"].startswith("failed"), here
        assert not there["token"].startswith("failed"), there
        if here["started"] == there["started"]:
            pairs += 1
            # Both presented the same token, and so both got the same successor.
            assert coordinated or here["stored"] == there["stored"]

    print(f"{pairs} pairs in {rounds} rounds, {len(visitor.refreshes)} refreshes")
    assert set(visitor.refreshes) == {200}
    if coordinated:
        # A tab that waits for another's refresh also waits for its result, for a limited time.
        assert rounds <= len(visitor.refreshes) <= 1.25 * rounds
    else:
        assert len(visitor.refreshes) == 2 * rounds
    for name, tab in {"first": first, "second": second}.items():
        tab.page.reload()
        tab.add(f"The {name} is still here")
    assert set(visitor.refreshes) == {200}
    assert visitor.complaints == []


def test_late_response_does_not_replace_a_newer_token(stage: Stage) -> None:
    visitor = stage.visitor(script=WITHOUT_COORDINATION)
    ahead = visitor.open_tab()
    ahead.sign_up(some_email(), PASSWORD)
    ahead.sees("Tasks")
    behind = visitor.open_tab()
    assert behind.tasks() == {}
    held: list[tuple[Route, APIResponse]] = []
    behind.page.route("**/api/auth/refresh", lambda it: held.append((it, it.fetch())))

    behind.page.evaluate("() => { window.late = session.refresh(); }")
    while not held:
        behind.page.wait_for_timeout(10)
    for _ in range(3):
        ahead.page.evaluate("() => session.refresh()")
    newest = login_of(ahead)
    route, response = held[0]
    route.fulfill(response=response)
    behind.page.evaluate("() => window.late")
    behind.page.unroute("**/api/auth/refresh")

    assert login_of(behind) == login_of(ahead) == newest
    behind.page.evaluate("() => session.refresh()")
    assert set(visitor.refreshes) == {200}


def refresh_at_once(*tabs: Tab) -> list[dict[str, object]]:
    at = time.time() * 1000 // 1 + 25
    for tab in tabs:
        tab.page.evaluate(REFRESH_AT, at)
    return [tab.page.evaluate("() => window.round") for tab in tabs]


def login_of(tab: Tab) -> dict[str, object]:
    return tab.page.evaluate("() => JSON.parse(localStorage.getItem('signet.login'))")
