"""Spring Boot's resource server against a live Signet, by its properties alone.

Not collected by `pytest tests/e2e`, as it needs Java and Maven's downloads:
`tests/clients/stock/spring/run` runs it.
"""

import re
import secrets
import signal
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from clients import PASSWORD, SignetClient, some_email
from databases import fresh_database
from forgery import claims_of, forgeries, header_of
from person import Person
from processes import Owner, Signet
from spring import Spring, build
from stock import register

TASKS = "https://tasks.example"
"""The audience of the application."""

NOTES = "https://notes.example"
"""Another Spring service, whose tokens have the `typ` JWT, too."""

OTHER = "https://other.example"
"""A service whose tokens have the default `typ`."""

SPRING_AUDIENCES = f"{TASKS} {NOTES}"
CALLBACK = "https://app.example/callback"
LEEWAY_SECONDS = 60
"""Spring's tolerance for clock skew."""

WRONG_AUDIENCE = "The aud claim is not valid"
WRONG_TYPE = "JOSE header typ (type) at+jwt not allowed"
REASONS = {NOTES: WRONG_AUDIENCE, OTHER: WRONG_TYPE}
"""The errors for tokens with other audiences."""

SCOPES = {
    "a person": "openid email tasks:read",
    "a job": "tasks:read tasks:write",
    "a job, for two audiences": "tasks:read tasks:write",
    "a job, without a scope": "",
    "a job, for a minute": "tasks:read",
}
"""The scopes of the access tokens, by their owner."""

CLIENTS: list[dict[str, Any]] = [
    {
        "client_id": "app",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code"],
        "scope": "openid email tasks:read",
        "audiences": [TASKS],
    },
    {
        "client_id": "job",
        "grant_types": ["client_credentials"],
        "scope": "tasks:read tasks:write",
        "audiences": [TASKS, NOTES, OTHER],
    },
    {
        "client_id": "short",
        "grant_types": ["client_credentials"],
        "scope": "tasks:read",
        "audiences": [TASKS],
        "access_token_seconds": 60,
    },
    {
        "client_id": "bare",
        "grant_types": ["client_credentials"],
        "scope": "",
        "audiences": [TASKS],
    },
]


class Arranged:
    """A Signet with clients and a user."""

    def __init__(self, directory: Path, owned: Owner) -> None:
        directory.mkdir()
        self.signet = owned(Signet(directory, fresh_database(directory)))
        self.signet.settings["SIGNET_ISSUER"] = f"http://localhost:{self.signet.port}"
        self.signet.settings["SIGNET_TYP_JWT_AUDIENCES"] = SPRING_AUDIENCES
        self.signet.start()
        self._secrets = register(self.signet, directory, CLIENTS)
        self._email = some_email()
        with SignetClient(self.signet.url) as front_end:
            self.user_id = front_end.sign_up(self._email).json()["user_id"]

    def own(self, client: str = "job", *audiences: str, **more: str) -> str:
        """An access token of the client credentials grant."""
        form = {"grant_type": "client_credentials", "resource": list(audiences or (TASKS,)), **more}
        return str(self._token(client, form)["access_token"])

    def log_in(self) -> dict[str, Any]:
        """The token response of an application after a login on the hosted pages."""
        person = Person(self._email, PASSWORD, self.signet.issuer)
        asked = {
            "response_type": "code",
            "client_id": "app",
            "redirect_uri": CALLBACK,
            "scope": "openid email tasks:read",
            "resource": TASKS,
            "state": "a-state",
            "nonce": secrets.token_urlsafe(),
        }
        arrival = person.visit(f"{self.signet.issuer}/oauth2/authorize?{urlencode(asked)}")
        assert arrival.url.startswith(f"{CALLBACK}?"), arrival
        [code] = parse_qs(urlsplit(arrival.url).query)["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        return self._token("app", form)

    def _token(self, client: str, form: dict[str, Any]) -> dict[str, Any]:
        by_basic = (client, self._secrets[client])
        url = f"{self.signet.issuer}/oauth2/token"
        answer = httpx.post(url, data=form, auth=by_basic, timeout=30)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture(scope="module", autouse=True)
def ended_like_an_interrupt() -> None:
    """SIGTERM, too, stops the started processes."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spring")


@pytest.fixture(scope="module")
def arranged(here: Path, owned_by_module: Owner) -> Arranged:
    return Arranged(here / "signet", owned_by_module)


@pytest.fixture(scope="module")
def spring(here: Path, arranged: Arranged, owned_by_module: Owner) -> Spring:
    build()
    issuer = arranged.signet.issuer
    return owned_by_module(Spring("spring", here, issuer, TASKS)).start()


@pytest.fixture(scope="module")
def tokens(arranged: Arranged) -> dict[str, str]:
    """Tokens for the application, by client or kind."""
    answer = arranged.log_in()
    return {
        "a person": answer["access_token"],
        "a job": arranged.own(),
        "a job, for two audiences": arranged.own("job", TASKS, OTHER),
        "a job, without a scope": arranged.own("bare"),
        "a job, for a minute": arranged.own("short"),
        "the ID token": answer["id_token"],
    }


@pytest.mark.parametrize("whose", SCOPES)
def test_accepts_the_access_token_of(whose: str, spring: Spring, tokens: dict[str, str]) -> None:
    token = tokens[whose]
    assert header_of(token)["typ"] == "JWT"

    answer = spring.get(token)

    assert answer.status_code == 200, answer.headers
    assert answer.json() == {
        "subject": claims_of(token)["sub"],
        "scope": SCOPES[whose],
        "authorities": [f"SCOPE_{value}" for value in SCOPES[whose].split()],
    }


def test_scope_limits_what_a_token_may_access(spring: Spring, tokens: dict[str, str]) -> None:
    assert spring.post(tokens["a job"]).status_code == 200

    for whose in ("a person", "a job, without a scope"):
        refused = spring.post(tokens[whose])
        assert refused.status_code == 403
        assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]


def test_rejects_an_id_token(spring: Spring, tokens: dict[str, str]) -> None:
    assert header_of(tokens["the ID token"])["typ"] == "JWT"

    assert reason(spring.get(tokens["the ID token"])) == WRONG_AUDIENCE


@pytest.mark.parametrize("audience", REASONS)
def test_rejects_a_token_for(audience: str, spring: Spring, arranged: Arranged) -> None:
    assert reason(spring.get(arranged.own("job", audience))) == REASONS[audience]


def test_rejects_a_token_of_another_signet(
    spring: Spring, here: Path, owned_by_module: Owner
) -> None:
    foreign = Arranged(here / "foreign", owned_by_module)

    assert "no matching key(s) found" in reason(spring.get(foreign.own()))


def test_rejects_forged_tokens(spring: Spring, arranged: Arranged, tokens: dict[str, str]) -> None:
    jwks = httpx.get(f"{arranged.signet.url}/.well-known/jwks.json").content

    for name, forged in forgeries(tokens["a job"], arranged.user_id, jwks).items():
        # Tomcat rejects headers over 8 KiB.
        expected = 400 if name == "very long" else 401
        assert spring.get(forged).status_code == expected, name


def test_rejects_every_token_without_the_setting(
    spring: Spring, arranged: Arranged, tokens: dict[str, str]
) -> None:
    """The reason for the setting. Issuer, keys and application are unchanged."""
    arranged.signet.restart(SIGNET_TYP_JWT_AUDIENCES="")
    try:
        usual = [arranged.own(), arranged.own("bare"), arranged.log_in()["access_token"]]
    finally:
        arranged.signet.restart()

    for token in usual:
        assert header_of(token)["typ"] == "at+jwt"
        assert reason(spring.get(token)) == WRONG_TYPE
    assert spring.get(tokens["a job"]).status_code == 200


def test_accepts_id_tokens_and_tokens_for_others_without_audiences(
    here: Path, arranged: Arranged, tokens: dict[str, str], owned_by_module: Owner
) -> None:
    """A misconfiguration: shows why the page requires audiences."""
    issuer = arranged.signet.issuer
    careless = owned_by_module(Spring("careless", here, issuer, "")).start()
    try:
        for_notes = arranged.own("job", NOTES)
        assert careless.get(for_notes).status_code == 200
        assert careless.post(for_notes).status_code == 200

        answer = careless.get(tokens["the ID token"])
        assert answer.json() == {"subject": arranged.user_id, "scope": None, "authorities": []}
        assert careless.post(tokens["the ID token"]).status_code == 403
    finally:
        careless.kill()


def test_rejects_an_expired_token(spring: Spring, tokens: dict[str, str]) -> None:
    """Runs last, since it waits."""
    token = tokens["a job, for a minute"]
    while (left := claims_of(token)["exp"] + LEEWAY_SECONDS + 1 - time.time()) > 0:
        time.sleep(left)

    assert reason(spring.get(token)).startswith("Jwt expired at ")


def reason(answer: httpx.Response) -> str:
    """The reason why a token was rejected."""
    assert answer.status_code == 401, answer.text
    said = answer.headers["WWW-Authenticate"]
    found = re.search(r'error="invalid_token", error_description="[^:"]*Jwt: ([^"]*)"', said)
    assert found, said
    return found[1]
