"""Every cookie that a browser gets, in complete flows (SS-03), with TLS in front."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import pytest

from clients import PASSWORD, some_email
from databases import Database
from form_browser import FormBrowser, Landing
from processes import Owner, Signet
from stock import register
from tls_proxy import ISSUER, TlsProxy, tls_proxy

pytestmark = pytest.mark.once

CALLBACK = "https://app.example/callback"
NAME = r"__Host-signet(-[\w-]{8})?"
"""With the suffix that distinguishes issuers, and the name of previous versions."""
VALUE = r"[\w-]{43}"
"""32 random bytes."""


@dataclass
class Visitor(FormBrowser):
    """A user whose responses are all checked."""

    def sees(self, heading: str, status: int = 200) -> None:
        assert (self.page.heading, self.at.status) == (heading, status), self.at

    def goes_to(self, path: str, **parameters: str) -> Landing:
        query = f"?{urlencode(parameters)}" if parameters else ""
        return self.open("GET", f"{ISSUER}{path}{query}")

    def is_sent_by_the_client(self, **more: str) -> Landing:
        request = {
            "response_type": "code",
            "client_id": "app",
            "redirect_uri": CALLBACK,
            "scope": "openid email",
            "state": "a-state",
        }
        return self.goes_to("/oauth2/authorize", **{**request, **more})

    def enters(self, email: str, password: str = PASSWORD, button: str = "login-submit") -> None:
        self.fill("username", email)
        self.fill("password", password)
        self.click(button)


@pytest.fixture
def proxy(tmp_path: Path, database: Database, owned: Owner) -> Iterator[TlsProxy]:
    limits = ("SIGNET_ATTEMPTS_PER_MINUTE", "SIGNET_ACCOUNT_ATTEMPTS_PER_MINUTE")
    settings = {"SIGNET_ISSUER": ISSUER, **dict.fromkeys(limits, "1000")}
    signet = owned(Signet(tmp_path, database, **settings)).start()
    described = {
        "client_id": "app",
        "redirect_uris": [CALLBACK],
        "post_logout_redirect_uris": ["https://app.example/bye"],
        "scope": "openid email",
        "require_pkce": False,
    }
    register(signet, tmp_path, [described])
    with tls_proxy(tmp_path, signet.url) as proxy:
        yield proxy


def test_every_cookie_is_host_only_secure_and_http_only(proxy: TlsProxy) -> None:
    email = some_email()
    visitor = Visitor(proxy.client(), "https://app.example/")

    whole_flows(visitor, email)
    api_calls(proxy, email)

    given: dict[str, list[str]] = defaultdict(list)
    for answer in proxy.answers:
        for name, value in answer.headers:
            if name.lower() == "set-cookie":
                given[answer.request].append(value)
    for request, cookies in given.items():
        for cookie in cookies:
            is_safe(cookie, request)
    # All occasions on which cookies are set: the first visit, login, sign-up and logout.
    assert given.keys() == {
        "GET /login",
        "GET /oauth2/authorize",
        "POST /signup",
        "POST /login",
        "POST /logout",
        "POST /account",
    }
    assert len(proxy.answers) > 30
    all_cookies = [cookie for cookies in given.values() for cookie in cookies]
    kept = [cookie for cookie in all_cookies if "Max-Age" not in cookie]
    assert len(set(kept)) == len(kept), "a cookie value is not unique"
    assert len(visitor.http.cookies) == 0, "the last flow ended with a logout"


def is_safe(cookie: str, request: str) -> None:
    """Checks a `Set-Cookie` against SS-03."""
    pair, *attributes = cookie.split("; ")
    name, _, value = pair.partition("=")
    assert re.fullmatch(NAME, name), f"{request}: {cookie}"
    # Exactly these attributes, once each: no `Domain`, and no expiry.
    expected = {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"}
    if value == "":
        expected.add("Max-Age=0")
    else:
        assert re.fullmatch(VALUE, value), f"{request}: {cookie}"
    assert sorted(attributes) == sorted(expected), f"{request}: {cookie}"
    assert len(SimpleCookie(cookie)) == 1, f"{request}: {cookie}"


def whole_flows(visitor: Visitor, email: str) -> None:
    """Visits every page in each of its states."""
    # Sign up, with a mistake first, then the account page.
    visitor.goes_to("/login")
    visitor.goes_to("/signup")
    visitor.enters("grace@nowhere", "Password1", "signup-submit")
    visitor.sees("Sign up", 400)
    visitor.enters(email, button="signup-submit")
    visitor.sees("Your account")
    visitor.goes_to("/login")
    visitor.sees("Your account")
    visitor.goes_to("/logout")
    visitor.click("logout-confirm")
    visitor.sees("You are logged out")
    # From a client: log in, with a mistake first, then deny, then allow.
    visitor.is_sent_by_the_client()
    visitor.enters(email, "Wrong-password-1")
    visitor.sees("Log in", 400)
    visitor.enters(email)
    visitor.sees("Allow access?")
    assert "access_denied" in visitor.click("consent-deny").url
    visitor.is_sent_by_the_client()
    assert "code" in visitor.click("consent-allow").parameters
    # Other request parameters, and errors.
    visitor.is_sent_by_the_client(response_mode="form_post")
    visitor.sees("One moment")
    visitor.is_sent_by_the_client(prompt="none")
    visitor.is_sent_by_the_client(prompt="login")
    visitor.enters(email)
    assert "code" in visitor.at.parameters
    visitor.is_sent_by_the_client(response_type="token")
    visitor.is_sent_by_the_client(redirect_uri="https://app.example/elsewhere")
    visitor.sees("That does not work", 400)
    visitor.goes_to("/consent", flow="x")
    visitor.goes_to("/oauth2/logout", post_logout_redirect_uri="https://app.example/bye")
    visitor.sees("Log out?")
    visitor.goes_to("/oauth2/logout", id_token_hint="x")
    visitor.sees("That does not work", 400)
    visitor.goes_to("/no-such-page")
    visitor.open("POST", f"{ISSUER}/login", "username=a&password=b")
    visitor.goes_to("/account")
    visitor.sees("Your account")
    visitor.click("end-all")
    visitor.sees("You are logged out")


def api_calls(proxy: TlsProxy, email: str) -> None:
    """The JSON API and the clients' endpoints set no cookies in any response."""
    with proxy.client(base_url=ISSUER) as http:
        login = http.post("/api/auth/login", json={"email": email, "password": PASSWORD})
        assert login.status_code == 200, login.text
        bearer = {"Authorization": f"Bearer {login.json()['access_token']}"}
        assert http.get("/api/auth/me", headers=bearer).status_code == 200
        assert http.get("/api/auth/me").status_code == 401
        assert http.post("/api/auth/logout", headers=bearer).status_code == 200
        assert http.post("/oauth2/token", data={"grant_type": "password"}).status_code in (400, 401)
        for path in ("/oauth2/userinfo", "/.well-known/jwks.json", "/docs", "/status", "/livez"):
            http.get(path)
        assert len(http.cookies) == 0
