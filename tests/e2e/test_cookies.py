"""Every cookie that a browser gets in complete flows behind TLS (SS-03)."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import pytest

from clients import PASSWORD, random_email
from databases import Database
from form_browser import FormBrowser, Landing
from processes import ProcessKiller, Signet
from stock import register
from tls_proxy import ISSUER, TlsProxy, tls_proxy

pytestmark = pytest.mark.once

CALLBACK = "https://app.example/callback"
NAME = r"__Host-signet(-[\w-]{8})?"
"""The name with the suffix that distinguishes issuers, or the name of previous versions."""
VALUE = r"[\w-]{43}"
"""32 random bytes."""


@dataclass
class UserBrowser(FormBrowser):
    """A user's browser."""

    def check_heading(self, heading: str, status: int = 200) -> None:
        assert (self.page.heading, self.at.status) == (heading, status), self.at

    def open_path(self, path: str, **parameters: str) -> Landing:
        query = f"?{urlencode(parameters)}" if parameters else ""
        return self.open("GET", f"{ISSUER}{path}{query}")

    def open_authorization_url(self, **more: str) -> Landing:
        request = {
            "response_type": "code",
            "client_id": "app",
            "redirect_uri": CALLBACK,
            "scope": "openid email",
            "state": "a-state",
        }
        return self.open_path("/oauth2/authorize", **{**request, **more})

    def submit_credentials(
        self, email: str, password: str = PASSWORD, button: str = "login-submit"
    ) -> None:
        self.fill("username", email)
        self.fill("password", password)
        self.click(button)


@pytest.fixture
def proxy(tmp_path: Path, database: Database, kill_after_test: ProcessKiller) -> Iterator[TlsProxy]:
    limits = ("SIGNET_ATTEMPTS_PER_MINUTE", "SIGNET_ACCOUNT_ATTEMPTS_PER_MINUTE")
    settings = {"SIGNET_ISSUER": ISSUER, **dict.fromkeys(limits, "1000")}
    signet = kill_after_test(Signet(tmp_path, database, **settings)).start()
    client = {
        "client_id": "app",
        "redirect_uris": [CALLBACK],
        "post_logout_redirect_uris": ["https://app.example/bye"],
        "scope": "openid email",
        "require_pkce": False,
    }
    register(signet, tmp_path, [client])
    with tls_proxy(tmp_path, signet.url) as proxy:
        yield proxy


def test_every_cookie_is_host_only_secure_and_http_only(proxy: TlsProxy) -> None:
    email = random_email()
    browser = UserBrowser(proxy.client(), "https://app.example/")

    visit_all_pages(browser, email)
    call_apis(proxy, email)

    set_cookies: dict[str, list[str]] = defaultdict(list)
    for answer in proxy.answers:
        for name, value in answer.headers:
            if name.lower() == "set-cookie":
                set_cookies[answer.request].append(value)
    for request, cookies in set_cookies.items():
        for cookie in cookies:
            check_cookie(cookie, request)
    # Cookies are set at the first visit, login, sign-up and logout only.
    assert set_cookies.keys() == {
        "GET /login",
        "GET /oauth2/authorize",
        "POST /signup",
        "POST /login",
        "POST /logout",
        "POST /account",
    }
    assert len(proxy.answers) > 30
    all_cookies = [cookie for cookies in set_cookies.values() for cookie in cookies]
    stored = [cookie for cookie in all_cookies if "Max-Age" not in cookie]
    assert len(set(stored)) == len(stored), "a cookie value is not unique"
    assert len(browser.http.cookies) == 0, "the last flow ended with a logout"


def check_cookie(cookie: str, request: str) -> None:
    """Checks a `Set-Cookie` header (SS-03)."""
    pair, *attributes = cookie.split("; ")
    name, _, value = pair.partition("=")
    assert re.fullmatch(NAME, name), f"{request}: {cookie}"
    # Exactly these attributes, once each. `Domain` and an expiry are not allowed.
    expected = {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"}
    if value == "":
        expected.add("Max-Age=0")
    else:
        assert re.fullmatch(VALUE, value), f"{request}: {cookie}"
    assert sorted(attributes) == sorted(expected), f"{request}: {cookie}"
    assert len(SimpleCookie(cookie)) == 1, f"{request}: {cookie}"


def visit_all_pages(browser: UserBrowser, email: str) -> None:
    """Visits every page in all of its states."""
    # Sign up, first with an invalid email address, then open the account page.
    browser.open_path("/login")
    browser.open_path("/signup")
    browser.submit_credentials("grace@nowhere", "Password1", "signup-submit")
    browser.check_heading("Sign up", 400)
    browser.submit_credentials(email, button="signup-submit")
    browser.check_heading("Your account")
    browser.open_path("/login")
    browser.check_heading("Your account")
    browser.open_path("/logout")
    browser.click("logout-confirm")
    browser.check_heading("You are logged out")
    # At the request of a client: log in, first with a wrong password, then deny and allow consent.
    browser.open_authorization_url()
    browser.submit_credentials(email, "Wrong-password-1")
    browser.check_heading("Log in", 400)
    browser.submit_credentials(email)
    browser.check_heading("Allow access?")
    assert "access_denied" in browser.click("consent-deny").url
    browser.open_authorization_url()
    assert "code" in browser.click("consent-allow").parameters
    # Other request parameters, and errors.
    browser.open_authorization_url(response_mode="form_post")
    browser.check_heading("One moment")
    browser.open_authorization_url(prompt="none")
    browser.open_authorization_url(prompt="login")
    browser.submit_credentials(email)
    assert "code" in browser.at.parameters
    browser.open_authorization_url(response_type="token")
    browser.open_authorization_url(redirect_uri="https://app.example/elsewhere")
    browser.check_heading("That does not work", 400)
    browser.open_path("/consent", flow="x")
    browser.open_path("/oauth2/logout", post_logout_redirect_uri="https://app.example/bye")
    browser.check_heading("Log out?")
    browser.open_path("/oauth2/logout", id_token_hint="x")
    browser.check_heading("That does not work", 400)
    browser.open_path("/no-such-page")
    browser.open("POST", f"{ISSUER}/login", "username=a&password=b")
    browser.open_path("/account")
    browser.check_heading("Your account")
    browser.click("end-all")
    browser.check_heading("You are logged out")


def call_apis(proxy: TlsProxy, email: str) -> None:
    """Calls the JSON API and the clients' endpoints, which must not set cookies."""
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
