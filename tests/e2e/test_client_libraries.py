"""The applications of `docs/client-libraries.md`, and the mistakes that the page warns of."""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from client_libraries import EXPRESS, Application, table
from clients import PASSWORD, SignetClient, some_email
from person import Arrival, Person
from processes import REPOSITORY, Owner, Signet
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
    refusal: tuple[str, int, str]
    """The response after a denied consent: path, status, and a part of the text."""


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

    def __init__(self, email: str, sub: str, *places: str) -> None:
        super().__init__(email, PASSWORD, *places)
        self.sub = sub
        self.known = {"sub": sub, "email": email, "name": NAME}
        """The data that an application should have."""

    def at_another_browser(self) -> "Account":
        return Account(self.email, self.sub, *self.places)


@pytest.fixture
def person(signet: Signet) -> Account:
    email = some_email()
    with SignetClient(signet.start(SIGNET_LOGOUT_PRIVATE_NETWORKS="true").url) as front_end:
        account = front_end.sign_up(email).json()
        named = front_end.patch("/api/auth/me", {"name": NAME}, bearer=account["access_token"])
        assert named.status_code == 200, named.text
    return Account(email, account["user_id"], signet.url)


@dataclass(frozen=True)
class Shop:
    """A running application without a login."""

    app: Application
    library: Library

    def log_in(self, person: Person, decision: str = "allow") -> Arrival:
        # The error page of Auth.js has a form for another login.
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


OpenShop = Callable[..., Shop]


@pytest.fixture
def open_shop(signet: Signet, person: Account, owned: Owner, tmp_path: Path) -> OpenShop:
    """Starts the application of a library, as on the page except for the changes."""

    def start(library: str, changes: Mapping[str, str] | None = None) -> Shop:
        directory = tmp_path / "shop"
        directory.mkdir()
        app = owned(Application(library, directory, signet, changes or {})).start()
        person.places.append(app.url)
        return Shop(app, LIBRARIES[library])

    return start


def test_page_lists_the_tested_versions() -> None:
    requirements = (REPOSITORY / "tests/e2e/requirements.txt").read_text()
    versions = dict(re.findall(r"^([\w-]+)(?:\[.*\])?==(\S+)$", requirements, re.M))
    versions |= json.loads((EXPRESS / "package.json").read_text())["dependencies"]

    named = {library: cells[0] for library, cells in table().items()}

    assert named == {name: versions[library.package] for name, library in LIBRARIES.items()}


@pytest.mark.parametrize("library", LIBRARIES)
def test_login(
    library: str, signet: Signet, person: Account, open_shop: OpenShop, tmp_path: Path
) -> None:
    shop = open_shop(library)
    app = shop.app
    assert app.user(person) is None

    denied = shop.log_in(person, "deny")
    path, status, text = shop.library.refusal
    assert denied.url.partition("?")[0] == f"{app.url}{path}"
    assert denied.status == status
    assert text in denied.text
    assert app.user(person) is None

    shop.log_in(person)
    assert app.user(person) == person.known
    assert person.logins == 1

    # The parameters in the table suffice, and PKCE is sent where the table says so.
    _version, challenge, secret, _claims = table()[library]
    manage_clients(signet, tmp_path, "update", "shop", "--auth-method", secret.strip("`"))
    later = person.at_another_browser()
    shop.log_in(later)
    assert app.user(later) == person.known

    manage_clients(signet, tmp_path, "update", "shop", "--pkce", "required")
    latest = person.at_another_browser()
    shop.log_in(latest)
    assert app.user(latest) == (person.known if challenge.startswith("PKCE") else None)


@pytest.mark.parametrize("library", ["Auth.js", "express-openid-connect", "passport-openidconnect"])
def test_without_id_token_claims_the_application_gets_sub_only(
    library: str, person: Account, open_shop: OpenShop
) -> None:
    shop = open_shop(library, {ID_TOKEN_CLAIMS: ""})
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
def test_userinfo_instead_of_id_token_claims(
    library: str, setting: str, with_userinfo: str, person: Account, open_shop: OpenShop
) -> None:
    shop = open_shop(library, {ID_TOKEN_CLAIMS: "", setting: with_userinfo})
    shop.log_in(person)
    assert shop.app.user(person) == person.known


@pytest.mark.parametrize(
    ("library", "path"),
    [
        ("Auth.js", "/auth/signout"),
        ("django-allauth", "/accounts/logout/"),
        ("flask-oidc", "/logout"),
    ],
)
def test_logout_of_the_application_only(
    library: str, path: str, person: Account, open_shop: OpenShop
) -> None:
    shop = open_shop(library)
    shop.log_in(person)

    shop.log_out(person, path)

    shop.log_in(person)
    assert shop.app.user(person) == person.known
    assert person.logins == 1


@pytest.mark.parametrize(
    ("library", "path"), [("express-openid-connect", "/logout"), ("mozilla-django-oidc", "/leave")]
)
def test_logout_of_application_and_signet(
    library: str, path: str, person: Account, open_shop: OpenShop
) -> None:
    shop = open_shop(library)
    shop.log_in(person)

    shop.log_out(person, path)

    shop.log_in(person)
    assert shop.app.user(person) == person.known
    assert person.logins == 2


def test_auth_js_generates_its_own_sub_at_each_login(person: Account, open_shop: OpenShop) -> None:
    callback = (
        "    jwt: ({ token, profile }) => (profile ? { ...token, sub: profile.sub } : token),\n"
    )
    shop = open_shop("Auth.js", {callback: ""})

    subs = set()
    for browser in (person, person.at_another_browser()):
        shop.log_in(browser)
        user = shop.app.user(browser)
        assert user is not None
        subs.add(user["sub"])

    assert len(subs) == 2
    assert person.sub not in subs


def test_auth_js_path_from_its_documentation_fails_with_express_5(
    open_shop: OpenShop,
) -> None:
    with pytest.raises(AssertionError, match="Missing parameter name"):
        open_shop("Auth.js", {'app.use("/auth", ': 'app.use("/auth/*", '})


def test_auth_js_does_not_recognise_its_path_below_an_express_5_wildcard(
    person: Account, open_shop: OpenShop
) -> None:
    shop = open_shop("Auth.js", {'app.use("/auth", ': 'app.use("/auth/*splat", '})
    refused = shop.log_in(person)
    assert (refused.status, refused.text) == (400, '"Bad request."')


def test_express_openid_connect_uses_the_implicit_flow_by_default(
    person: Account, open_shop: OpenShop
) -> None:
    code_flow = '    authorizationParams: { response_type: "code" },\n'
    shop = open_shop("express-openid-connect", {code_flow: ""})

    assert shop.log_in(person).status == 400

    assert shop.app.user(person) is None
    assert "unsupported_response_type" in shop.app.output


def test_express_openid_connect_ends_all_logins_on_backchannel_logout(
    signet: Signet, person: Account, open_shop: OpenShop
) -> None:
    shop = open_shop(
        "express-openid-connect",
        {
            'import express from "express";': 'import express from "express";\n'
            'import session from "express-session";',
            "idpLogout: true,": "backchannelLogout: { store: new session.MemoryStore() },",
            ID_TOKEN_CLAIMS: f"{ID_TOKEN_CLAIMS} --backchannel-logout-uri"
            " http://localhost:3000/backchannel-logout",
        },
    )
    elsewhere = person.at_another_browser()
    for browser in (person, elsewhere):
        shop.log_in(browser)
        assert shop.app.user(browser) == person.known

    assert "You are logged out" in person.visit(f"{signet.url}/logout").text

    for browser in (person, elsewhere):
        wait_until_logged_out(shop.app, browser)


def test_passport_sends_neither_nonce_nor_pkce_by_default(
    signet: Signet, person: Account, open_shop: OpenShop, tmp_path: Path
) -> None:
    shop = open_shop("passport-openidconnect", {"      nonce: true,\n": ""})
    refused = shop.log_in(person)
    assert refused.status == 500
    assert "error=invalid_request" in refused.url

    manage_clients(signet, tmp_path, "update", "shop", "--pkce", "optional")

    shop.log_in(person)
    assert shop.app.user(person) == person.known


def test_passport_redirects_endlessly_after_a_denied_consent(
    person: Account, open_shop: OpenShop
) -> None:
    as_in_its_readme = {'failureRedirect: "/failed"': 'failureRedirect: "/login"'}
    shop = open_shop("passport-openidconnect", as_in_its_readme)
    with pytest.raises(AssertionError, match="no end after"):
        shop.log_in(person, "deny")


def test_mozilla_django_oidc_identifies_users_by_email_by_default(
    person: Account, open_shop: OpenShop
) -> None:
    its_own = "mozilla_django_oidc.auth.OIDCAuthenticationBackend"
    shop = open_shop("mozilla-django-oidc", {"shop.backend.SignetBackend": its_own})
    shop.make_administrator(person.email)

    shop.log_in(person)

    assert shop.app.user(person) == {"sub": "admin", "email": person.email, "name": ""}


def test_mozilla_django_oidc_with_the_documented_backend_identifies_users_by_sub(
    person: Account, open_shop: OpenShop
) -> None:
    # The page says that this may be omitted, too.
    shop = open_shop("mozilla-django-oidc", {"OIDC_USE_PKCE = True\n": ""})
    shop.make_administrator(person.email)

    shop.log_in(person)

    assert shop.app.user(person) == person.known


def test_mozilla_django_oidc_expects_hs256_by_default(person: Account, open_shop: OpenShop) -> None:
    shop = open_shop("mozilla-django-oidc", {'OIDC_RP_SIGN_ALGO = "RS256"\n': ""})

    refused = shop.log_in(person)

    assert refused.status == 400
    assert "does not match the client&#x27;s OIDC_RP_SIGN_ALGO" in refused.text
    assert shop.app.user(person) is None


def test_allauth_sends_neither_nonce_nor_pkce_by_default(
    person: Account, open_shop: OpenShop
) -> None:
    shop = open_shop("django-allauth", {'        "OAUTH_PKCE_ENABLED": True,\n': ""})

    refused = shop.log_in(person)

    assert "error=invalid_request" in refused.url
    assert "Third-Party Login Failure" in refused.text
    assert shop.app.user(person) is None


def test_allauth_sends_mail_to_new_users(person: Account, open_shop: OpenShop) -> None:
    mail_to_the_log = 'EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"'
    shop = open_shop(
        "django-allauth", {'SOCIALACCOUNT_EMAIL_VERIFICATION = "none"': mail_to_the_log}
    )

    shop.log_in(person)

    assert shop.app.user(person) == person.known
    assert f"To: {person.email}" in shop.app.output


def test_flask_oidc_logs_out_when_the_access_token_expires(
    signet: Signet, person: Account, open_shop: OpenShop, tmp_path: Path
) -> None:
    # The library treats a token as expired a minute early.
    shop = open_shop("flask-oidc", {SCOPE: f"{SCOPE} --access-token-seconds 63"})
    shop.log_in(person)
    wait_until_logged_out(shop.app, person)

    manage_clients(signet, tmp_path, "update", "shop", "--access-token-seconds", "60")
    assert shop.log_in(person).status == 500
    assert shop.app.user(person) is None


def test_flask_oidc_refreshes(person: Account, open_shop: OpenShop) -> None:
    grants = "--grant authorization_code --grant refresh_token"
    shop = open_shop(
        "flask-oidc",
        {
            SCOPE: f'{grants} --scope "openid profile email offline_access"'
            " --access-token-seconds 60",
            '"openid profile email"': '"openid profile email offline_access"',
        },
    )
    shop.log_in(person)

    assert shop.app.user(person) == person.known
    assert shop.app.user(person) == person.known


def wait_until_logged_out(app: Application, person: Person) -> None:
    deadline = time.monotonic() + 15
    while app.user(person) is not None:
        assert time.monotonic() < deadline, f"still logged in:\n{app.output}"
        time.sleep(0.1)
