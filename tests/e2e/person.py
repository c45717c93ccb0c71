"""A user with a browser that supports redirects, cookies and plain forms."""

import http.cookiejar
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.client import HTTPMessage
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin, urlsplit

MOST_STEPS = 20


@dataclass(frozen=True)
class Arrival:
    """The browser's final location. `status` is 0 if it did not open that address."""

    url: str
    status: int = 0
    text: str = ""


class Person:
    """Logs in and decides on consent on the pages of `places` (origins); stops at redirects
    elsewhere."""

    def __init__(self, email: str, password: str, *places: str) -> None:
        self.email = email
        self.logins = 0
        """The number of times that the password was requested."""
        self._known = {"username": email, "password": password}
        self.places = [*places]
        self._cookies = http.cookiejar.CookieJar(LoopbackIsSecure())
        handlers = (NoRedirects(), urllib.request.HTTPCookieProcessor(self._cookies))
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), *handlers)
        self._opener.addheaders = [("Accept", "text/html,*/*;q=0.8")]

    @property
    def cookies(self) -> list[http.cookiejar.Cookie]:
        """The browser's cookies."""
        return list(self._cookies)

    def visit(self, url: str, decision: str = "allow", until: str | None = None) -> Arrival:
        """Opens an address, and completes forms until there are none.

        `until` is a part of an address whose page is not completed.
        """
        body: bytes | None = None
        for _ in range(MOST_STEPS):
            if origin(url) not in self.places:
                return Arrival(url)
            status, headers, text = self._call(url, body)
            is_the_last = until is not None and until in url
            form = Form.first_of(text) if status == 200 and not is_the_last else None
            if "location" in headers:
                url, body = urljoin(url, headers["location"]), None
            elif form is not None:
                self.logins += "password" in form.fields
                url, body = urljoin(url, form.action), form.filled(self._known, decision)
            else:
                return Arrival(url, status, text)
        raise AssertionError(f"no end after {MOST_STEPS} steps, at {url}")

    def _call(self, url: str, body: bytes | None) -> tuple[int, HTTPMessage, str]:
        try:
            response = self._opener.open(url, body, timeout=30)
        except HTTPError as answer:  # any status other than 2xx
            response = answer
        with response:
            text = response.read().decode(errors="replace")
            status: int = response.status
            return status, response.headers, text


def origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class LoopbackIsSecure(http.cookiejar.DefaultCookiePolicy):
    """Browsers send `Secure` cookies to loopback addresses even without TLS."""

    def return_ok_secure(
        self, _cookie: http.cookiejar.Cookie, request: urllib.request.Request
    ) -> bool:
        return request.host.rpartition(":")[0] in ("127.0.0.1", "localhost")


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves redirects to the caller."""

    def redirect_request(
        self,
        _request: urllib.request.Request,
        _body: IO[bytes],
        _status: int,
        _reason: str,
        _headers: HTTPMessage,
        _url: str,
    ) -> None:
        return None


@dataclass
class Form:
    """A form that is sent with POST."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    choices: dict[str, set[str]] = field(default_factory=dict)
    """The values of its buttons that have a name."""

    @staticmethod
    def first_of(page: str) -> "Form | None":
        parser = FormParser()
        parser.feed(page)
        return parser.form

    def filled(self, known: dict[str, str], decision: str) -> bytes:
        filled = {name: known.get(name, value) for name, value in self.fields.items()}
        for name, values in self.choices.items():
            assert decision in values, f"cannot {decision}: {values}"
            filled[name] = decision
        return urlencode(filled).encode()


class FormParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.form: Form | None = None
        self._ended = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        its = {name: value or "" for name, value in attributes}
        if tag == "form" and self.form is None and its.get("method", "").lower() == "post":
            self.form = Form(its.get("action", ""))
        elif self.form is None or self._ended or "name" not in its:
            return
        elif tag == "input":
            self.form.fields[its["name"]] = its.get("value", "")
        elif tag == "button":
            self.form.choices.setdefault(its["name"], set()).add(its["value"])

    def handle_endtag(self, tag: str) -> None:
        self._ended = self._ended or (tag == "form" and self.form is not None)
