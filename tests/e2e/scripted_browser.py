"""A browser controlled by the entries under `browser` in a conformance configuration.

It interprets them as the official suite does. It selects the first entry whose `match` fits the
visited URL, and runs the entry's tasks in order. A task whose own `match` does not fit the current
URL is skipped if it is `optional`, and an error otherwise. The browser never opens the suite's
host: a redirect to this host ends the flow.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import httpx

from form_browser import Element, FormBrowser, Landing

CALLBACK_ELEMENT = "id submission_complete"
"""The element for which the configuration waits on the suite's callback page."""


@dataclass
class ScriptedBrowser:
    """A browser with separate cookies."""

    http: httpx.Client
    suite: str
    """The prefix of the suite's URLs."""
    entries: list[dict[str, Any]]
    """The entries under `browser` in the configuration."""
    screenshots: list[str] = field(default_factory=list)
    """For each screenshot, the text of the element that it must show, such as the heading."""
    tasks: list[str] = field(default_factory=list)
    """The completed tasks of all visits."""
    wants_screenshot: bool = False
    """Whether the module has an image placeholder, which a screenshot fills."""

    def __post_init__(self) -> None:
        self._browser = FormBrowser(self.http, self.suite)

    def visit(self, url: str, method: str = "GET") -> Landing:
        """Opens a URL and runs the tasks of its entry. A POST sends the query as a form."""
        entry = next((entry for entry in self.entries if matches(entry["match"], url)), None)
        assert entry is not None, f"no entry matches {url}"
        if method == "POST":
            target, _, query = url.partition("?")
            self._browser.open("POST", target, query)
        else:
            self._browser.open("GET", url)
        for task in entry["tasks"]:
            self._run_task(task)
        return self._browser.at

    def _run_task(self, task: dict[str, Any]) -> None:
        location = self._browser.at
        if not matches(task.get("match", "*"), location.url):
            assert task.get("optional"), f"unexpected URL for {task['task']!r}: {location}"
            return
        self.tasks.append(task["task"])
        for command in task.get("commands", []):
            self._run_command(*command)

    def _run_command(self, verb: str, kind: str, target: str, *more: Any) -> None:
        element = self._browser.page.find(kind, target)
        if verb == "wait":
            self._check_element(element, f"{kind} {target}", *more)
        elif element is None:
            assert "optional" in more, f"no {kind} {target} at {self._browser.at}"
        elif verb == "text":
            element.value = more[0]
        elif verb == "click":
            self._browser.press(element)
        else:
            raise AssertionError(f"unknown command {verb}")

    def _check_element(
        self,
        element: Element | None,
        name: str,
        _seconds: int,
        pattern: str | None = None,
        action: str | None = None,
    ) -> None:
        """Checks for an element without waiting, since Signet's pages load no content later."""
        location = self._browser.at
        if location.url.startswith(self.suite):
            assert name == CALLBACK_ELEMENT, f"the suite's page has no {name}"
            return
        assert element is not None, f"no {name} at {location}"
        if pattern is not None:
            assert re.search(pattern, element.text), (
                f"{name} has the text {element.text!r}: {location}"
            )
        if action is None:
            return
        assert action in ("update-image-placeholder", "update-image-placeholder-optional"), action
        if self.wants_screenshot:
            self.screenshots.append(element.text)
        else:
            assert action.endswith("-optional"), f"no screenshot is wanted at {location}"


def matches(pattern: str, url: str) -> bool:
    """`*` matches anything; no other character is special."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), url, re.DOTALL) is not None
