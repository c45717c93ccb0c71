"""A user with a browser that supports redirects, cookies and forms, but no scripts."""

import http.cookiejar
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.client import HTTPMessage
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin, urlsplit

MAX_STEPS = 20


@dataclass(frozen=True)
class Arrival:
    """The final URL of a visit. `status` is 0 if that URL was not opened."""

    url: str
    status: int = 0
    text: str = ""


class Person:
    """Logs in and answers consent forms on pages of the given origins.

    The browser does not open URLs of other origins.
    """

    def __init__(self, email: str, password: str, *origins: str) -> None:
        self.email = email
        self.logins = 0
        """The number of login forms that were submitted."""
        self._field_values = {"username": email, "password": password}
        self.origins = [*origins]
        self._cookies = http.cookiejar.CookieJar(LoopbackIsSecure())
        handlers = (NoRedirects(), urllib.request.HTTPCookieProcessor(self._cookies))
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), *handlers)
        self._opener.addheaders = [("Accept", "text/html,*/*;q=0.8")]

    @property
    def cookies(self) -> list[http.cookiejar.Cookie]:
        """The browser's cookies."""
        return list(self._cookies)

    def visit(self, url: str, decision: str = "allow", until: str | None = None) -> Arrival:
        """Opens a URL and submits the form of each page, until a page has none.

        Forms of pages whose URL contains `until` are not submitted.
        """
        body: bytes | None = None
        for _ in range(MAX_STEPS):
            if origin(url) not in self.origins:
                return Arrival(url)
            status, headers, text = self._call(url, body)
            is_last = until is not None and until in url
            form = Form.first_of(text) if status == 200 and not is_last else None
            if "location" in headers:
                url, body = urljoin(url, headers["location"]), None
            elif form is not None:
                self.logins += "password" in form.fields
                url, body = urljoin(url, form.action), form.filled(self._field_values, decision)
            else:
                return Arrival(url, status, text)
        raise AssertionError(f"more than {MAX_STEPS} steps, at {url}")

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
    """Sends `Secure` cookies to loopback addresses without TLS, as browsers do."""

    def return_ok_secure(
        self, _cookie: http.cookiejar.Cookie, request: urllib.request.Request
    ) -> bool:
        return request.host.rpartition(":")[0] in ("127.0.0.1", "localhost")


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Does not follow redirects, so that the caller can do so."""

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
    """The values of the named buttons, by name."""

    @staticmethod
    def first_of(page: str) -> "Form | None":
        parser = FormParser()
        parser.feed(page)
        return parser.form

    def filled(self, field_values: dict[str, str], decision: str) -> bytes:
        filled = {name: field_values.get(name, value) for name, value in self.fields.items()}
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
        attribute_values = {name: value or "" for name, value in attributes}
        if (
            tag == "form"
            and self.form is None
            and attribute_values.get("method", "").lower() == "post"
        ):
            self.form = Form(attribute_values.get("action", ""))
        elif self.form is None or self._ended or "name" not in attribute_values:
            return
        elif tag == "input":
            self.form.fields[attribute_values["name"]] = attribute_values.get("value", "")
        elif tag == "button":
            self.form.choices.setdefault(attribute_values["name"], set()).add(
                attribute_values["value"]
            )

    def handle_endtag(self, tag: str) -> None:
        self._ended = self._ended or (tag == "form" and self.form is not None)
