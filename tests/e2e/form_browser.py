"""A browser without scripts: redirects, cookies and forms. It finds page elements by id."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx

MAX_REDIRECTS = 10


@dataclass(frozen=True)
class Landing:
    """The URL at which the browser is. `status` is 0 if the URL was not opened."""

    url: str
    status: int
    text: str

    @property
    def parameters(self) -> dict[str, str]:
        """The query parameters. Duplicates are errors."""
        pairs = parse_qsl(urlsplit(self.url).query, keep_blank_values=True, strict_parsing=True)
        assert len(dict(pairs)) == len(pairs), f"duplicate parameter: {self.url}"
        return dict(pairs)


@dataclass
class FormBrowser:
    """A browser that does not open URLs that start with `unopened_prefix`."""

    http: httpx.Client
    unopened_prefix: str
    at: Landing = field(init=False)
    page: "Page" = field(init=False)

    def open(self, method: str, url: str, body: str | None = None) -> Landing:
        """Sends a request and follows redirects."""
        for _ in range(MAX_REDIRECTS):
            answer = None if url.startswith(self.unopened_prefix) else self.send(method, url, body)
            if answer is None:
                self._arrive(Landing(url, 0, ""))
                return self.at
            if not answer.is_redirect:
                self._arrive(Landing(url, answer.status_code, answer.text))
                return self.at
            # A redirect after a POST must be a 303, after which a browser sends a GET.
            assert answer.status_code == 303, f"{answer.status_code} at {url}"
            method, url, body = "GET", urljoin(url, answer.headers["Location"]), None
        raise AssertionError(f"more than {MAX_REDIRECTS} redirects, at {url}")

    def send(self, method: str, url: str, body: str | None = None) -> httpx.Response:
        headers = {"Accept": "text/html,*/*;q=0.8"}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return self.http.request(method, url, content=body, headers=headers)

    def fill(self, identifier: str, text: str) -> None:
        self._element(identifier).value = text

    def click(self, identifier: str) -> Landing:
        return self.press(self._element(identifier))

    def press(self, button: "Element") -> Landing:
        """Submits the form of a button."""
        form = button.form
        assert form is not None, f"a button without a form: {button}"
        assert form.attributes.get("method", "").lower() == "post", form
        action = urljoin(self.at.url, form.attributes.get("action", ""))
        return self.open("POST", action, urlencode(form.filled(button)))

    def _element(self, identifier: str) -> "Element":
        element = self.page.find("id", identifier)
        assert element is not None, f"no {identifier} at {self.at}"
        return element

    def _arrive(self, landing: Landing) -> None:
        self.at, self.page = landing, Page(landing.text)


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    form: "Element | None" = None
    """The form that contains this element."""
    fields: list["Element"] = field(default_factory=list)
    """The fields of a form."""
    value: str = ""
    text: str = ""

    def filled(self, clicked: "Element") -> list[tuple[str, str]]:
        """The fields that this form sends when `clicked` is clicked."""
        return [
            (it.attributes["name"], it.value)
            for it in self.fields
            if "name" in it.attributes and (it.tag != "button" or it is clicked)
        ]


class Page(HTMLParser):
    """The elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._elements: list[Element] = []
        self._open: list[Element] = []
        self._form: Element | None = None
        self.feed(text)

    def find(self, kind: str, target: str) -> Element | None:
        """The first element whose `kind` ("id", "name", or "css" for the tag) is `target`."""
        for element in self._elements:
            found = element.tag if kind == "css" else element.attributes.get(kind)
            if found == target:
                return element
        return None

    @property
    def heading(self) -> str:
        element = self.find("css", "h1")
        return element.text if element is not None else ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        attribute_values = {name: value or "" for name, value in attributes}
        element = Element(
            tag, attribute_values, self._form, value=attribute_values.get("value", "")
        )
        self._elements.append(element)
        if tag == "form":
            self._form = element
        elif tag in ("input", "button") and self._form is not None:
            self._form.fields.append(element)
        if tag not in ("input", "meta", "link", "img"):
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        while self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data
