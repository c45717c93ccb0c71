"""The example front end, built and served, and a Chromium that opens it."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Response,
    sync_playwright,
)

from node import CONTRACT, NodeProject
from processes import REPOSITORY, free_port

FRONTEND = REPOSITORY / "examples/frontend"
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")


def build(directory: Path, signet_url: str, tasks_url: str) -> NodeProject:
    """Generates the API client from the contract, checks the types, and builds the app into
    `directory`.

    In the mode "test", scripts on the page can access the session. It is otherwise the normal
    build.
    """
    project = NodeProject(FRONTEND)
    project.bin("openapi-typescript", CONTRACT, "--output", "src/generated/signet.d.ts")
    project.bin("tsc")
    project.bin(
        *("vite", "build", "--mode", "test", "--outDir", directory, "--logLevel", "warn"),
        VITE_SIGNET_URL=signet_url,
        VITE_TASKS_URL=tasks_url,
    )
    return project


class StaticFiles:
    """Serves a directory without logging while the `with` block runs."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        handler = partial(SilentHandler, directory=str(self._directory))
        with ThreadingHTTPServer(("127.0.0.1", self._port), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield
            server.shutdown()


class SilentHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Disables logging."""


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    assert path, f"none of {', '.join(CHROMIUMS)} is installed"
    with sync_playwright() as playwright:
        # Chromium has no sandbox when it runs as root. Only local content is loaded.
        browser = playwright.chromium.launch(
            executable_path=path, chromium_sandbox=False, args=arguments
        )
        yield browser
        browser.close()


class Visitor:
    """A user with a separate browser context. Each tab is a page of that context."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self._context = context
        self._url = url
        self.refreshes: list[int] = []
        """The statuses of the refresh responses in all tabs."""
        self.console_errors: list[str] = []
        """Script errors and violations of the content security policy."""
        context.set_default_timeout(15_000)
        context.on("weberror", lambda error: self.console_errors.append(str(error.error)))
        context.on("response", self._record_refresh)
        context.on("console", self._record_console_error)

    def open_tab(self) -> "Tab":
        page = self._context.new_page()
        page.goto(self._url)
        return Tab(page)

    def _record_refresh(self, response: Response) -> None:
        if response.url.endswith("/api/auth/refresh") and response.request.method == "POST":
            self.refreshes.append(response.status)

    def _record_console_error(self, message: ConsoleMessage) -> None:
        # Chromium logs every response with a status above 399 to the console.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.console_errors.append(message.text)


class Tab:
    """A tab of the example front end, controlled by its visible texts."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def sign_up(self, email: str, password: str) -> None:
        self.page.get_by_role("button", name="Sign up").click()
        self.submit_credentials("Sign up", email, password)

    def log_in(self, email: str, password: str) -> None:
        self.submit_credentials("Log in", email, password)

    def submit_credentials(self, button: str, email: str, password: str) -> None:
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.locator("form").get_by_role("button", name=button).click()

    def log_out(self) -> None:
        self.page.get_by_role("button", name="Log out").click()

    def add(self, title: str) -> None:
        self.page.get_by_label("New task").fill(title)
        self.page.get_by_role("button", name="Add").click()
        self.page.get_by_role("checkbox", name=title).wait_for()

    def wait_for_heading(self, heading: str) -> None:
        self.page.get_by_role("heading", name=heading, exact=True).wait_for()

    def tasks(self) -> dict[str, bool]:
        """Whether each task is completed, by title."""
        self.page.get_by_text("still to do").or_(self.page.get_by_text("Nothing to do")).wait_for()
        items = self.page.get_by_role("listitem")
        return {
            item.locator("label").inner_text(): item.get_by_role("checkbox").is_checked()
            for item in items.all()
        }

    def field_error(self, label: str) -> str:
        """The error message beside a field."""
        field = self.page.get_by_label(label)
        problem = self.page.locator(f"#{field.get_attribute('id')}-problem")
        problem.filter(has_text=".").or_(problem.filter(has_text="?")).first.wait_for()
        assert field.get_attribute("aria-invalid") == "true"
        return problem.inner_text()

    def accessibility_violations(self, axe: str) -> list[str]:
        """Accessibility violations that axe-core finds, including those of contrast."""
        self.page.evaluate(axe)
        found = self.page.evaluate("() => axe.run()")["violations"]
        return [f"{it['id']}: {it['nodes'][0]['html']}" for it in found]

    def overflow(self) -> int:
        """The number of pixels by which the page is wider than the screen."""
        return self.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")

    def notice(self) -> str:
        notice = self.page.locator(".notice:not(:empty)")
        notice.wait_for()
        return notice.inner_text()
