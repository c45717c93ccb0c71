"""The applications of `docs/client-libraries.md`, and the failures that the page describes."""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from client_libraries import EXPRESS, Application, table
from clients import PASSWORD, SignetClient, random_email
from person import Arrival, Person
from processes import REPOSITORY, ProcessKiller, Signet
from stock import manage_clients

pytestmark = pytest.mark.once

NAME = "Ada Lovelace"
ID_TOKEN_CLAIMS = " --id-token-claims"
SCOPE = '--scope "openid profile email"'


@dataclass(frozen=True)
class Library:
    package: str
    login: str
    """The path that starts a login."""
    denied_page: tuple[str, int, str]
    """The page after a denied consent: path, status and a part of its text."""


LIBRARIES = {
    "Auth.js": Library(
        "@auth/express", "/auth/signin", ("/auth/signin", 200, "Try signing in with a different")
    ),
    "express-openid-connect": Library(
        "express-openid-connect", "/login", ("/callback", 400, "BadRequestError")
    ),
    "passport-openidconnect": Library(
        "passport-openidconnect", "/login", ("/failed", 200, "the user denied the request")
    ),
    "mozilla-django-oidc": Library(
        "mozilla-django-oidc", "/oidc/authenticate/", ("/failed", 403, "not logged in")
    ),
    "django-allauth": Library(
        "django-allauth",
        "/accounts/oidc/signet/login/",
        ("/accounts/3rdparty/login/cancelled/", 200, "Login Cancelled"),
    ),
    "flask-oidc": Library("flask-oidc", "/login", ("/authorize", 401, "access_denied")),
}


class Account(Person):
    """A user with an account, a name and a browser."""

    def __init__(self, email: str, sub: str, *origins: str) -> None:
        super().__init__(email, PASSWORD, *origins)
        self.sub = sub
        self.expected_user = {"sub": sub, "email": email, "name": NAME}
        """The user's data that an application is expected to receive."""

    def in_another_browser(self) -> "Account":
        return Account(self.email, self.sub, *self.origins)


@pytest.fixture
def person(signet: Signet) -> Account:
    email = random_email()
    with SignetClient(signet.start(SIGNET_LOGOUT_PRIVATE_NETWORKS="true").url) as front_end:
        account = front_end.sign_up(email).json()
        updated = front_end.patch("/api/auth/me", {"name": NAME}, bearer=account["access_token"])
        assert updated.status_code == 200, updated.text
    return Account(email, account["user_id"], signet.url)


@dataclass(frozen=True)
class RunningApplication:
    """A running application, and logins to it."""

    app: Application
    library: Library

    def log_in(self, person: Person, decision: str = "allow") -> Arrival:
        # Auth.js shows a login form on its error page, which must not be submitted.
        start = f"{self.app.url}{self.library.login}"
        return person.visit(start, decision, until="?error=")

    def log_out(self, person: Person, path: str) -> None:
        assert person.visit(f"{self.app.url}{path}").status == 200
        assert self.app.user(person) is None

    def make_administrator(self, email: str) -> None:
        """Makes the account an administrator of a Django application."""
        self.app.manage(
            "createsuperuser",
            "--noinput",
            DJANGO_SUPERUSER_USERNAME="admin",
            DJANGO_SUPERUSER_EMAIL=email,
            DJANGO_SUPERUSER_PASSWORD=PASSWORD,
        )


StartApplication = Callable[..., RunningApplication]


@pytest.fixture
def start_application(
    signet: Signet, person: Account, kill_after_test: ProcessKiller, tmp_path: Path
) -> StartApplication:
    """Starts the application of a library with the page's code, except for the given changes."""

    def start(library: str, changes: Mapping[str, str] | None = None) -> RunningApplication:
        directory = tmp_path / "shop"
        directory.mkdir()
        app = kill_after_test(Application(library, directory, signet, changes or {})).start()
        person.origins.append(app.url)
        return RunningApplication(app, LIBRARIES[library])

    return start


def test_page_lists_the_tested_versions() -> None:
    requirements = (REPOSITORY / "tests/e2e/requirements.txt").read_text()
    versions = dict(re.findall(r"^([\w-]+)(?:\[.*\])?==(\S+)$", requirements, re.M))
    versions |= json.loads((EXPRESS / "package.json").read_text())["dependencies"]

    updated = {library: cells[0] for library, cells in table().items()}

    assert updated == {name: versions[library.package] for name, library in LIBRARIES.items()}


@pytest.mark.parametrize("library", LIBRARIES)
def test_login(
    library: str,
    signet: Signet,
    person: Account,
    start_application: StartApplication,
    tmp_path: Path,
) -> None:
    shop = start_application(library)
    app = shop.app
    assert app.user(person) is None

    denied = shop.log_in(person, "deny")
    path, status, text = shop.library.denied_page
    assert denied.url.partition("?")[0] == f"{app.url}{path}"
    assert denied.status == status
    assert text in denied.text
    assert app.user(person) is None

    shop.log_in(person)
    assert app.user(person) == person.expected_user
    assert person.logins == 1

    # The authentication method of the table suffices, and PKCE is used if the table says so.
    _version, challenge, secret, _claims = table()[library]
    manage_clients(signet, tmp_path, "update", "shop", "--auth-method", secret.strip("`"))
    later = person.in_another_browser()
    shop.log_in(later)
    assert app.user(later) == person.expected_user

    manage_clients(signet, tmp_path, "update", "shop", "--pkce", "required")
    latest = person.in_another_browser()
    shop.log_in(latest)
    assert app.user(latest) == (person.expected_user if challenge.startswith("PKCE") else None)


@pytest.mark.parametrize("library", ["Auth.js", "express-openid-connect", "passport-openidconnect"])
def test_without_id_token_claims_the_application_gets_sub_only(
    library: str, person: Account, start_application: StartApplication
) -> None:
    shop = start_application(library, {ID_TOKEN_CLAIMS: ""})
    shop.log_in(person)
    assert shop.app.user(person) == {"sub": person.sub}


@pytest.mark.parametrize(
    ("library", "setting", "with_userinfo"),
    [
        ("Auth.js", 'type: "oidc",', 'type: "oidc", idToken: false,'),
        ("passport-openidconnect", "nonce: true,", "nonce: true, skipUserProfile: false,"),
    ],
    ids=["Auth.js", "passport-openidconnect"],
)
def test_userinfo_replaces_id_token_claims(
    library: str,
    setting: str,
    with_userinfo: str,
    person: Account,
    start_application: StartApplication,
) -> None:
    shop = start_application(library, {ID_TOKEN_CLAIMS: "", setting: with_userinfo})
    shop.log_in(person)
    assert shop.app.user(person) == person.expected_user


@pytest.mark.parametrize(
    ("library", "path"),
    [
        ("Auth.js", "/auth/signout"),
        ("django-allauth", "/accounts/logout/"),
        ("flask-oidc", "/logout"),
    ],
)
def test_logout_keeps_the_login_at_signet(
    library: str, path: str, person: Account, start_application: StartApplication
) -> None:
    shop = start_application(library)
    shop.log_in(person)

    shop.log_out(person, path)

    shop.log_in(person)
    assert shop.app.user(person) == person.expected_user
    assert person.logins == 1


@pytest.mark.parametrize(
    ("library", "path"), [("express-openid-connect", "/logout"), ("mozilla-django-oidc", "/leave")]
)
def test_logout_ends_the_login_at_signet(
    library: str, path: str, person: Account, start_application: StartApplication
) -> None:
    shop = start_application(library)
    shop.log_in(person)

    shop.log_out(person, path)

    shop.log_in(person)
    assert shop.app.user(person) == person.expected_user
    assert person.logins == 2


def test_auth_js_generates_its_own_sub_at_each_login(
    person: Account, start_application: StartApplication
) -> None:
    callback = (
        "    jwt: ({ token, profile }) => (profile ? { ...token, sub: profile.sub } : token),\n"
    )
    shop = start_application("Auth.js", {callback: ""})

    subs = set()
    for browser in (person, person.in_another_browser()):
        shop.log_in(browser)
        user = shop.app.user(browser)
        assert user is not None
        subs.add(user["sub"])

    assert len(subs) == 2
    assert person.sub not in subs


def test_auth_js_fails_with_express_5_and_the_path_of_its_documentation(
    start_application: StartApplication,
) -> None:
    with pytest.raises(AssertionError, match="Missing parameter name"):
        start_application("Auth.js", {'app.use("/auth", ': 'app.use("/auth/*", '})


def test_auth_js_rejects_requests_below_an_express_5_wildcard(
    person: Account, start_application: StartApplication
) -> None:
    shop = start_application("Auth.js", {'app.use("/auth", ': 'app.use("/auth/*splat", '})
    refused = shop.log_in(person)
    assert (refused.status, refused.text) == (400, '"Bad request."')


def test_express_openid_connect_uses_the_implicit_flow_by_default(
    person: Account, start_application: StartApplication
) -> None:
    code_flow = '    authorizationParams: { response_type: "code" },\n'
    shop = start_application("express-openid-connect", {code_flow: ""})

    assert shop.log_in(person).status == 400

    assert shop.app.user(person) is None
    assert "unsupported_response_type" in shop.app.output


def test_express_openid_connect_ends_all_logins_on_backchannel_logout(
    signet: Signet, person: Account, start_application: StartApplication
) -> None:
    shop = start_application(
        "express-openid-connect",
        {
            'import express from "express";': 'import express from "express";\n'
            'import session from "express-session";',
            "idpLogout: true,": "backchannelLogout: { store: new session.MemoryStore() },",
            ID_TOKEN_CLAIMS: f"{ID_TOKEN_CLAIMS} --backchannel-logout-uri"
            " http://localhost:3000/backchannel-logout",
        },
    )
    elsewhere = person.in_another_browser()
    for browser in (person, elsewhere):
        shop.log_in(browser)
        assert shop.app.user(browser) == person.expected_user

    assert "You are logged out" in person.visit(f"{signet.url}/logout").text

    for browser in (person, elsewhere):
        wait_until_logged_out(shop.app, browser)


def test_passport_sends_neither_nonce_nor_pkce_by_default(
    signet: Signet, person: Account, start_application: StartApplication, tmp_path: Path
) -> None:
    shop = start_application("passport-openidconnect", {"      nonce: true,\n": ""})
    refused = shop.log_in(person)
    assert refused.status == 500
    assert "error=invalid_request" in refused.url

    manage_clients(signet, tmp_path, "update", "shop", "--pkce", "optional")

    shop.log_in(person)
    assert shop.app.user(person) == person.expected_user


def test_passport_redirects_endlessly_after_a_denied_consent(
    person: Account, start_application: StartApplication
) -> None:
    as_in_the_readme = {'failureRedirect: "/failed"': 'failureRedirect: "/login"'}
    shop = start_application("passport-openidconnect", as_in_the_readme)
    with pytest.raises(AssertionError, match="more than"):
        shop.log_in(person, "deny")


def test_mozilla_django_oidc_identifies_users_by_email_by_default(
    person: Account, start_application: StartApplication
) -> None:
    default_backend = "mozilla_django_oidc.auth.OIDCAuthenticationBackend"
    shop = start_application("mozilla-django-oidc", {"shop.backend.SignetBackend": default_backend})
    shop.make_administrator(person.email)

    shop.log_in(person)

    assert shop.app.user(person) == {"sub": "admin", "email": person.email, "name": ""}


def test_mozilla_django_oidc_with_the_documented_backend_identifies_users_by_sub(
    person: Account, start_application: StartApplication
) -> None:
    # The page says that this setting is optional.
    shop = start_application("mozilla-django-oidc", {"OIDC_USE_PKCE = True\n": ""})
    shop.make_administrator(person.email)

    shop.log_in(person)

    assert shop.app.user(person) == person.expected_user


def test_mozilla_django_oidc_expects_hs256_by_default(
    person: Account, start_application: StartApplication
) -> None:
    shop = start_application("mozilla-django-oidc", {'OIDC_RP_SIGN_ALGO = "RS256"\n': ""})

    refused = shop.log_in(person)

    assert refused.status == 400
    assert "does not match the client&#x27;s OIDC_RP_SIGN_ALGO" in refused.text
    assert shop.app.user(person) is None


def test_allauth_sends_neither_nonce_nor_pkce_by_default(
    person: Account, start_application: StartApplication
) -> None:
    shop = start_application("django-allauth", {'        "OAUTH_PKCE_ENABLED": True,\n': ""})

    refused = shop.log_in(person)

    assert "error=invalid_request" in refused.url
    assert "Third-Party Login Failure" in refused.text
    assert shop.app.user(person) is None


def test_allauth_sends_mail_to_new_users_by_default(
    person: Account, start_application: StartApplication
) -> None:
    mail_to_the_log = 'EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"'
    shop = start_application(
        "django-allauth", {'SOCIALACCOUNT_EMAIL_VERIFICATION = "none"': mail_to_the_log}
    )

    shop.log_in(person)

    assert shop.app.user(person) == person.expected_user
    assert f"To: {person.email}" in shop.app.output


def test_flask_oidc_logs_out_when_the_access_token_expires(
    signet: Signet, person: Account, start_application: StartApplication, tmp_path: Path
) -> None:
    # The library treats a token as expired a minute before its expiry.
    shop = start_application("flask-oidc", {SCOPE: f"{SCOPE} --access-token-seconds 63"})
    shop.log_in(person)
    wait_until_logged_out(shop.app, person)

    manage_clients(signet, tmp_path, "update", "shop", "--access-token-seconds", "60")
    assert shop.log_in(person).status == 500
    assert shop.app.user(person) is None


def test_flask_oidc_refreshes_with_a_refresh_token(
    person: Account, start_application: StartApplication
) -> None:
    grants = "--grant authorization_code --grant refresh_token"
    shop = start_application(
        "flask-oidc",
        {
            SCOPE: f'{grants} --scope "openid profile email offline_access"'
            " --access-token-seconds 60",
            '"openid profile email"': '"openid profile email offline_access"',
        },
    )
    shop.log_in(person)

    assert shop.app.user(person) == person.expected_user
    assert shop.app.user(person) == person.expected_user


def wait_until_logged_out(app: Application, person: Person) -> None:
    deadline = time.monotonic() + 15
    while app.user(person) is not None:
        assert time.monotonic() < deadline, f"still logged in:\n{app.output}"
        time.sleep(0.1)
