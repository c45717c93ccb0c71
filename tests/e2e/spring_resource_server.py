"""Spring Boot's resource server, configured by properties only, with a running Signet.

`pytest tests/e2e` does not collect this file, since it needs Java and downloads by Maven.
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

from clients import PASSWORD, SignetClient, random_email
from databases import fresh_database
from forgery import claims_of, forgeries, header_of
from person import Person
from processes import ProcessKiller, Signet
from spring import Spring, build
from stock import register

TASKS = "https://tasks.example"
"""The audience of the application."""

NOTES = "https://notes.example"
"""The audience of another Spring service. Its tokens have the `typ` JWT, too."""

OTHER = "https://other.example"
"""The audience of a service whose tokens have the default `typ`."""

SPRING_AUDIENCES = f"{TASKS} {NOTES}"
CALLBACK = "https://app.example/callback"
LEEWAY_SECONDS = 60
"""Spring's tolerance for clock skew."""

WRONG_AUDIENCE = "The aud claim is not valid"
WRONG_TYPE = "JOSE header typ (type) at+jwt not allowed"
REASONS = {NOTES: WRONG_AUDIENCE, OTHER: WRONG_TYPE}
"""The expected error for a token of each other audience."""

SCOPES = {
    "a person": "openid email tasks:read",
    "a job": "tasks:read tasks:write",
    "a job, for two audiences": "tasks:read tasks:write",
    "a job, without a scope": "",
    "a job, for a minute": "tasks:read",
}
"""The scopes of the access tokens, by the kind of owner."""

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


class RunningSignet:
    """A running Signet with clients and a user."""

    def __init__(self, directory: Path, kill_later: ProcessKiller) -> None:
        directory.mkdir()
        self.signet = kill_later(Signet(directory, fresh_database(directory)))
        self.signet.settings["SIGNET_ISSUER"] = f"http://localhost:{self.signet.port}"
        self.signet.settings["SIGNET_TYP_JWT_AUDIENCES"] = SPRING_AUDIENCES
        self.signet.start()
        self._secrets = register(self.signet, directory, CLIENTS)
        self._email = random_email()
        with SignetClient(self.signet.url) as front_end:
            self.user_id = front_end.sign_up(self._email).json()["user_id"]

    def client_credentials_token(self, client: str = "job", *audiences: str, **more: str) -> str:
        """An access token of the client credentials grant."""
        form = {"grant_type": "client_credentials", "resource": list(audiences or (TASKS,)), **more}
        return str(self._token(client, form)["access_token"])

    def log_in(self) -> dict[str, Any]:
        """The token response of an application after a login on the hosted pages."""
        person = Person(self._email, PASSWORD, self.signet.issuer)
        parameters = {
            "response_type": "code",
            "client_id": "app",
            "redirect_uri": CALLBACK,
            "scope": "openid email tasks:read",
            "resource": TASKS,
            "state": "a-state",
            "nonce": secrets.token_urlsafe(),
        }
        arrival = person.visit(f"{self.signet.issuer}/oauth2/authorize?{urlencode(parameters)}")
        assert arrival.url.startswith(f"{CALLBACK}?"), arrival
        [code] = parse_qs(urlsplit(arrival.url).query)["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        return self._token("app", form)

    def _token(self, client: str, form: dict[str, Any]) -> dict[str, Any]:
        basic_credentials = (client, self._secrets[client])
        url = f"{self.signet.issuer}/oauth2/token"
        answer = httpx.post(url, data=form, auth=basic_credentials, timeout=30)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture(scope="module", autouse=True)
def sigterm_as_interrupt() -> None:
    """Makes SIGTERM stop the started processes, as an interrupt does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="module")
def module_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spring")


@pytest.fixture(scope="module")
def running_signet(module_directory: Path, kill_after_module: ProcessKiller) -> RunningSignet:
    return RunningSignet(module_directory / "signet", kill_after_module)


@pytest.fixture(scope="module")
def spring(
    module_directory: Path, running_signet: RunningSignet, kill_after_module: ProcessKiller
) -> Spring:
    build()
    issuer = running_signet.signet.issuer
    return kill_after_module(Spring("spring", module_directory, issuer, TASKS)).start()


@pytest.fixture(scope="module")
def tokens(running_signet: RunningSignet) -> dict[str, str]:
    """Tokens for the application, by the kind of owner, and an ID token."""
    answer = running_signet.log_in()
    return {
        "a person": answer["access_token"],
        "a job": running_signet.client_credentials_token(),
        "a job, for two audiences": running_signet.client_credentials_token("job", TASKS, OTHER),
        "a job, without a scope": running_signet.client_credentials_token("bare"),
        "a job, for a minute": running_signet.client_credentials_token("short"),
        "the ID token": answer["id_token"],
    }


@pytest.mark.parametrize("owner", SCOPES)
def test_access_token_is_accepted(owner: str, spring: Spring, tokens: dict[str, str]) -> None:
    token = tokens[owner]
    assert header_of(token)["typ"] == "JWT"

    answer = spring.get(token)

    assert answer.status_code == 200, answer.headers
    assert answer.json() == {
        "subject": claims_of(token)["sub"],
        "scope": SCOPES[owner],
        "authorities": [f"SCOPE_{value}" for value in SCOPES[owner].split()],
    }


def test_scope_limits_access(spring: Spring, tokens: dict[str, str]) -> None:
    assert spring.post(tokens["a job"]).status_code == 200

    for owner in ("a person", "a job, without a scope"):
        refused = spring.post(tokens[owner])
        assert refused.status_code == 403
        assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]


def test_id_token_is_rejected(spring: Spring, tokens: dict[str, str]) -> None:
    assert header_of(tokens["the ID token"])["typ"] == "JWT"

    assert rejection_reason(spring.get(tokens["the ID token"])) == WRONG_AUDIENCE


@pytest.mark.parametrize("audience", REASONS)
def test_token_for_another_audience_is_rejected(
    audience: str, spring: Spring, running_signet: RunningSignet
) -> None:
    assert (
        rejection_reason(spring.get(running_signet.client_credentials_token("job", audience)))
        == REASONS[audience]
    )


def test_token_of_another_signet_is_rejected(
    spring: Spring, module_directory: Path, kill_after_module: ProcessKiller
) -> None:
    foreign = RunningSignet(module_directory / "foreign", kill_after_module)

    assert "no matching key(s) found" in rejection_reason(
        spring.get(foreign.client_credentials_token())
    )


def test_forged_tokens_are_rejected(
    spring: Spring, running_signet: RunningSignet, tokens: dict[str, str]
) -> None:
    jwks = httpx.get(f"{running_signet.signet.url}/.well-known/jwks.json").content

    for name, forged in forgeries(tokens["a job"], running_signet.user_id, jwks).items():
        # Tomcat rejects headers over 8 KiB.
        expected = 400 if name == "very long" else 401
        assert spring.get(forged).status_code == expected, name


def test_tokens_without_the_typ_setting_are_rejected(
    spring: Spring, running_signet: RunningSignet, tokens: dict[str, str]
) -> None:
    """Shows why the setting is needed. Issuer, keys and application are unchanged."""
    running_signet.signet.restart(SIGNET_TYP_JWT_AUDIENCES="")
    try:
        default_tokens = [
            running_signet.client_credentials_token(),
            running_signet.client_credentials_token("bare"),
            running_signet.log_in()["access_token"],
        ]
    finally:
        running_signet.signet.restart()

    for token in default_tokens:
        assert header_of(token)["typ"] == "at+jwt"
        assert rejection_reason(spring.get(token)) == WRONG_TYPE
    assert spring.get(tokens["a job"]).status_code == 200


def test_id_tokens_and_other_audiences_are_accepted_without_the_audiences_property(
    module_directory: Path,
    running_signet: RunningSignet,
    tokens: dict[str, str],
    kill_after_module: ProcessKiller,
) -> None:
    """Shows why the documentation requires the property `audiences`."""
    issuer = running_signet.signet.issuer
    without_audiences = kill_after_module(
        Spring("without-audiences", module_directory, issuer, "")
    ).start()
    try:
        for_notes = running_signet.client_credentials_token("job", NOTES)
        assert without_audiences.get(for_notes).status_code == 200
        assert without_audiences.post(for_notes).status_code == 200

        answer = without_audiences.get(tokens["the ID token"])
        assert answer.json() == {
            "subject": running_signet.user_id,
            "scope": None,
            "authorities": [],
        }
        assert without_audiences.post(tokens["the ID token"]).status_code == 403
    finally:
        without_audiences.kill()


def test_expired_token_is_rejected(spring: Spring, tokens: dict[str, str]) -> None:
    """The last test, so that most of the waiting time has passed."""
    token = tokens["a job, for a minute"]
    while (left := claims_of(token)["exp"] + LEEWAY_SECONDS + 1 - time.time()) > 0:
        time.sleep(left)

    assert rejection_reason(spring.get(token)).startswith("Jwt expired at ")


def rejection_reason(answer: httpx.Response) -> str:
    """The reason why a token was rejected."""
    assert answer.status_code == 401, answer.text
    challenge = answer.headers["WWW-Authenticate"]
    found = re.search(r'error="invalid_token", error_description="[^:"]*Jwt: ([^"]*)"', challenge)
    assert found, challenge
    return found[1]
