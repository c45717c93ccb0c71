"""A browser controlled by the `browser` block of a conformance configuration.

It interprets such a block as the official suite does: the first entry whose `match` fits the
address to be visited; its tasks in order, each only if its own `match` fits the current address,
with an error if it does not and the task is not `optional`. It never opens the suite's own host: a
redirect there ends the flow.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import httpx

from form_browser import Element, FormBrowser, Landing

CALLBACK_PAGE = "id submission_complete"
"""The element that identifies the suite's page after a callback."""


@dataclass
class ScriptedBrowser:
    """A browser with separate cookies. `blocks` is the `browser` part of the configuration."""

    http: httpx.Client
    suite: str
    """The prefix of the suite's URLs."""
    blocks: list[dict[str, Any]]
    screenshots: list[str] = field(default_factory=list)
    """Headings of the pages that a human reviewer would check."""
    tasks: list[str] = field(default_factory=list)
    """The completed tasks of all visits."""
    wants_screenshot: bool = False
    """Whether the module waits for a screenshot: the suite's placeholder."""

    def __post_init__(self) -> None:
        self._browser = FormBrowser(self.http, self.suite)

    def visit(self, url: str, method: str = "GET") -> Landing:
        """Opens an address, with its query as a form if `method` is POST, and runs the tasks."""
        block = next((block for block in self.blocks if fits(block["match"], url)), None)
        assert block is not None, f"no entry matches {url}"
        if method == "POST":
            address, _, query = url.partition("?")
            self._browser.open("POST", address, query)
        else:
            self._browser.open("GET", url)
        for task in block["tasks"]:
            self._do(task)
        return self._browser.at

    def _do(self, task: dict[str, Any]) -> None:
        at = self._browser.at
        if not fits(task.get("match", "*"), at.url):
            assert task.get("optional"), f"unexpected address for {task['task']!r}: {at}"
            return
        self.tasks.append(task["task"])
        for command in task.get("commands", []):
            self._command(*command)

    def _command(self, verb: str, kind: str, target: str, *more: Any) -> None:
        element = self._browser.page.find(kind, target)
        if verb == "wait":
            self._see(element, f"{kind} {target}", *more)
        elif element is None:
            assert "optional" in more, f"no {kind} {target} at {self._browser.at}"
        elif verb == "text":
            element.value = more[0]
        elif verb == "click":
            self._browser.press(element)
        else:
            raise AssertionError(f"unknown command {verb}")

    def _see(
        self,
        element: Element | None,
        name: str,
        _seconds: int,
        pattern: str | None = None,
        action: str | None = None,
    ) -> None:
        """Our pages load no later content, so there is nothing to wait for."""
        at = self._browser.at
        if at.url.startswith(self.suite):
            assert name == CALLBACK_PAGE, f"the suite's page has no {name}"
            return
        assert element is not None, f"no {name} at {at}"
        if pattern is not None:
            assert re.search(pattern, element.text), f"{name} says {element.text!r}: {at}"
        if action is None:
            return
        assert action in ("update-image-placeholder", "update-image-placeholder-optional"), action
        if self.wants_screenshot:
            self.screenshots.append(element.text)
        else:
            assert action.endswith("-optional"), f"no screenshot is wanted at {at}"


def fits(pattern: str, url: str) -> bool:
    """`*` matches anything; no other character is special."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), url, re.DOTALL) is not None
